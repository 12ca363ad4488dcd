"""What programs check by `torch._check` and its kin, numbers that may be symbolic, odd makers of tensors."""

import math

import pytest
from library import torch


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("_check", RuntimeError),
        ("_check_index", IndexError),
        ("_check_value", ValueError),
        ("_check_type", TypeError),
        ("_check_not_implemented", NotImplementedError),
    ],
)
def test_checks_raise_their_errors(name, error):
    check = getattr(torch, name)
    assert check(True, lambda: "never called") is None
    with pytest.raises(error, match="seven"):
        check(False, lambda: "seven")
    with pytest.raises(error, match="Expected cond to be True"):
        check(False)
    with pytest.raises(TypeError, match="cond must be a bool"):
        check(torch.tensor(True))
    with pytest.raises(TypeError, match="message must be a callable"):
        check(False, "seven")


@pytest.mark.filterwarnings("ignore")  # PyTorch: deprecated
def test_checks_of_other_kinds():
    with pytest.raises(KeyError):
        torch._check_with(KeyError, False, lambda: "seven")
    torch._check_is_size(3)
    with pytest.raises(RuntimeError):
        torch._check_is_size(-1)
    torch._check_tensor_all(torch.tensor([True, True]))
    with pytest.raises(RuntimeError):
        torch._check_tensor_all(torch.tensor([True, False]))
    with pytest.raises(AssertionError, match="seven"):
        torch._assert(False, "seven")
    torch._assert_async(torch.tensor(1))
    with pytest.raises(RuntimeError, match="seven"):
        torch._assert_async(torch.tensor(0), "seven")


def test_numbers_that_may_be_symbolic():
    assert torch.sym_int(-2.7) == -2 and torch.sym_float(3) == 3.0
    assert torch.sym_not(False) is True
    assert torch.sym_max(2, 3) == 3 and type(torch.sym_max(3, 1.0)) is float
    assert torch.sym_min(2, 3) == 2 and type(torch.sym_min(1, 2.0)) is float
    assert torch.sym_ite(True, 1, 2) == 1
    assert torch.sym_sum([1, 2, 3]) == 6
    assert torch.sym_sqrt(2) == math.sqrt(2)


def test_hash_is_of_the_bits():
    numbers = torch.tensor([[1, 2, 7], [4, 4, 0]])
    assert torch.hash_tensor(numbers).item() == 1 ^ 2 ^ 7
    assert torch.hash_tensor(numbers, 1).tolist() == [4, 0]
    assert torch.hash_tensor(numbers, 1, keepdim=True).shape == (2, 1)


def test_order_of_dims_is_chosen():
    made = torch.empty_permuted((2, 3, 4), (1, 2, 0), dtype=torch.float64)
    assert made.shape == (2, 3, 4) and made.stride() == (1, 8, 2)
    with pytest.raises(RuntimeError, match="Duplicate dim"):
        torch.empty_permuted((2, 3), (0, 0))
