"""Nested tensors, beside what their tensors give one by one. Runs on PyTorch, too."""

import copy
import pickle

import pytest
from library import ON_TORCH, check, pullback_only, torch

pytestmark = [
    pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors is in prototype"),
    pytest.mark.filterwarnings("ignore:.*torch.jit.script"),
]
F = torch.nn.functional


def parts():
    return torch.arange(6.0).reshape(2, 3), torch.arange(12.0).reshape(4, 3) + 10


def jagged(**options):
    return torch.nested.nested_tensor(list(parts()), layout=torch.jagged, **options)


def same(made, expected):
    made = made.unbind()
    assert len(made) == len(expected)
    for one, other in zip(made, expected, strict=True):
        check(one, other.tolist(), rtol=1e-5)


def refused(action, words):
    with pytest.raises(Exception, match=words):
        action()


def test_what_it_is_made_of():
    x = jagged()
    assert x.is_nested and x.layout is torch.jagged and x.dim() == 3 and len(x) == 2 and x.numel() == 18
    check(x.values(), torch.cat(parts()).tolist())
    check(x.offsets(), [0, 2, 6])
    assert x.size(0) == 2 and x.size(2) == 3 and x.shape[1] == (x * 2).shape[1] and x.lengths() is None
    same(x, parts())
    check(x[1], parts()[1].tolist())
    check(x[-1, 0], [10.0, 11, 12])
    text = repr(x)
    assert text.startswith("NestedTensor(size=(2, j")
    assert text.endswith("3), offsets=tensor([0, 2, 6]), contiguous=True)")


def test_padding():
    padded = torch.nested.to_padded_tensor(jagged(), -1.0)
    assert padded.shape == (2, 4, 3)
    check(padded[0], [[0.0, 1, 2], [3, 4, 5], [-1, -1, -1], [-1, -1, -1]])
    check(padded[1], parts()[1].tolist())
    check(jagged().to_padded_tensor(-1.0), padded.tolist())


def test_from_values_and_offsets():
    values, offsets = torch.arange(6.0).reshape(6, 1), torch.tensor([0, 2, 6])
    x = torch.nested.nested_tensor_from_jagged(values, offsets)
    y = torch.nested.nested_tensor_from_jagged(values * 2, offsets)
    same(x + y, [values[:2] * 3, values[2:] * 3])
    z = torch.nested.nested_tensor_from_jagged(values, lengths=torch.tensor([2, 4]))
    same(z, [values[:2], values[2:]])
    refused(lambda: x + z, "cannot call binary pointwise function add.Tensor with inputs of shapes")


def test_the_ragged_dim_may_be_another():
    x = torch.nested.nested_tensor([torch.ones(2, 3), torch.ones(2, 4)], layout=torch.jagged)
    assert x.size(1) == 2 and x._ragged_idx == 2
    same(x * 2, [torch.full((2, 3), 2.0), torch.full((2, 4), 2.0)])
    refused(
        lambda: torch.nested.nested_tensor([torch.ones(2, 3), torch.ones(2)], layout=torch.jagged),
        "all tensors in list must have the same dim",
    )


def test_of_a_dense_tensor_and_parts_of_one():
    x = torch.arange(24.0).reshape(2, 4, 3)
    same(torch.nested.as_nested_tensor(x, layout=torch.jagged), x.unbind())
    y = torch.nested.narrow(x, 1, torch.tensor([0, 1]), torch.tensor([2, 3]), layout=torch.jagged)
    assert not y.is_contiguous()
    same(y, [x[0, :2], x[1, 1:]])
    same(y.contiguous(), [x[0, :2], x[1, 1:]])
    z = torch.nested.masked_select(
        torch.arange(6.0).reshape(2, 3), torch.tensor([[True, False, True], [True, True, True]])
    )
    same(z, [torch.tensor([0.0, 2.0]), torch.tensor([3.0, 4.0, 5.0])])


EACH = {
    "mul": lambda x: x * 2,
    "sin": torch.sin,
    "relu": lambda x: F.relu(x - 3),
    "gelu": F.gelu,
    "compare": lambda x: (x > 3).float(),
    "where": lambda x: torch.where(x > 3, x, 0.0),
    "row": lambda x: x + torch.tensor([1.0, 2.0, 3.0]),
    "to": lambda x: x.to(torch.float64),
    "half": lambda x: x.half().float(),
    "clone": lambda x: x.clone(),
    "zeros_like": torch.zeros_like,
    "masked_fill": lambda x: x.masked_fill(x > 3, 0.0),
    "dropout": lambda x: F.dropout(x, 0.0),
    "in place": lambda x: x.clone().mul_(2).add_(1),
}

ROWS = {
    "linear": lambda x: F.linear(x, torch.ones(5, 3), torch.arange(5.0)),
    "matmul": lambda x: x @ torch.ones(3, 5),
    "layer_norm": lambda x: F.layer_norm(x, (3,)),
    "softmax": lambda x: torch.softmax(x, -1),
    "sum": lambda x: x.sum(-1),
    "mean": lambda x: x.mean(-1, keepdim=True),
    "unsqueeze": lambda x: x.unsqueeze(-1),
    "unflatten": lambda x: x.unflatten(-1, [3, 1]),
    "chunk": lambda x: x.chunk(3, -1)[1],
    "cat": lambda x: torch.cat([x, x], -1),
    "transpose": lambda x: x.transpose(-1, -2),
}


@pytest.mark.parametrize("name", [*EACH, *ROWS])
def test_ops_on_each_tensor(name):
    function = (EACH | ROWS)[name]
    same(function(jagged()), [function(x) for x in parts()])


REDUCED = ["sum", "mean", "amax", "amin", "prod"]


@pytest.mark.parametrize("name", REDUCED)
def test_reductions(name):
    x = jagged() / 10
    function = getattr(torch, name)
    check(function(x, dim=1), torch.stack([function(t / 10, 0) for t in parts()]).tolist(), rtol=1e-5)
    if not name.startswith("a"):
        check(function(x), function(torch.cat(parts()) / 10).tolist(), rtol=1e-5)


def test_softmax_along_the_ragged_dim():
    same(torch.softmax(jagged(), 1), [torch.softmax(t, 0) for t in parts()])


def test_dense_tensors_broadcast():
    wide = torch.tensor([[[1.0, 2, 3]], [[4, 5, 6]]])
    same(jagged() * wide, [t * w for t, w in zip(parts(), wide, strict=True)])
    full = torch.arange(24.0).reshape(2, 4, 3)
    same(jagged() * full, [t * w[: len(t)] for t, w in zip(parts(), full, strict=True)])


def test_attention():
    x = jagged().unsqueeze(1) / 10
    y = F.scaled_dot_product_attention(x, x, x)
    expected = [F.scaled_dot_product_attention(*[t.unsqueeze(0) / 10] * 3) for t in parts()]
    same(y, expected)


def test_modules():
    x = torch.nested.nested_tensor([torch.tensor([1, 2]), torch.tensor([3])], layout=torch.jagged)
    e = torch.nn.Embedding(5, 2)
    same(e(x), [e(torch.tensor([1, 2])), e(torch.tensor([3]))])
    layer = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2))
    same(layer(jagged()), [layer(t) for t in parts()])


def test_gradients():
    x = jagged(requires_grad=True)
    w = torch.ones(5, 3, requires_grad=True)
    y = F.linear(x * x, w)
    y.values().sum().backward()
    assert x.grad.is_nested
    same(x.grad, [10 * t for t in parts()])
    check(w.grad, [(torch.cat(parts()) ** 2).sum(0).tolist()] * 5)
    a = torch.ones(2, 3, requires_grad=True)
    z = torch.nested.as_nested_tensor([a, torch.ones(4, 3)], layout=torch.jagged)
    (z.to_padded_tensor(0.0) * 3).sum().backward()
    check(a.grad, [[3.0] * 3] * 2)
    v = torch.arange(3.0, requires_grad=True)
    (torch.nested.nested_tensor_from_jagged(v, torch.tensor([0, 2, 3])) ** 2).values().sum().backward()
    check(v.grad, [0.0, 2.0, 4.0])


@pullback_only("its rules are those of the values, to any order")
def test_differences():
    x = torch.rand(6, 2, dtype=torch.float64, requires_grad=True)
    offsets = torch.tensor([0, 2, 6])

    def function(x):
        n = torch.nested.nested_tensor_from_jagged(x, offsets)
        return torch.softmax(n * n, 1).sum(1), n.mean(1), n.to_padded_tensor(1.0), n.amax(1)

    assert torch.autograd.gradcheck(function, (x,))
    assert torch.autograd.gradgradcheck(function, (x,))


REFUSED = {
    "sum(0)": (lambda x: x.sum(0), "reducing along the batch dimension but not the ragged dimension"),
    "sum((1, 2))": (lambda x: x.sum(dim=(1, 2)), "reducing along a ragged and non-batch dimension"),
    "unsqueeze": (lambda x: x.unsqueeze(0), r"unsqueeze\(\): not supported for NestedTensor on dim=0"),
    "flatten": (lambda x: x.flatten(1), r"flatten\(\): not supported for NestedTensor on ragged dim"),
    "cat": (lambda x: torch.cat([x, x], 0), r"cat\(\): not supported for NestedTensor on dim=0"),
    "bmm": (lambda x: x.bmm(x), r"matmul\(\): not supported between inputs of shapes"),
    "tolist": (lambda x: x.tolist(), r".tolist\(\) is not supported for tensor subclasses, got NestedTensor"),
    "numpy": (lambda x: x.numpy(), r".numpy\(\) is not supported for tensor subclasses."),
    "empty": (
        lambda x: torch.nested.nested_tensor([], layout=torch.jagged),
        "Cannot construct a nested tensor from an empty tensor list",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusals(name):
    action, words = REFUSED[name]
    refused(lambda: action(jagged()), words)


def test_copies():
    x = jagged()
    made = [copy.deepcopy(x)] if ON_TORCH else [copy.deepcopy(x), pickle.loads(pickle.dumps(x))]
    for one in made:
        same(one, parts())


# ----------------------------------------------------------------------------- layout strided


def test_lists_of_tensors():
    x = torch.nested.nested_tensor(list(parts()))
    assert x.is_nested and x.layout is torch.strided and x.dim() == 3 and x.numel() == 18
    assert x.size(0) == 2 and x.size(2) == 3
    refused(lambda: x.size(1), "Given dimension 1 is irregular and does not have a size.")
    refused(lambda: x.shape, "NestedTensorImpl doesn't support sizes")
    same(x, parts())
    same(x * 2, [t * 2 for t in parts()])
    same(torch.relu(x - x), [t * 0 for t in parts()])
    same(F.linear(x, torch.ones(5, 3)), [F.linear(t, torch.ones(5, 3)) for t in parts()])
    check(x.to_padded_tensor(-1.0), jagged().to_padded_tensor(-1.0).tolist())
    assert x.to_padded_tensor(0.0, (2, 5, 5)).shape == (2, 5, 5)
    check(x._nested_tensor_size(), [[2, 3], [4, 3]])
