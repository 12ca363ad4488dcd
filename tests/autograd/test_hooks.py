"""Hooks on tensors, on nodes and on saved values; and what of the graph can be seen.

The order that is held here: hooks of a tensor, then its retained gradient, then the node's
pre-hooks, the node, its post-hooks; for a leaf at last the post-accumulate hooks.
"""

import gc
import weakref

import pytest
from library import Square, check, leaf, torch, vec

graph = torch.autograd.graph


# Tensor hooks ------------------------------------------------------------------------------


def test_hook_sees_and_replaces_the_gradient():
    x = leaf([1.0, 2.0])
    seen = []
    x.register_hook(lambda g: seen.append(g.tolist()))
    x.register_hook(lambda g: g * 10)
    x.register_hook(lambda g: seen.append(g.tolist()))
    (x * 3).sum().backward()
    assert seen == [[3, 3], [30, 30]]
    check(x.grad, [30, 30])


def test_hook_gets_the_whole_sum_once():
    x = leaf(2.0)
    y = x * 1
    calls = []
    y.register_hook(lambda g: calls.append(g.item()))
    (y * y + y * 3).backward()
    assert calls == [7.0]


def test_removed_hooks_are_not_run():
    x = leaf(2.0)
    calls = []
    first = x.register_hook(lambda g: calls.append("first"))
    x.register_hook(lambda g: calls.append("second"))
    first.remove()
    first.remove()
    (x * x).backward()
    assert calls == ["second"]
    with x.register_hook(lambda g: calls.append("third")):
        (x * x).backward()
    (x * x).backward()
    assert calls == ["second", "second", "third", "second"]


def test_order_of_all_kinds_of_hooks():
    x, order = leaf(2.0), []
    y = x * 3
    y.register_hook(lambda g: order.append("tensor 1"))
    y.retain_grad()
    y.register_hook(lambda g: order.append("tensor 2") or g * 2)
    y.grad_fn.register_prehook(lambda gs: order.append("node pre"))
    y.grad_fn.register_hook(lambda gi, go: order.append("node post"))
    x.register_hook(lambda g: order.append("leaf"))
    x.register_post_accumulate_grad_hook(lambda p: order.append("accumulated"))
    y.backward()
    assert order == ["tensor 1", "tensor 2", "node pre", "node post", "leaf", "accumulated"]
    check(y.grad, 2.0)
    check(x.grad, 6.0)


def test_hooks_run_for_grad_too_but_not_post_accumulate():
    x, order = leaf(2.0), []
    x.register_hook(lambda g: order.append("hook") or g * 5)
    x.register_post_accumulate_grad_hook(lambda p: order.append("accumulated"))
    (g,) = torch.autograd.grad(x * x, x)
    assert order == ["hook"]
    check(g, 20.0)


def test_hook_on_a_tensor_that_is_written_later_belongs_to_its_old_value():
    x = leaf(2.0)
    y = x * 3
    seen = []
    y.register_hook(lambda g: seen.append(("old", g.item())))
    y.mul_(10)
    y.register_hook(lambda g: seen.append(("new", g.item())))
    (y * 2).backward()
    assert seen == [("new", 2.0), ("old", 20.0)]


def test_hook_may_be_differentiated():
    x = leaf(3.0)
    y = x * x
    handle = y.register_hook(lambda g: g * g)
    (g,) = torch.autograd.grad(y * y, x, create_graph=True)
    check(g, (2 * 9.0) ** 2 * 6)
    handle.remove()
    (h,) = torch.autograd.grad(g, x)
    check(h, 8 * 5 * 3.0**4)


def test_post_accumulate_hook_sees_grad_and_may_free_it():
    x, seen = leaf([1.0, 2.0]), []

    def step(p):
        assert p is x
        seen.append(p.grad.tolist())
        with torch.no_grad():
            p -= 0.5 * p.grad
        p.grad = None

    handle = x.register_post_accumulate_grad_hook(step)
    (x * 2).sum().backward()
    (x * 2).sum().backward()
    handle.remove()
    (x * 2).sum().backward()
    assert seen == [[2, 2], [2, 2]]
    check(x, [-1, 0])
    check(x.grad, [2, 2])


def test_hook_does_not_keep_its_tensor_alive():
    class Mark:
        pass

    mark = Mark()
    alive = weakref.ref(mark)
    x = leaf(1.0) * 2
    x.register_hook(lambda g, mark=mark: None)
    del x, mark
    gc.collect()
    assert alive() is None


# Node hooks --------------------------------------------------------------------------------


def test_node_hook_replaces_input_gradients():
    x, w = leaf(2.0), leaf(3.0)
    y = x * w
    seen = []

    def hook(grad_inputs, grad_outputs):
        seen.append(([g.item() for g in grad_inputs], [g.item() for g in grad_outputs]))
        return grad_inputs[0] * 100, grad_inputs[1]

    handle = y.grad_fn.register_hook(hook)
    (y * 5).backward(retain_graph=True)
    assert seen == [([15.0, 10.0], [5.0])]
    check(x.grad, 1500.0)
    check(w.grad, 10.0)
    handle.remove()
    (y * 5).backward()
    check(x.grad, 1515.0)


def test_node_prehook_replaces_output_gradients():
    x = leaf(2.0)
    y = x * x
    y.grad_fn.register_prehook(lambda grads: (grads[0] * 3,))
    y.backward()
    check(x.grad, 12.0)


def test_node_hook_must_return_as_many():
    y = leaf(2.0) * leaf(3.0)
    y.grad_fn.register_hook(lambda gi, go: (gi[0],))
    with pytest.raises(RuntimeError, match="has returned an incorrect number of values"):
        y.backward()


def test_hook_on_accumulate_grad():
    x, calls = leaf(2.0), []
    y = x * x
    accumulate = y.grad_fn.next_functions[0][0]
    accumulate.register_hook(lambda gi, go: calls.append((gi, go[0].item())))
    y.backward()
    assert calls == [((), 4.0)]
    assert accumulate.variable is x


# What can be seen of a graph ---------------------------------------------------------------


def test_next_functions_and_names():
    x = leaf([1.0, 2.0])
    y = (x * 2).sum()
    node = y.grad_fn
    assert isinstance(node, graph.Node)
    assert node.name() == "SumBackward0"
    ((inner, number),) = node.next_functions
    assert (inner.name(), number) == ("MulBackward0", 0)
    (first, second) = inner.next_functions
    assert (type(first[0]).__name__, first[1]) == ("AccumulateGrad", 0)
    assert second == (None, 0)
    assert first[0].variable is x
    assert type(inner).__name__ == "MulBackward0"
    assert repr(inner).startswith("<MulBackward0 object at 0x")
    assert str(type(inner)) == "<class 'MulBackward0'>"
    assert first[0].next_functions == ()


def test_names_with_a_namespace():
    x = leaf([1.0, 2.0])
    y = x * 1
    y[0] = 5
    assert y.grad_fn.name() == "torch::autograd::CopySlices"
    assert (x + 0).grad_fn.next_functions[0][0].name() == "torch::autograd::AccumulateGrad"


def test_output_numbers_of_next_functions():
    a, b = (leaf([1.0, 2.0]) * 1).unbind()
    (node,) = {a.grad_fn, b.grad_fn}
    add = (b + a).grad_fn
    assert add.next_functions == ((node, 1), (node, 0))


def test_grad_fn_is_one_object():
    y = leaf(2.0) * 3
    assert y.grad_fn is y.grad_fn
    assert y.grad_fn.metadata == {}
    y.grad_fn.metadata["note"] = 1
    assert y.grad_fn.metadata == {"note": 1}


def test_saved_attributes():
    x, w = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    mul = (x * w).grad_fn
    assert mul._saved_self is x and mul._saved_other is w
    exp = x.exp()
    check(exp.grad_fn._saved_result, exp.tolist())
    assert exp.grad_fn._saved_result.grad_fn is exp.grad_fn
    assert (x**3).grad_fn._saved_exponent == 3
    assert x.sum(0, keepdim=True).grad_fn._saved_keepdim is True
    assert (x.detach() * w).grad_fn._saved_other is None
    with pytest.raises(AttributeError, match="_saved_nothing"):
        _ = mul._saved_nothing


def test_nodes_are_freed_with_their_tensors():
    x = leaf([1.0, 2.0])
    y = x.exp()
    gone = weakref.ref(y)
    z = y.sum()
    del y
    z.backward()
    assert gone() is None


def test_gradient_edges():
    x = leaf(3.0)
    y = x * x
    edge = graph.get_gradient_edge(y)
    assert isinstance(edge, graph.GradientEdge)
    assert edge.node is y.grad_fn and edge.output_nr == 0
    z = y * 5
    (g,) = torch.autograd.grad(z, edge, retain_graph=True)
    check(g, 5.0)
    (g,) = torch.autograd.grad(graph.get_gradient_edge(z), x, retain_graph=True)
    check(g, 30.0)
    torch.autograd.backward(graph.get_gradient_edge(z))
    check(x.grad, 30.0)
    leaf_edge = graph.get_gradient_edge(x)
    assert leaf_edge.node.variable is x


# Saved tensors -----------------------------------------------------------------------------


def test_saved_tensors_hooks_pack_and_unpack():
    x, log = leaf([1.0, 2.0]), []

    def pack(t):
        log.append(("pack", t.tolist()))
        return t.tolist()

    def unpack(values):
        log.append(("unpack", values))
        return vec(*values) * 10

    with graph.saved_tensors_hooks(pack, unpack):
        y = x.exp()
    assert [kind for kind, _ in log] == ["pack"]
    y.sum().backward()
    assert [kind for kind, _ in log] == ["pack", "unpack"]
    check(x.grad, (y.detach() * 10).tolist())


def test_saved_tensors_hooks_nest_and_the_inner_wins():
    log = []

    def hooks(name):
        return graph.saved_tensors_hooks(lambda t: log.append(name) or t, lambda t: t)

    x = leaf([1.0, 2.0])
    with hooks("outer"):
        with hooks("inner"):
            x.exp()
        x.exp()
    x.exp()
    assert log == ["inner", "outer"]


def test_pack_hook_may_not_write():
    x = leaf([1.0, 2.0])
    with (
        graph.saved_tensors_hooks(lambda t: t.add_(1), lambda t: t),
        pytest.raises(RuntimeError, match="A saved tensor pack hook is modifying its input"),
    ):
        (x * 1).exp()


def test_hooks_are_called_for_functions_too():
    class Squared(Square):
        @staticmethod
        def backward(ctx, g):
            return 2 * g * ctx.saved_tensors[0]

    x = leaf([1.0, 2.0])
    with graph.saved_tensors_hooks(lambda t: t * 100, lambda t: t / 50):
        y = Squared.apply(x)
    y.sum().backward()
    check(x.grad, [4, 8])


def test_save_on_cpu():
    x = leaf([1.0, 2.0])
    with graph.save_on_cpu():
        y = (x * 2).exp()
    y.sum().backward()
    check(x.grad, (2 * y.detach()).tolist())


def test_disable_saved_tensors_hooks():
    x = leaf(2.0)
    with graph.disable_saved_tensors_hooks("not here"):
        (x * x).backward()
        with pytest.raises(RuntimeError, match=r"^not here$"), graph.save_on_cpu():
            pass
    with graph.save_on_cpu():
        (x * x).backward()
    check(x.grad, 8.0)


def test_saved_tensor_can_take_hooks_of_its_own():
    x = leaf([1.0, 2.0])
    y = x.exp()
    y.grad_fn._raw_saved_result.register_hooks(lambda t: t * 2, lambda t: t * 3)
    y.sum().backward()
    check(x.grad, (y.detach() * 6).tolist())


def test_allow_mutation_on_saved_tensors():
    with graph.allow_mutation_on_saved_tensors():
        x = leaf([1.0, 2.0])
        a = x * 1
        b = a**2
        a.zero_()
        b.sum().backward()
    check(x.grad, [2, 4])
    check(a, [0, 0])


def test_increment_version():
    x, y = torch.ones(2), torch.ones(2)
    graph.increment_version(x)
    assert x._version == 1
    graph.increment_version([x, y])
    assert (x._version, y._version) == (2, 1)
    z = leaf([1.0, 2.0]).exp()
    graph.increment_version(z)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        z.sum().backward()


# Hooks on several gradients ----------------------------------------------------------------


def test_multi_grad_hook_all():
    a, b, c = leaf(1.0), leaf(2.0), leaf(3.0)
    seen = []

    def note(grads):
        seen.append([None if g is None else g.item() for g in grads])

    handle = graph.register_multi_grad_hook([a, b, c], note)
    (a * b).backward()
    (a * b * c).backward()
    handle.remove()
    (a * b).backward()
    assert seen == [[2.0, 1.0, None], [6.0, 3.0, 2.0]]


def test_multi_grad_hook_any():
    a, b = leaf(1.0), leaf(2.0)
    seen = []
    graph.register_multi_grad_hook([a, b], lambda g: seen.append(g.item()), mode="any")
    (a * b).backward()
    assert len(seen) == 1 and seen[0] in (1.0, 2.0)
    (a * 7).backward()
    assert seen[1:] == [7.0]
    with pytest.raises(ValueError, match="Expects mode to be one of"):
        graph.register_multi_grad_hook([a], lambda g: None, mode="some")


def test_hooks_on_saved_tensors_leave_tangents_alone():
    def slope(x):
        with torch.autograd.graph.saved_tensors_hooks(lambda t: t.detach().clone(), lambda t: t):
            y = (x.exp() * x[1:].sum() * 2).sum()
        return torch.autograd.grad(y, x, create_graph=True)[0]

    x, v = torch.tensor([0.5, -1.0], requires_grad=True), torch.tensor([1.0, 2.0])
    fw = torch.autograd.forward_ad
    with fw.dual_level():
        found = fw.unpack_dual(slope(fw.make_dual(x, v))).tangent
    (expected,) = torch.autograd.grad((slope(x) * v).sum(), x)
    assert torch.allclose(found, expected)


def test_post_accumulate_hooks_come_before_those_of_the_node():
    x, log = torch.ones(2, requires_grad=True), []
    node = x.view_as(x).grad_fn.next_functions[0][0]
    node.register_hook(lambda grads, given: log.append("node"))
    x.register_post_accumulate_grad_hook(lambda t: log.append("tensor"))
    x.sum().backward()
    assert log == ["tensor", "node"]


def test_second_derivatives_are_at_what_was_unpacked():
    def twice(t):
        return 2 * t

    with torch.autograd.graph.saved_tensors_hooks(twice, lambda t: t):
        a = leaf([1.0])
        s = (a**3).sum()
    (g,) = torch.autograd.grad(s, a, create_graph=True)
    check(g, [12.0])
    g.sum().backward()
    check(a.grad, [12.0])


def test_a_pack_hook_gets_the_input_itself_without_a_graph():
    b, seen = torch.ones(2, requires_grad=True) * 2, []

    def pack(x):
        seen.append((x is b, x.grad_fn is b.grad_fn, torch.is_grad_enabled()))
        return x * 2

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x / 2):
        y = b * b
    assert seen == [(True, True, False)] * 2
    assert y.sum().grad_fn is not None
