"""Arguments that are refused, by which exception, and errors that NumPy would raise otherwise."""

import warnings

import pytest
from library import leaf, torch

F = torch.nn.functional
HALF = torch.tensor([1.0], dtype=torch.half)
GRAD = torch.tensor(2.0, requires_grad=True)


class Broken:
    """A sequence that cannot be read."""

    def __len__(self):
        return 2

    def __getitem__(self, place):
        raise KeyError(place)


REFUSED = [
    (RuntimeError, lambda: torch.tensor([1, 2], dtype=torch.uint8).pow(-2)),
    (RuntimeError, lambda: torch.tensor([1, 2]).pow(-1)),
    (RuntimeError, lambda: torch.add(torch.tensor([1]), torch.tensor([2]), alpha=1.0)),
    (RuntimeError, lambda: HALF.add(HALF, alpha=-1e5)),
    (TypeError, lambda: torch.full((2,), GRAD)),
    (TypeError, lambda: torch.add(torch.ones(2), torch.ones(2), alpha=GRAD)),
    (RuntimeError, lambda: torch.meshgrid(torch.tensor([1]), torch.tensor([2.0]), indexing="ij")),
    (RuntimeError, lambda: torch.meshgrid(indexing="ij")),
    (TypeError, lambda: torch.zeros(2, 3).expand(2, 3.0)),
    (RuntimeError, lambda: F.fractional_max_pool2d(torch.randn(2, 7, 7), (1,), output_size=(3, 3))),
    (RuntimeError, lambda: F.cosine_similarity(torch.ones(2), torch.ones(2), 0, -1.0)),
    (RuntimeError, lambda: torch.randperm(2051, dtype=torch.half)),
    (RuntimeError, lambda: torch.logspace(1j, 2, 3, dtype=torch.float)),
    (RuntimeError, lambda: torch.ones(2).adjoint()),
    (ValueError, lambda: F.nll_loss(torch.randn(10), torch.tensor([1, 2, 3]))),
    (ValueError, lambda: F.nll_loss(torch.randn(10, 2), torch.tensor([1, 0, 1]))),
    (ValueError, lambda: torch.tensor(Broken())),
    (RuntimeError, lambda: torch.tensor_split(torch.ones(10), torch.tensor(1.1))),
    (TypeError, lambda: torch.randn(2, 2, 2).topk(1, True)),
    (RuntimeError, lambda: torch.gru_cell(*(torch.ones(s) for s in ((4, 8), (4, 16), (49, 8), (48, 16))))),
    (RuntimeError, lambda: F.interpolate(torch.ones(1, 1, 4, 4), scale_factor=1e20, mode="bilinear")),
    (RuntimeError, lambda: torch.amax(torch.ones([1] * 65), 0)),
    (RuntimeError, lambda: torch.empty((), dtype=torch.double).resize_([2, 4, 2**29, 2**29])),
    (RuntimeError, lambda: torch.ones(1, dtype=torch.uint8).fill_(300)),
]


X = torch.ones(2, 3)
OF_A_WRONG_TYPE = {
    "input": (torch.diag, 5),
    "v": (torch.norm_except_dim, "x"),
    "weight": (F.rms_norm, X, (3,), (1.0, 1.0, 1.0)),
    "largest": (torch.topk, X, 2, 0, X),
    "stride": (torch.as_strided, X, (2,), torch.ones(2)),
    "n_fft": (torch.istft, X, X),
}


@pytest.mark.parametrize("name", OF_A_WRONG_TYPE)
def test_types_come_before_all_else(name):
    function, *args = OF_A_WRONG_TYPE[name]
    with pytest.raises(TypeError, match=f"argument '{name}'"):
        function(*args)


@pytest.mark.parametrize("case", range(len(REFUSED)))
def test_arguments_are_refused(case):
    error, call = REFUSED[case]
    with pytest.raises(error) as caught:
        call()
    assert caught.type is error


def test_hooks_on_leaves_return_nothing():
    x = leaf([1.0, 1.0])
    x.register_post_accumulate_grad_hook(lambda t: t.grad)
    with pytest.raises(RuntimeError, match="Tensor post accumulate grad hooks should return None"):
        x.sum().backward()


def test_nodes_are_called_with_a_gradient_for_each_output():
    y = leaf([1.0]) ** 2
    with pytest.raises(TypeError, match="expected 1 arguments, got 0"):
        y.grad_fn()


@pytest.mark.filterwarnings("ignore:Anomaly")
def test_the_error_is_raised_though_warnings_are_errors():
    with torch.autograd.detect_anomaly(), warnings.catch_warnings():
        warnings.simplefilter("error")
        a = leaf([1.0, 1.0])
        d = a + 1
        e = d**2
        d += 1
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            torch.autograd.grad(e.sum(), a)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda a, b: a + b, r"\(3\) must match the size of tensor b \(4\) at non-singleton dimension 3"),
        (lambda a, b: a.half() + b, "dimension 3"),
        (lambda a, b: a > b.double(), "dimension 3"),
        (lambda a, b: torch.addcmul(a[0, 0, 0], b[0, 0, 0], b), "dimension 0"),
        (lambda a, b: torch.where(a > 0, a, b), "dimension 3"),
    ],
)
def test_the_last_dim_that_does_not_fit_is_named(call, message):
    a, b = torch.ones(2, 2, 3, 3), torch.ones(1, 2, 4, 4)
    with pytest.raises(RuntimeError, match=message):
        call(a, b)


FIVE = torch.arange(5)
PIECES = {
    "split": lambda n: FIVE.split(n),
    "split_with_sizes": lambda n: torch.split_with_sizes(FIVE, n),
    "unsafe_split": lambda n: torch.unsafe_split(FIVE, n),
    "chunk": lambda n: FIVE.chunk(n),
    "tensor_split": lambda n: FIVE.tensor_split(n),
    "hsplit": lambda n: FIVE.hsplit(n),
}


@pytest.mark.parametrize("size", ["a", None, 1.5, 2.0, [2, 3.0], [2, "a"]], ids=str)
@pytest.mark.parametrize("how", PIECES)
def test_pieces_of_no_size(how, size):
    with pytest.raises(TypeError):
        PIECES[how](size)


def test_pieces_of_sizes_in_tensors():
    two = torch.tensor(2)
    assert [len(x) for x in FIVE.split(two)] == [len(x) for x in FIVE.split(two.float())] == [2, 2, 1]
    assert [len(x) for x in FIVE.chunk(two)] == [3, 2]
    assert [len(x) for x in FIVE.tensor_split(torch.tensor([1, 3]))] == [1, 2, 2]
