"""Masked tensors: what counts is computed with, what does not is left out. Runs on PyTorch, too."""

import copy
import pickle

import pytest
from library import pullback_only, torch

pytestmark = [
    pytest.mark.filterwarnings("ignore:The PyTorch API of MaskedTensors is in prototype"),
    pytest.mark.filterwarnings("ignore:It is not recommended to create a MaskedTensor"),
    pytest.mark.filterwarnings("ignore:.* is not implemented in __torch_dispatch__"),
    pytest.mark.filterwarnings("ignore:Sparse CSR tensor support is in beta"),
    pytest.mark.filterwarnings("ignore:Sparse invariant checks are implicitly disabled"),
]
masked_tensor, as_masked_tensor = torch.masked.masked_tensor, torch.masked.as_masked_tensor
NO = None


def data():
    return torch.arange(6.0).reshape(2, 3) + 1


def mask():
    return torch.tensor([[True, False, True], [False, True, True]])


def t(**options):
    return masked_tensor(data(), mask(), **options)


def listed(x):
    """The numbers of a masked tensor as lists, None where they do not count."""
    x = x.to_dense()
    numbers = x.get_data().to(torch.float64).flatten().tolist()
    kept = x.get_mask().flatten().tolist()
    flat = [round(n, 4) if shown else NO for n, shown in zip(numbers, kept, strict=True)]
    for size in reversed(x.shape[1:]):
        flat = [flat[i : i + size] for i in range(0, len(flat), size)]
    return flat if x.dim() else flat[0]


def test_what_it_is_made_of():
    x = t()
    assert torch.masked.is_masked_tensor(x) and not torch.masked.is_masked_tensor(data())
    assert isinstance(x, torch.masked.MaskedTensor) and isinstance(x, torch.Tensor)
    assert torch.equal(x.get_data(), data()) and torch.equal(x.get_mask(), mask())
    assert x.shape == (2, 3) and x.dtype is torch.float32 and x.dim() == x.ndim == len(x) == 2
    assert x.numel() == 6 and x.stride() == (3, 1) and x.is_contiguous() and x.layout is torch.strided
    assert x.to_tensor(0).tolist() == [[1, 0, 3], [0, 5, 6]]
    source = data()
    made = masked_tensor(source, mask())
    source.fill_(0)
    assert listed(made) == listed(t())


def test_printing():
    assert repr(t()) == (
        "MaskedTensor(\n  [\n    [  1.0000,       --,   3.0000],\n    [      --,   5.0000,   6.0000]\n  ]\n)"
    )
    assert (
        str(masked_tensor(torch.tensor([1, 2]), torch.tensor([True, False])))
        == "MaskedTensor(\n  [1,       --]\n)"
    )
    assert f"{masked_tensor(torch.tensor(1.5), torch.tensor(True))}" == "MaskedTensor(  1.5000, True)"
    assert f"{masked_tensor(torch.tensor(1.5), torch.tensor(False))}" == "MaskedTensor(--, False)"
    wide = masked_tensor(torch.tensor([1.0, 2.0, 12345.0]), torch.tensor([True, False, True]))
    assert repr(wide) == "MaskedTensor(\n  [  1.0000,         --, 12345.0000]\n)"
    assert (
        repr(t() > 2)
        == "MaskedTensor(\n  [\n    [False,       --, True],\n    [      --, True, True]\n  ]\n)"
    )


@pytest.mark.parametrize(
    ("action", "error", "words"),
    [
        (lambda: masked_tensor([1.0], [True]), TypeError, "data must be a Tensor"),
        (lambda: masked_tensor(data(), None), TypeError, "mask must be a Tensor"),
        (lambda: masked_tensor(t(), mask()), TypeError, "data must be a Tensor"),
        (lambda: masked_tensor(data(), mask().float()), TypeError, "mask must have dtype bool"),
        (lambda: masked_tensor(data(), mask()[0]), ValueError, r"data.dim\(\) must equal mask.dim\(\)"),
        (lambda: masked_tensor(data(), mask()[:, :2]), ValueError, r"data.size\(\) must equal mask.size\(\)"),
        (lambda: masked_tensor(data(), mask().to_sparse()), TypeError, "must have the same layout"),
        (
            lambda: masked_tensor(data().bfloat16(), mask()),
            TypeError,
            "torch.bfloat16 is not supported in Masked",
        ),
        (lambda: t().to(torch.complex64), TypeError, "torch.complex64 is not supported in MaskedTensor"),
        (lambda: t() + masked_tensor(data(), ~mask()), ValueError, "Input masks must match"),
        (
            lambda: t().to_sparse() + t(),
            ValueError,
            "`a` and `b` must have the same layout. Got torch.sparse_coo",
        ),
        (lambda: t().numpy(), RuntimeError, "not supported for tensor subclasses"),
        (
            lambda: t().tolist(),
            RuntimeError,
            r"\.tolist\(\) is not supported for tensor subclasses, got Masked",
        ),
        (lambda: t().item(), RuntimeError, "a Tensor with 6 elements cannot be converted to Scalar"),
        (lambda: t()[0, 1].item(), ValueError, "expected a mask tensor"),
        (
            lambda: t().cumsum(0),
            TypeError,
            "'torch._ops.aten.cumsum.default'; all __torch_dispatch__ handlers",
        ),
        (
            lambda: t().median(),
            TypeError,
            "'torch._ops.aten.median.default'; all __torch_dispatch__ handlers",
        ),
        (lambda: t().sum(2), IndexError, "Dimension out of range"),
    ],
)
def test_what_is_refused(action, error, words):
    with pytest.raises(error, match=words):
        action()


UNARY = """
abs acos acosh angle asin asinh atan atanh ceil cos cosh deg2rad digamma erf erfc erfinv exp exp2 expm1
floor frac i0 isfinite isnan isreal lgamma log log10 log1p log2 logit nan_to_num neg positive rad2deg
reciprocal round rsqrt sgn sigmoid sign signbit sin sinc sinh sqrt square tan tanh trunc
"""


@pytest.mark.parametrize("name", UNARY.split())
def test_unary(name):
    scaled = masked_tensor(data() / 7, mask())
    expected = getattr(data() / 7, name)()
    for made in (getattr(scaled, name)(), getattr(torch, name)(scaled)):
        assert torch.equal(made.get_mask(), mask())
        assert torch.equal(made.get_data().nan_to_num(9), expected.nan_to_num(9))
        assert made.dtype is expected.dtype


BINARY = """
add sub mul div true_divide floor_divide fmod remainder maximum minimum fmax fmin atan2 logaddexp nextafter
eq ne lt le gt ge
"""


@pytest.mark.parametrize("name", BINARY.split())
def test_binary(name):
    other = data().flip(1)
    expected = getattr(torch, name)(data(), other)
    function = getattr(torch, name)
    for made in (
        function(t(), masked_tensor(other, mask())),
        function(t(), other),
        function(data(), t().mul(0) + other),
    ):
        assert torch.equal(made.get_mask(), mask())
        assert torch.equal(made.get_data(), expected)
    if name not in ("maximum", "minimum", "fmax", "fmin", "atan2", "logaddexp", "nextafter"):
        assert torch.equal(function(t(), 2).get_data(), function(data(), 2))


def test_operators():
    assert listed(-t() + 1) == [[0, NO, -2], [NO, -4, -5]]
    assert listed(2 / t()) == [[2, NO, 0.6667], [NO, 0.4, 0.3333]]
    assert listed(t() ** 2) == [[1, NO, 9], [NO, 25, 36]]
    assert listed(t().clamp(2, 5)) == [[2, NO, 3], [NO, 5, 5]]
    whole = masked_tensor(torch.arange(6).reshape(2, 3), mask())
    assert listed(whole & 3) == [[0, NO, 2], [NO, 0, 1]]
    assert listed(~(t() > 2)) == [[1, NO, 0], [NO, 0, 0]]
    x = t()
    assert x.mul_(2) is x
    x.add_(t()).exp_().log_()
    assert listed(x) == [[3, NO, 9], [NO, 15, 18]]


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ("sum()", 15),
        ("sum(0)", [1, 5, 9]),
        ("sum((0, 1))", 15),
        ("sum(1, keepdim=True)", [[4], [11]]),
        ("mean()", 3.75),
        ("mean(1)", [2, 5.5]),
        ("prod()", 90),
        ("prod(0)", [1, 5, 18]),
        ("amax()", 6),
        ("amax(1)", [3, 6]),
        ("amin()", 1),
        ("amin(0)", [1, 5, 3]),
        ("argmax()", 5),
        ("argmax(1)", [2, 2]),
        ("argmin(0)", [0, 1, 0]),
        ("var()", 4.9167),
        ("std(1)", [1.4142, 0.7071]),
        ("all()", 1),
        ("all(0)", [1, 1, 1]),
        ("softmax(1)", [[0.1192, NO, 0.8808], [NO, 0.2689, 0.7311]]),
    ],
)
def test_reductions(call, expected):
    assert listed(eval(f"x.{call}", {"x": t()})) == expected


def test_reductions_of_what_does_not_count():
    none = masked_tensor(data(), torch.zeros(2, 3, dtype=torch.bool))
    for name in ["sum", "mean", "prod", "amax", "amin"]:
        assert listed(getattr(none, name)()) is NO
        assert listed(getattr(none, name)(0)) == [NO] * 3
    assert (t().amax(1).dtype, (t() > 2).all().dtype) == (torch.float32, torch.bool)
    whole = masked_tensor(torch.arange(6).reshape(2, 3), mask())
    assert whole.sum().dtype is torch.int64 and listed(whole.prod(1)) == [0, 20]


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ("x[0]", [1, NO, 3]),
        ("x[:, 1]", [NO, 5]),
        ("x[:, ::2]", [[1, 3], [NO, 6]]),
        ("x[x.get_mask()]", [1, 3, 5, 6]),
        ("x.t()", [[1, NO], [NO, 5], [3, 6]]),
        ("x.transpose(0, 1)", [[1, NO], [NO, 5], [3, 6]]),
        ("x.reshape(3, 2)", [[1, NO], [3, NO], [5, 6]]),
        ("x.view(-1)", [1, NO, 3, NO, 5, 6]),
        ("x.flatten()", [1, NO, 3, NO, 5, 6]),
        ("x.unsqueeze(0)", [[[1, NO, 3], [NO, 5, 6]]]),
        ("x.split(1)[1]", [[NO, 5, 6]]),
        ("x.chunk(2)[0]", [[1, NO, 3]]),
        ("x.narrow(1, 0, 1)", [[1], [NO]]),
        ("torch.cat([x, x], 1)", [[1, NO, 3, 1, NO, 3], [NO, 5, 6, NO, 5, 6]]),
        ("torch.stack([x[0], x[1]])[1]", [NO, 5, 6]),
        ("x.expand(1, 2, 3)", [[[1, NO, 3], [NO, 5, 6]]]),
        ("x.broadcast_to(1, 2, 3)[0, 0]", [1, NO, 3]),
        ("x.unfold(1, 2, 1)[0]", [[1, NO], [NO, 3]]),
        ("torch.ones_like(x)", [[1, NO, 1], [NO, 1, 1]]),
        ("x.clone()", [[1, NO, 3], [NO, 5, 6]]),
        ("x.contiguous()", [[1, NO, 3], [NO, 5, 6]]),
        ("x.double()", [[1, NO, 3], [NO, 5, 6]]),
        ("x.long()", [[1, NO, 3], [NO, 5, 6]]),
        (
            "torch.where(x.get_mask(), x, masked_tensor(x.get_data() * 2, ~x.get_mask()))",
            [[1, 4, 3], [8, 5, 6]],
        ),
        ("torch.where(x.get_mask(), x, x.get_data())", [[1, 2, 3], [4, 5, 6]]),
    ],
)
def test_moves_and_copies(call, expected):
    made = eval(call, {"x": t(), "torch": torch, "masked_tensor": masked_tensor})
    assert torch.masked.is_masked_tensor(made)
    assert listed(made) == expected


@pullback_only("PyTorch's masked tensors refuse these")
@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ("x.permute(1, 0)", [[1, NO], [NO, 5], [3, 6]]),
        ("x.T", [[1, NO], [NO, 5], [3, 6]]),
        ("x.flip(1)", [[3, NO, 1], [6, 5, NO]]),
        ("x.index_select(0, torch.tensor([1]))", [[NO, 5, 6]]),
        ("x.unbind()[1]", [NO, 5, 6]),
        ("list(x)[0]", [1, NO, 3]),
        ("x.relu()", [[1, NO, 3], [NO, 5, 6]]),
        ("1 - x", [[0, NO, -2], [NO, -4, -5]]),
        ("x.log_softmax(0)", [[0, NO, -3.0486], [NO, 0, -0.0486]]),
        ("x.norm()", 8.4261),
        ("torch.zeros_like(x)", [[0, NO, 0], [NO, 0, 0]]),
        ("x.logical_not()", [[0, NO, 0], [NO, 0, 0]]),
        ("torch.where(x > 3, x, -x)", [[-1, NO, -3], [NO, 5, 6]]),
        ("x.where(x.get_mask(), 0.0)", [[1, 0, 3], [0, 5, 6]]),
        ("torch.add(x, x, alpha=2)", [[3, NO, 9], [NO, 15, 18]]),
    ],
)
def test_more_than_there_is(call, expected):
    assert listed(eval(call, {"x": t(), "torch": torch})) == expected


@pytest.mark.parametrize("layout", ["to_sparse", "to_sparse_csr"])
def test_sparse(layout):
    x = getattr(t(), layout)()
    assert x.layout is (torch.sparse_coo if layout == "to_sparse" else torch.sparse_csr)
    assert (x.is_sparse_coo(), x.is_sparse_csr()) == (layout == "to_sparse", layout != "to_sparse")
    assert x.get_data().values().tolist() == [1, 3, 5, 6] and x.get_mask().values().tolist() == [True] * 4
    assert listed(x.cos()) == listed(t().cos())  # also of what is not stored
    assert listed(x + x) == listed(t() * 2) == listed(x * 2)
    for name in ["sum", "mean", "prod", "amax", "amin"]:
        assert listed(getattr(x, name)()) == listed(getattr(t(), name)())
    assert repr(x) == repr(t())
    assert x.to_dense().layout is torch.strided


def test_functions_of_masked_take_its_mask():
    assert torch.masked.sum(t(), 1).tolist() == [4, 11]


@pullback_only("PyTorch divides by all numbers")
def test_the_mean_is_of_what_the_mask_lets_count():
    assert torch.masked.mean(t(), 0).tolist() == [1, 5, 4.5]


def test_gradients():
    x = t(requires_grad=True)
    assert x.is_leaf and x.requires_grad
    (x * 2).sum().backward()
    assert listed(x.grad) == [[2, NO, 2], [NO, 2, 2]]
    assert x.detach().requires_grad is False
    for call, expected in {
        "x.sum()": [[1, NO, 1], [NO, 1, 1]],
        "x.mean()": [[0.25, NO, 0.25], [NO, 0.25, 0.25]],
        "x.amax(1).sum()": [[0, NO, 1], [NO, 0, 1]],
        "x.prod(1).sum()": [[3, NO, 1], [NO, 6, 5]],
        "x.std()": [[-0.4134, NO, -0.1127], [NO, 0.1879, 0.3382]],
        "x.to_tensor(0).sum()": [[1, NO, 1], [NO, 1, 1]],
        "x.get_data().sum()": [[1, NO, 1], [NO, 1, 1]],
        "(x * y).sum(0).sum()": [[1, NO, 3], [NO, 5, 6]],
        "x.reshape(6).sum()": [[1, NO, 1], [NO, 1, 1]],
        "torch.cat([x, x]).sum()": [[2, NO, 2], [NO, 2, 2]],
        "x.exp().sum(1).log().sum()": [[0.1192, NO, 0.8808], [NO, 0.2689, 0.7311]],
        "x.transpose(0, 1).sum()": [[1, NO, 1], [NO, 1, 1]],
    }.items():
        leaf = data().requires_grad_()
        eval(call, {"x": as_masked_tensor(leaf, mask()), "y": data(), "torch": torch}).backward()
        assert listed(leaf.grad) == expected, call


@pullback_only("PyTorch's gradients end at these, or raise")
def test_gradients_where_there_are_none():
    for call, expected in {
        "x.to_sparse().sum()": [[1, NO, 1], [NO, 1, 1]],
        "x.softmax(1)[0, 0]": [[0.105, NO, -0.105], [NO, 0, 0]],
        "x.T.sum()": [[1, NO, 1], [NO, 1, 1]],
        "torch.where(x > 2, x, 0.0).sum()": [[0, NO, 1], [NO, 1, 1]],
    }.items():
        leaf = data().requires_grad_()
        eval(call, {"x": as_masked_tensor(leaf, mask()), "torch": torch}).backward()
        assert listed(leaf.grad) == expected, call


def test_nothing_of_what_does_not_count_gets_into_a_gradient():
    leaf = torch.tensor([-1.0, 0.0, 4.0], requires_grad=True)
    x = as_masked_tensor(leaf, leaf.detach() > 0)
    x.sqrt().sum().backward()
    assert listed(leaf.grad) == [NO, NO, 0.25]


def test_copies():
    for made in (copy.deepcopy(t()), pickle.loads(pickle.dumps(t()))):
        assert torch.masked.is_masked_tensor(made)
        assert listed(made) == listed(t())
    assert bool(t()[0, 0]) and float(t()[0, 2]) == t()[0, 2].item() == 3
