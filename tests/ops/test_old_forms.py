"""Calls of old, NumPy's names of arguments, and arguments that are empty or None."""

import operator
import warnings

import pytest
from library import torch

ONES = torch.ones(2, 2)
VECTOR = torch.ones(2)
STACK = torch.ones(2, 2, 2)

OLD = {
    "add": (lambda: torch.add(ONES, 2, ONES), 3.0),
    "add method": (lambda: ONES.add(2, ONES), 3.0),
    "add_": (lambda: ONES.clone().add_(2, ONES), 3.0),
    "add of a number": (lambda: torch.add(ONES, 2, 3), 7.0),
    "sub": (lambda: torch.sub(ONES, 2, ONES), -1.0),
    "addcmul": (lambda: torch.addcmul(ONES, 0.5, ONES, ONES), 1.5),
    "addcdiv method": (lambda: ONES.addcdiv(0.5, ONES, ONES), 1.5),
    "addcmul_": (lambda: ONES.clone().addcmul_(0.5, ONES, ONES), 1.5),
    "addmm": (lambda: torch.addmm(1.0, ONES, 2.0, ONES, ONES), 5.0),
    "addmm with beta": (lambda: torch.addmm(3, ONES, ONES, ONES), 5.0),
    "addmm method": (lambda: ONES.addmm(1, 2, ONES, ONES), 5.0),
    "addmm_": (lambda: ONES.clone().addmm_(3, ONES, ONES), 5.0),
    "addmv": (lambda: torch.addmv(1, VECTOR, 2, ONES, VECTOR), 5.0),
    "addr": (lambda: torch.addr(1, ONES, 2, VECTOR, VECTOR), 3.0),
    "baddbmm": (lambda: torch.baddbmm(1, STACK, 2, STACK, STACK), 5.0),
    "addbmm": (lambda: torch.addbmm(1, ONES, 2, STACK, STACK), 9.0),
}


@pytest.mark.filterwarnings("ignore:This overload")
@pytest.mark.parametrize("name", OLD)
def test_numbers_between_tensors(name):
    call, expected = OLD[name]
    result = call()
    assert torch.equal(result, torch.full_like(result, expected))


def test_what_is_no_old_form_is_still_refused():
    for call in (
        lambda: torch.add(ONES, ONES, ONES),
        lambda: torch.add(ONES, 2, ONES, alpha=3),
        lambda: torch.addmm(1, 2, ONES, ONES, ONES),
    ):
        with pytest.raises(TypeError):
            call()


def test_names_of_numpy():
    x = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    assert torch.equal(torch.add(x1=x, x2=x), x * 2)
    assert torch.equal(torch.sum(a=x), x.sum())
    assert torch.equal(torch.sum(x, axis=1, keepdims=True), x.sum(1, keepdim=True))
    assert torch.equal(torch.mul(x=x, x2=x), x * x)
    with pytest.raises(TypeError):
        torch.add(x1=x, x3=x)


def test_nothing_to_join():
    e = torch.empty(0)
    assert torch.cat([e, e], dim=1).shape == (0,)
    assert torch.cat([e, torch.ones(2, 3)], dim=1).shape == (2, 3)
    assert torch.block_diag().shape == (1, 0)


def test_no_dims():
    assert torch.arange(4).view(2, 2).roll(1, dims=None).tolist() == [[3, 0], [1, 2]]
    assert torch.roll(torch.arange(3), 1, None).tolist() == [2, 0, 1]
    assert torch.histogramdd(torch.rand(4, 0), bins=[]).hist.item() == 0


@pytest.mark.filterwarnings("ignore:__array_wrap__")
def test_division_of_an_array():
    import numpy as np

    result = np.array([5.0]) / torch.full((1,), 2.0)
    assert isinstance(result, torch.Tensor)
    assert result.dtype is torch.float64 and result.tolist() == [2.5]


@pytest.mark.parametrize("sign", ["//", "%", "**", "<<", ">>", "+", "-", "*", "/"])
def test_operators_in_place_try_the_other_operand(sign):
    names = {
        "//": "floordiv",
        "%": "mod",
        "**": "pow",
        "<<": "lshift",
        ">>": "rshift",
        "+": "add",
        "-": "sub",
        "*": "mul",
        "/": "truediv",
    }
    other = type("Other", (), {f"__r{names[sign]}__": lambda self, x: "reflected"})()
    space = {"x": torch.ones(2), "other": other}
    exec(f"x {sign}= other", space)
    assert space["x"] == "reflected"


def test_sizes():
    assert torch.Size(torch.tensor([1, 2])) == (1, 2)
    assert type(torch.Size(torch.tensor([1, 2]))[0]) is int
    assert type(operator.add((1,), torch.Size([2]))) is torch.Size
    with pytest.raises(TypeError):
        torch.Size((torch.ones(1),))


def test_warn_only_is_kept():
    try:
        torch.use_deterministic_algorithms(False, warn_only=True)
        assert torch.is_deterministic_algorithms_warn_only_enabled()
    finally:
        torch.use_deterministic_algorithms(False)
    assert not torch.is_deterministic_algorithms_warn_only_enabled()


def test_drawn_into_other_dtypes():
    for dtype in (torch.bool, torch.int64, torch.float64):
        out = torch.empty(3, dtype=dtype)
        torch.manual_seed(0)
        torch.bernoulli(torch.full((3,), 0.5), out=out)
        torch.manual_seed(0)
        assert torch.equal(out, torch.bernoulli(torch.full((3,), 0.5)).to(dtype))
    assert torch.randperm(256, dtype=torch.uint8).sort().values.tolist() == list(range(256))
    with pytest.raises(RuntimeError):
        torch.randperm(257, dtype=torch.uint8)


def test_the_first_old_form_warns():
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        torch.mul(ONES, 2)
    assert not told
