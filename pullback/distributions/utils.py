"""What distributions share: broadcasting of arguments, probabilities and logits, triangular matrices."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from pullback import ops
from pullback.autograd import enable_grad
from pullback.core._engine import Tensor
from pullback.core.dtypes import dtype as DType
from pullback.core.dtypes import finfo, get_default_dtype
from pullback.face.absent import getter
from pullback.overrides import is_tensor_like

__all__ = [
    "broadcast_all",
    "clamp_probs",
    "lazy_property",
    "logits_to_probs",
    "probs_to_logits",
    "tril_matrix_to_vec",
    "vec_to_tril_matrix",
]

euler_constant = 0.57721566490153286060


def broadcast_all(*values: Any) -> tuple[Tensor, ...]:
    """Numbers and tensors as tensors of one shape.

    Numbers get the dtype of the first tensor, the default dtype if there is none. ValueError for what is
    neither.

    >>> import pullback as torch
    >>> torch.distributions.utils.broadcast_all(torch.zeros(2), 1.0)
    (tensor([0., 0.]), tensor([1., 1.]))
    """
    if not all(is_tensor_like(v) or isinstance(v, (bool, int, float)) for v in values):
        raise ValueError(
            "Input arguments must all be instances of Number, torch.Tensor or objects implementing "
            "__torch_function__."
        )
    tensors = [v for v in values if is_tensor_like(v)]
    dtype = tensors[0].dtype if tensors else get_default_dtype()
    made = [v if is_tensor_like(v) else ops.tensor(v, dtype=dtype) for v in values]
    return tuple(ops.broadcast_tensors(*made))


def _standard_normal(shape: Sequence[int], dtype: DType | None, device: Any) -> Tensor:
    """Normal numbers of mean 0 and deviation 1."""
    return ops.normal(ops.zeros(shape, dtype=dtype, device=device), 1.0)


def _sum_rightmost(value: Tensor, dim: int) -> Tensor:
    """The sum over the last `dim` dims."""
    return value.reshape((*value.shape[: value.dim() - dim], -1)).sum(-1) if dim else value


def logits_to_probs(logits: Tensor, is_binary: bool = False) -> Tensor:
    """The probabilities of logits: of a binary choice the sigmoid, else the softmax of the last dim.

    >>> import pullback as torch
    >>> torch.distributions.utils.logits_to_probs(torch.zeros(2))
    tensor([0.5000, 0.5000])
    """
    return ops.sigmoid(logits) if is_binary else ops.softmax(logits, -1)


def clamp_probs(probs: Tensor) -> Tensor:
    """Probabilities within [eps, 1 - eps], eps that of the dtype.

    >>> import pullback as torch
    >>> torch.distributions.utils.clamp_probs(torch.tensor([0.0, 0.5]))
    tensor([1.1921e-07, 5.0000e-01])
    """
    eps = finfo(probs.dtype).eps
    return probs.clamp(min=eps, max=1 - eps)


def probs_to_logits(probs: Tensor, is_binary: bool = False) -> Tensor:
    """The logits of probabilities: of a binary choice log(p / (1 - p)), else log p.

    >>> import pullback as torch
    >>> torch.distributions.utils.probs_to_logits(torch.tensor([0.5]), is_binary=True)
    tensor([0.])
    """
    p = clamp_probs(probs)
    return ops.log(p) - ops.log1p(-p) if is_binary else ops.log(p)


class lazy_property:
    """A property that is computed when first read, and then stands in the object's dict.

    It may be set in the object before; on the class it shows as a property.

    >>> import pullback as torch
    >>> d = torch.distributions.Bernoulli(probs=torch.tensor(0.5))
    >>> "logits" in vars(d), d.logits, "logits" in vars(d)
    (False, tensor(0.), True)
    """

    def __init__(self, wrapped: Callable[[Any], Any]) -> None:
        self.wrapped = wrapped
        self.__doc__ = getattr(wrapped, "__doc__", None)
        self.__name__ = getattr(wrapped, "__name__", None)

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        if instance is None:
            return _lazy_property_and_property(self.wrapped)
        with enable_grad():  # the value may be needed with a history later
            value = self.wrapped(instance)
        setattr(instance, self.wrapped.__name__, value)
        return value


class _lazy_property_and_property(lazy_property, property):
    """What a lazy property is on its class: for documentation tools a property as well."""

    def __init__(self, wrapped: Callable[[Any], Any]) -> None:
        property.__init__(self, wrapped)


def _tril_size(n: int, diag: int) -> int:
    """How many elements of an n x n matrix lie on and below a diagonal."""
    return n * (n + 1) // 2 + diag * n - diag * (diag + 1) // 2 if diag >= 0 else _tril_size(n + diag, 0)


def tril_matrix_to_vec(mat: Tensor, diag: int = 0) -> Tensor:
    """The elements on and below a diagonal of (batches of) square matrices, row by row.

    >>> import pullback as torch
    >>> torch.distributions.utils.tril_matrix_to_vec(torch.tensor([[1, 2], [3, 4]]))
    tensor([1, 3, 4])
    """
    n = mat.shape[-1]
    if diag < -n or diag >= n:
        raise ValueError(f"diag ({diag}) provided is outside [{-n}, {n - 1}].")
    rows, columns = ops.tril_indices(n, n, diag)
    return mat[..., rows, columns]


def vec_to_tril_matrix(vec: Tensor, diag: int = 0) -> Tensor:
    """Square matrices with the elements on and below a diagonal, row by row, and zeros above.

    >>> import pullback as torch
    >>> torch.distributions.utils.vec_to_tril_matrix(torch.tensor([1, 3, 4]))
    tensor([[1, 0],
            [3, 4]])
    """
    size = vec.shape[-1]
    n = _rows_of(size, diag)
    if _tril_size(n, diag) != size:
        raise ValueError(
            f"The size of last dimension is {size} which cannot be expressed as "
            "the lower triangular part of a square D x D matrix."
        )
    rows, columns = ops.tril_indices(n, n, diag)
    mat = vec.new_zeros((*vec.shape[:-1], n, n))
    mat[..., rows, columns] = vec
    return mat


def _rows_of(size: int, diag: int) -> int:
    """The n for which `_tril_size(n, diag)` is nearest to `size`: the root of a quadratic."""
    if diag < 0:
        return _rows_of(size, 0) - diag
    b = 1 + 2 * diag
    return round((-b + math.sqrt(b * b + 8 * size + 4 * diag * (diag + 1))) / 2)


__getattr__ = getter(__name__)
