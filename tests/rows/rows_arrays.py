"""Rows of the ops on arrays: shapes, joining, indices, order. samples.py tells how to read."""

from samples import (
    ALL,
    CUBE,
    NANS,
    ORDERED,
    REAL,
    TIES,
    Dtype,
    P,
    S,
    at,
    distinct,
    mask,
    pos,
    table,
    these,
    wide,
    x,
)

ROWS, rows = table()

# ------------------------------------------------------------------------------- shapes and views
rows(
    "reshape",
    [S(CUBE, (6, 4)), S(CUBE, (-1,)), S(x(), (1, 1)), S(x(0, 3), (3, 0)), P(CUBE, (5, -1))],
)
rows("Tensor.view", [S(CUBE, 6, 4), S(CUBE, (2, -1)), S(x(), 1), P(CUBE, 5, -1)], forms="f")
rows("Tensor.view_as Tensor.reshape_as", [S(CUBE, x(6, 4))], forms="f")
rows("flatten", [S(CUBE), S(CUBE, 1), S(CUBE, 0, 1), S(x()), S(x(0, 3))])
rows("unflatten", [S(x(2, 12), 1, (3, 4)), S(x(2, 12), -1, (-1, 4)), P(x(5), 0, (2, 2))])
rows("ravel", [S(CUBE), S(x())])
rows(
    "squeeze",
    [S(x(1, 3, 1)), S(x(1, 3, 1), 0), S(x(1, 3, 1), (0, 2)), S(x(3), 0), S(x())],
    forms="fmi",
)
rows("unsqueeze", [S(CUBE, 0), S(CUBE, -1), S(x(), 0), P(CUBE, 5)], forms="fmi")
rows(
    "transpose swapaxes swapdims",
    [S(CUBE, 0, 2), S(CUBE, -1, 1), S(x(), 0, 0), P(CUBE, 0, 3)],
    forms="fmi",
)
rows(
    "permute",
    [S(CUBE, (2, 0, 1)), S(CUBE, (-1, 1, 0)), S(x(), ()), P(CUBE, (0, 1)), P(CUBE, (0, 0, 1))],
)
rows("movedim moveaxis", [S(CUBE, 0, 2), S(CUBE, (0, 1), (2, 0))])
rows("t", [S(x(3, 4)), S(x(3)), S(x()), P(CUBE)], forms="fmi")
rows("adjoint", [S(x(3, 4)), S(CUBE)])
rows("Tensor.expand", [S(x(3, 1), 3, 4), S(x(3, 1), 2, -1, 5), S(x(), 2, 3), P(x(3), 4)], forms="f")
rows("Tensor.expand_as", [S(x(3, 1), x(3, 4))], forms="f")
rows("broadcast_to", [S(x(3, 1), (2, 3, 4)), S(x(), (3,)), P(x(3), (4,))])
rows("broadcast_tensors", [S(x(3, 1), x(4), x())], forms="f")
rows(
    "Tensor.repeat",
    [S(x(3, 4), 2, 1), S(x(3), 2, 2), S(x(), 3), S(x(2), 0), P(x(2, 2), 2)],
    forms="f",
)
rows("tile", [S(x(3, 4), (2,)), S(x(3), (2, 2)), S(x(), (2,))])
rows(
    "repeat_interleave",
    [
        S(x(3, 2), 2),
        S(x(3, 2), 2, 1),
        S(x(3, 2), these([1, 0, 2], "int64"), 0),
        S(x(3), dim=0, repeats=3),
    ],
    meta=False,
)
rows("roll", [S(x(3, 4), 1), S(x(3, 4), 1, 0), S(x(3, 4), (1, -1), (0, 1)), S(x(0), 1), S(x(), 1)])
rows("flip", [S(CUBE, (0,)), S(CUBE, (0, -1)), S(x(), (0,)), S(x(0, 3), (0,)), P(CUBE, (0, 0))])
rows("fliplr flipud", [S(x(3, 4)), S(CUBE)])
rows("rot90", [S(x(3, 4)), S(x(3, 4), 2), S(x(3, 4), -1, (1, 0))])
rows(
    "Tensor.unfold",
    [S(x(8), 0, 3, 2), S(x(3, 5), 1, 2, 1), S(x(4), -1, 4, 1), P(x(3), 0, 4, 1)],
    forms="f",
)
rows("diagonal", [S(x(3, 4)), S(x(3, 4), 1), S(x(3, 4), -1), S(CUBE, 0, 0, 2), S(x(2, 2), 5)])
rows("diag", [S(x(3)), S(x(3, 4)), S(x(3), 1), S(x(3, 4), -1)], forms="fmo")
rows("diag_embed", [S(x(3)), S(x(2, 3), 1), S(x(2, 3), 0, 0, 2)])
rows("diagflat", [S(x(3)), S(x(2, 2), 1)])
rows("tril triu", [S(x(3, 4)), S(x(3, 4), 1), S(x(2, 3, 3), -1), S(x(0, 3))], forms="fmio")
rows("split", [S(x(7, 2), 3), S(x(7, 2), (3, 4)), S(x(2, 4), 2, 1), P(x(4), -1)])
rows("split_with_sizes", [S(x(7, 2), (3, 4)), S(x(2, 4), (1, 3), 1)])
rows("unsafe_split", [S(x(7, 2), 3), S(x(2, 4), 2, 1)])
rows("unsafe_split_with_sizes", [S(x(7, 2), (3, 4))])
rows("unsafe_chunk", [S(x(7, 2), 3), S(x(2, 4), 2, 1)])
rows("constant_pad_nd", [S(x(3, 4), (1, 2)), S(x(3, 4), (1, 0, 0, -1), 2.5)], forms="f")
rows("chunk", [S(x(7, 2), 3), S(x(2, 4), 2, 1), S(x(3), 5), P(x(3), 0)])
rows("tensor_split", [S(x(7), 3), S(x(7, 2), (2, 5)), S(x(2, 4), 2, 1)])
rows("hsplit", [S(x(4), 2), S(x(2, 4), (1, 3))])
rows("vsplit", [S(x(4, 2), 2), S(x(4, 2), (1, 3))])
rows("dsplit", [S(x(2, 2, 4), 2)])
rows("unbind", [S(CUBE), S(CUBE, 1), S(CUBE, -1), P(x())])
rows("select", [S(CUBE, 0, 1), S(CUBE, -1, -1), P(CUBE, 0, 2)])
rows("narrow", [S(CUBE, 1, 1, 2), S(CUBE, -1, 0, 4), S(x(3), 0, 1, 0), P(x(3), 0, 2, 2)])
rows(
    "as_strided",
    [S(x(12), (3, 2), (1, 4)), S(x(12), (2, 2), (1, 1)), S(x(12), (2,), (3,), 2)],
    forms="fmi",
)
rows("view_as_real", [S(x(3, 4)), S(x())], kinds="c", forms="f")
rows("view_as_complex", [S(x(3, 4, 2)), S(x(2))], kinds="hf", forms="f")
rows("atleast_1d atleast_2d atleast_3d", [S(x()), S(x(3)), S(x(2, 3)), S([x(), x(2)])], forms="f")
rows("clone", [S(CUBE), S(x()), S(wide(3, 1, to=(3, 4)))])
rows("detach", [S(CUBE)], forms="fmi")
rows("Tensor.contiguous", [S(CUBE), S(x())], forms="f")
rows(
    "Tensor.to",
    [P(x(3, 4), Dtype(name)) for name in ("float64", "complex64", "float16")],
    forms="f",
)
rows("Tensor.to", [P(x(3, 4), Dtype("float32")), P(x(3, 4), "cpu")], kinds=ALL, forms="f")
rows("Tensor.type_as", [P(x(3, 4), x(2, dtype="float64", grad=False))], forms="f")
rows("Tensor.float Tensor.double Tensor.half Tensor.bfloat16", [P(x(3, 4))], forms="f")
rows("Tensor.int Tensor.long Tensor.short Tensor.char Tensor.byte", [P(pos(3, 4))], forms="f")
rows("Tensor.bool Tensor.cfloat Tensor.cdouble", [P(x(3, 4))], forms="f")
rows("Tensor.T Tensor.H", [S(x(3, 4)), P(x(3))], forms="f")
rows("Tensor.mT Tensor.mH", [S(x(3, 4)), S(CUBE), P(x(3))], forms="f")
rows("Tensor.real", [S(x(3, 4)), S(x())], forms="f")
rows("Tensor.imag", [S(x(3, 4)), S(x())], kinds="c", forms="f")
rows("Tensor.is_contiguous", [S(x(3, 4)), S(wide(3, 1, to=(3, 4)))], forms="f")
rows(
    "Tensor.sum_to_size",
    [S(x(3, 4), 3, 1), S(x(2, 3, 4), (4,)), P(x(3), 2)],
    forms="f",
    composite=True,
)
rows("Tensor.where", [S(x(3, 4), mask(3, 4), x(4)), S(x(3), mask(3), 1.5)], forms="f")
rows("Tensor.cpu", [S(x(3, 4))], forms="f", meta=False)
rows("fill", [S(x(3, 4), 1.5), S(x(3), x())], forms="fi")

# ------------------------------------------------------------------------------- joining
JOIN = [S([x(2, 3), x(2, 3)]), S([x(2, 3)] * 2), S([x(2, 3)])]
rows(
    "cat concat concatenate",
    [
        *JOIN,
        S([x(2, 3), x(1, 3), x(0, 3)]),
        S([x(2, 3), x(2, 1)], 1),
        S([x(2, 3), x(2, 1)], dim=-1),
        S([x(2), x(3, dtype="float64")]),
        S([x(0), x(2, 3)]),
        P([x(2, 3), x(2, 2)]),
        P([x(2, 3), x(3)]),
        P([]),
    ],
    forms="fo",
)
rows(
    "stack",
    [*JOIN, S([x(2, 3), x(2, 3)], 1), S([x(), x()]), S([x(2), x(2)], -1), P([x(2), x(3)])],
    forms="fo",
)
rows(
    "hstack vstack dstack column_stack row_stack",
    [*JOIN, S([x(3), x(3)]), S([x(), x()])],
    forms="fo",
)
rows("meshgrid", [S(x(3), x(4), indexing="ij"), S(x(3), x(4), indexing="xy")], forms="f")
rows("cartesian_prod", [S(x(3), x(2)), S(x(3))], forms="f", composite=True)
rows("combinations", [S(x(4)), S(x(4), 3), S(x(3), 2, True)], forms="f", meta=False)
rows("block_diag", [S(x(2, 2), x(3), x())], forms="f")

# ------------------------------------------------------------------------------- indices
ROWS_OF = at(3, 2)
OUT_OF_RANGE = these([[0, 5], [1, 0], [4, 2]], "int64")
rows(
    "gather",
    [
        S(x(3, 4), 1, at(4, 3, 2)),
        S(x(3, 4), 0, at(3, 2, 4)),
        S(x(), 0, at(1)),
        S(x(3), 0, at(3, 0)),
        S(x(3, 4), 1, these([[3, 3], [0, 0]], "int32")),
        S(x(2, 3, 4), 1, at(3, 2, 5, 4)),
        P(x(3, 4), 1, OUT_OF_RANGE),
        P(x(3, 4), 1, these([[0, -1]], "int64")),
        P(x(3, 4), 0, at(3, 2)),
        P(x(3, 4), 1, at(3, 4, 2)),
    ],
    forms="fmo",
)
rows(
    "take_along_dim",
    [
        S(x(3, 4), at(4, 3, 2), 1),
        S(x(3, 4), at(12, 5)),
        S(x(3, 4), at(4, 1, 2), 1),
        S(x(3, 4), at(3, 3, 4), 0),
        P(x(3, 4), OUT_OF_RANGE, 1),
    ],
    forms="fmo",
)
rows(
    "take",
    [
        S(x(3, 4), at(12, 2, 2)),
        S(x(3), at(3)),
        S(x(3, 4), these([-1, -12], "int64")),
        P(x(3), these([0, 3], "int64")),
    ],
    forms="fmo",
)
rows(
    "put",
    [
        S(x(3, 4), these([1, 5, 7], "int64"), x(3)),
        S(x(3, 4), these([1, 1], "int64"), x(2), True),
        P(x(3), these([0, 3], "int64"), x(2)),
    ],
    forms="fmi",
)
ONCE = these([[0, 1, 2], [2, 0, 1]], "int64")
rows(
    "scatter",
    [
        S(x(3, 4), 0, ONCE, x(2, 3)),
        S(x(3, 4), 1, ONCE, x(3, 3)),
        S(x(3, 4), 1, ONCE, 1.5),
        S(x(3), 0, at(3, 0), x(0)),
        S(x(3, 4), 1, these([[3, 1]], "int32"), x(2, 3)),
        P(x(3, 4), 1, OUT_OF_RANGE, x(3, 4)),
        P(x(3, 4), 1, OUT_OF_RANGE, 1.5),
        P(x(3, 4), 1, ONCE, x(1, 3)),
    ],
    forms="fmio",
)
rows(
    "scatter_add",
    [
        S(x(3, 4), 0, at(3, 2, 3), x(2, 4)),
        S(x(3, 4), 1, at(4, 3, 6), x(3, 6)),
        S(x(2, 3, 4), 1, at(3, 2, 5, 3), x(2, 6, 4)),
        S(x(3), 0, at(3, 7), x(7)),
        S(x(), 0, at(1), x()),
        P(x(3, 4), 1, OUT_OF_RANGE, x(3, 4)),
    ],
    forms="fmio",
)
rows(
    "scatter_reduce",
    [
        *(S(distinct(3, 4), 1, at(4, 3, 6), distinct(3, 6), how) for how in ("amax", "sum", "amin", "mean")),
        S(pos(3, 4), 1, at(4, 3, 6), pos(3, 6), "prod"),
        S(pos(3, 4), 1, at(4, 3, 6), pos(3, 6), "sum", include_self=False),
        S(distinct(3, 4), 1, at(4, 3, 6), distinct(3, 6), "amax", include_self=False),
        S(distinct(3, 4), 0, at(3, 2, 4), distinct(2, 4), "mean", include_self=False),
        S(pos(3, 4), 0, at(3, 2, 4), pos(2, 4), "prod", include_self=False),
        P(x(3, 4), 1, OUT_OF_RANGE, x(3, 4), "amin"),
    ],
    kinds=REAL,
    forms="fmio",
    twice=False,
)
rows(
    "index_select",
    [
        S(x(3, 4), 0, at(3, 5)),
        S(x(3, 4), 1, at(4)),
        S(x(), 0, at(1, 1)),
        S(x(3), 0, at(3, 0)),
        S(CUBE, 1, these([2, 0, 0, 1], "int32")),
        S(CUBE, -1, at(4, 6)),
        P(x(3, 4), 0, these([0, 3], "int64")),
        P(x(3, 4), 0, these([0, -1], "int64")),
    ],
    forms="fmo",
)
rows(
    "index_add",
    [
        S(x(3, 4), 0, at(3, 5), x(5, 4)),
        S(x(3, 4), 1, at(4, 2), x(3, 2), alpha=2),
        S(x(3, 4), 1, at(4, 6), x(3, 6)),
        S(CUBE, 1, these([2, 2, 0], "int32"), x(2, 3, 4)),
        S(x(3), 0, at(3, 0), x(0)),
        P(x(3, 4), 0, these([0, 3], "int64"), x(2, 4)),
    ],
    forms="fmio",
)
rows(
    "index_copy",
    [
        S(x(3, 4), 0, these([2, 0], "int64"), x(2, 4)),
        S(x(3), 0, these([1], "int64"), x(1)),
        S(CUBE, 1, these([2, 0], "int64"), x(2, 2, 4)),
        P(x(3, 4), 0, these([0, 3], "int64"), x(2, 4)),
    ],
    forms="fmio",
)
rows(
    "index_fill",
    [S(x(3, 4), 0, ROWS_OF, 1.5), S(x(3, 4), 1, at(4, 1), x()), P(x(3, 4), 5, ROWS_OF, 1.0)],
    forms="fmi",
)
rows(
    "index_put",
    [
        S(x(3, 4), (at(3, 2), these([0, 1], "int64")), x(2), True),
        S(x(3, 4), (these([0, 2], "int64"),), x(4)),
        S(x(3, 4), (mask(3, 4),), x()),
        S(CUBE, (at(2, 3, 2), at(3, 2)), x(4), True),
        S(CUBE, (these([1, 0], "int64"), these([-1, 2], "int64")), x(2, 4)),
        P(x(3, 4), (these([0, 3], "int64"),), x(4)),
        P(x(3, 4), (at(3, 2),), x(3, 4)),
        P(x(3, 4), (at(3, 2), at(4, 3)), x(2)),
    ],
    forms="fmi",
)
rows(
    "index_reduce",
    [S(pos(3, 4), 0, at(3, 5), pos(5, 4), how) for how in ("amax", "prod", "mean", "amin")],
    kinds=REAL,
    forms="fmio",
    twice=False,
)
rows(
    "masked_fill",
    [S(x(3, 4), mask(3, 4), 1.5), S(x(3, 4), mask(4), x()), S(x(4), mask(3, 4), 0)],
    forms="fmi",
)
rows(
    "masked_select",
    [S(x(3, 4), mask(3, 4)), S(x(3, 1), mask(4)), S(x(), mask()), S(CUBE, mask(3, 1)), S(x(0, 3), mask(3))],
    forms="fmo",
    meta=False,
)
rows(
    "masked_scatter",
    [S(x(3, 4), mask(3, 4), x(12)), S(x(3, 4), mask(4), x(3, 4)), P(x(3, 4), mask(3, 4), x(1))],
    forms="fmi",
)
FOUND = [S(x(3, 4)), S(mask(3, 4)), S(x()), S(x(0, 3))]
rows("nonzero", FOUND, forms="fmo", meta=False)
rows("argwhere", FOUND, meta=False)
rows("select_scatter", [S(x(3, 4), x(4), 0, 1), S(x(3, 4), x(3), 1, -1)])
rows("slice_scatter", [S(x(6, 2), x(2, 2), 0, 1, 5, 2), S(x(3, 4), x(3, 2), 1, 2)], forms="fmo")
rows("diagonal_scatter", [S(x(3, 4), x(3)), S(x(3, 4), x(3), 1)])
rows(
    "as_strided_scatter",
    [S(x(12), x(3, 2), (3, 2), (1, 4))],
    better="PyTorch's gradient for the tensor itself is zero at other places than were written",
)

# ------------------------------------------------------------------------------- order
ORDER = [
    S(distinct(3, 5)),
    S(distinct(3, 5), 0),
    S(x()),
    S(x(0, 3)),
    P(TIES, 1),
    P(NANS, 1),
    S(distinct(3, 4), -1, True),
    P(TIES, 0, True),
    S(distinct(2, 50)),
    S(distinct(2, 3, 4), 1, True),
]
rows("sort", [*ORDER, P(TIES, stable=True, dim=1)], kinds=REAL, forms="fmo")
rows(
    "argsort",
    [S(distinct(3, 5)), S(distinct(3, 5), 0, True), P(TIES, dim=1, stable=True)],
    kinds=REAL,
)
rows("msort", [S(distinct(4, 3)), S(x(3))], kinds=REAL, forms="fmo")
rows(
    "topk",
    [
        S(distinct(3, 5), 2),
        S(distinct(3, 5), 2, 0, False),
        S(x(), 1),
        S(distinct(4), 0),
        S(distinct(2, 60), 3),
        S(distinct(2, 60), 12, -1, False),
        P(distinct(4), 5),
    ],
    kinds=ORDERED,
    forms="fmo",
)
rows(
    "kthvalue",
    [S(distinct(3, 5), 2), S(distinct(3, 5), 1, 0, True), S(x(), 1), S(distinct(2, 60), 17)],
    kinds=ORDERED,
    forms="fmo",
)
rows(
    "unique",
    [S(at(3, 6)), S(at(3, 6), return_inverse=True, return_counts=True), S(at(2, 4, 2), dim=0)],
    meta=False,
)
rows("unique_consecutive", [S(at(2, 6)), S(at(2, 6), True, True)], meta=False)
GRID = these([0.0, 1.0, 1.0, 2.0])
rows(
    "searchsorted",
    [S(GRID, x(3, 2)), S(GRID, these([1.0, 0.0]), right=True)],
    kinds=ORDERED,
    forms="fo",
)
rows(
    "bucketize",
    [S(x(3, 2), GRID), S(these([1.0, 0.0]), GRID, right=True)],
    kinds=ORDERED,
    forms="fo",
)
rows("isin", [S(x(3, 4), x(3)), S(at(4, 6), at(4, 2), invert=True)], kinds=ORDERED, forms="fo")
rows("bincount", [S(at(4, 6)), S(at(4, 6), minlength=6), S(at(4, 6), x(6, grad=False))], meta=False)

# ------------------------------------------------------------------------------- questions
rows("is_conj is_neg", [S(x(3, 4))])
rows("numel is_floating_point is_complex is_signed", [S(x(3, 4)), S(x())])
rows("is_nonzero", [S(x()), S(x(1)), P(x(3))], meta=False)
rows("is_same_size", [S(x(3), x(3)), S(x(3), x(4))])
rows("is_tensor is_storage", [S(x(3)), S(3)], forms="f")
rows("result_type", [S(x(3), 2), S(x(3), x(dtype="float64")), S(2, 3.0)], forms="f")
rows("broadcast_shapes", [S((3, 1), (4,)), P((3,), (4,))], kinds="f", forms="f")
