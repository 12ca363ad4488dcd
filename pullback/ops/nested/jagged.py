"""Ops of nested tensors of layout jagged: products, reductions, shapes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pullback import ops
from pullback.core._engine import Tensor, from_array
from pullback.core.op import SURFACE
from pullback.ops.nested.tensors import (
    ON_VALUES,
    Ragged,
    build,
    implements,
    is_nested,
    like,
    make,
    packed,
    padded,
    values_of,
)

FUNCTIONS_OF_ELEMENTS = """
relu gelu silu softplus elu selu leaky_relu mish hardswish hardtanh hardsigmoid logsigmoid celu relu6
tanhshrink dropout alpha_dropout nan_to_num clamp masked_fill where zeros_like ones_like empty_like full_like
rand_like randn_like bernoulli clone to to_copy type_as conj isclose threshold lerp addcmul addcdiv fill div
floor_divide
"""
ON_VALUES.update(FUNCTIONS_OF_ELEMENTS.split())


def _axis(name: str, x: Any, dim: int) -> int:
    """A dim of a nested tensor, counted from the front."""
    rank = x.ndim
    if not -rank <= dim < rank:
        raise IndexError(
            f"Dimension out of range (expected to be in range of [{-rank}, {rank - 1}], but got {dim})"
        )
    return dim % rank


def _inner(name: str, x: Any, dim: int) -> int:
    """The dim of the values that a dim of a nested tensor is, which may not be that of the batch."""
    at = _axis(name, x, dim)
    if at == 0:
        raise RuntimeError(f"{name}(): not supported for NestedTensor on dim=0")
    return at - 1


# ------------------------------------------------------------------- answered by shape and dtype

for _name in ("is_floating_point", "is_complex", "is_signed", "is_conj", "is_neg", "is_tensor"):
    implements(_name)(SURFACE["torch"][_name].__wrapped__)


@implements("numel nelement")
def _numel(input: Any) -> int:
    if input.ragged.lengths is None:
        return input.numbers.numel()
    rows = input.numbers.shape[input.ragged_dim - 1]
    return int(input.ragged.counts().sum()) * (input.numbers.numel() // max(rows, 1))


@implements("is_same_size")
def _is_same_size(input: Any, other: Any) -> bool:
    return tuple(input.shape) == tuple(other.shape)


# ----------------------------------------------------------------------------------- products


def _last_is_dense(name: str, x: Any, weight: Any) -> None:
    if x.ragged_dim == x.ndim - 1:
        raise RuntimeError(
            f"{name}(): not supported between inputs of shapes {tuple(x.shape)} and {weight.shape}"
        )


@implements("linear")
def _linear(input: Any, weight: Tensor, bias: Tensor | None = None) -> Any:
    _last_is_dense("linear", input, weight)
    return like(input, ops.linear(values_of(input), weight, bias))


@implements("matmul mm bmm")
def _matmul(input: Any, other: Any) -> Any:
    if is_nested(input) and not is_nested(other) and input.ragged_dim != input.ndim - 1:
        if other.ndim == 2:
            return like(input, ops.matmul(values_of(input), other))
        if other.ndim == input.ndim == 3 and other.shape[0] == input.ragged.batch:
            return _packed_like(ops.matmul(padded(input, 0), other), input)
    if is_nested(input) and is_nested(other) and input.ragged.size is other.ragged.size:
        if input.ndim > 3 and input.ragged_dim == input.ndim - 2 and other.ragged_dim < other.ndim - 2:
            return _packed_like(ops.matmul(padded(input, 0), padded(other, 0)), input)
        if input.ragged_dim == input.ndim - 1 and other.ragged_dim == other.ndim - 2:
            return ops.matmul(padded(input, 0), padded(other, 0))  # zeros add nothing
    raise RuntimeError(
        f"matmul(): not supported between inputs of shapes {tuple(input.shape)} and {other.shape}"
    )


def _packed_like(dense: Tensor, x: Any) -> Any:
    return build(x.ragged, x.ragged_dim, packed(dense, x.ragged, x.ragged_dim))


@implements("embedding")
def _embedding(*args: Any, **kwargs: Any) -> Any:
    """Rows of a matrix at nested indices, of `nn.functional.embedding` as of `embedding`."""
    found = next(x for x in (*args, *kwargs.values()) if is_nested(x))
    given = [values_of(x) if is_nested(x) else x for x in args]
    named = {name: values_of(x) if is_nested(x) else x for name, x in kwargs.items()}
    of_module = is_nested(args[0]) if args else "input" in kwargs
    function = SURFACE["nn.functional" if of_module else "torch"]["embedding"]
    return like(found, function(*given, **named))


@implements("layer_norm")
def _layer_norm(input: Any, normalized_shape: Any, *rest: Any, **more: Any) -> Any:
    sizes = [normalized_shape] if isinstance(normalized_shape, int) else list(normalized_shape)
    if input.ndim - len(sizes) <= input.ragged_dim:
        raise RuntimeError("layer_norm(): normalizing over ragged dim not supported for nested tensors")
    return like(
        input, SURFACE["nn.functional"]["layer_norm"](values_of(input), normalized_shape, *rest, **more)
    )


@implements("rms_norm")
def _rms_norm(input: Any, normalized_shape: Any, *rest: Any, **more: Any) -> Any:
    return like(
        input, SURFACE["nn.functional"]["rms_norm"](values_of(input), normalized_shape, *rest, **more)
    )


@implements("scaled_dot_product_attention")
def _attention(
    query: Any, key: Any, value: Any, attn_mask: Any = None, dropout_p: float = 0.0, is_causal: bool = False,
    scale: float | None = None, enable_gqa: bool = False,
) -> Any:  # fmt: skip
    if attn_mask is not None:
        raise RuntimeError("NestedTensor: attn_mask is not supported")
    if not all(map(is_nested, (query, key, value))):
        raise ValueError(
            "Expected query, key, and value to all be nested or all be non-nested, but got "
            f"{is_nested(query)}, {is_nested(key)}, {is_nested(value)}"
        )
    rows, columns = query.ragged.longest, key.ragged.longest
    used = np.arange(columns) < key.ragged.counts()[:, None]
    used = used.reshape(len(used), *[1] * (query.ndim - 2), columns)
    if is_causal:
        used = used & np.tri(rows, columns, dtype=bool)
    function = SURFACE["nn.functional"]["scaled_dot_product_attention"]
    q, k, v = (padded(x, 0) for x in (query, key, value))
    q, k, v = (
        t if x.ragged_dim == x.ndim - 2 else ops.movedim(t, x.ragged_dim, -2)
        for t, x in zip((q, k, v), (query, key, value), strict=True)
    )
    found = function(q, k, v, from_array(used), dropout_p, scale=scale, enable_gqa=enable_gqa)
    return _packed_like(found, query)


# --------------------------------------------------------------------------------- reductions


def _used(x: Any) -> Tensor:
    """The elements that are used, along the first dim."""
    v = ops.movedim(values_of(x), x.ragged_dim - 1, 0)
    return v if x.ragged.lengths is None else ops.index_select(v, 0, x.ragged.index())


def _reduction(name: str, along: Callable[[Any, Tensor], Tensor]) -> None:
    """A reduction: of all elements, along dims of the values, or of each tensor by itself."""

    def reduced(input: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
        function = getattr(ops, name)
        more = {} if dtype is None else {"dtype": dtype}
        if dim is None:
            return function(_used(input), **more)
        dims = sorted({_axis(name, input, d) for d in ([dim] if isinstance(dim, int) else dim)})
        ragged = input.ragged_dim in dims
        if 0 in dims:
            if not ragged:
                raise RuntimeError(
                    f"{name}(): reducing along the batch dimension but not the ragged dimension is not "
                    "supported for nested tensors"
                )
            inner = [0, *(d - (d > input.ragged_dim) for d in dims if d not in (0, input.ragged_dim))]
            found = function(_used(input), inner, **more)
            for d in dims if keepdim else ():
                found = ops.unsqueeze(found, d)
            return found
        if ragged:
            if len(dims) > 1:
                raise RuntimeError(
                    f"{name}(): reducing along a ragged and non-batch dimension is not supported for nested "
                    "tensors"
                )
            found = along(input, _used(input if dtype is None else ops.to(input, dtype)))
            return ops.unsqueeze(found, input.ragged_dim) if keepdim else found
        v = values_of(input)
        inner = [d - 1 for d in dims]
        result = function(v, inner if len(inner) > 1 else inner[0], keepdim, **more)
        gone = 0 if keepdim else sum(d < input.ragged_dim for d in dims)
        at = input.ragged_dim - gone
        if isinstance(result, tuple):
            return type(result)(*(build(input.ragged, at, part) for part in result))
        return build(input.ragged, at, result)

    implements(name)(reduced)


def _scattered(how: str) -> Callable[[Any, Tensor], Tensor]:
    def along(x: Any, used: Tensor) -> Tensor:
        room = ops.zeros((x.ragged.batch, *used.shape[1:]), dtype=used.dtype)
        index = ops.reshape(x.ragged.segments(), (-1, *[1] * (used.ndim - 1)))
        return ops.scatter_reduce(room, 0, ops.expand(index, used.shape), used, how, include_self=False)

    return along


def _summed(x: Any, used: Tensor) -> Tensor:
    room = ops.zeros((x.ragged.batch, *used.shape[1:]), dtype=used.dtype)
    return ops.index_add(room, 0, x.ragged.segments(), used)


def _averaged(x: Any, used: Tensor) -> Tensor:
    counts = from_array(x.ragged.counts().astype(used._layout.dtype))
    return _summed(x, used) / ops.reshape(counts, (-1, *[1] * (used.ndim - 1)))


def _by_padding(name: str, fill: Callable[[Any], Any]) -> Callable[[Any, Tensor], Any]:
    def along(x: Any, used: Tensor) -> Any:
        return getattr(ops, name)(padded(x, fill(x)), x.ragged_dim)

    return along


def _least(x: Any) -> Any:
    return -float("inf") if x.dtype.is_floating_point else ops.iinfo(x.dtype).min


def _largest(x: Any) -> Any:
    return float("inf") if x.dtype.is_floating_point else ops.iinfo(x.dtype).max


_reduction("sum", _summed)
_reduction("mean", _averaged)
_reduction("prod", _scattered("prod"))
_reduction("amax", _scattered("amax"))
_reduction("amin", _scattered("amin"))
_reduction("max", _by_padding("max", _least))
_reduction("min", _by_padding("min", _largest))
_reduction("argmax", _by_padding("argmax", _least))
_reduction("argmin", _by_padding("argmin", _largest))
_reduction("any", _by_padding("any", lambda x: 0))
_reduction("all", _by_padding("all", lambda x: 1))


def _soft(name: str) -> None:
    def apply(input: Any, dim: int, dtype: Any = None, **more: Any) -> Any:
        function = getattr(ops, name)
        at = _inner(name, input, dim)
        x = input if dtype is None else ops.to(input, dtype)
        if at != input.ragged_dim - 1:
            return like(input, function(values_of(x), at))
        return _packed_like(function(padded(x, -float("inf")), input.ragged_dim), input)

    implements(name)(apply)


_soft("softmax")
_soft("log_softmax")


@implements("equal")
def _equal(input: Any, other: Any) -> bool:
    if not (is_nested(input) and is_nested(other)) or input.ragged.size is not other.ragged.size:
        return False
    return ops.equal(values_of(input), values_of(other))


@implements("allclose")
def _allclose(input: Any, other: Any, *rest: Any, **more: Any) -> bool:
    return ops.allclose(values_of(input), values_of(other), *rest, **more)


# ------------------------------------------------------------------------------------ shapes


@implements("unbind")
def _unbind(input: Any, dim: int = 0) -> tuple[Any, ...]:
    if dim != 0:
        raise RuntimeError("unbind(): only supported for NestedTensor on dim=0")
    v, ragged = values_of(input), input.ragged
    begins = ragged.offsets._array[:-1].tolist()
    rows = zip(begins, ragged.counts().tolist(), strict=True)
    return tuple(ops.narrow(v, input.ragged_dim - 1, begin, count) for begin, count in rows)


@implements("basic")
def _basic(self: Any, key: tuple[Any, ...]) -> Any:
    """`x[i]` and what follows; or a key that leaves the batch and the ragged dim as they are."""
    first, rest = key[0], key[1:]
    if isinstance(first, int):
        n = self.ragged.batch
        if not -n <= first < n:
            raise IndexError(f"index {first} is out of bounds for dimension 0 with size {n}")
        at = first % n
        begin, count = int(self.ragged.offsets._array[at]), int(self.ragged.counts()[at])
        part = ops.narrow(values_of(self), self.ragged_dim - 1, begin, count)
        return part[rest] if any(x is not Ellipsis for x in rest) else part
    if first is Ellipsis:
        rest, first = key[1:], slice(None)
        rest = (slice(None),) * (self.ndim - 1 - sum(x is not None for x in rest)) + tuple(rest)
    ragged_key = rest[self.ragged_dim - 1 : self.ragged_dim]
    if first != slice(None) or ragged_key not in ((), (slice(None),), (Ellipsis,)):
        raise RuntimeError("slice(): not supported for NestedTensor on dim=0")
    v = values_of(self)[tuple(rest)] if rest else values_of(self)
    if any(isinstance(x, int) or x is None for x in rest[: self.ragged_dim - 1]):
        raise RuntimeError("select(): not supported for NestedTensor in front of the ragged dim")
    return like(self, v)


@implements("select")
def _select(input: Any, dim: int, index: int) -> Any:
    at = _axis("select", input, dim)
    if at == 0:
        return _basic(input, (index,))
    if at == input.ragged_dim:
        raise RuntimeError("select(): not supported for NestedTensor on the ragged dim")
    made = ops.select(values_of(input), at - 1, index)
    return build(input.ragged, input.ragged_dim - (at < input.ragged_dim), made)


@implements("transpose swapaxes swapdims")
def _transpose(input: Any, dim0: int, dim1: int) -> Any:
    a, b = _axis("transpose", input, dim0), _axis("transpose", input, dim1)
    if a == b:
        return input
    if 0 in (a, b):
        raise ValueError("Transpose is not supported on the batch dimension for jagged NT")
    moved = {a: b, b: a}.get(input.ragged_dim, input.ragged_dim)
    return build(input.ragged, moved, ops.transpose(values_of(input), a - 1, b - 1))


@implements("permute")
def _permute(input: Any, *dims: Any) -> Any:
    order = dims[0] if len(dims) == 1 and not isinstance(dims[0], int) else dims
    order = [_axis("permute", input, d) for d in order]
    if order[0] != 0:
        raise ValueError("Permute is not supported on the batch dimension for jagged NT")
    v = ops.permute(values_of(input), tuple(d - 1 for d in order[1:]))
    return build(input.ragged, order.index(input.ragged_dim), v)


@implements("unsqueeze")
def _unsqueeze(input: Any, dim: int) -> Any:
    at = dim % (input.ndim + 1)
    if at == 0:
        raise RuntimeError("unsqueeze(): not supported for NestedTensor on dim=0")
    made = ops.unsqueeze(values_of(input), at - 1)
    return build(input.ragged, input.ragged_dim + (at <= input.ragged_dim), made)


@implements("squeeze")
def _squeeze(input: Any, dim: int) -> Any:
    at = _inner("squeeze", input, dim)
    made = ops.squeeze(values_of(input), at) if at != input.ragged_dim - 1 else values_of(input)
    gone = made.ndim < input.ndim - 1 and at < input.ragged_dim - 1
    return build(input.ragged, input.ragged_dim - gone, made)


@implements("view reshape")
def _view(input: Any, *shape: Any) -> Any:
    """Another shape, in which -1 or the ragged size stands for the ragged dim."""
    size = list(shape[0]) if len(shape) == 1 and not isinstance(shape[0], int) else list(shape)
    if size[0] not in (input.ragged.batch, -1):
        raise RuntimeError(f"view(): cannot view shape {tuple(input.shape)} as {size}")
    marked = [i for i, n in enumerate(size) if n is input.ragged.size] or [
        i for i, n in enumerate(size) if n == -1 and i
    ]
    if not marked:
        raise RuntimeError(f"view(): cannot view shape {tuple(input.shape)} as {size}")
    at = marked[0]
    inner = [input.numbers.shape[input.ragged_dim - 1] if i == at else n for i, n in enumerate(size)][1:]
    return build(input.ragged, at, ops.reshape(values_of(input), tuple(inner)))


@implements("flatten")
def _flatten(input: Any, start_dim: int = 0, end_dim: int = -1) -> Any:
    a, b = _axis("flatten", input, start_dim), _axis("flatten", input, end_dim)
    if a <= input.ragged_dim <= b and a != b:
        raise RuntimeError("flatten(): not supported for NestedTensor on ragged dim")
    if a == b:
        return input
    return build(
        input.ragged,
        input.ragged_dim - (b - a if b < input.ragged_dim else 0),
        ops.flatten(values_of(input), a - 1, b - 1),
    )


@implements("unflatten")
def _unflatten(input: Any, dim: int, sizes: Sequence[int]) -> Any:
    at = _inner("unflatten", input, dim)
    made = ops.unflatten(values_of(input), at, tuple(sizes))
    return build(input.ragged, input.ragged_dim + (len(sizes) - 1 if at < input.ragged_dim - 1 else 0), made)


def _parts(name: str) -> None:
    def split(input: Any, size: Any, dim: int = 0) -> tuple[Any, ...]:
        at = _inner(name, input, dim)
        if at == input.ragged_dim - 1:
            raise RuntimeError(f"{name}(): not supported for NestedTensor on ragged dim")
        return tuple(like(input, v) for v in getattr(ops, name)(values_of(input), size, at))

    implements(name)(split)


for _name in ("chunk", "split", "split_with_sizes", "tensor_split"):
    _parts(_name)


@implements("narrow")
def _narrow(input: Any, dim: int, start: int, length: int) -> Any:
    at = _inner("narrow", input, dim)
    if at == input.ragged_dim - 1:
        raise RuntimeError("narrow(): not supported for NestedTensor on ragged dim")
    return like(input, ops.narrow(values_of(input), at, start, length))


def _joining(name: str) -> None:
    def join(tensors: Any, dim: int = 0) -> Any:
        first = next(x for x in tensors if is_nested(x))
        at = dim % (first.ndim + (name == "stack"))
        if at == 0:
            raise RuntimeError(f"{name}(): not supported for NestedTensor on dim=0")
        if not all(is_nested(x) and x.ragged.size is first.ragged.size for x in tensors):
            raise RuntimeError(f"{name}(): all tensors must be nested tensors of the same ragged size")
        made = getattr(ops, name)([values_of(x) for x in tensors], at - 1)
        return build(first.ragged, first.ragged_dim + (name == "stack" and at <= first.ragged_dim), made)

    implements(name)(join)


_joining("cat")
_joining("stack")


@implements("expand")
def _expand(input: Any, *size: Any) -> Any:
    wanted = list(size[0]) if len(size) == 1 and not isinstance(size[0], int) else list(size)
    inner = [-1 if n is input.ragged.size else n for n in wanted[1:]]
    return like(input, ops.expand(values_of(input), tuple(inner)))


@implements("copy_")
def _copy_(self: Any, src: Any, non_blocking: bool = False) -> Any:
    if not is_nested(src) or src.ragged.size is not self.ragged.size:
        raise RuntimeError("copy_ only supports Nested Tensors that have same size and offset metadata.")
    self.numbers.copy_(src.numbers)
    return self


@implements("zero_")
def _zero_(self: Any) -> Any:
    self.numbers.zero_()
    return self


@implements("contiguous")
def _contiguous(input: Any, memory_format: Any = None) -> Any:
    if input.is_contiguous():
        return input
    used = _used(input)
    ragged = input.ragged
    if ragged.lengths is not None:
        ragged = Ragged(from_array(np.concatenate([[0], np.cumsum(ragged.counts())]).astype(np.int64)))
    return build(ragged, input.ragged_dim, ops.movedim(used, 0, input.ragged_dim - 1).contiguous())


@implements("detach")
def _detach(self: Any) -> Any:
    return make(self.ragged, self.ragged_dim, self.numbers.detach())
