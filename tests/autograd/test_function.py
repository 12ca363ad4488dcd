"""torch.autograd.Function: custom derivatives, with all that the context offers."""

import gc
import weakref

import pytest
from library import Broken, Square, check, fn_name, leaf, pullback_only, torch, vec

Function = torch.autograd.Function
once_differentiable = torch.autograd.function.once_differentiable


class Cube(Function):
    """x cubed; a derivative made of ops, so it can be differentiated again."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g * 3 * x**2


class Scale(Function):
    """x times a number, in the style with setup_context."""

    @staticmethod
    def forward(x, factor):
        return x * factor

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.factor = inputs[1]
        ctx.shape_seen = tuple(output.shape)

    @staticmethod
    def backward(ctx, g):
        assert ctx.shape_seen == tuple(g.shape)
        return g * ctx.factor, None


def test_both_styles():
    x = leaf([1.0, 2.0])
    y = Scale.apply(Cube.apply(x), 10)
    check(y, [10, 80])
    y.sum().backward()
    check(x.grad, [30, 120])


def test_names_and_printing():
    x = leaf([1.0, 2.0])
    y = Cube.apply(x)
    assert y.grad_fn.name() == "CubeBackward"
    assert fn_name(y) == "CubeBackward"
    assert repr(y) == "tensor([1., 8.], grad_fn=<CubeBackward>)"
    assert isinstance(y.grad_fn, torch.autograd.graph.Node)
    assert y.grad_fn.next_functions[0][0].variable is x


def test_context_is_the_node_with_its_attributes():
    y = Scale.apply(leaf([1.0, 2.0]), 4)
    assert y.grad_fn.factor == 4
    assert Cube.apply(y).grad_fn.saved_tensors[0].tolist() == [4, 8]


def test_double_and_triple_backward():
    x = leaf(2.0, torch.float64)
    y = Cube.apply(x)
    for expected in (12.0, 12.0, 6.0):
        (y,) = torch.autograd.grad(y, x, create_graph=True)
        check(y, expected)


def test_forward_runs_without_grad_mode():
    seen = {}

    class Look(Function):
        @staticmethod
        def forward(ctx, x):
            seen["forward"] = torch.is_grad_enabled()
            return x * 2

        @staticmethod
        def backward(ctx, g):
            seen["backward"] = torch.is_grad_enabled()
            return g * 2

    x = leaf(2.0)
    Look.apply(x).backward()
    assert seen == {"forward": False, "backward": False}
    torch.autograd.grad(Look.apply(x), x, create_graph=True)
    assert seen["backward"] is True


def test_without_grad_nothing_is_recorded():
    assert not Cube.apply(vec(1, 2)).requires_grad
    with torch.no_grad():
        assert not Cube.apply(leaf([1.0, 2.0])).requires_grad


def test_needs_input_grad_and_none_gradients():
    seen = []

    class Product(Function):
        @staticmethod
        def forward(ctx, a, b, name):
            ctx.save_for_backward(a, b)
            seen.append(ctx.needs_input_grad)
            return a * b

        @staticmethod
        def backward(ctx, g):
            seen.append(ctx.needs_input_grad)
            _, b = ctx.saved_tensors
            return g * b, None, None

    a, b = leaf(2.0), torch.tensor(3.0)
    Product.apply(a, b, "name").backward()
    assert seen == [(True, False, False)] * 2
    check(a.grad, 3.0)
    c = leaf(5.0)
    Product.apply(a, c, "name").backward()
    assert c.grad is None


def test_several_outputs_and_materialized_zeros():
    class Parts(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2, x * 3

        @staticmethod
        def backward(ctx, g, h):
            assert h is not None
            return g * 2 + h * 3

    x = leaf([1.0, 2.0])
    first, second = Parts.apply(x)
    assert (first.output_nr, second.output_nr) == (0, 1)
    assert first.grad_fn is second.grad_fn
    first.sum().backward()
    check(x.grad, [2, 2])


def test_gradients_that_are_not_materialized():
    seen = []

    class Parts(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.set_materialize_grads(False)
            return x * 2, x * 3

        @staticmethod
        def backward(ctx, g, h):
            seen.append((g, h is None))
            return None if g is None else g * 2

    x = leaf(1.0)
    Parts.apply(x)[0].backward()
    ((g, second_is_none),) = seen
    check(g, 1.0)
    assert second_is_none


def test_outputs_may_be_other_things():
    class Mixed(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2, "text", None

        @staticmethod
        def backward(ctx, g, text, none):
            assert text is None and none is None
            return g * 2

    x = leaf(1.0)
    y, text, none = Mixed.apply(x)
    assert (text, none) == ("text", None)
    y.backward()
    check(x.grad, 2.0)


def test_mark_non_differentiable():
    class Sorted(Function):
        @staticmethod
        def forward(ctx, x):
            values, indices = x.sort()
            mask = x > 0
            ctx.mark_non_differentiable(indices, mask)
            ctx.save_for_backward(indices)
            return values, indices, mask

        @staticmethod
        def backward(ctx, g, unused, unused_mask):
            check(unused_mask.double(), [0.0, 0.0])
            (indices,) = ctx.saved_tensors
            return torch.zeros_like(g).index_add(0, indices, g)

    x = leaf([3.0, -1.0])
    values, indices, mask = Sorted.apply(x)
    assert values.requires_grad and not indices.requires_grad and not mask.requires_grad
    (values * vec(1, 10)).sum().backward()
    check(x.grad, [10, 1])


def test_float_output_marked_non_differentiable():
    class Half(Function):
        @staticmethod
        def forward(ctx, x):
            out = x / 2
            ctx.mark_non_differentiable(out)
            return out

    assert not Half.apply(leaf(1.0)).requires_grad


class Double(Function):
    """Doubles its input in place."""

    @staticmethod
    def forward(ctx, x):
        ctx.mark_dirty(x)
        x.mul_(2)
        return x

    @staticmethod
    def backward(ctx, g):
        return g * 2


def test_mark_dirty():
    x = leaf([1.0, 2.0])
    y = x * 1
    z = Double.apply(y)
    assert z is y and fn_name(y) == "DoubleBackward" and y._version > 0
    y.sum().backward()
    check(x.grad, [2, 2])


def test_mark_dirty_on_a_view():
    x = leaf([1.0, 2.0, 3.0])
    y = x * 1
    Double.apply(y[:2])
    assert fn_name(y) == "CopySlices"
    y.sum().backward()
    check(x.grad, [2, 2, 1])


def test_dirty_input_that_was_saved_is_detected():
    x = leaf([1.0, 2.0])
    y = x.exp()
    z = y.sum()
    Double.apply(y)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        z.backward()


def test_changed_saved_tensor_is_detected():
    x = leaf([1.0, 2.0])
    y = x * 1
    z = Cube.apply(y)
    y.add_(1)
    with pytest.raises(RuntimeError, match=r"modified by an inplace operation.*version 1"):
        z.sum().backward()


def test_returning_the_input_gives_a_view_of_it():
    class Same(Function):
        @staticmethod
        def forward(ctx, x):
            return x

        @staticmethod
        def backward(ctx, g):
            return g * 7

    x = leaf([1.0, 2.0])
    y = Same.apply(x)
    assert y is not x and y.data_ptr() == x.data_ptr()
    y.sum().backward()
    check(x.grad, [7, 7])


def test_once_differentiable():
    class Squared(Square):
        @staticmethod
        @once_differentiable
        def backward(ctx, g):
            assert not torch.is_grad_enabled()
            return 2 * g * ctx.saved_tensors[0]

    x = leaf(3.0)
    (g,) = torch.autograd.grad(Squared.apply(x), x)
    check(g, 6.0)
    y = Squared.apply(x)
    (g,) = torch.autograd.grad(y * y, x, create_graph=True)
    with pytest.raises(RuntimeError, match="marked with @once_differentiable"):
        g.backward()


def test_saved_output_makes_no_cycle():
    class Exp(Function):
        @staticmethod
        def forward(ctx, x):
            out = x.exp()
            ctx.save_for_backward(out)
            return out

        @staticmethod
        def backward(ctx, g):
            return g * ctx.saved_tensors[0]

    x = leaf(1.0)
    y = Exp.apply(x)
    (g,) = torch.autograd.grad(y, x, create_graph=True)
    (h,) = torch.autograd.grad(g, x)
    check(h, y.item())
    gc.collect()
    gc.disable()
    try:
        y = Exp.apply(x)
        gone = weakref.ref(y)
        del y
        assert gone() is None
    finally:
        gc.enable()


def test_saving_none_and_inner_tensors():
    class Odd(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(None, x, x + 1)
            return x * 2

        @staticmethod
        def backward(ctx, g):
            none, x, inner = ctx.saved_tensors
            assert none is None
            assert inner.grad_fn is None
            return g * (x + inner)

    x = leaf(2.0)
    Odd.apply(x).backward()
    check(x.grad, 5.0)


def test_saved_tensors_are_freed_by_backward():
    x = leaf(2.0)
    y = Cube.apply(x)
    y.backward()
    with pytest.raises(RuntimeError, match="backward through the graph a second time"):
        y.backward()


def test_optional_gradients_may_be_left_out_at_the_end():
    class Padded(Function):
        @staticmethod
        def forward(ctx, x, *rest):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return g * 2, None, None, None

    x = leaf(1.0)
    Padded.apply(x, 1).backward()
    check(x.grad, 2.0)


def test_keyword_arguments():
    x = leaf(2.0)
    (Cube.apply(x=x) + Scale.apply(x, factor=3) + Scale.apply(factor=5, x=x)).backward()
    check(x.grad, 12.0 + 3 + 5)


def test_gradient_is_expanded_and_cast_to_its_input():
    class Ones(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return torch.full((2, 3), 4.0, dtype=torch.float64)

    x = leaf([1.0, 2.0, 3.0])
    Ones.apply(x).sum().backward()
    assert x.grad.dtype is torch.float32
    check(x.grad, [8, 8, 8])


def test_error_in_backward_comes_through():
    x = leaf(1.0)
    with pytest.raises(KeyError, match="broken"):
        Broken.apply(x).backward()
    (x * 2).backward()
    check(x.grad, 2.0)


def test_vjp_is_another_name_of_backward():
    class Squared(Square):
        @staticmethod
        def vjp(ctx, g):
            return 2 * g * ctx.saved_tensors[0]

    x = leaf(3.0)
    Squared.apply(x).backward()
    check(x.grad, 6.0)


def test_inside_another_function_and_in_hooks():
    class Outer(Function):
        @staticmethod
        def forward(ctx, x):
            with torch.enable_grad():
                ctx.inner_x = x.detach().requires_grad_()
                ctx.inner_y = Cube.apply(ctx.inner_x)
            return ctx.inner_y.detach()

        @staticmethod
        def backward(ctx, g):
            return torch.autograd.grad(ctx.inner_y, ctx.inner_x, g)

    x = leaf(2.0)
    x.register_hook(lambda g: Scale.apply(g, 10))
    Outer.apply(x).backward()
    check(x.grad, 120.0)


def test_passes_gradcheck():
    x = leaf([0.5, -1.5], torch.float64)
    assert torch.autograd.gradcheck(Cube.apply, (x,))
    assert torch.autograd.gradgradcheck(Cube.apply, (x,))


# ------------------------------------------------------------------------- arguments and transforms


class Scaled(torch.autograd.Function):
    """Has a default argument, and saves by `setup_context`."""

    @staticmethod
    def forward(x, k=3):
        return x * k

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.k = inputs[1]

    @staticmethod
    def backward(ctx, g):
        return g * ctx.k, None


def test_inputs_have_the_default_arguments():
    for arguments, factor in (((), 3.0), ((5,), 5.0)):
        x = leaf(2.0)
        Scaled.apply(x, *arguments).backward()
        assert x.grad.item() == factor
    x = leaf(2.0)
    Scaled.apply(x, k=4).backward()
    assert x.grad.item() == 4.0
    with pytest.raises(TypeError, match="missing a required argument: 'x'"):
        Scaled.apply(k=3)


def test_a_vmap_staticmethod_is_told_where_the_batch_stands():
    seen = []

    class Copy(torch.autograd.Function):
        @staticmethod
        def forward(x, more=None):
            return x.clone()

        @staticmethod
        def setup_context(ctx, inputs, output):
            pass

        @staticmethod
        def vmap(info, in_dims, x, more):
            seen.append((info.batch_size, in_dims, x.shape if isinstance(x, torch.Tensor) else x[0].shape))
            return (x, in_dims[0]) if isinstance(x, torch.Tensor) else (x[0], in_dims[0][0])

    x = torch.arange(15.0).reshape(3, 5)
    for dim in (1, -1):
        assert torch.equal(torch.vmap(Copy.apply, in_dims=dim)(x), x.t())
    assert torch.equal(torch.vmap(lambda r: Copy.apply([r, torch.ones(3)]), in_dims=1)(x), x.t())
    assert torch.equal(torch.vmap(lambda r: Copy.apply((r, r)))(x), x)
    assert torch.equal(torch.vmap(lambda r: Copy.apply(r, {"a": r}), in_dims=1)(x), x.t())
    assert seen == [
        (5, (1, None), (3, 5)),
        (5, (1, None), (3, 5)),
        (5, ([1, None], None), (3, 5)),
        (3, ((0, 0), None), (3, 5)),
        (5, (1, {"a": 1}), (3, 5)),
    ]


def dual_tangents(function, *others):
    """What `jvp` of a Function is handed for a dual number and further arguments."""
    forward_ad = torch.autograd.forward_ad
    with forward_ad.dual_level():
        x = forward_ad.make_dual(torch.tensor(2.0), torch.tensor(1.0))
        return forward_ad.unpack_dual(function.apply(x, *others)).tangent


def test_jvp_gets_none_for_what_has_no_tangent():
    seen = []

    class Times(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, n):
            ctx.save_for_backward(x)
            ctx.save_for_forward(*([n] if isinstance(n, torch.Tensor) and n.is_floating_point() else []))
            return x * n

        @staticmethod
        def jvp(ctx, t, u):
            seen.append((u if u is None else u.item(), [s.item() for s in ctx.saved_tensors]))
            return t * 3

    for other in (torch.tensor(3), torch.tensor(True), 3, torch.tensor(4.0)):
        assert dual_tangents(Times, other).item() == 3.0
    assert seen == [(None, []), (None, []), (None, []), (0.0, [4.0])]


# ----------------------------------------------------------------------------------- dual numbers


def test_a_write_to_a_dual_reaches_the_tangent_it_was_made_of():
    forward_ad = torch.autograd.forward_ad
    p, t = torch.ones(2), torch.ones(2)
    with forward_ad.dual_level():
        d = forward_ad.make_dual(p, t)
        d *= 2
        assert p.tolist() == t.tolist() == [2.0, 2.0]
        assert forward_ad.unpack_dual(d).tangent.data_ptr() == t.data_ptr()
        t.mul_(3)
        assert forward_ad.unpack_dual(d).tangent.tolist() == [6.0, 6.0]
        v = d[0]
        v *= 5
        assert t.tolist() == [30.0, 6.0]
        assert forward_ad.unpack_dual(v).tangent.item() == 30.0


def test_results_do_not_share_the_tangent_of_a_dual():
    forward_ad = torch.autograd.forward_ad
    t = torch.ones(2)
    with forward_ad.dual_level():
        d = forward_ad.make_dual(torch.ones(2), t)
        more, twice = d + 1, d * 2
        view = d.view(2, 1)
        d *= 7
        assert forward_ad.unpack_dual(more).tangent.tolist() == [1.0, 1.0]
        assert forward_ad.unpack_dual(twice).tangent.tolist() == [2.0, 2.0]
        assert forward_ad.unpack_dual(view).tangent.tolist() == [[7.0], [7.0]]
    assert t.tolist() == [7.0, 7.0]


def test_tangents_stay_apart_at_each_call():
    """Also once the ops of a level are recorded."""
    forward_ad = torch.autograd.forward_ad
    for _ in range(4):
        t = torch.ones(2)
        with forward_ad.dual_level():
            e = forward_ad.make_dual(torch.ones(2), torch.ones(2)) * 2
            d = forward_ad.make_dual(torch.ones(2), t)
            sums = [x + 1 for x in (e, d, e, d)]
            d *= 7
            e *= 7
            assert [forward_ad.unpack_dual(x).tangent.tolist()[0] for x in sums] == [2.0, 1.0, 2.0, 1.0]
        assert t.tolist() == [7.0, 7.0]


def test_a_tangent_laid_out_otherwise_is_not_written_to():
    forward_ad = torch.autograd.forward_ad
    t = torch.ones(2, 3).t()
    with forward_ad.dual_level():
        d = forward_ad.make_dual(torch.ones(3, 2), t)
        d *= 2
        assert forward_ad.unpack_dual(d).tangent.tolist() == [[2.0, 2.0]] * 3
    assert t.tolist() == [[1.0, 1.0]] * 3


@pullback_only("PyTorch's func.grad asks for `backward`")
def test_vjp_alone_in_every_transform():
    """`vjp` is another name of `backward`, for transforms and generated rules, too."""

    class Squared(torch.autograd.Function):
        generate_vmap_rule = True

        @staticmethod
        def forward(x):
            return x * x

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.save_for_backward(*inputs)

        @staticmethod
        def vjp(ctx, g):
            (x,) = ctx.saved_tensors
            return 2 * x * g

    def total(x):
        return Squared.apply(x).sum()

    x = torch.tensor([1.0, 3.0])
    assert torch.func.grad(total)(x).tolist() == [2.0, 6.0]
    assert torch.func.vmap(torch.func.grad(total))(x[:, None]).tolist() == [[2.0], [6.0]]
    assert torch.func.jacrev(Squared.apply)(x).tolist() == [[2.0, 0.0], [0.0, 6.0]]
    assert torch.func.jacrev(torch.func.jacrev(total))(x).tolist() == [[2.0, 0.0], [0.0, 2.0]]
