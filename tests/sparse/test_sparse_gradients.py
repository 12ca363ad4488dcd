"""Gradients of and through sparse tensors: by differences, and those of tables with few rows."""

import pytest
from library import check, pullback_only, torch

pytestmark = [
    pytest.mark.filterwarnings("ignore:Sparse .* tensor support is in beta"),
    pytest.mark.filterwarnings("ignore:Sparse invariant checks are implicitly disabled"),
]

LAYOUTS = [torch.sparse_coo, torch.sparse_csr, torch.sparse_csc]


def some(*shape):
    """A matrix with about half of its elements zero, in double precision."""
    x = torch.rand(*shape, dtype=torch.float64) + 0.1
    return x * (torch.rand(*shape) > 0.5)


MATRIX = torch.rand(4, 3, dtype=torch.float64)
WIDE = torch.rand(3, 4, dtype=torch.float64)
SQUARE = torch.rand(3, 3, dtype=torch.float64)

IN_ALL_LAYOUTS = {
    "to_dense": lambda x: x.to_dense(),
    "sparse.mm": lambda x: torch.sparse.mm(x, MATRIX),
    "mm": lambda x: x @ MATRIX,
    "mm from the left": lambda x: SQUARE @ x,
    "mv": lambda x: x.mv(MATRIX[:, 0]),
    "sparse.addmm": lambda x: torch.sparse.addmm(SQUARE, x, MATRIX, beta=0.5, alpha=2),
    "addmm": lambda x: torch.addmm(SQUARE, x, MATRIX, beta=0.5, alpha=2),
    "mul": lambda x: x * x,
    "mul dense": lambda x: x * WIDE,
    "mul number": lambda x: x * 2,
    "add": lambda x: x + x * 2,
    "add to dense": lambda x: WIDE + x,
    "neg": lambda x: -x,
    "sin": lambda x: x.sin(),
    "tanh": lambda x: x.tanh(),
    "abs": lambda x: x.abs(),
    "relu": lambda x: x.relu(),
    "expm1": lambda x: x.expm1(),
    "t": lambda x: x.t(),
    "sum": lambda x: x.sum(),
    "clone": lambda x: x.clone(),
    "select": lambda x: x[0],
    "to_sparse_csr": lambda x: x.to_sparse_csr(),
    "to_sparse_csc": lambda x: x.to_sparse_csc(),
    "to_sparse_coo": lambda x: x.to_sparse_coo(),
}

IN_COO = {
    "sum(0)": lambda x: x.sum(0),
    "sum(1, keepdim)": lambda x: x.sum(1, keepdim=True),
    "sparse.sum": lambda x: torch.sparse.sum(x),
    "sparse.sum(0)": lambda x: torch.sparse.sum(x, 0),
    "sparse.softmax(0)": lambda x: torch.sparse.softmax(x, 0),
    "sparse.softmax(1)": lambda x: torch.sparse.softmax(x, 1),
    "sparse.log_softmax": lambda x: torch.sparse.log_softmax(x, 1),
    "norm": lambda x: x.norm(),
    "pow": lambda x: x**3,
    "div": lambda x: x / 2,
    "cat": lambda x: torch.cat([x, x * 2], 1),
    "stack": lambda x: torch.stack([x, x]),
    "permute": lambda x: x.permute(1, 0),
    "unsqueeze": lambda x: x.unsqueeze(1),
    "index_select": lambda x: x.index_select(1, torch.tensor([0, 0, 2])),
    "narrow_copy": lambda x: x.narrow_copy(0, 1, 2),
    "coalesce": lambda x: x.coalesce().values(),
    "of two sparse": lambda x: torch.sparse.mm(x, x.t()),
    "to_sparse_bsr": lambda x: x.to_sparse_bsr((1, 2)),
}

CASES = [(name, f, layout) for name, f in IN_ALL_LAYOUTS.items() for layout in LAYOUTS]
CASES += [(name, f, torch.sparse_coo) for name, f in IN_COO.items()]


@pullback_only("every op that takes sparse tensors has a derivative")
@pytest.mark.parametrize("masked", [True, False], ids=["masked", "whole"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]} {case[2]}")
def test_differences(case, masked):
    name, function, layout = case
    if name in ("abs", "relu") and not masked:
        pytest.skip("it has a kink at zero")
    x = some(3, 4).to_sparse(layout=layout).requires_grad_()
    assert torch.autograd.gradcheck(function, (x,), masked=masked)
    assert torch.autograd.gradgradcheck(function, (x,), masked=masked)


@pytest.mark.parametrize("layout", LAYOUTS[:2], ids=repr)
@pytest.mark.parametrize("masked", [True, False], ids=["masked", "whole"])
def test_as_sparse_gradcheck(layout, masked):
    check_sparse = torch.sparse.as_sparse_gradcheck(torch.autograd.gradcheck)
    x = some(3, 4).to_sparse(layout=layout).requires_grad_()
    assert check_sparse(lambda x: x.to_dense(masked_grad=masked), (x,), masked=masked)
    assert check_sparse(lambda x: x * 2, (x,), masked=masked)


# --------------------------------------------------------------------------------- layouts of gradients


def test_gradients_have_the_pattern():
    x = torch.eye(3).to_sparse().requires_grad_()
    torch.sparse.mm(x, torch.ones(3, 2)).sum().backward()
    assert x.grad.layout is torch.sparse_coo
    check(x.grad.coalesce().values(), [2.0, 2.0, 2.0])
    torch.sparse.mm(x, torch.ones(3, 2)).sum().backward()
    check(x.grad.coalesce().values(), [4.0, 4.0, 4.0])
    y = torch.eye(3).to_sparse_csr().requires_grad_()
    torch.sparse.mm(y, torch.ones(3, 2)).sum().backward()
    assert y.grad.layout is torch.sparse_csr


def test_gradients_of_whole_products_are_dense():
    x = torch.eye(3).to_sparse().requires_grad_()
    (x @ torch.ones(3, 2)).sum().backward()
    check(x.grad, torch.full((3, 3), 2.0).tolist())


def test_gradients_of_values_and_of_what_was_dense():
    v = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
    x = torch.sparse_coo_tensor([[0, 0, 1], [1, 1, 2]], v, (2, 3))
    (x.to_dense() * torch.arange(6.0).reshape(2, 3)).sum().backward()
    check(v.grad, [1.0, 1.0, 5.0])
    w = torch.eye(2, requires_grad=True)
    torch.sparse.mm(w.to_sparse(), torch.ones(2, 2)).sum().backward()
    check(w.grad, [[2.0, 0.0], [0.0, 2.0]])
    m = torch.ones(2, 2, requires_grad=True)
    m.sparse_mask(torch.eye(2).to_sparse()).to_dense().sum().backward()
    check(m.grad, [[1.0, 0.0], [0.0, 1.0]])


def test_hooks_and_retained_gradients():
    x = torch.eye(2).to_sparse().requires_grad_()
    seen = []
    x.register_hook(lambda g: seen.append(g.layout))
    y = x * 2
    y.retain_grad()
    y.to_dense().sum().backward()
    assert seen == [torch.sparse_coo]
    check(y.grad.to_dense(), [[1.0, 0.0], [0.0, 1.0]])
    check(x.grad.to_dense(), [[2.0, 0.0], [0.0, 2.0]])


def test_a_sparse_and_a_dense_gradient_add_up():
    w = torch.ones(3, 2, requires_grad=True)
    rows = torch.nn.functional.embedding(torch.tensor([0, 2, 0]), w, sparse=True)
    (rows.sum() + (w * w).sum()).backward()
    check(w.grad, [[4.0, 4.0], [2.0, 2.0], [3.0, 3.0]])


@pullback_only("PyTorch's rule for the product of two sparse matrices needs a sparse gradient")
def test_a_product_that_was_changed_meanwhile():
    a, b = torch.eye(2).to_sparse().requires_grad_(), torch.ones(2, 2)
    y = torch.sparse.mm(a, b)
    b.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


EYE = torch.eye(3).to_sparse() * 2
PER_SAMPLE = {
    "sparse.mm": lambda d: torch.sparse.mm(EYE, d),
    "mm": lambda d: EYE @ d,
    "mm from the left": lambda d: d.t() @ EYE,
    "mv": lambda d: EYE @ d[:, 0],
    "add": lambda d: d @ torch.ones(2, 3) + EYE,
    "sparse.addmm": lambda d: torch.sparse.addmm(d, EYE, d),
}


@pullback_only("vmap over gradients of sparse products")
@pytest.mark.parametrize("name", PER_SAMPLE)
def test_gradients_of_samples(name):
    def loss(d):
        return (PER_SAMPLE[name](d) ** 2).sum()

    many = torch.rand(4, 3, 2)
    one_by_one = [torch.func.grad(loss)(d).tolist() for d in many]
    check(torch.func.vmap(torch.func.grad(loss))(many), one_by_one, rtol=1e-5)
    check(torch.func.jacfwd(PER_SAMPLE[name])(many[0]), torch.func.jacrev(PER_SAMPLE[name])(many[0]).tolist())


@pullback_only("vmap over gradients of sparse products")
def test_no_gradients_of_sparse_samples():
    def loss(d):
        return torch.sparse.sum(EYE * (d @ torch.ones(2, 3)))

    with pytest.raises(RuntimeError, match="sparse tensors that depend on samples have no gradients"):
        torch.func.vmap(torch.func.grad(loss))(torch.rand(4, 3, 2))


# --------------------------------------------------------------------------------- few rows


def table(**options):
    made = torch.nn.Embedding(5, 2, sparse=True, **options)
    with torch.no_grad():
        made.weight.copy_(torch.arange(10.0).reshape(5, 2))
    return made


def test_embedding():
    e = table()
    e(torch.tensor([1, 3, 1])).sum().backward()
    g = e.weight.grad
    assert g.layout is torch.sparse_coo and g.sparse_dim() == 1 and not g.is_coalesced()
    check(g._indices(), [[1, 3, 1]])
    check(g.to_dense(), [[0.0, 0], [2, 2], [0, 0], [1, 1], [0, 0]])
    e(torch.tensor([4])).sum().backward()
    check(e.weight.grad.to_dense(), [[0.0, 0], [2, 2], [0, 0], [1, 1], [1, 1]])


def test_embedding_with_padding():
    e = table(padding_idx=1)
    e(torch.tensor([1, 3, 1])).sum().backward()
    check(e.weight.grad._indices(), [[3]])


def test_embedding_scaled_by_frequency():
    e = table(scale_grad_by_freq=True)
    with pytest.raises(RuntimeError, match="scale_grad_by_freq not supported with sparse gradients"):
        e(torch.tensor([1, 3, 1])).sum().backward()


@pytest.mark.parametrize("mode", ["sum", "mean"])
def test_embedding_bag(mode):
    bag = torch.nn.EmbeddingBag(5, 2, sparse=True, mode=mode)
    dense = torch.nn.EmbeddingBag(5, 2, mode=mode)
    for module in (bag, dense):
        module(torch.tensor([1, 3, 1, 4]), torch.tensor([0, 3])).sum().backward()
    assert bag.weight.grad.layout is torch.sparse_coo
    check(bag.weight.grad.to_dense(), dense.weight.grad.tolist())


def test_gather():
    x = torch.rand(2, 3, requires_grad=True)
    x.gather(1, torch.tensor([[0, 1], [2, 2]]), sparse_grad=True).sum().backward()
    assert x.grad.layout is torch.sparse_coo
    check(x.grad.to_dense(), [[1.0, 1, 0], [0, 0, 2]])


OPTIMIZERS = {
    "SGD": lambda p: torch.optim.SGD(p, 0.1),
    "SGD, momentum": lambda p: torch.optim.SGD(p, 0.1, momentum=0.9),
    "SGD, nesterov": lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, nesterov=True),
    "Adagrad": lambda p: torch.optim.Adagrad(p, 0.1),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_steps_are_those_of_dense_gradients(name):
    """Of all rows: those without a gradient stay, where a gradient of zero changes nothing."""
    weights = []
    for sparse in (True, False):
        e = torch.nn.Embedding(5, 2, sparse=sparse)
        with torch.no_grad():
            e.weight.copy_(torch.arange(10.0).reshape(5, 2))
        optimizer = OPTIMIZERS[name](e.parameters())
        for rows in ([1, 3, 1], [3, 0, 0]):
            optimizer.zero_grad()
            (e(torch.tensor(rows)) ** 2).sum().backward()
            optimizer.step()
        weights.append(e.weight.detach())
    check(weights[0], weights[1].tolist(), rtol=1e-5)


def test_sparse_adam():
    e, d = table(), torch.nn.Embedding(5, 2)
    d.weight.data.copy_(e.weight.data)
    one, other = torch.optim.SparseAdam(e.parameters(), 0.1), torch.optim.Adam(d.parameters(), 0.1)
    for module, optimizer in ((e, one), (d, other)):
        module(torch.tensor([1, 3, 1])).sum().backward()
        optimizer.step()
    check(e.weight, d.weight.tolist(), rtol=1e-5)
    with pytest.raises(RuntimeError, match="SparseAdam does not support dense gradients"):
        torch.optim.SparseAdam(d.parameters()).step()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Adam", "Adam does not support sparse gradients, please consider SparseAdam instead"),
        ("AdamW", "Adam does not support sparse gradients, please consider SparseAdam instead"),
        ("RMSprop", "RMSprop does not support sparse gradients"),
        ("Adadelta", "Adadelta does not support sparse gradients"),
    ],
)
def test_other_optimizers_refuse(name, words):
    e = table()
    e(torch.tensor([1])).sum().backward()
    with pytest.raises(RuntimeError, match=words):
        getattr(torch.optim, name)(e.parameters()).step()
