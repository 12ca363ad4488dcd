"""Functions that sparse tensors have by way of others.

Those made of ops that sparse tensors have: their own text serves. Those of which PyTorch's parts take a
sparse argument, ours do not: they are done on dense tensors. And the reductions of `torch.masked`, for which
a sparse tensor is its own mask.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pullback import ops
from pullback.core._engine import from_array
from pullback.core.op import SURFACE
from pullback.ops.sparse.convert import as_layout, unmasked
from pullback.ops.sparse.patterns import coo_pattern, flat_places
from pullback.ops.sparse.tensors import (
    SPECIAL,
    build,
    implements,
    in_order,
    is_sparse,
    unsupported,
    values_of,
)

MADE_OF_OPS = {
    "torch": "is_storage is_tensor norm_except_dim svd_lowrank trapezoid",
    "Tensor": (
        "is_complex is_conj is_floating_point is_neg is_nonzero is_same_size is_signed numel to type_as "
        "new_tensor"
    ),
    "nn.functional": (
        "cosine_embedding_loss poisson_nll_loss gaussian_nll_loss kl_div l1_loss linear_cross_entropy "
        "margin_ranking_loss "
        "pairwise_distance multi_head_attention_forward tanhshrink triplet_margin_loss "
        "triplet_margin_with_distance_loss"
    ),
}
"""Namespaces, and in each the functions that ask for shape and dtype alone, or call other ops."""

ON_DENSE = {
    "torch": (
        "conv_tbc gru lstm rnn_relu rnn_tanh gru_cell lstm_cell rnn_relu_cell rnn_tanh_cell pca_lowrank "
        "triangular_solve"
    ),
    "nn.functional": "scaled_dot_product_attention",
}


def _dense_of(x: Any) -> Any:
    return type(x)(map(_dense_of, x)) if type(x) in (list, tuple) else unmasked(x)


def _enter() -> None:
    for table, how in ((MADE_OF_OPS, lambda f: f.__wrapped__), (ON_DENSE, _on_dense)):
        for space, names in table.items():
            for name in names.split():
                function = SURFACE[space][name]
                implements(function.__name__)(how(function))


def _on_dense(function: Any) -> Any:
    def densely(*args: Any, **kwargs: Any) -> Any:
        return function(*map(_dense_of, args), **{name: _dense_of(x) for name, x in kwargs.items()})

    return densely


_enter()


# -------------------------------------------------------------------- reductions of what is stored

REDUCTIONS = ("sum", "prod", "amax", "amin", "mean")


def _reduced(how: str, x: Any, dim: Any, keepdim: bool, dtype: Any) -> Any:
    """The stored elements of a tensor over dims; sparse, with those places that have any."""
    layout = x.layout
    x = in_order(x if dtype is None else ops.to(x, dtype))
    if x.pattern.dense_dim:
        raise unsupported(how, x)
    dims = range(x.ndim) if dim is None else [dim] if isinstance(dim, int) else dim
    dims = {d % x.ndim for d in dims} if x.ndim else set()
    left = [d for d in range(x.ndim) if d not in dims]
    size = tuple(x.shape[d] for d in left)
    flat, group = np.unique(flat_places(x.pattern.places[left], size), return_inverse=True)
    room = ops.zeros((len(flat),), dtype=x.dtype)
    v = ops.scatter_reduce(room, 0, from_array(group.reshape(-1)), values_of(x), how, include_self=False)
    places = np.empty((len(left), len(flat)), np.int64)
    if left:
        places[:] = np.unravel_index(flat, size)
    shape: tuple[int, ...] = size
    if keepdim:
        full = np.zeros((x.ndim, len(flat)), np.int64)
        full[left] = places
        places, shape = full, tuple(1 if d in dims else n for d, n in enumerate(x.shape))
    made = build(coo_pattern(places, shape), v)
    return made if len(shape) < 2 else as_layout(made, layout)


def _publish(name: str) -> None:
    def reduction(
        input: Any, dim: Any = None, *, keepdim: bool = False, dtype: Any = None, mask: Any = None
    ) -> Any:
        if mask is not None:
            input = ops.sparse_mask(
                input, mask if is_sparse(mask) else ops.to_sparse(mask, layout=input.layout)
            )
        return _reduced(name, input, dim, keepdim, dtype)

    SPECIAL[SURFACE["masked"][name]] = f"masked.{name}"
    implements(f"masked.{name}")(reduction)


for _name in REDUCTIONS:
    _publish(_name)
