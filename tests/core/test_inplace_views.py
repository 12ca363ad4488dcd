"""In-place ops and views: versions, shared memory, and the graph that a write leaves behind.

A write through a view of an inner tensor rewrites the history of the base (`CopySlices`), and all
views of it see the new history. What a node saved and somebody changed since is detected.
"""

import gc
import warnings

import pytest
from library import check, fn_name, leaf, pullback_only, torch, vec

CHANGED = "one of the variables needed for gradient computation has been modified"
LEAF = "a leaf Variable that requires grad is being used in an in-place operation"
LEAF_VIEW = "a view of a leaf Variable that requires grad is being used in an in-place operation"


# Versions ----------------------------------------------------------------------------------

WRITES = [
    ("add_", lambda t: t.add_(1)),
    ("+=", lambda t: t.__iadd__(1)),
    ("setitem", lambda t: t.__setitem__(0, 1.0)),
    ("setitem mask", lambda t: t.__setitem__(t > 0, 1.0)),
    ("copy_", lambda t: t.copy_(torch.zeros(4))),
    ("zero_", lambda t: t.zero_()),
    ("fill_", lambda t: t.fill_(2.0)),
    ("normal_", lambda t: t.normal_()),
    ("out=", lambda t: torch.add(t, 1, out=t)),
    ("view", lambda t: t.view(2, 2).mul_(2)),
    ("slice of slice", lambda t: t[1:][1:].mul_(2)),
    ("detached", lambda t: t.detach().mul_(2)),
    ("swapped view", lambda t: t.reshape(2, 2).t().mul_(2)),
    ("index_add_", lambda t: t.index_add_(0, torch.tensor([0]), vec(1))),
    ("scatter_", lambda t: t.scatter_(0, torch.tensor([0]), 1.0)),
    ("masked_fill_", lambda t: t.masked_fill_(t > 0, 1.0)),
    ("clamp_", lambda t: t.clamp_(0, 1)),
]


@pytest.mark.parametrize(("name", "write"), WRITES, ids=[row[0] for row in WRITES])
def test_each_write_counts_one_version(name, write):
    t = torch.ones(4)
    assert t._version == 0
    write(t)
    assert t._version == 1


def test_version_is_shared_by_views_and_detached_tensors_not_by_data():
    t = torch.ones(4)
    view, detached, data = t[1:], t.detach(), t.data
    view.add_(1)
    assert (t._version, view._version, detached._version, data._version) == (1, 1, 1, 0)
    data.add_(1)
    assert (t._version, data._version) == (1, 1)
    check(t, [2, 3, 3, 3])
    assert t.clone()._version == 0


def test_reading_does_not_count():
    t = torch.ones(4)
    t + 1, t.view(2, 2), t[0], t.sum(), t.numpy(), t.requires_grad_()
    assert t._version == 0


# Leaves ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda x: x.add_(1), LEAF),
        (lambda x: x.zero_(), LEAF),
        (lambda x: x.copy_(torch.ones(4)), LEAF),
        (lambda x: x[0].add_(1), LEAF_VIEW),
        (lambda x: x.__setitem__(0, 1.0), LEAF_VIEW),
        (lambda x: x.view(2, 2)[0].mul_(2), LEAF_VIEW),
    ],
)
def test_writing_to_a_leaf_is_refused_and_changes_nothing(write, message):
    x = leaf([1.0, 2.0, 3.0, 4.0])
    with pytest.raises(RuntimeError, match=message):
        write(x)
    check(x, [1, 2, 3, 4])
    assert x._version == 0


def test_leaf_may_be_written_under_no_grad():
    x = leaf([1.0, 2.0])
    with torch.no_grad():
        x.mul_(10)
        x[0] = 5
        x -= 1
    check(x, [4, 19])
    assert x.is_leaf and x.requires_grad and x._version == 3
    (x * x).sum().backward()
    check(x.grad, [8, 38])


def test_writing_a_tracked_value_makes_a_buffer_tracked():
    x, out = leaf([1.0, 2.0]), torch.zeros(3)
    out[1:] = x * 2
    assert out.requires_grad and not out.is_leaf and fn_name(out) == "CopySlices"
    (out * vec(1, 10, 100)).sum().backward()
    check(x.grad, [20, 200])


def test_copy_into_a_whole_buffer():
    x, out = leaf([1.0, 2.0], torch.float64), torch.zeros(2)
    assert out.copy_(x) is out and fn_name(out) == "CopyBackwards"
    out.sum().backward()
    assert x.grad.dtype is torch.float64
    check(x.grad, [1, 1])


# In-place on inner tensors -----------------------------------------------------------------


def test_in_place_op_extends_the_history():
    x = leaf([1.0, 2.0])
    y = x * 2
    y.add_(1)
    assert fn_name(y) == "AddBackward0" and y._version == 1
    y *= y.detach()
    assert fn_name(y) == "MulBackward0"
    check(y, [9, 25])


def test_in_place_gradients():
    x = leaf([1.0, 2.0])
    y = x * 3
    y.mul_(y.detach().clone()).add_(x).exp_()
    y.sum().backward()
    expected = torch.exp(vec(10, 38)) * vec(10, 19)
    check(x.grad, expected.tolist())


def test_in_place_on_two_uses_keeps_the_old_history_for_the_first():
    x = leaf([1.0, 2.0])
    y = x * 2
    z = y + 1
    y.add_(5)
    y.mul_(3)
    (z.sum() + y.sum()).backward()
    check(x.grad, [8, 8])


CHANGES = [
    ("result of exp", lambda x: x.exp(), lambda saved, out: out.add_(1), "output 0 of Exp"),
    ("factor", lambda x: x * 1, lambda saved, out: saved.add_(1), "output 0 of Add"),
    ("through a view", lambda x: x.exp(), lambda saved, out: out[0].zero_(), "output 0 of .*"),
    (
        "through detach",
        lambda x: x.exp(),
        lambda saved, out: out.detach().zero_(),
        "output 0 of Exp",
    ),
    ("under no_grad", lambda x: x.exp(), lambda saved, out: untracked(out), "output 0 of Exp"),
]


def untracked(tensor):
    with torch.no_grad():
        tensor.mul_(2)


@pytest.mark.parametrize(("name", "make", "change", "culprit"), CHANGES, ids=[row[0] for row in CHANGES])
def test_changed_saved_values_are_detected(name, make, change, culprit):
    x = leaf([1.0, 2.0, 3.0])
    saved = make(x)
    out = saved if name != "factor" else saved * saved
    total = out.sum()
    change(saved, out)
    with pytest.raises(RuntimeError, match=f"{CHANGED}.*which is {culprit}.*is at version 1"):
        total.backward()


def test_data_escapes_detection():
    x = leaf([1.0, 2.0])
    y = x.exp()
    y.data.fill_(5)
    y.sum().backward()
    check(x.grad, [5, 5])


def test_change_of_what_was_not_saved_is_no_error():
    x, w = leaf([1.0, 2.0]), torch.ones(2)
    y = x + w
    z = y * 2
    w.zero_()
    y.zero_()
    z.sum().backward()
    check(x.grad, [2, 2])


def test_only_what_needs_a_gradient_is_saved():
    x, w = leaf([1.0, 2.0]), vec(3, 4)
    inner = x * 1
    y = inner * w
    inner.zero_()
    y.sum().backward()
    check(x.grad, [3, 4])


# Views of inner tensors --------------------------------------------------------------------


def test_write_through_a_view_rewrites_the_base():
    x = leaf([1.0, 2.0, 3.0])
    y = x * 2
    view = y[:2]
    view.mul_(10)
    assert fn_name(y) == "CopySlices"
    assert fn_name(view) == "AsStridedBackward0" or fn_name(view) == "SliceBackward0"
    (y * vec(1, 2, 3)).sum().backward()
    check(x.grad, [20, 40, 6])


def test_write_to_the_base_is_seen_by_views():
    x = leaf([1.0, 2.0, 3.0])
    y = x * 2
    view = y[1:]
    y.mul_(y.detach().clone())
    assert view.requires_grad
    view.sum().backward()
    check(view, [16, 36])
    check(x.grad, [0, 8, 12])


def test_sibling_views_see_each_others_writes():
    x = leaf([1.0, 2.0, 3.0])
    y = x * 1
    a, b = y[:2], y[1:]
    a.mul_(5)
    b.mul_(7)
    check(a, [5, 70])
    check(y, [5, 70, 21])
    a.sum().backward()
    check(x.grad, [5, 35, 0])


def test_write_of_a_tracked_value_through_a_view_of_a_plain_buffer():
    x, base = leaf(3.0), torch.zeros(2, 2)
    row = base[0]
    row.add_(x)
    row[1] = x * x
    assert base.requires_grad
    check(base, [[3, 9], [0, 0]])
    base.sum().backward()
    check(x.grad, 1 + 6.0)


CHAINS = [
    ("slice of slice", lambda y: y[1:][:2]),
    ("transpose, select", lambda y: y.view(2, 2).t()[0]),
    ("reshape, diagonal", lambda y: y.reshape(2, 2).diagonal()),
    ("unsqueeze, squeeze", lambda y: y.unsqueeze(0).squeeze(0)[::2]),
    ("narrow", lambda y: y.narrow(0, 1, 2)),
    ("as_strided", lambda y: y.as_strided((2,), (2,), 1)),
    ("permute", lambda y: y.view(1, 2, 2).permute(2, 0, 1)[1]),
    ("movedim", lambda y: y.view(2, 2).movedim(0, 1)[0]),
    ("view_as", lambda y: y.view_as(torch.empty(2, 2))[1]),
    ("flatten, unflatten", lambda y: y.view(2, 2).flatten().unflatten(0, (2, 2))[:, 1]),
    ("swapaxes", lambda y: y.view(2, 2).swapaxes(0, 1)[1]),
    ("unfold", lambda y: y.unfold(0, 2, 2)[1]),
    ("T", lambda y: y.view(2, 2).T[0]),
]


@pytest.mark.parametrize(("name", "take"), CHAINS, ids=[row[0] for row in CHAINS])
def test_write_through_chains_of_views(name, take):
    """y[part] *= w, against the same thing said with a mask and no write."""
    mask = torch.zeros(4)
    take(mask).fill_(1)
    x = leaf([1.0, 2.0, 3.0, 4.0])
    w = leaf(3.0)
    y = x * x
    take(y).mul_(w)
    assert fn_name(y) == "CopySlices"
    weights = vec(1, 10, 100, 1000)
    (y * weights).sum().backward()
    plain = vec(1, 4, 9, 16)
    check(y, (plain * (1 + 2 * mask)).tolist())
    check(x.grad, (weights * 2 * vec(1, 2, 3, 4) * (1 + 2 * mask)).tolist())
    check(w.grad, (weights * plain * mask).sum().item())


def test_complex_views():
    z = leaf([1 + 2j, 3 - 1j], torch.complex64) * 1
    z.real.mul_(2)
    torch.view_as_real(z)[1, 1] = 7
    check(z, [2 + 2j, 6 + 7j])
    assert fn_name(z) == "CopySlices"


def test_setitem_gradients():
    x, v = leaf([1.0, 2.0, 3.0]), leaf([10.0, 20.0])
    y = x * 1
    y[[0, 2]] = v
    (y * vec(1, 2, 3)).sum().backward()
    check(x.grad, [0, 2, 0])
    check(v.grad, [1, 3])


def test_views_keep_their_place_in_the_graph():
    x = leaf([[1.0, 2.0], [3.0, 4.0]])
    row = x[0]
    assert row._is_view() and row._base is x and not x._is_view() and x._base is None
    assert row[1]._base is x
    assert not (x * 1)._is_view()
    assert not x.detach()._is_view()
    assert not x.data._is_view()


GRAD_FN_AFTER = [
    ("add_", lambda y: y.add_(1), "AddBackward0"),
    ("mul_", lambda y: y.mul_(2), "MulBackward0"),
    ("exp_", lambda y: y.exp_(), "ExpBackward0"),
    ("pow_", lambda y: y.pow_(2), "PowBackward0"),
    ("zero_", lambda y: y.zero_(), "ZeroBackward0"),
    ("fill_", lambda y: y.fill_(3), "FillBackward2"),
    ("clamp_", lambda y: y.clamp_(0, 2), "ClampBackward1"),
    ("masked_fill_", lambda y: y.masked_fill_(y > 1, 0.0), "MaskedFillBackward0"),
    ("index_put_", lambda y: y.index_put_((torch.tensor([0]),), vec(1)), "IndexPutBackward0"),
    ("unsqueeze_", lambda y: y.unsqueeze_(0), "UnsqueezeBackward1"),
    ("squeeze_", lambda y: y.squeeze_(0), "SqueezeBackward4"),
    ("transpose_", lambda y: y.view(2, 1).transpose_(0, 1), "TransposeBackward1"),
    ("setitem", lambda y: y.__setitem__(0, 1.0), "CopySlices"),
    ("view.add_", lambda y: y.view(2).add_(1), "CopySlices"),
]


@pytest.mark.parametrize(("name", "write", "expected"), GRAD_FN_AFTER, ids=[row[0] for row in GRAD_FN_AFTER])
def test_grad_fn_after_in_place(name, write, expected):
    y = leaf([1.0, 2.0]) * 1
    out = write(y)
    assert fn_name(out if name == "transpose_" else y) == expected


MULTIPLE = [
    ("split", lambda y: y.split(2), "Split"),
    ("chunk", lambda y: y.chunk(2), "Split"),
    ("split sizes", lambda y: y.split([1, 3]), "SplitWithSizes"),
    ("unbind", lambda y: y.unbind(), "Unbind"),
    ("iteration", list, "Unbind"),
]


@pytest.mark.parametrize(("name", "parts", "op"), MULTIPLE, ids=[row[0] for row in MULTIPLE])
def test_writing_to_one_of_several_views_is_refused(name, parts, op):
    y = leaf([1.0, 2.0, 3.0, 4.0]) * 1
    part = parts(y)[0]
    with pytest.raises(RuntimeError, match=f"Output 0 of {op}.* is a view and is being modified"):
        part.add_(1)
    check(y, [1, 2, 3, 4])
    plain = parts(torch.ones(4))[0]
    plain.add_(1)


def test_views_made_without_grad_mode():
    x = leaf([1.0, 2.0])
    y = x * 1
    with torch.no_grad():
        view = y[:1]
        view.mul_(2)
    check(y, [2, 2])
    assert fn_name(y) == "MulBackward0"
    with pytest.raises(RuntimeError, match="A view was created in no_grad mode and is being"):
        view.mul_(2)
    with torch.inference_mode():
        view = y[:1]
    with pytest.raises(RuntimeError, match="A view was created in inference mode and is being"):
        view.mul_(2)


def test_expanded_tensors_refuse_writes():
    with pytest.raises(RuntimeError, match="more than one element of the written-to tensor"):
        torch.ones(1).expand(3).add_(1)


def test_overlapping_copy_is_refused():
    x = torch.arange(4.0)
    with pytest.raises(RuntimeError, match="some elements of the input tensor and the written-to"):
        x[1:].add_(x[:-1])
    check(x, [0, 1, 2, 3])


# detach and data ---------------------------------------------------------------------------


def test_detach_shares_memory_and_cuts_the_graph():
    x = leaf([1.0, 2.0])
    y = (x * 2).detach()
    assert not y.requires_grad and y.grad_fn is None
    y = x.detach()
    y[0] = 9
    check(x, [9, 2])
    z = x * 2
    assert z.detach_() is z and z.is_leaf and not z.requires_grad


def test_detach_of_a_view_in_place_is_refused():
    with pytest.raises(RuntimeError, match="Can't detach views in-place"):
        (leaf([1.0, 2.0]) * 2)[:1].detach_()


class Shown(torch.autograd.Function):
    """Its input, or its first element."""

    @staticmethod
    def forward(ctx, x, part):
        return x[:1] if part else x

    @staticmethod
    def backward(ctx, g):
        return g.expand(2), None


@pytest.mark.parametrize("part", [False, True])
def test_views_by_custom_functions_are_views(part):
    for x in (leaf([1.0, 2.0]), leaf([1.0, 2.0]) * 1, vec(1, 2)):
        with pytest.raises(RuntimeError, match="Can't detach views in-place"):
            Shown.apply(x, part).detach_()
    view = Shown.apply(vec(1, 2), part)
    view.mul_(2)
    message = "A view was created in no_grad mode and is being modified .* created inside a custom Function"
    with pytest.raises(RuntimeError, match=message):
        view.mul_(leaf([3.0]))


def test_views_by_custom_functions_without_a_graph():
    x = leaf([1.0, 2.0]) * 1
    with torch.no_grad():
        whole, part = Shown.apply(x, False), Shown.apply(x, True)
    whole.mul_(2)  # it is no view
    check(x, [2, 4])
    with pytest.raises(RuntimeError, match=r"no_grad mode .* created inside a custom Function"):
        part.mul_(2)


def test_setting_data():
    x = leaf([1.0, 2.0])
    y = x * x
    x.data = vec(5, 6)
    check(x, [5, 6])
    assert x.requires_grad and x.is_leaf
    y.sum().backward()
    check(x.grad, [10, 12])  # the leaf itself was saved, not a copy of what it held
    x.data = torch.zeros(3)
    assert x.shape == (3,)
    with pytest.raises(RuntimeError, match="data set to a tensor that requires gradients must be"):
        x.data = torch.zeros(3, dtype=torch.int64)


def test_requires_grad_on_a_view_of_a_plain_tensor():
    base = torch.zeros(3)
    view = base[1:].requires_grad_()
    (view * 2).sum().backward()
    check(view.grad, [2, 2])
    assert not base.requires_grad


def test_base_is_kept_alive_by_its_views():
    view = (leaf([1.0, 2.0, 3.0]) * 2)[1:]
    gc.collect()
    view.mul_(2)
    check(view, [8, 12])
    check(view._base, [2, 8, 12])


def test_views_share_memory():
    x = torch.arange(12.0).reshape(3, 4)
    for view in [x.t(), x[1:], x[:, ::2], x.view(2, 6), x.unfold(1, 2, 1), x.expand(2, 3, 4)]:
        assert view.untyped_storage().data_ptr() == x.untyped_storage().data_ptr()
    x.t()[1, 2] = -1
    assert x[2, 1].item() == -1


def test_random_programs_agree_with_their_functional_form():
    """Writes through nested slices, and the same computed with `where` on a mask."""
    torch.manual_seed(3)
    for _ in range(20):
        x = torch.randn(6, dtype=torch.float64, requires_grad=True)
        y, z = x * 1, x * 1
        for _ in range(4):
            start, stop = sorted(torch.randint(0, 7, (2,)).tolist())
            mask = torch.zeros(6, dtype=torch.bool)
            mask[start:stop] = True
            y[start:stop].mul_(1.5).add_(z.detach()[start:stop])
            z = torch.where(mask, z * 1.5 + z.detach(), z)
        (gx,) = torch.autograd.grad((y**2).sum(), x)
        (gz,) = torch.autograd.grad((z**2).sum(), x)
        check(y, z.tolist(), rtol=1e-12)
        check(gx, gz.tolist(), rtol=1e-12)


# --------------------------------------------------------- graphs so large that arrays alone are saved


@pytest.fixture
def lending():
    from pullback.core import _engine

    before = _engine.lend_from(-1)
    yield
    _engine.lend_from(before)


@pullback_only("of Pullback's engine")
@pytest.mark.usefixtures("lending")
@pytest.mark.parametrize("shape", [(), (3,)])
@pytest.mark.parametrize(
    "write",
    [
        lambda y: y.add_(1),
        lambda y: y.view(-1).add_(1),
        lambda y: y.detach().add_(1),
        lambda y: y.detach_().add_(1),
        lambda y: (y.data.add_(1), y.add_(0)),
    ],
)
def test_writes_to_lent_arrays_are_detected(write, shape):
    x = torch.full(shape, 2.0, requires_grad=True)
    y = x * 3
    z = (y * y).sum()
    write(y)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        z.backward()


@pullback_only("of Pullback's engine")
@pytest.mark.usefixtures("lending")
@pytest.mark.parametrize("shape", [(), (3,), (2, 2)])
@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128, torch.bfloat16])
def test_derivatives_by_lent_arrays(shape, dtype):
    x = torch.full(shape, 2.0, dtype=dtype, requires_grad=True)
    y = x * 3
    z = y * y * x
    saved = z.grad_fn.next_functions[0][0]._saved_self
    assert saved.equal(y) and saved.grad_fn is y.grad_fn and saved.dtype is dtype
    del y, saved
    (g,) = torch.autograd.grad(z, x, torch.ones_like(z), create_graph=True)
    assert g.equal(torch.full(shape, 108.0, dtype=dtype))
    (h,) = torch.autograd.grad(g, x, torch.ones_like(g), retain_graph=True)
    assert h.equal(torch.full(shape, 108.0, dtype=dtype))
    g.backward(torch.ones_like(g))
    assert x.grad.equal(h)


@pullback_only("PyTorch's process ends")
def test_a_view_of_a_leaf_without_history_takes_no_hook():
    """It says that it requires a gradient, as its base does, but was made without a graph."""
    x = torch.ones(1, requires_grad=True)
    with torch.no_grad():
        view = x.expand(2, 1)
    with pytest.raises(RuntimeError, match="cannot register a hook"):
        view.register_hook(lambda g: g)


def test_integers_take_what_requires_a_gradient_through_one_view_of_several():
    x = torch.arange(4)
    part = x.chunk(2)[1]
    part[...] = torch.tensor([1.25], requires_grad=True)
    assert x.tolist() == [0, 1, 1, 1] and not part.requires_grad


@pytest.mark.parametrize("shape", [(), (2,), (2, 1)])
def test_gradients_of_a_leaf_that_grew_have_its_shape(shape):
    x = torch.ones(shape, requires_grad=True)
    x.double()  # by which the leaf has a place in graphs
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.eq(torch.ones(2, 3), 1, out=x)
    (x.double() * 2).sum().backward()
    check(x.grad, [[2, 2, 2]] * 2)
