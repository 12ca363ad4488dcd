"""Sparse tensors: what they are made of, how they are shown, kept and refused. Runs on PyTorch, too."""

import copy
import io
import pickle

import pytest
from library import check, pullback_only, torch

pytestmark = [
    pytest.mark.filterwarnings("ignore:Sparse .* tensor support is in beta"),
    pytest.mark.filterwarnings("ignore:TypedStorage is deprecated"),
    pytest.mark.filterwarnings("ignore:torch.sparse.SparseTensor"),
    pytest.mark.filterwarnings("ignore:Sparse invariant checks are implicitly disabled"),
]

LAYOUTS = [torch.sparse_coo, torch.sparse_csr, torch.sparse_csc]
DENSE = [[0.0, 1.0, 0.0], [2.0, 0.0, 3.0]]


def dense():
    return torch.tensor(DENSE)


def uncoalesced():
    return torch.sparse_coo_tensor([[0, 0, 1], [1, 1, 2]], [1.0, 2.0, 3.0], (2, 3))


def refused(action, words):
    with pytest.raises(Exception) as caught:
        action()
    assert words in str(caught.value)
    return type(caught.value)


# --------------------------------------------------------------------------------- parts


def test_coo_has_indices_and_values():
    x = dense().to_sparse()
    assert x.layout is torch.sparse_coo and x.is_sparse and not x.is_sparse_csr
    assert (x.sparse_dim(), x.dense_dim(), x._nnz(), x.is_coalesced()) == (2, 0, 3, True)
    check(x.indices(), [[0, 1, 1], [1, 0, 2]])
    check(x.values(), [1.0, 2.0, 3.0])
    check(x.to_dense(), DENSE)
    assert x.shape == (2, 3) and x.numel() == 6 and len(x) == 2 and x.dtype is torch.float32


def test_compressed_layouts_have_theirs():
    x = dense().to_sparse_csr()
    assert x.layout is torch.sparse_csr and x.is_sparse_csr and not x.is_sparse
    check(x.crow_indices(), [0, 1, 3])
    check(x.col_indices(), [1, 0, 2])
    check(x.values(), [1.0, 2.0, 3.0])
    y = dense().to_sparse_csc()
    check(y.ccol_indices(), [0, 1, 2, 3])
    check(y.row_indices(), [1, 0, 1])
    check(y.values(), [2.0, 1.0, 3.0])


def test_equal_indices_add_up():
    x = uncoalesced()
    assert not x.is_coalesced() and x._nnz() == 3
    y = x.coalesce()
    assert y.is_coalesced() and y._nnz() == 2
    check(y.values(), [3.0, 3.0])
    check(x.to_dense(), [[0.0, 3.0, 0.0], [0.0, 0.0, 3.0]])


def test_hybrid_tensors_keep_dense_dims():
    x = dense().to_sparse(1)
    assert (x.sparse_dim(), x.dense_dim(), x._nnz()) == (1, 1, 2)
    check(x.values(), DENSE)
    check(x.to_dense(), DENSE)
    check(x.coalesce().indices(), [[0, 1]])


@pytest.mark.parametrize("layout", LAYOUTS, ids=repr)
@pytest.mark.parametrize("other", LAYOUTS, ids=repr)
def test_layouts_convert_into_each_other(layout, other):
    x = dense().to_sparse(layout=layout).to_sparse(layout=other)
    assert x.layout is other
    check(x.to_dense(), DENSE)


def test_blocks():
    x = torch.arange(8.0).reshape(2, 4).to_sparse_bsr((1, 2))
    assert x.layout is torch.sparse_bsr and x.values().shape == (4, 1, 2)
    check(x.to_dense(), [[0.0, 1, 2, 3], [4, 5, 6, 7]])
    y = torch.eye(4).to_sparse_bsc((2, 2))
    assert y.values().shape == (2, 2, 2)
    check(y.to_dense(), torch.eye(4).tolist())
    check(y.to_sparse().to_dense(), torch.eye(4).tolist())
    refused(lambda: dense().to_sparse_bsr((2, 2)), "must be divisible by given blocksize (2,2)")


def test_batches_of_compressed_matrices():
    x = torch.tensor([[[1.0, 0.0], [0.0, 2.0]], [[0.0, 3.0], [4.0, 0.0]]]).to_sparse_csr()
    check(x.crow_indices(), [[0, 1, 2], [0, 1, 2]])
    check(x.col_indices(), [[0, 1], [1, 0]])
    check(x.to_dense(), [[[1.0, 0.0], [0.0, 2.0]], [[0.0, 3.0], [4.0, 0.0]]])


# --------------------------------------------------------------------------------- construction


def test_sizes_follow_from_indices():
    assert torch.sparse_coo_tensor([[0, 1], [1, 2]], [1.0, 2.0]).shape == (2, 3)
    assert torch.sparse_csr_tensor([0, 1, 3], [1, 0, 2], [1.0, 2.0, 3.0]).shape == (2, 3)
    assert torch.sparse_csc_tensor([0, 1, 3], [1, 0, 2], [1.0, 2.0, 3.0]).shape == (3, 2)
    assert torch.sparse_coo_tensor((2, 3))._nnz() == 0
    x = torch.sparse_coo_tensor([[0, 1]], [1, 2], dtype=torch.float64, requires_grad=True)
    assert x.dtype is torch.float64 and x.requires_grad and x.is_leaf


COO = torch.sparse_coo_tensor
CSR = torch.sparse_csr_tensor
REFUSED = {
    "too many values": (
        lambda: COO([[0, 1], [1, 2]], [1.0, 2.0, 3.0]),
        "must have same nnz, but got nnz from",
    ),
    "flat indices": (lambda: COO([0, 1], [1.0, 2.0]), "indices must be sparse_dim x nnz, but got: [2]"),
    "size": (lambda: COO([[0, 1]], [1.0, 2.0], (2, 3)), "len(size) = 2, sparse_dim = 1, dense_dim = 0"),
    "values": (
        lambda: COO([[0, 1]], torch.ones(2, 5), (2, 4)),
        "values has incorrect size, expected [2, 4], got [2, 5]",
    ),
    "negative": (lambda: COO([[0, -1]], [1.0, 2.0]), "found negative index -1 for dim 0"),
    "outside": (
        lambda: COO([[0, 5]], [1.0, 2.0], (2,), check_invariants=True),
        "size is inconsistent with indices: for dim 0, size is 2 but found index 5",
    ),
    "csr, last": (
        lambda: CSR([0, 1, 2], [1, 0, 2], [1.0, 2, 3], (2, 3), check_invariants=True),
        "`crow_indices[..., -1] == nnz` is not satisfied.",
    ),
    "csr, first": (
        lambda: CSR([1, 1, 3], [1, 0, 2], [1.0, 2, 3], (2, 3), check_invariants=True),
        "`crow_indices[..., 0] == 0` is not satisfied.",
    ),
    "csr, order": (
        lambda: CSR([0, 1, 3], [1, 2, 0], [1.0, 2, 3], (2, 3), check_invariants=True),
        "are sorted and distinct along the last dimension values` is not satisfied.",
    ),
    "csr, columns": (
        lambda: CSR([0, 1, 3], [1, 0, 7], [1.0, 2, 3], (2, 3), check_invariants=True),
        "`0 <= col_indices < ncols` is not satisfied.",
    ),
    "csr, rows": (
        lambda: CSR([0, 1, 3], [1, 0, 2], [1.0, 2, 3], (3, 3), check_invariants=True),
        "crow_indices.shape[-1] must be equal to the number of rows + 1 (=4), but got 3",
    ),
    "csr, dims": (
        lambda: CSR([0, 1, 3], [1, 0, 2], [1.0, 2, 3], (3,), check_invariants=True),
        "tensor dimensionality must be sum of batch, base, and dense dimensionalities (=0 + 2 + 0) but got 1",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_makes_no_sparse_tensor(case):
    action, words = REFUSED[case]
    assert refused(action, words) is RuntimeError


def test_invariants_are_checked_within():
    bad = lambda: COO([[5]], [1.0], (2,))  # noqa: E731
    assert not torch.sparse.check_sparse_tensor_invariants.is_enabled()
    with torch.sparse.check_sparse_tensor_invariants():
        assert torch.sparse.check_sparse_tensor_invariants.is_enabled()
        refused(bad, "found index 5")
    bad()


# --------------------------------------------------------------------------------- refusals


DENSE_REFUSED = {
    "indices": "indices expected sparse coordinate tensor layout but got Strided",
    "values": "values expected sparse tensor layout but got Strided",
    "coalesce": "coalesce expected sparse coordinate tensor layout but got Strided",
    "is_coalesced": "is_coalesced expected sparse coordinate tensor layout but got Strided",
    "crow_indices": "crow_indices expected sparse row compressed tensor layout but got Strided",
    "row_indices": "row_indices expected sparse column compressed tensor layout but got Strided",
}


@pytest.mark.parametrize("name", DENSE_REFUSED)
def test_dense_tensors_have_no_such_parts(name):
    assert refused(lambda: getattr(dense(), name)(), DENSE_REFUSED[name]) is RuntimeError


def test_dense_tensors_have_dims():
    assert dense().sparse_dim() == 0 and dense().dense_dim() == 2
    assert dense().layout is torch.strided and not dense().is_sparse


SPARSE_REFUSED = {
    "exp": (lambda x: x.exp(), "Could not run 'aten::exp' with arguments from the 'SparseCPU' backend."),
    "cumsum": (lambda x: x.cumsum(0), "Could not run 'aten::cumsum'"),
    "numpy": (
        lambda x: x.numpy(),
        "can't convert Sparse layout tensor to numpy. Use Tensor.to_dense() first.",
    ),
    "tolist": (lambda x: x.tolist(), "Cannot access data pointer of Tensor that doesn't have storage"),
    "data_ptr": (lambda x: x.data_ptr(), "Cannot access data pointer of Tensor that doesn't have storage"),
    "storage": (lambda x: x.storage(), "Cannot access storage of SparseTensorImpl"),
    "nbytes": (lambda x: x.nbytes, "nbytes is not defined for sparse tensors."),
    "item": (lambda x: x.item(), "a Tensor with 6 elements cannot be converted to Scalar"),
    "reshape": (lambda x: x.reshape(6), "reshape is not implemented for sparse tensors"),
    "expand": (lambda x: x.expand(2, 2, 3), "expand is unsupported for Sparse tensors"),
    "number": (lambda x: x + 1, "add(sparse, dense) is not supported. Use add(dense, sparse) instead."),
    "zeroth": (lambda x: x**0, "pow: cannot raise to zeroth power on sparse tensor"),
    "divisor": (lambda x: x / torch.ones(2, 3), "Sparse division requires a scalar or zero-dim dense tensor"),
    "crow": (
        lambda x: x.crow_indices(),
        "crow_indices expected sparse row compressed tensor layout but got Sparse",
    ),
    "copy": (lambda x: x.copy_(dense()), "copy_() between dense and sparse Tensors is not implemented!"),
    "sizes": (
        lambda x: torch.ones(3, 3).sparse_mask(x),
        "operands have incompatible sizes; self has size [3, 3]",
    ),
    "cat": (
        lambda x: torch.cat([x, dense()]),
        "Concatenating sparse tensors, but a dense tensor was found at",
    ),
}


@pytest.mark.parametrize("case", SPARSE_REFUSED)
def test_what_sparse_tensors_cannot_do(case):
    action, words = SPARSE_REFUSED[case]
    refused(lambda: action(dense().to_sparse()), words)


def test_values_of_what_is_not_coalesced():
    refused(
        lambda: uncoalesced().values(), "Cannot get values on an uncoalesced tensor, please call .coalesce()"
    )
    refused(lambda: uncoalesced().indices(), "Cannot get indices on an uncoalesced tensor, please call")
    check(uncoalesced()._values(), [1.0, 2.0, 3.0])


# --------------------------------------------------------------------------------- text


TEXTS = {
    "coo": (
        lambda: dense().to_sparse(),
        "tensor(indices=tensor([[0, 1, 1],\n"
        "                       [1, 0, 2]]),\n"
        "       values=tensor([1., 2., 3.]),\n"
        "       size=(2, 3), nnz=3, layout=torch.sparse_coo)",
    ),
    "csr": (
        lambda: dense().double().to_sparse_csr(),
        "tensor(crow_indices=tensor([0, 1, 3]),\n"
        "       col_indices=tensor([1, 0, 2]),\n"
        "       values=tensor([1., 2., 3.]), size=(2, 3), nnz=3, dtype=torch.float64,\n"
        "       layout=torch.sparse_csr)",
    ),
    "empty": (
        lambda: torch.sparse_coo_tensor((2, 3)),
        "tensor(indices=tensor([], size=(2, 0)),\n"
        "       values=tensor([], size=(0,)),\n"
        "       size=(2, 3), nnz=0, layout=torch.sparse_coo)",
    ),
    "leaf": (
        lambda: dense().to_sparse().requires_grad_(),
        "tensor(indices=tensor([[0, 1, 1],\n"
        "                       [1, 0, 2]]),\n"
        "       values=tensor([1., 2., 3.]),\n"
        "       size=(2, 3), nnz=3, layout=torch.sparse_coo, requires_grad=True)",
    ),
    "computed": (
        lambda: dense().to_sparse().requires_grad_() * 2,
        "tensor(indices=tensor([[0, 1, 1],\n"
        "                       [1, 0, 2]]),\n"
        "       values=tensor([2., 4., 6.]),\n"
        "       size=(2, 3), nnz=3, layout=torch.sparse_coo, grad_fn=<MulBackward0>)",
    ),
}


@pytest.mark.parametrize("case", TEXTS)
def test_text(case):
    make, text = TEXTS[case]
    assert repr(make()) == text


# --------------------------------------------------------------------------------- copies


@pytest.mark.parametrize("layout", LAYOUTS, ids=repr)
def test_copies(layout):
    x = dense().to_sparse(layout=layout).requires_grad_()
    made = pickle.loads(pickle.dumps(x))
    assert made.layout is layout
    check(made.to_dense(), DENSE)
    file = io.BytesIO()
    torch.save({"x": x.detach()}, file)
    file.seek(0)
    back = torch.load(file)["x"]
    assert back.layout is layout
    check(back.to_dense(), DENSE)


@pytest.mark.parametrize(
    "layout",
    [torch.sparse_coo, *(pytest.param(x, marks=pullback_only("it copies them")) for x in LAYOUTS[1:])],
    ids=repr,
)
def test_deep_copies(layout):
    x = dense().to_sparse(layout=layout).requires_grad_()
    made = copy.deepcopy(x)
    assert made.layout is layout and made.requires_grad
    made.values().detach().mul_(2)
    check(x.detach().to_dense(), DENSE)


# --------------------------------------------------------------------------------- writes


def test_writes_in_place():
    x = dense().to_sparse()
    x.mul_(2)
    x += x
    check(x.to_dense(), [[0.0, 4.0, 0.0], [8.0, 0.0, 12.0]])
    x.neg_().add_(dense().to_sparse())
    check(x.to_dense(), [[0.0, -3.0, 0.0], [-6.0, 0.0, -9.0]])
    assert x.t_().shape == (3, 2)
    x.zero_()
    assert x._nnz() == 0
    y = torch.ones(2, 3)
    y.add_(dense().to_sparse(), alpha=2)
    check(y, [[1.0, 3.0, 1.0], [5.0, 1.0, 7.0]])
    y -= dense().to_sparse(1)
    check(y, [[1.0, 2.0, 1.0], [3.0, 1.0, 4.0]])


def test_a_leaf_is_not_written_to():
    x = dense().to_sparse().requires_grad_()
    refused(lambda: x.mul_(2), "a leaf Variable that requires grad is being used in an in-place operation.")


def test_resizing():
    x = dense().to_sparse()
    check(x.sparse_resize_((3, 4), 2, 0).to_dense(), [[0.0, 1, 0, 0], [2, 0, 3, 0], [0, 0, 0, 0]])
    refused(
        lambda: x.sparse_resize_((1, 4), 2, 0),
        "shrinking the size of sparse dimensions (from [3, 4] to [1, 4])",
    )
    assert x.sparse_resize_and_clear_((2, 2), 1, 1).dense_dim() == 1 and x._nnz() == 0
    assert x.resize_as_sparse_(dense().to_sparse()).shape == (2, 3)


def test_values_share_memory():
    x = dense().to_sparse()
    x.values()[0] = 5.0
    assert x.to_dense()[0, 1] == 5.0
    i, v = torch.tensor([[0]]), torch.tensor([1.0])
    y = torch.sparse_coo_tensor(i, v, (2,))
    v.fill_(3.0)
    check(y.to_dense(), [3.0, 0.0])


# --------------------------------------------------------------------------------- other doors


def test_classes_by_dtype():
    x = torch.sparse.FloatTensor(torch.tensor([[0, 1]]), torch.tensor([1.0, 2.0]), torch.Size([3]))
    check(x.to_dense(), [1.0, 2.0, 0.0])
    assert isinstance(x, torch.sparse.FloatTensor) and not isinstance(x, torch.FloatTensor)
    assert not isinstance(dense(), torch.sparse.FloatTensor) and x.type() == "torch.sparse.FloatTensor"
    assert torch.sparse.DoubleTensor(2, 3).dtype is torch.float64
    assert x.type("torch.sparse.DoubleTensor").dtype is torch.float64


def test_assert_close():
    x = dense().to_sparse()
    torch.testing.assert_close(x, x.t().t())
    refused(lambda: torch.testing.assert_close(x, x * 2), "Sparse COO values are not close!")
    refused(lambda: torch.testing.assert_close(x, dense()), "The values for attribute 'layout' do not match")
    y = torch.eye(2, 3).to_sparse()
    refused(
        lambda: torch.testing.assert_close(x, y),
        "The number of specified values in sparse COO tensors does not match: 3 != 2",
    )
    z = dense().to_sparse_csr()
    torch.testing.assert_close(z, z.clone())
    refused(lambda: torch.testing.assert_close(z, z * 2), "Sparse CSR values are not close!")


def test_new_ones_of_a_layout():
    assert torch.zeros(2, 3, layout=torch.sparse_coo)._nnz() == 0
    assert torch.empty(2, 3, layout=torch.sparse_csr)._nnz() == 0
    refused(lambda: torch.ones(2, layout=torch.sparse_coo), "is not implemented for sparse layout")


def test_products_by_other_names():
    x, d = dense().to_sparse(), torch.ones(3, 2)
    check(torch.spmm(x, d), [[1.0, 1.0], [5.0, 5.0]])
    check(torch.smm(x, d).to_dense(), [[1.0, 1.0], [5.0, 5.0]])
    check(torch.sspaddmm(torch.eye(2).to_sparse(), x, d).to_dense(), [[2.0, 1.0], [5.0, 6.0]])
    check(torch.hspmm(x, d).to_dense(), [[1.0, 1.0], [5.0, 5.0]])
    assert torch.equal(torch.dsmm(x, d), torch.spmm(x, d))
    assert torch.equal(torch.hsmm(x, d).to_dense(), torch.hspmm(x, d).to_dense())
    check(torch.saddmm(torch.eye(2).to_sparse(), x, d).to_dense(), [[2.0, 1.0], [5.0, 6.0]])
    y = torch.sparse.sampled_addmm(torch.eye(2).to_sparse_csr(), torch.ones(2, 3), torch.ones(3, 2))
    check(y.to_dense(), [[4.0, 0.0], [0.0, 4.0]])


@pytest.mark.parametrize(
    ("reduce", "expected"), [("sum", [[2.0], [10.0]]), ("mean", [[2.0], [5.0]]), ("amax", [[2.0], [6.0]])]
)
def test_reduced_products(reduce, expected):
    column = torch.tensor([[2.0], [2.0], [2.0]])
    check(torch.sparse.mm(dense().to_sparse_csr(), column, reduce), expected)


def test_diagonals():
    x = torch.sparse.spdiags(torch.tensor([[1.0, 2, 3], [4, 5, 6]]), torch.tensor([0, 1]), (3, 3))
    check(x.to_dense(), [[1.0, 5, 0], [0, 2, 6], [0, 0, 3]])
    y = torch.sparse.spdiags(torch.ones(1, 2), torch.tensor([-1]), (3, 2), torch.sparse_csr)
    check(y.to_dense(), [[0.0, 0], [1, 0], [0, 1]])


@pullback_only("PyTorch solves sparse systems on the GPU only")
def test_sparse_systems():
    a = torch.tensor([[2.0, 1.0], [0.0, 4.0]], dtype=torch.float64).to_sparse_csr().requires_grad_()
    b = torch.tensor([1.0, 2.0], dtype=torch.float64, requires_grad=True)
    check(torch.sparse.spsolve(a, b), [0.25, 0.5])
    check(torch.linalg.solve(a, b), [0.25, 0.5])
    assert torch.autograd.gradcheck(torch.sparse.spsolve, (a, b), masked=True)


def test_a_parameter_may_be_sparse():
    layer = torch.nn.Linear(3, 2)
    layer.weight = torch.nn.Parameter(dense().to_sparse_csr())
    with torch.no_grad():
        layer.bias.zero_()
    y = layer(torch.ones(1, 3))
    check(y, [[1.0, 5.0]])
    assert [name for name, _ in layer.named_parameters()] == ["weight", "bias"]


MISMATCHED = {
    "product": (
        lambda x, c: x @ torch.ones(3, 2),
        "addmm: Argument #3 (dense): Expected dim 0 size 2, got 3",
    ),
    "product of rows": (lambda x, c: c @ torch.ones(3, 2), "shapes cannot be multiplied (2x2 and 3x2)"),
    "dtypes": (lambda x, c: x @ torch.ones(2, 2).double(), "expected scalar type Float but found Double"),
    "dtypes of two": (lambda x, c: x @ x.double(), "mat1 dtype Float does not match mat2 dtype Double"),
    "vector": (lambda x, c: x.mv(torch.ones(3)), "mv: expected self.size(-1) == vec.size(-1)"),
    "sum": (lambda x, c: x + torch.eye(3).to_sparse(), "expected sizes of 'self' and 'other' to match"),
    "sum of rows": (
        lambda x, c: c + torch.eye(3).to_sparse_csr(),
        "torch.add: Expected input tensors to have",
    ),
    "sum with dense": (lambda x, c: torch.ones(3, 3) + x, "(FYI: dense-sparse addition does not currently"),
    "factors": (
        lambda x, c: x * torch.ones(3, 3),
        "The size of tensor a (3) must match the size of tensor b",
    ),
    "sparse factors": (
        lambda x, c: x * torch.eye(3).to_sparse(),
        "expects sparse inputs with equal dimension",
    ),
    "index": (lambda x, c: x[7], "index 7 is out of bounds for dimension 0 with size 2"),
}


@pytest.mark.parametrize("case", MISMATCHED)
def test_what_does_not_fit(case):
    action, words = MISMATCHED[case]
    refused(lambda: action(torch.eye(2).to_sparse(), torch.eye(2).to_sparse_csr()), words)


def test_what_leaves_elements_where_they_are():
    x = torch.tensor([[0.0, 2.0], [3.0, 0.0]]).to_sparse().requires_grad_()
    F = torch.nn.functional
    for made in (F.dropout(x, 0.5, False), F.dropout(x, 0.0, True), torch.diff(x, n=0), x.flatten(1, 1)):
        assert made.layout is torch.sparse_coo
        assert made.to_dense().tolist() == [[0, 2], [3, 0]]
    with pytest.raises(RuntimeError, match="reshape is not implemented for sparse tensors"):
        x.flatten()


def test_rows_and_sums():
    x = torch.tensor([[0.0, 2.0], [3.0, 0.0]]).to_sparse().requires_grad_()
    rows = torch.nn.functional.embedding(torch.tensor([1, 1, 0]), x)
    assert rows.to_dense().tolist() == [[3, 0], [3, 0], [0, 2]]
    rows = torch.repeat_interleave(x, torch.tensor([2, 1]), 0)
    assert rows.to_dense().tolist() == [[0, 2], [0, 2], [3, 0]]
    total = torch.sum(x, (0, 1), keepdim=True)
    assert total.layout is torch.strided
    assert total.tolist() == [[5]]
    total.backward(torch.ones(1, 1))
    assert x.grad.to_dense().tolist() == [[1, 1], [1, 1]]
    assert torch.svd_lowrank(x.detach(), 2)[1].sort().values.tolist() == pytest.approx([2, 3])
    assert torch.pca_lowrank(x.detach(), 1)[1].tolist() == pytest.approx([6.5**0.5])
