"""Transforms of parts of a value, and of its shape."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pullback import ops
from pullback.core._engine import Tensor
from pullback.core.dtypes import Size
from pullback.distributions import constraints
from pullback.distributions.transforms.base import Transform, at_least, with_end
from pullback.distributions.utils import _sum_rightmost, lazy_property


class ReshapeTransform(Transform):
    """Events of one shape onto events of another.

    >>> import pullback as torch
    >>> torch.distributions.ReshapeTransform((4,), (2, 2))(torch.zeros(3, 4)).shape
    torch.Size([3, 2, 2])
    """

    bijective = True

    def __init__(self, in_shape: Sequence[int], out_shape: Sequence[int], cache_size: int = 0) -> None:
        self.in_shape, self.out_shape = Size(in_shape), Size(out_shape)
        if self.in_shape.numel() != self.out_shape.numel():
            raise ValueError("in_shape, out_shape have different numbers of elements")
        super().__init__(cache_size=cache_size)

    @constraints.dependent_property(is_discrete=False)
    def domain(self) -> Any:
        return constraints.independent(constraints.real, len(self.in_shape))

    @constraints.dependent_property(is_discrete=False)
    def codomain(self) -> Any:
        return constraints.independent(constraints.real, len(self.out_shape))

    def with_cache(self, cache_size: int = 1) -> Any:
        if self._cache_size == cache_size:
            return self
        return ReshapeTransform(self.in_shape, self.out_shape, cache_size=cache_size)

    def _call(self, x: Tensor) -> Tensor:
        return x.reshape(x.shape[: x.dim() - len(self.in_shape)] + self.out_shape)

    def _inverse(self, y: Tensor) -> Tensor:
        return y.reshape(y.shape[: y.dim() - len(self.out_shape)] + self.in_shape)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return x.new_zeros(x.shape[: x.dim() - len(self.in_shape)])

    @staticmethod
    def _changed(shape: Any, old: Size, new: Size) -> Any:
        at_least(shape, len(old))
        end = shape[len(shape) - len(old) :]
        if end != old:
            raise ValueError(f"Shape mismatch: expected {end} but got {old}")
        return Size(with_end(Size(shape), len(old), tuple(new)))

    def forward_shape(self, shape: Any) -> Any:
        return self._changed(shape, self.in_shape, self.out_shape)

    def inverse_shape(self, shape: Any) -> Any:
        return self._changed(shape, self.out_shape, self.in_shape)


class CatTransform(Transform):
    """Transforms on parts of a value, of the given lengths along `dim`.

    >>> import pullback as torch
    >>> D = torch.distributions
    >>> D.CatTransform([D.ExpTransform(), D.identity_transform], 0, [1, 2])(torch.zeros(3))
    tensor([1., 0., 0.])
    """

    transforms: list[Transform]

    def __init__(
        self,
        tseq: Sequence[Transform],
        dim: int = 0,
        lengths: Sequence[int] | None = None,
        cache_size: int = 0,
    ) -> None:
        assert all(isinstance(t, Transform) for t in tseq), "All elements of tseq must be Transform instances"
        super().__init__(cache_size=cache_size)
        self.transforms = [t.with_cache(cache_size) if cache_size else t for t in tseq]
        self.lengths = [1] * len(self.transforms) if lengths is None else list(lengths)
        assert len(self.lengths) == len(self.transforms), (
            f"lengths ({len(self.lengths)}) must match transforms ({len(self.transforms)})"
        )
        self.dim = dim

    @lazy_property
    def event_dim(self) -> int:
        return max(t.event_dim for t in self.transforms)

    @lazy_property
    def length(self) -> int:
        """How much there is along `dim`."""
        return sum(self.lengths)

    def with_cache(self, cache_size: int = 1) -> Any:
        if self._cache_size == cache_size:
            return self
        return CatTransform(self.transforms, self.dim, self.lengths, cache_size)

    def _parts(self, **values: Tensor) -> list[Any]:
        """For each transform its part of each value."""
        for name, value in values.items():
            assert -value.dim() <= self.dim < value.dim()
            size = value.size(self.dim)
            assert size == self.length, f"{name}.size({self.dim}) = {size} must equal length {self.length}"
        starts = [sum(self.lengths[:k]) for k in range(len(self.lengths))]
        return [
            (t, *(v.narrow(self.dim, start, n) for v in values.values()))
            for t, start, n in zip(self.transforms, starts, self.lengths, strict=True)
        ]

    def _call(self, x: Tensor) -> Tensor:
        return ops.cat([t(part) for t, part in self._parts(x=x)], self.dim)

    def _inverse(self, y: Tensor) -> Tensor:
        return ops.cat([t.inv(part) for t, part in self._parts(y=y)], self.dim)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        slopes = []
        for t, before, after in self._parts(x=x, y=y):
            slope = t.log_abs_det_jacobian(before, after)
            slopes.append(_sum_rightmost(slope, self.event_dim - t.event_dim))
        dim = self.dim - x.dim() if self.dim >= 0 else self.dim
        dim += self.event_dim
        return ops.cat(slopes, dim) if dim < 0 else sum(slopes[1:], slopes[0])

    @property
    def bijective(self) -> bool:
        return all(t.bijective for t in self.transforms)

    @constraints.dependent_property
    def domain(self) -> Any:
        return constraints.cat([t.domain for t in self.transforms], self.dim, self.lengths)

    @constraints.dependent_property
    def codomain(self) -> Any:
        return constraints.cat([t.codomain for t in self.transforms], self.dim, self.lengths)


class StackTransform(Transform):
    """Transforms on the slices of a value along `dim`.

    >>> import pullback as torch
    >>> D = torch.distributions
    >>> D.StackTransform([D.ExpTransform(), D.identity_transform], 1)(torch.zeros(2, 2))
    tensor([[1., 0.],
            [1., 0.]])
    """

    transforms: list[Transform]

    def __init__(self, tseq: Sequence[Transform], dim: int = 0, cache_size: int = 0) -> None:
        assert all(isinstance(t, Transform) for t in tseq), "All elements of tseq must be Transform instances"
        super().__init__(cache_size=cache_size)
        self.transforms = [t.with_cache(cache_size) if cache_size else t for t in tseq]
        self.dim = dim

    def with_cache(self, cache_size: int = 1) -> Any:
        return (
            self if self._cache_size == cache_size else StackTransform(self.transforms, self.dim, cache_size)
        )

    def _slices(self, **values: Tensor) -> list[Any]:
        """For each transform its slice of each value."""
        for name, value in values.items():
            assert -value.dim() <= self.dim < value.dim()
            size, count = value.size(self.dim), len(self.transforms)
            assert size == count, f"{name}.size({self.dim}) = {size} must equal len(transforms) {count}"
        return [(t, *(v.select(self.dim, k) for v in values.values())) for k, t in enumerate(self.transforms)]

    def _call(self, x: Tensor) -> Tensor:
        return ops.stack([t(part) for t, part in self._slices(x=x)], self.dim)

    def _inverse(self, y: Tensor) -> Tensor:
        return ops.stack([t.inv(part) for t, part in self._slices(y=y)], self.dim)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        slopes = [t.log_abs_det_jacobian(*parts) for t, *parts in self._slices(x=x, y=y)]
        return ops.stack(slopes, self.dim)

    @property
    def bijective(self) -> bool:
        return all(t.bijective for t in self.transforms)

    @constraints.dependent_property
    def domain(self) -> Any:
        return constraints.stack([t.domain for t in self.transforms], self.dim)

    @constraints.dependent_property
    def codomain(self) -> Any:
        return constraints.stack([t.codomain for t in self.transforms], self.dim)
