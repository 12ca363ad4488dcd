"""backward and grad: what is computed, where it is put, and under which mode.

Read the first section for values, the second for `.grad`, the third for `autograd.grad`, the last
for graphs that are very deep or wide. The modes (no_grad and its kin) are in test_modes.py.
"""

import warnings

import pytest
from library import Square, check, fn_name, leaf, pullback_only, torch, vec

FREED = "Trying to backward through the graph a second time"
LEAKS = "Using backward\\(\\) with create_graph=True will create a reference cycle"  # in PyTorch


# Values ------------------------------------------------------------------------------------


def test_scalar_chain_rule():
    x = leaf(2.0)
    (x**2 + 1).backward()
    check(x.grad, 4.0)


def test_gradient_argument_weights_the_outputs():
    x = leaf([1.0, 2.0, 3.0])
    (x * x).backward(vec(1, 10, 100))
    check(x.grad, [2, 40, 600])


def test_gradient_may_be_positional_none_for_scalars():
    x = leaf([1.0, 2.0])
    (x * x).sum().backward(None)
    check(x.grad, [2, 4])


def test_gradient_for_a_scalar():
    x = leaf(3.0)
    (x * x).backward(torch.tensor(0.5))
    check(x.grad, 3.0)


def test_one_element_outputs_need_no_gradient():
    x = leaf([[3.0]])
    (x * x).backward()
    check(x.grad, [[6]])


def test_backward_of_a_leaf():
    x = leaf(3.0)
    x.backward()
    check(x.grad, 1.0)


def test_diamond_sums_both_ways():
    x = leaf(3.0)
    a = x * 2
    (a * a + a).backward()
    check(x.grad, 2 * 2 * 6 + 2)


def test_several_roots_at_once():
    x = leaf([1.0, 2.0])
    torch.autograd.backward([x.sum(), (x * x).sum()])
    check(x.grad, [3, 5])
    x.grad = None
    torch.autograd.backward((x * 2, x * x), (vec(1, 1), vec(1, 0)))
    check(x.grad, [4, 2])


def test_broadcast_is_summed_back():
    a, b, c = leaf([[1.0], [2.0]]), leaf([1.0, 2.0, 3.0]), leaf(2.0)
    (a * b * c).sum().backward()
    check(a.grad, [[12], [12]])
    check(b.grad, [6, 6, 6])
    check(c.grad, 18.0)


def test_gradient_takes_the_dtype_of_its_input():
    x = leaf([1.0, 2.0], torch.float64)
    y = leaf([3.0, 4.0], torch.float32)
    h = leaf([1.0, 1.0], torch.float16)
    (x * y * h).sum().backward()
    assert (x.grad.dtype, y.grad.dtype, h.grad.dtype) == (
        torch.float64,
        torch.float32,
        torch.float16,
    )
    check(y.grad, [1, 2])


COMPLEX = [
    ("z * z", lambda z: z * z, 2 - 4j),
    ("z.conj()", lambda z: z.conj(), 1 + 0j),
    ("|z|^2", lambda z: z.abs() ** 2, 2 + 4j),
    ("z * z.conj()", lambda z: z * z.conj(), 2 + 4j),
    ("real part", lambda z: z.real, 1 + 0j),
    ("imaginary part", lambda z: z.imag, 1j),
    ("angle", lambda z: z.angle(), -0.4 + 0.2j),
    ("exp", lambda z: z.exp(), complex(torch.exp(torch.tensor(1 - 2j)))),
    ("1 / z", lambda z: 1 / z, -1 / (1 - 2j) ** 2),
]


@pytest.mark.parametrize(("name", "function", "expected"), COMPLEX, ids=[c[0] for c in COMPLEX])
def test_complex_gradients_follow_the_convention(name, function, expected):
    """The gradient is that of the real part: the conjugate of the derivative, if there is one."""
    z = leaf(1 + 2j, torch.complex64)
    out = function(z)
    out.backward(torch.ones_like(out))
    check(z.grad, expected)


def test_real_input_of_a_complex_op_has_a_real_gradient():
    x, z = leaf(2.0), leaf(1 + 1j, torch.complex64)
    (x * z).real.backward()
    assert x.grad.dtype is torch.float32
    check(x.grad, 1.0)
    check(z.grad, 2 + 0j)


@pytest.mark.parametrize("order", [1, 2, 3, 4, 5])
def test_any_order(order):
    x = leaf(1.5, torch.float64)
    y, factor = x**5, 1.0
    for k in range(order):
        (y,) = torch.autograd.grad(y, x, create_graph=True)
        factor *= 5 - k
    check(y, factor * 1.5 ** (5 - order))
    assert y.requires_grad


# Where gradients go ------------------------------------------------------------------------


def test_grad_accumulates_in_place():
    x = leaf([1.0, 2.0])
    (x * x).sum().backward()
    first = x.grad
    (x * x).sum().backward()
    assert x.grad is first
    check(first, [4, 8])
    x.grad.zero_()
    (x * 3).sum().backward()
    check(first, [3, 3])
    assert not first.requires_grad


@pullback_only("no cycle is made, so nothing warns of one")
def test_create_graph_does_not_warn():
    x = leaf(3.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (x**3).backward(create_graph=True)
    assert x.grad.requires_grad


@pytest.mark.filterwarnings(f"ignore:{LEAKS}")
def test_grad_with_create_graph_is_a_new_tensor():
    x = leaf(3.0)
    (x**3).backward(create_graph=True)
    first = x.grad
    assert first.requires_grad and first.grad_fn is not None
    (x**2).backward(create_graph=True)
    assert x.grad is not first
    assert fn_name(x.grad) == "AddBackward0"
    check(first, 27.0)
    check(x.grad, 33.0)
    (second,) = torch.autograd.grad(x.grad, x)
    check(second, 20.0)
    x.grad = None


def test_first_grad_does_not_share_the_given_gradient():
    x, g = leaf([1.0, 2.0]), vec(1, 1)
    x.backward(g)
    assert x.grad is not g
    assert x.grad.data_ptr() != g.data_ptr()
    x.backward(g)
    check(g, [1, 1])
    check(x.grad, [2, 2])


def test_grad_has_the_strides_of_a_dense_leaf():
    x = torch.arange(6.0).reshape(2, 3).t().requires_grad_()
    (x * torch.ones(3, 2)).sum().backward()
    assert x.grad.stride() == x.stride() == (1, 3)
    y = torch.ones(1).expand(3).requires_grad_()
    (y * y).sum().backward()
    assert y.grad.is_contiguous()
    check(y.grad, [2, 2, 2])


def test_grad_of_a_detached_or_unused_tensor_is_none():
    x, unused = leaf(2.0), leaf(2.0)
    (x.detach() * x).backward()
    check(x.grad, 2.0)
    assert unused.grad is None
    assert torch.tensor(2.0).grad is None


def test_setting_and_deleting_grad():
    x = leaf([1.0, 2.0])
    g = vec(5, 6)
    x.grad = g
    assert x.grad is g
    (x * 1).sum().backward()
    check(g, [6, 7])
    del x.grad
    assert x.grad is None
    x.grad = None


def test_retain_grad_of_inner_tensors():
    x = leaf(2.0)
    y = x * 3
    assert not y.retains_grad
    y.retain_grad()
    y.retain_grad()
    assert y.retains_grad
    (y * y).backward()
    check(y.grad, 12.0)
    check(x.grad, 36.0)
    x.retain_grad()
    assert not x.retains_grad


def test_retained_grad_is_replaced_or_summed():
    x = leaf(2.0)
    y = x * 3
    y.retain_grad()
    z = y * y
    z.backward(retain_graph=True)
    z.backward()
    check(y.grad, 24.0)


def test_reading_grad_of_an_inner_tensor_warns():
    y = leaf(2.0) * 3
    with pytest.warns(UserWarning, match="not a leaf Tensor is being accessed"):
        assert y.grad is None


def test_inputs_limits_what_is_accumulated():
    x, w = leaf(2.0), leaf(3.0)
    y = x * w
    (y * y).backward(inputs=[w], retain_graph=True)
    assert x.grad is None
    check(w.grad, 24.0)
    (y * y).backward(inputs=x, retain_graph=True)
    check(x.grad, 36.0)
    (y * y).backward(inputs=[y])
    check(y.grad, 12.0)
    check(x.grad, 36.0)


def test_second_backward_needs_retain_graph():
    x = leaf([1.0, 2.0])
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward()
    check(x.grad, [4, 8])
    with pytest.raises(RuntimeError, match=FREED):
        y.backward()
    check(x.grad, [4, 8])


def test_graph_without_saved_values_may_run_twice():
    x = leaf([1.0, 2.0])
    y = x.sum() + 1
    y.backward()
    y.backward()
    check(x.grad, [2, 2])


def test_part_of_a_freed_graph_is_still_usable():
    x = leaf(2.0)
    a = x * x
    (g,) = torch.autograd.grad(a**3, a)
    check(g, 48.0)
    a.backward()
    check(x.grad, 4.0)


def test_leaf_rules():
    x = leaf(2.0)
    assert x.is_leaf and x.grad_fn is None and x.requires_grad
    y = x * 2
    assert not y.is_leaf and y.requires_grad and y.output_nr == 0
    z = torch.tensor(1.0) * 2
    assert z.is_leaf and not z.requires_grad
    assert z.requires_grad_() is z and z.requires_grad
    z.requires_grad = False
    assert not z.requires_grad
    assert y.requires_grad_() is y
    assert y.detach().is_leaf
    assert [part.output_nr for part in (leaf([1.0, 2.0]) * 1).unbind()] == [0, 1]


def test_integer_results_do_not_require_grad():
    x = leaf([3.0, 1.0])
    assert not x.argmax().requires_grad
    assert not (x > 2).requires_grad
    values, indices = x.sort()
    assert values.requires_grad and not indices.requires_grad
    assert not x.long().requires_grad


def test_an_error_leaves_the_engine_ready():
    x = leaf(2.0)
    y = x * 1
    y.register_hook(lambda g: 1 / 0)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            y.backward(retain_graph=True)
    assert x.grad is None
    (x * x).backward()
    check(x.grad, 4.0)


def test_backward_inside_backward():
    class Squared(Square):
        @staticmethod
        def backward(ctx, g):
            with torch.enable_grad():
                inner = ctx.saved_tensors[0].detach().requires_grad_()
                (inner**2).backward()
            return g * inner.grad

    x = leaf(3.0)
    (Squared.apply(x) * 2).backward()
    check(x.grad, 12.0)


# autograd.grad -----------------------------------------------------------------------------


def test_grad_returns_and_leaves_dot_grad_alone():
    x, w = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    gx, gw = torch.autograd.grad((x * w).sum(), (x, w))
    check(gx, [3, 4])
    check(gw, [1, 2])
    assert x.grad is None and w.grad is None
    assert not gx.requires_grad


def test_grad_of_inner_tensors_and_of_itself():
    x = leaf(2.0)
    y = x * 3
    gy, gx = torch.autograd.grad(y * y, [y, x])
    check(gy, 12.0)
    check(gx, 36.0)
    (one,) = torch.autograd.grad(x, x)
    check(one, 1.0)


def test_grad_outputs():
    x = leaf([1.0, 2.0])
    (g,) = torch.autograd.grad(x * x, x, vec(1, 0))
    check(g, [2, 0])
    (g,) = torch.autograd.grad([x * x, x.sum()], [x], [vec(1, 1), None])
    check(g, [3, 5])


def test_grad_with_a_dictionary_of_inputs():
    x, w = leaf(2.0), leaf(3.0)
    found = torch.autograd.grad(x * w, {"x": x, "w": w})
    assert list(found) == ["x", "w"]
    check(found["x"], 3.0)
    check(found["w"], 2.0)


def test_allow_unused_and_materialize():
    x, unused = leaf(2.0), leaf([1.0, 2.0])
    y = x * 3
    with pytest.raises(RuntimeError, match="appears to not have been used in the graph"):
        torch.autograd.grad(y, unused, retain_graph=True)
    assert torch.autograd.grad(y, unused, allow_unused=True, retain_graph=True) == (None,)
    gx, gu = torch.autograd.grad(y, (x, unused), materialize_grads=True)
    check(gx, 3.0)
    check(gu, [0, 0])


def test_batched_grad_outputs():
    x = leaf([1.0, 2.0, 3.0])
    y = x**2
    (jacobian,) = torch.autograd.grad(y, x, torch.eye(3), is_grads_batched=True)
    check(jacobian, [[2, 0, 0], [0, 4, 0], [0, 0, 6]])


def test_batched_grad_outputs_through_many_ops():
    x, w = leaf([[1.0, 2.0], [3.0, 4.0]]), leaf([1.0, -1.0])

    def function():
        return ((x @ w).tanh().unsqueeze(0).expand(2, 2) * x.t()).sum(0)

    vectors = torch.tensor([[1.0, 0.0], [0.0, 1.0], [2.0, -3.0]])
    batched = torch.autograd.grad(function(), (x, w), vectors, is_grads_batched=True)
    rows = [torch.autograd.grad(function(), (x, w), v) for v in vectors]
    for found, wanted in zip(batched, zip(*rows, strict=True), strict=True):
        check(found, torch.stack(wanted).tolist())


def test_create_graph_of_grad_allows_hessians():
    x = leaf([1.0, 2.0])
    (g,) = torch.autograd.grad((x[0] ** 2 * x[1]), x, create_graph=True)
    rows = [torch.autograd.grad(part, x, retain_graph=True)[0] for part in g]
    check(rows[0], [4, 2])
    check(rows[1], [2, 0])


# Size --------------------------------------------------------------------------------------


def test_deep_chain_is_built_run_and_freed_without_recursion():
    x = leaf(1.0)
    y = x
    for _ in range(100_000):
        y = y + 1
    y.backward()
    check(x.grad, 1.0)
    del y


def test_deep_chain_is_freed_unrun():
    y = leaf(1.0)
    for _ in range(100_000):
        y = y * 1.0
    del y


def test_wide_graph():
    x = leaf(2.0)
    sum(x * k for k in range(2000)).backward()
    check(x.grad, 1999.0 * 1000)
