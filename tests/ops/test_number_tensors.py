"""Tensors that stand where a function takes a number: an integer, a dim, a flag."""

import pytest
from library import torch

X = torch.arange(12.0).reshape(3, 4)
INT = {
    "diagonal": lambda n: X.diagonal(n),
    "diagonal_copy": lambda n: torch.diagonal_copy(X, n),
    "linalg.diagonal": lambda n: torch.linalg.diagonal(X, offset=n),
    "diag": lambda n: X.diag(n),
    "diag_embed": lambda n: X.diag_embed(n),
    "tril": lambda n: X.tril(n),
    "triu": lambda n: torch.triu(X, n),
    "select": lambda n: X.select(0, n),
    "narrow": lambda n: X.narrow(0, n, 1),
    "unsqueeze": lambda n: X.unsqueeze(n),
    "unfold": lambda n: X.unfold(n, 2, 1),
    "chunk": lambda n: X.chunk(n)[0],
    "cumsum": lambda n: X.cumsum(n),
    "softmax": lambda n: X.softmax(n),
    "sort": lambda n: X.sort(n)[0],
    "topk": lambda n: X.topk(n)[0],
    "cat": lambda n: torch.cat([X, X], n),
    "stack": lambda n: torch.stack([X, X], n),
    "as_strided": lambda n: X.as_strided((2,), (n,)),
}


@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, torch.uint8, torch.uint32])
@pytest.mark.parametrize("name", INT)
def test_a_tensor_of_one_integer_is_that_integer(name, dtype):
    assert torch.equal(INT[name](torch.tensor(1, dtype=dtype)), INT[name](1))


@pytest.mark.parametrize("number", [1.5, True, [1], [1, 2]])
@pytest.mark.parametrize("name", ["diagonal", "diagonal_copy", "diag", "unsqueeze", "chunk", "unfold"])
def test_other_tensors_are_no_integers(name, number):
    with pytest.raises(TypeError):
        INT[name](torch.tensor(number))


@pytest.mark.parametrize("name", ["diagonal", "diagonal_copy", "linalg.diagonal", "diag"])
def test_a_large_unsigned_offset_does_not_wrap_around(name):
    assert INT[name](torch.tensor(2**32 - 6, dtype=torch.uint32)).shape == (0,)


def test_a_flag_is_no_tensor():
    for flag in (torch.tensor(True), torch.tensor(1)):
        with pytest.raises(TypeError):
            X.sum(0, keepdim=flag)


def test_gradients_know_the_number():
    x = X.clone().requires_grad_()
    x.diagonal(torch.tensor(1, dtype=torch.uint32)).sum().backward()
    assert torch.equal(x.grad, torch.zeros(3, 4).diagonal_scatter(torch.ones(3), 1))


def test_an_integer_given_twice_is_refused():
    with pytest.raises(TypeError):
        torch.diag(X, torch.tensor(1), diagonal=torch.tensor(1))
    with pytest.raises(TypeError):
        torch.diag(X, 1, diagonal=torch.tensor(1))
