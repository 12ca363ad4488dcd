"""Views with the dimensions in another order, or with more or fewer of size one.

Some also exist in place (`t_`, `squeeze_`), see `_also_in_place`: they change no number, the tensor
itself is seen otherwise from then on. PyTorch numbers their nodes apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from pullback import ops
from pullback.core._engine import Op, Tensor, restructure
from pullback.core._plans import Spec
from pullback.core.op import SURFACE, function, op
from pullback.core.settings import warn
from pullback.core.types import Dims, Ints, Size
from pullback.ops.elementwise import magnitude_and_sign
from pullback.ops.shared.batches import shifted
from pullback.ops.shared.dims import ints_of, wrap_dim, wrap_dims


def _also_in_place(record: Any) -> Any:
    """Publishes the in-place methods of a view op, one for each of its names. A decorator."""
    for name in [name for name, method in SURFACE["Tensor"].items() if method is record]:
        SURFACE["Tensor"][f"{name}_"] = _method(record, name)
    return record


def _method(record: Any, name: str) -> Callable[..., Any]:
    def method(*args: Any, **kwargs: Any) -> Any:
        return restructure(record, *record.bind(args, kwargs))

    method.__name__ = method.__qualname__ = f"{name}_"
    method.__doc__ = f"`{name}` of this tensor itself, which is returned."
    vars(method)["__wrapped__"] = record
    return method


# ------------------------------------------------------------------------ dimensions of size one


@_also_in_place
@op(view=True, linear=True)
def squeeze(self: Spec, dim: Dims = None) -> Spec:
    """`self` without those of its dimensions `dim` (an int, several, or None for all) that have size 1.

    A view; the gradient gets them back.

    >>> import pullback as torch
    >>> torch.zeros(1, 2, 1).squeeze().shape, torch.zeros(1, 2, 1).squeeze(0).shape
    (torch.Size([2]), torch.Size([2, 1]))
    """
    wanted = wrap_dims(dim, self.ndim)
    kept = [d for d, n in enumerate(self.shape) if n != 1 or d not in wanted]
    return _with_dims(self, kept)


def _with_dims(self: Spec, dims: Iterable[int]) -> Spec:
    """A view of some dims, in an order."""
    dims = tuple(dims)
    return self.seen([self.shape[d] for d in dims], [self.strides[d] for d in dims])


def _squeeze_name(saved: dict[str, Any]) -> str:
    dim = saved["dim"]
    return f"SqueezeBackward{3 * saved['written'] + (0 if dim is None else 1 if isinstance(dim, int) else 2)}"


squeeze.variant = _squeeze_name
squeeze.vjp(self=lambda g, self_shape, dim: ops.reshape(g, self_shape))


@squeeze.batch
def _squeeze_batch(level: Any, op: Op, self: Any, dim: Any) -> Any:
    ranks = self.ndim
    if not ranks and dim is not None:
        shifted(dim, 0)  # which may be refused
        dim = ()
    return level.wrap(op(self.physical, tuple(range(1, ranks + 1)) if dim is None else shifted(dim, ranks)))


@_also_in_place
@op(view=True, linear=True, written_name="UnsqueezeBackward1")
def unsqueeze(self: Spec, dim: int) -> Spec:
    """`self` with a new dimension of size 1 at place `dim`: a view.

    >>> import pullback as torch
    >>> torch.zeros(2, 3).unsqueeze(-1).shape
    torch.Size([2, 3, 1])
    """
    dim = wrap_dim(dim, self.ndim + 1)
    shape, strides = list(self.shape), list(self.strides)
    step = shape[dim] * strides[dim] if dim < len(shape) else self.itemsize
    return self.seen([*shape[:dim], 1, *shape[dim:]], [*strides[:dim], step, *strides[dim:]])


unsqueeze.vjp(self=lambda g, dim: squeeze(g, dim))


@unsqueeze.batch
def _unsqueeze_batch(level: Any, op: Op, self: Any, dim: int) -> Any:
    return level.wrap(op(self.physical, wrap_dim(dim, self.ndim + 1) + 1))


# ----------------------------------------------------------------------------------- other orders


@_also_in_place
@op(
    view=True,
    linear=True,
    aliases=("torch.swapaxes", "Tensor.swapaxes", "torch.swapdims", "Tensor.swapdims"),
    written_name="TransposeBackward1",
)
def transpose(self: Spec, dim0: int, dim1: int) -> Spec:
    """`self` with two dimensions exchanged: a view.

    >>> import pullback as torch
    >>> torch.zeros(2, 3, 4).transpose(0, -1).shape
    torch.Size([4, 3, 2])
    """
    first, second = wrap_dim(dim0, self.ndim), wrap_dim(dim1, self.ndim)
    order = list(range(self.ndim))
    if order:
        order[first], order[second] = second, first
    return _with_dims(self, order)


transpose.vjp(self=lambda g, dim0, dim1: transpose(g, dim0, dim1))


@transpose.batch
def _transpose_batch(level: Any, op: Op, self: Any, dim0: int, dim1: int) -> Any:
    dims = shifted((dim0, dim1), self.ndim) if self.ndim else (0, 0)
    return level.wrap(op(self.physical, *dims))


@_also_in_place
@op(view=True, linear=True, written_name="TBackward1")
def t(self: Spec) -> Spec:
    """The transpose of a matrix: a view; a tensor of fewer dimensions as it is.

    RuntimeError for more than two dimensions.

    >>> import pullback as torch
    >>> torch.tensor([[1, 2, 3]]).t()
    tensor([[1],
            [2],
            [3]])
    """
    if self.ndim > 2:
        raise RuntimeError(f"t() expects a tensor with <= 2 dimensions, but self is {self.ndim}D")
    return _with_dims(self, reversed(range(self.ndim)))


t.vjp(self=lambda g: t(g))


@t.batch
def _t_batch(level: Any, op: Op, self: Any) -> Any:
    if self.ndim > 2:
        t.seen(self._layout)  # the message for a sample
    return level.wrap(transpose(self.physical, 1, 2) if self.ndim == 2 else ops.alias(self.physical))


@op(view=True, linear=True)
def permute(self: Spec, dims: Size) -> Spec:
    """`self` with its dimensions in the order `dims`: a view.

    RuntimeError unless each dimension stands there once. The gradient is permuted back.

    >>> import pullback as torch
    >>> torch.zeros(2, 3, 4).permute(2, 0, 1).shape
    torch.Size([4, 2, 3])
    """
    dims = ints_of("permute", "dims", dims)
    if len(dims) != self.ndim:
        raise RuntimeError(
            "permute(sparse_coo): number of dimensions in the tensor input does not match the "
            "length of the desired ordering of dimensions i.e. input.dim() = "
            f"{self.ndim} is not equal to len(dims) = {len(dims)}"
        )
    order = [wrap_dim(d, self.ndim) for d in dims]
    if len(set(order)) != len(order):
        raise RuntimeError("permute(): duplicate dims are not allowed.")
    return _with_dims(self, order)


def _unpermute(g: Tensor, dims: Any) -> Tensor:
    back = [0] * len(dims)
    for position, d in enumerate(dims):
        back[d] = position
    return permute(g, back)


permute.vjp(self=_unpermute)


@permute.batch
def _permute_batch(level: Any, op: Op, self: Any, dims: Any) -> Any:
    if len(dims) != self.ndim:
        permute.seen(self._layout, dims)  # the message for a sample
    return level.wrap(op(self.physical, (0, *shifted(tuple(dims), self.ndim))))


@function(aliases=("torch.moveaxis", "Tensor.moveaxis"))
def movedim(input: Tensor, source: Ints, destination: Ints) -> Tensor:
    """`input` with the dimensions `source` moved to the places `destination`: a view.

    >>> import pullback as torch
    >>> torch.zeros(2, 3, 4).movedim(0, -1).shape
    torch.Size([3, 4, 2])
    """
    ndim = input.ndim
    both = [(x,) if isinstance(x, int) else tuple(x) for x in (source, destination)]
    if len(both[0]) != len(both[1]):
        raise RuntimeError(
            f"movedim: Invalid source or destination dims: source ({list(both[0])} dims) should "
            f"contain the same number of dims as destination ({list(both[1])} dims)"
        )
    wrapped = [[wrap_dim(d, ndim) for d in dims] for dims in both]
    for name, dims, dims_given in zip(("source", "destination"), wrapped, both, strict=True):
        if len(set(dims)) != len(dims):
            raise RuntimeError(f"movedim: repeated dim in `{name}` ({list(dims_given)})")
    if not ndim:
        return ops.alias(input)
    order = [d for d in range(ndim) if d not in wrapped[0]]
    for position, d in sorted(zip(wrapped[1], wrapped[0], strict=True)):
        order.insert(position, d)
    return permute(input, order)


# ------------------------------------------------------------------------ properties of a tensor


def numpy_T(self: Tensor) -> Tensor:
    """The tensor with its dimensions in reverse order: a view."""
    ndim = self.ndim
    if ndim not in (0, 2):
        warn(
            "The use of `x.T` on tensors of dimension other than 2 to reverse their shape is "
            "deprecated and it will throw an error in a future release. Consider `x.mT` to "
            "transpose batches of matrices or `x.permute(*torch.arange(x.ndim - 1, -1, -1))` to "
            "reverse the dimensions of a tensor."
        )
    return permute(self, tuple(range(ndim - 1, -1, -1)))


def matrix_T(self: Tensor) -> Tensor:
    """The transposes of matrices: a view with the last two dimensions exchanged; of a number, itself."""
    return transpose(_matrices(self, "mT"), -2, -1) if self.ndim else self


def matrix_H(self: Tensor) -> Tensor:
    """The conjugate transposes of matrices; of a number, its conjugate."""
    matrices = transpose(_matrices(self, "mH"), -2, -1) if self.ndim else self
    return magnitude_and_sign.conj(matrices)


def _matrices(x: Tensor, name: str) -> Tensor:
    if x.ndim < 2:
        raise RuntimeError(
            f"tensor.{name} is only supported on matrices or batches of matrices. Got {x.ndim}-D tensor."
        )
    return x


def hermitian(self: Tensor) -> Tensor:
    """The conjugate transpose of a matrix."""
    if self.ndim not in (0, 2):
        more = " For batches of matrices, consider using tensor.mH" if self.ndim > 2 else ""
        raise RuntimeError(
            f"tensor.H is only supported on matrices (2-D tensors). Got {self.ndim}-D tensor.{more}"
        )
    return magnitude_and_sign.conj(transpose(self, 0, 1)) if self.ndim else magnitude_and_sign.conj(self)


@function()
def adjoint(input: Tensor) -> Tensor:
    """The conjugate transposes of matrices, `input.mH`.

    >>> import pullback as torch
    >>> torch.adjoint(torch.tensor([[1 + 2j, 3]]))
    tensor([[1.-2.j],
            [3.-0.j]])
    """
    if input.ndim == 1:
        raise RuntimeError(
            "tensor.adjoint() is only supported on matrices or batches of matrices. Got 1-D tensor."
        )
    return magnitude_and_sign.conj(transpose(input, -2, -1) if input.ndim else input)


for _name, _get in (("T", numpy_T), ("mT", matrix_T), ("mH", matrix_H), ("H", hermitian)):
    SURFACE["Tensor"][_name] = property(_get)
