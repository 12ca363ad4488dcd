"""What may be written to: dtypes of `out=`, memory that inputs and outputs share, expanded tensors."""

import pytest
from library import torch

SHARED = "unsupported operation: some elements of the input tensor and the written-to tensor"


def out(dtype, count=1):
    return (
        torch.empty(0, dtype=dtype)
        if count == 1
        else tuple(torch.empty(0, dtype=dtype) for _ in range(count))
    )


F, D, L, I, B = torch.float32, torch.float64, torch.int64, torch.int32, torch.bool
X = torch.rand(2, 3)
REFUSED = {
    "sort": lambda: torch.sort(X, out=(out(F), out(I))),
    "sort values": lambda: torch.sort(X, out=(out(D), out(L))),
    "topk": lambda: torch.topk(X, 2, out=(out(F), out(F))),
    "median": lambda: torch.median(X, 0, out=(out(F), out(I))),
    "mode": lambda: torch.mode(X, 0, out=(out(F), out(I))),
    "kthvalue": lambda: torch.kthvalue(X, 1, out=(out(F), out(I))),
    "argmax": lambda: torch.argmax(X, 0, out=out(F)),
    "gather": lambda: torch.gather(X, 0, torch.zeros(1, 3, dtype=L), out=out(D)),
    "all": lambda: torch.all(X > 0, 0, out=out(F)),
    "any": lambda: torch.any(X > 0, 0, out=out(L)),
    "isposinf": lambda: torch.isposinf(X, out=out(F)),
    "nonzero": lambda: torch.nonzero(X, out=out(F)),
    "frexp": lambda: torch.frexp(X, out=(out(F), out(L))),
    "logcumsumexp": lambda: torch.logcumsumexp(X, 0, out=out(D)),
    "quantile": lambda: torch.quantile(X, 0.5, out=out(D)),
    "histogram": lambda: torch.histogram(X, 2, out=(out(D), out(F))),
    "mm": lambda: torch.mm(X, X.T, out=out(D)),
    "abs": lambda: torch.abs(X, out=out(D)),
    "softmax": lambda: torch.softmax(X, 0, out=out(D)),
    "inv": lambda: torch.linalg.inv(torch.eye(2), out=out(D)),
    "where": lambda: torch.where(X > 0, X, X, out=out(D)),
}
CAST = {
    "add": lambda: torch.add(X, X, out=out(D)),
    "exp": lambda: torch.exp(X, out=out(D)),
    "sum": lambda: torch.sum(X, 0, out=out(D)),
    "cumsum": lambda: torch.cumsum(X, 0, out=out(D)),
    "cat": lambda: torch.cat([X, X], out=out(D)),
    "eq": lambda: torch.eq(X, X, out=out(F)),
    "fft": lambda: torch.fft.fft(X, out=out(torch.complex128)),
    "var": lambda: torch.var(X, 0, out=out(D)),
}


@pytest.mark.parametrize("name", REFUSED)
def test_an_output_of_another_dtype_is_refused(name):
    with pytest.raises(RuntimeError):
        REFUSED[name]()


@pytest.mark.parametrize("name", CAST)
def test_some_outputs_are_cast(name):
    assert CAST[name]().dtype in (D, F, torch.complex128)


OVERLAPPING = {
    "scatter index": lambda a: a.scatter_(0, a, a.clone()),
    "scatter source": lambda a: a.scatter_(0, a.clone(), a),
    "scatter_add": lambda a: a.scatter_add_(0, a, a.clone()),
    "index_add": lambda a: a.index_add_(0, a, a.clone()),
    "index_add source": lambda a: a.index_add_(0, a.clone(), a),
    "index_copy": lambda a: a.index_copy_(0, a.clone(), a),
    "index_fill": lambda a: a.index_fill_(0, a, 1),
    "put index": lambda a: a.put_(a, a.clone()),
    "put source": lambda a: a.put_(a.clone(), a),
    "index_put": lambda a: a.index_put_((a,), a.clone()),
    "index_put source": lambda a: a.index_put_((a.clone(),), a),
    "in brackets": lambda a: a.__setitem__(a, 1),
    "index_select": lambda a: torch.index_select(a, 0, a.clone(), out=a),
    "gather": lambda a: torch.gather(a, 0, a.clone(), out=a),
    "take": lambda a: torch.take(a, a.clone(), out=a),
}


@pytest.mark.parametrize("name", OVERLAPPING)
def test_indices_and_sources_are_not_written_over(name):
    with pytest.raises(RuntimeError, match=SHARED):
        OVERLAPPING[name](torch.tensor([2, 1, 0]))


def test_results_that_are_made_first_may_go_over_inputs():
    a, places = torch.tensor([3.0, 1.0, 2.0]), torch.empty(0, dtype=L)
    torch.sort(a, out=(a, places))
    assert a.tolist() == [1.0, 2.0, 3.0] and places.tolist() == [1, 2, 0]
    m = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    torch.tril(m, out=m)
    assert m.tolist() == [[1.0, 0.0], [3.0, 4.0]]
    a = torch.arange(4.0)
    a.copy_(a)
    assert a.tolist() == [0, 1, 2, 3]


@pytest.mark.filterwarnings("ignore:Use of")
def test_writes_to_expanded_tensors():
    def expanded():
        return torch.zeros(1).expand(3)

    x = expanded()
    x.masked_fill_(torch.tensor([True, False, False]), 1.0)
    assert x.tolist() == [1.0] * 3
    x = expanded()
    x[torch.tensor([0])] = 2.0
    assert x.tolist() == [2.0] * 3
    x = expanded()
    x.index_fill_(0, torch.tensor([1]), 3.0)
    assert x.tolist() == [3.0] * 3
    x = expanded()
    torch.nn.functional.threshold_(x, 0.5, 4.0)
    assert x.tolist() == [4.0] * 3
    assert x.copy_(x) is x
    for refused in (
        lambda: x.add_(1),
        lambda: x.relu_(),
        lambda: x.copy_(torch.ones(3)),
        lambda: x.uniform_(),
    ):
        with pytest.raises(RuntimeError, match="more than one element of the written-to tensor"):
            refused()
    with pytest.warns(UserWarning, match="Use of masked_fill_ on expanded tensors is deprecated"):
        x.masked_fill_(torch.tensor([True, False, False]), 1.0)


def test_what_a_mask_picks_takes_leading_dims_of_one():
    a = torch.zeros(3)
    a[torch.tensor([True, False, True])] = torch.ones(1, 2)
    assert a.tolist() == [1.0, 0.0, 1.0]
    a = torch.tensor(0.0)
    a[torch.tensor(True)] = torch.ones(1)
    assert a.item() == 1.0
    with pytest.raises(RuntimeError, match="shape mismatch"):
        torch.zeros(3)[torch.tensor([True, False, True])] = torch.ones(2, 2)


def test_outputs_of_inference_mode():
    with torch.inference_mode():
        c = torch.ones(2)
    with pytest.raises(RuntimeError, match="Inplace update to inference tensor"):
        torch.mul(torch.ones(2), 2, out=c)


def test_views_of_inference_tensors_have_no_history():
    with torch.inference_mode():
        c = torch.ones(2, 3, requires_grad=True)
        assert not c.view(-1).requires_grad and not c[0].requires_grad
    for view in (c.view(-1), c[0], c.t(), c.chunk(2)[0]):
        assert not view.requires_grad and view.is_leaf and view.is_inference()
    assert (c + 1).requires_grad


def test_a_view_that_has_lost_its_history_is_printed():
    a = torch.ones(2, requires_grad=True)
    with torch.no_grad():
        b = a.view(2)
        b.mul_(2)
    assert repr(b) == "tensor([2., 2.], grad_fn=<Invalid>)"


def shares_memory(x, y):
    return x.untyped_storage().data_ptr() == y.untyped_storage().data_ptr()


@pytest.mark.filterwarnings("ignore:An output with one or more elements was resized")
def test_an_output_that_is_resized_stays_in_its_memory():
    whole = torch.zeros(6)
    out = whole[1:]
    torch.add(torch.ones(2, 2), 1, out=out)
    assert out.shape == (2, 2) and shares_memory(out, whole)
    assert whole.tolist() == [0, 2, 2, 2, 2, 0]


@pytest.mark.parametrize("name", ["add", "maximum", "mul"])
def test_an_operand_that_is_the_output_is_not_resized(name):
    x = torch.ones(1)
    with pytest.raises(
        RuntimeError, match=r"output with shape \[1\] doesn't match the broadcast shape \[3\]"
    ):
        getattr(torch, name)(x, torch.ones(3), out=x)
    assert x.tolist() == [1]


@pytest.mark.parametrize(
    "seen",
    [
        lambda x: x.T,
        lambda x: x.view(3, 2),
        lambda x: x.view(6)[1:].as_strided((2, 3), (1, 2)),
        lambda x: x[None],
    ],
)
def test_an_operand_that_shows_the_output_otherwise_is_refused(seen):
    x = torch.arange(12.0)[:6].view(2, 3)
    with pytest.raises(RuntimeError, match="refer to a single memory location"):
        torch.neg(seen(x), out=x)


@pytest.mark.parametrize("name", ["sum", "prod", "cumsum", "cumprod"])
def test_numbers_are_added_in_the_dtype_of_the_output(name):
    x, out = torch.tensor([0.6, 1.7, 2.6]), torch.zeros(0, dtype=torch.int64)
    getattr(torch, name)(x, 0, out=out)
    assert torch.equal(out, getattr(x.long(), name)(0))
    with pytest.raises(RuntimeError, match="Found dtype Long but expected Bool"):
        torch.abs(x > 0, out=out)


def test_a_number_of_zero_dims_may_come_from_what_it_fills():
    x = torch.tensor([2.0, 3.0])
    x[None] = x[1]
    assert x.tolist() == [3, 3]


@pytest.mark.parametrize("given", [(), [], (torch.rand(2, 3),), [torch.rand(2, 3)]], ids=str)
@pytest.mark.parametrize("name", ["abs", "neg", "floor", "trunc", "sgn", "exp", "cumsum", "sum"])
def test_an_output_is_a_tensor_not_a_list(name, given):
    arguments = (X, 0) if name in ("cumsum", "sum") else (X,)
    with pytest.raises(TypeError):
        getattr(torch, name)(*arguments, out=given)


@pytest.mark.parametrize("count", [0, 1, 3])
@pytest.mark.parametrize("name", ["sort", "frexp", "max"])
def test_several_outputs_are_as_many_as_there_are_results(name, count):
    arguments = (X, 0) if name in ("sort", "max") else (X,)
    with pytest.raises(TypeError):
        getattr(torch, name)(*arguments, out=tuple(torch.empty(0) for _ in range(count)))


@pytest.mark.parametrize("shape", [(2, 3), (2, 0), (0,)])
def test_a_tensor_is_not_written_to_its_own_places(shape):
    x = torch.zeros(*shape, 2)[..., 0]
    for key in ([0, 0], torch.tensor([0, 1]), (slice(None), None, [0, 0])):
        with pytest.raises((RuntimeError, IndexError)):
            x[key] = x


def test_expanded_tensors_take_no_number_by_a_key_that_is_all_of_them():
    for x in (torch.zeros(()).expand(2), torch.zeros(3).expand(2, 3)):
        for key in (Ellipsis, slice(None), ()):
            with pytest.raises(RuntimeError, match="more than one element"):
                x[key] = 1
        x[0] = 1
        x.fill_(2)
        assert (x == 2).all()


def test_a_number_out_of_range_is_refused_before_the_key():
    with pytest.raises(RuntimeError, match="without overflow"):
        torch.zeros(2, 0, dtype=torch.uint8)[-1, 1] = -0.3
    with pytest.raises(RuntimeError, match="without overflow"):
        torch.zeros(2, 0, dtype=torch.uint8)[torch.tensor([True, True])] = torch.tensor(1 - 1j)


def test_an_empty_value_must_fit():
    x = torch.zeros(2, 0)
    with pytest.raises(RuntimeError):
        x[torch.tensor([True, True])] = torch.zeros(2, 2, 0)


@pytest.mark.parametrize("place", [slice(1, 1), slice(3, None)])
def test_an_output_without_elements_takes_none(place):
    """A window of no elements may begin behind the end of its memory."""
    for shape in ((3, 0), (2, 0)):
        out = torch.zeros(3, 0)[place]
        assert torch.mul(torch.zeros(shape), 2, out=out).shape == shape
    out = torch.zeros(3, 4)[place]
    assert torch.add(torch.ones(2, 3), 1, out=out).equal(torch.full((2, 3), 2.0))
