"""`torch.utils.checkpoint`: gradients, what is recomputed, errors. Holds on PyTorch as well."""

import contextlib
import functools
import gc
import weakref

import pytest
from library import check, pullback_only, torch

cp = pytest.importorskip(f"{torch.__name__}.utils.checkpoint")
checkpoint = cp.checkpoint
VARIANTS = [True, False]


def point(*values):
    return torch.tensor(values or (0.5, 1.0, 1.5), requires_grad=True)


def curve(x):
    return x.sin().exp() * x


def slope(f, x):
    return torch.autograd.grad(f(x).sum(), x)[0]


@pytest.mark.parametrize("reentrant", VARIANTS)
def test_gradient_and_how_often_it_runs(reentrant):
    calls = []

    def f(x):
        calls.append(torch.is_grad_enabled())
        return curve(x)

    x = point()
    y = checkpoint(f, x, use_reentrant=reentrant)
    assert calls == [not reentrant]
    y.sum().backward()
    assert calls == [not reentrant, True]
    check(x.grad, slope(curve, point()).tolist())


def test_reentrant_is_a_function_of_its_own():
    y = checkpoint(curve, point(), use_reentrant=True)
    assert type(y.grad_fn).__name__ == "CheckpointFunctionBackward"
    y = checkpoint(curve, point(), use_reentrant=False)
    assert type(y.grad_fn).__name__ == "MulBackward0"


def test_captured_tensors_get_gradients():
    x, w = point(), torch.tensor(2.0, requires_grad=True)
    y = checkpoint(lambda x: (w * x).sin(), x, use_reentrant=False)
    gx, gw = torch.autograd.grad(y.sum(), (x, w))
    check(gx, (2 * (2 * x).cos()).tolist())
    check(gw, (x * (2 * x).cos()).sum().item())


def test_keywords_containers_and_other_values():
    def f(x, pair, scale=1.0):
        a, b = pair
        return x * a * scale, {"b": b.exp()}, "done"

    x, a, b = point(), point(), point()
    y, z, word = checkpoint(f, x, (a, b), scale=3.0, use_reentrant=False)
    (y.sum() + z["b"].sum()).backward()
    assert word == "done"
    check(x.grad, (3 * a).tolist())
    check(b.grad, b.exp().tolist())


def test_second_derivative():
    x = point()

    def first(x):
        y = checkpoint(curve, x, use_reentrant=False)
        return torch.autograd.grad(y.sum(), x, create_graph=True)[0]

    (found,) = torch.autograd.grad(first(x).sum(), x)
    (g,) = torch.autograd.grad(curve(x).sum(), x, create_graph=True)
    check(found, torch.autograd.grad(g.sum(), x)[0].tolist())


@pytest.mark.filterwarnings("ignore:None of the inputs")  # the inner one runs without grad mode at first
@pytest.mark.parametrize("reentrant", VARIANTS)
def test_nested(reentrant):
    x = point()

    def inner(x):
        return x.sin().exp()

    def outer(x):
        return checkpoint(inner, x * 2, use_reentrant=reentrant).cos() * x

    checkpoint(outer, x, use_reentrant=reentrant).sum().backward()
    check(x.grad, slope(lambda x: inner(x * 2).cos() * x, point()).tolist())


def test_keeps_only_its_arguments():
    """What f makes on the way is freed after the forward pass, and made again in the backward pass."""
    seen = []

    def f(x):
        y = x.exp()
        seen.append(weakref.ref(y))
        return (y * y).sin()

    x = point()
    z = checkpoint(f, x, use_reentrant=False)
    gc.collect()
    assert seen[0]() is None
    z.sum().backward()
    assert len(seen) == 2


def test_retain_graph_runs_again_for_each_pass():
    calls, x = [], point()

    def f(x):
        calls.append(1)
        return curve(x)

    y = checkpoint(f, x, use_reentrant=False).sum()
    y.backward(retain_graph=True)
    y.backward()
    assert len(calls) == 3
    check(x.grad, (2 * slope(curve, point())).tolist())
    with pytest.raises(RuntimeError, match="second time"):
        y.backward()


@pytest.mark.parametrize("early", [True, False])
def test_early_stop(early):
    reached = []

    def f(x):
        y = x.sin()
        y = y.exp()
        reached.append(1)
        return y

    with cp.set_checkpoint_early_stop(early):
        y = checkpoint(f, point(), use_reentrant=False)
    y.sum().backward()
    assert len(reached) == 2 - early


def test_random_numbers_are_the_same_again():
    x = torch.ones(100, requires_grad=True)
    for reentrant in VARIANTS:
        torch.manual_seed(3)
        y = checkpoint(lambda x: x * torch.rand(100), x, use_reentrant=reentrant)
        after = torch.rand(1)
        x.grad = None
        y.sum().backward()
        assert torch.equal(x.grad, y.detach())
        torch.manual_seed(3)
        torch.rand(100)
        assert torch.equal(after, torch.rand(1))
    torch.manual_seed(3)
    x.grad = None
    y = checkpoint(lambda x: x * torch.rand(100), x, use_reentrant=False, preserve_rng_state=False)
    y.sum().backward()
    assert not torch.equal(x.grad, y.detach())


def test_without_grad_mode_it_is_a_call():
    with torch.no_grad():
        y = checkpoint(curve, point(), use_reentrant=False)
    assert not y.requires_grad


def changing(first, then):
    runs = []

    def f(x):
        runs.append(1)
        return first(x) if len(runs) == 1 else then(x)

    return f


def test_a_function_that_changes_is_noticed():
    f = changing(lambda x: x.sin().exp(), lambda x: x.sin())
    with pytest.raises(cp.CheckpointError, match="Number of tensors saved during forward: 2"):
        checkpoint(f, point(), use_reentrant=False).sum().backward()
    f = changing(lambda x: x.sin().exp(), lambda x: x[:2].sin().exp())
    with pytest.raises(cp.CheckpointError, match="have different metadata") as caught:
        checkpoint(f, point(), use_reentrant=False).sum().backward()
    assert "recomputed metadata: {'shape': torch.Size([2]), 'dtype': torch.float32" in str(caught.value)
    f = changing(lambda x: x.sin().exp(), lambda x: x.sin().exp().double())
    checkpoint(f, point(), use_reentrant=False).sum().backward()
    f = changing(lambda x: x.sin(), lambda x: x.sin().exp().cos())
    with cp.set_checkpoint_early_stop(False):
        y = checkpoint(f, point(), use_reentrant=False).sum()
    with pytest.raises(cp.CheckpointError, match="trying to save more tensors"):
        y.backward()


def test_debug_says_what_ran():
    f = changing(lambda x: x.sin().exp(), lambda x: x.sin())
    with pytest.raises(cp.CheckpointError) as caught:
        checkpoint(f, point(), use_reentrant=False, debug=True).sum().backward()
    assert "exp" in str(caught.value) and "sin" in str(caught.value)


def test_an_argument_that_is_written_to_is_noticed():
    x = point()
    y = x * 1
    z = checkpoint(lambda y: y.sin().exp(), y, use_reentrant=False)
    y.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        z.sum().backward()


def test_contexts_around_both_runs():
    seen = []

    @contextlib.contextmanager
    def noting(name):
        seen.append(name)
        yield
        seen.append(f"/{name}")

    y = checkpoint(
        curve, point(), use_reentrant=False, context_fn=lambda: (noting("forward"), noting("again"))
    )
    assert seen == ["forward", "/forward"]
    with cp.set_checkpoint_early_stop(False):
        y.sum().backward()
    assert seen[2] == "again"


def test_a_backward_pass_inside():
    def f(x):
        y = x.sin().exp()
        (g,) = torch.autograd.grad(y.sum(), x, create_graph=True)
        return (g * y).cos()

    x = point()
    checkpoint(f, x, use_reentrant=False).sum().backward()
    other = point()
    f(other).sum().backward()
    check(x.grad, other.grad.tolist())


def test_saved_values_may_be_looked_at():
    y = checkpoint(lambda x: x.sin().exp(), point(), use_reentrant=False)
    for _ in range(2):
        check(y.grad_fn._saved_result, y.tolist())


@pytest.mark.parametrize("segments", [1, 2, 3])
def test_sequential(segments):
    calls = []

    def step(x):
        calls.append(1)
        return x.sin() * 1.1

    x = point()
    cp.checkpoint_sequential([step] * 7, segments, x, use_reentrant=False).sum().backward()
    again = (segments - 1) * (7 // segments)
    assert 7 + again - (segments - 1) <= len(calls) <= 7 + again
    other = point()
    y = other
    for _ in range(7):
        y = y.sin() * 1.1
    y.sum().backward()
    check(x.grad, other.grad.tolist())


def test_messages():
    x = point()
    with pytest.warns(UserWarning, match="the use_reentrant parameter should be passed explicitly"):
        checkpoint(torch.sin, x)
    with pytest.warns(UserWarning, match=r"checkpoint_sequential: the use_reentrant"):
        cp.checkpoint_sequential([torch.sin, torch.sin], 2, x)
    with pytest.warns(UserWarning, match="None of the inputs have requires_grad=True"):
        checkpoint(torch.sin, x.detach(), use_reentrant=True)
    with pytest.raises(ValueError, match="only supported when use_reentrant=False"):
        checkpoint(torch.sin, x, use_reentrant=True, debug=True)
    with pytest.raises(ValueError, match="Unexpected keyword arguments: k"):
        checkpoint(torch.sin, x, use_reentrant=True, k=1)
    with pytest.raises(ValueError, match="determinism_check should be one of"):
        checkpoint(torch.sin, x, use_reentrant=False, determinism_check="bad")
    with pytest.raises(RuntimeError, match="none of output has requires_grad=True"):
        checkpoint(lambda x: x.sin().detach(), x, use_reentrant=True).sum().backward()
    for start in (
        lambda y: torch.autograd.grad(y, x),
        lambda y: y.backward(inputs=[x]),
    ):
        with pytest.raises(RuntimeError, match="incompatible with"):
            start(checkpoint(torch.sin, x, use_reentrant=True).sum())
    with pytest.raises(RuntimeError, match="Only tuple of tensors is supported"):
        cp.detach_variable([x])


def test_group_of_passes():
    calls = []

    def f(x):
        calls.append(1)
        return x.sin().exp(), x.cos().exp()

    x = point()
    y, z = checkpoint(f, x, use_reentrant=False)
    with cp.GraphExecGroup():
        y.sum().backward(retain_graph=True)
        z.sum().backward()
        with pytest.raises(RuntimeError, match="cannot be nested"), cp.GraphExecGroup():
            pass
    assert len(calls) == 2
    check(x.grad, slope(lambda x: x.sin().exp() + x.cos().exp(), point()).tolist())


def test_the_first_error_ends_the_forward():
    with pytest.raises(ZeroDivisionError):
        checkpoint(lambda x: 1 // 0, point(), use_reentrant=False)
    check(slope(curve, point()), slope(lambda x: checkpoint(curve, x, use_reentrant=False), point()).tolist())


# ---------------------------------------------------------------------------------- selective

selective = pullback_only("PyTorch names ops by torch.ops.aten; here they are the functions themselves")


def policy_run(policy, function, x):
    """The gradient through a checkpoint with this policy."""
    context = functools.partial(cp.create_selective_checkpoint_contexts, policy)
    y = checkpoint(function, x, use_reentrant=False, context_fn=context)
    (g,) = torch.autograd.grad(y.sum(), x)
    return g


@selective
def test_selected_results_are_kept():
    x = torch.rand(3, 3, requires_grad=True)
    kept, computed = [], []

    def f(x):
        y = torch.mm(x, x)
        computed.append(y)
        return torch.sigmoid(y.exp()) * x

    expected = slope(f, x)
    computed.clear()
    for policy in (
        [torch.mm],
        ["mm", torch.exp],
        lambda ctx, op, *args: kept.append(op.name) or op is torch.mm,
    ):
        check(policy_run(policy, f, x), expected.tolist(), rtol=1e-6)
        assert computed[-1].data_ptr() == computed[-2].data_ptr(), "the second run uses the first's product"
    assert kept[:2] == ["mm", "exp"]
    check(policy_run(lambda *args: cp.CheckpointPolicy.MUST_RECOMPUTE, f, x), expected.tolist(), rtol=1e-6)
    assert computed[-1].data_ptr() != computed[-2].data_ptr()


@selective
def test_policies_and_their_errors():
    assert [p.name for p in cp.CheckpointPolicy] == [
        "MUST_SAVE",
        "PREFER_SAVE",
        "MUST_RECOMPUTE",
        "PREFER_RECOMPUTE",
        "MUST_CPU_OFFLOAD",
        "PREFER_CPU_OFFLOAD",
    ]
    with pytest.raises(TypeError, match="either a function or a list of ops"):
        cp.create_selective_checkpoint_contexts(3)
    with pytest.raises(ValueError, match="to be an op"):
        cp.create_selective_checkpoint_contexts([3])

    held = []

    def f(x):
        y = x.exp()
        held.append(y)
        return y.sin().cos()

    x = point()
    for allow in (False, True):
        held.clear()
        context = functools.partial(
            cp.create_selective_checkpoint_contexts, [torch.exp], allow_cache_entry_mutation=allow
        )
        y = checkpoint(f, x, use_reentrant=False, context_fn=context)
        with torch.no_grad():
            held[0].mul_(2)
        if allow:
            y.sum().backward()
        else:
            with pytest.raises(RuntimeError, match="has been mutated"):
                y.sum().backward()


@selective
def test_selective_second_derivative_and_views():
    x = torch.rand(3, 3, requires_grad=True)
    context = functools.partial(cp.create_selective_checkpoint_contexts, [torch.mm, "mul"])

    def f(x):
        return (torch.mm(x.t(), x)[1:] * x[1:]).tanh()

    def first(run):
        return torch.autograd.grad(run(x).sum(), x, create_graph=True)[0]

    found = first(lambda x: checkpoint(f, x, use_reentrant=False, context_fn=context))
    (found,) = torch.autograd.grad(found.square().sum(), x)
    (expected,) = torch.autograd.grad(first(f).square().sum(), x)
    check(found, expected.tolist(), rtol=1e-5)


@pullback_only("PyTorch's transforms take no hooks on saved tensors")
def test_under_transforms():
    func, w = torch.func, torch.tensor([0.5, -1.0])

    def plain(x, w=w):
        return (torch.sin(x * w) * x).sum()

    def kept(x, w=w):
        return checkpoint(plain, x, w, use_reentrant=False)

    rows = torch.tensor([[0.3, 0.7], [1.0, -2.0], [0.1, 0.2]])
    for nest in (
        func.grad,
        func.jacrev,
        lambda f: func.jacfwd(func.grad(f)),
        func.hessian,
        lambda f: func.grad(lambda x: (func.grad(f)(x) ** 2).sum()),
    ):
        assert torch.allclose(nest(kept)(rows[0]), nest(plain)(rows[0]))
        assert torch.allclose(torch.vmap(nest(kept))(rows), torch.vmap(nest(plain))(rows))


def test_a_constant_comes_back_as_itself():
    got = []

    class Keeps(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, y):
            ctx.save_for_backward(y)
            return x.clone()

        @staticmethod
        def backward(ctx, g):
            got.append(ctx.saved_tensors[0])
            return g, None

    constant = torch.tensor(1.0)
    checkpoint(Keeps.apply, point(1.0), constant, use_reentrant=False).sum().backward()
    assert got[0] is constant
