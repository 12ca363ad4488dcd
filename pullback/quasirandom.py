"""`torch.quasirandom`: points that fill the unit cube evenly."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from pullback import ops
from pullback.core._engine import Tensor
from pullback.core.dtypes import dtype as Dtype
from pullback.core.dtypes import get_default_dtype
from pullback.face.absent import getter
from pullback.ops.arrays.random import Generator

__all__ = ["SobolEngine"]


def _directions(dimension: int) -> Any:
    """The direction numbers of Joe and Kuo, for each dimension a row, as SciPy has them."""
    from scipy.stats.qmc import Sobol

    found: Any = Sobol(dimension, scramble=False, bits=SobolEngine.MAXBIT)
    return found._sv.astype(np.int64)


def _scrambled(numbers: Any, matrices: Any) -> Any:
    """Numbers whose bits, the highest first, are multiplied by lower triangular matrices of bits."""
    places = np.arange(SobolEngine.MAXBIT)[::-1]
    bits = (numbers[:, None, :] >> places[:, None]) & 1
    return (((matrices @ bits) & 1) << places[:, None]).sum(axis=1)


class SobolEngine:
    """Draws the points of a Sobol sequence in `[0, 1)^dimension`, scrambled if wanted by a seed.

    ValueError for a dimension beyond 21201.

    >>> import pullback as torch
    >>> torch.quasirandom.SobolEngine(2).draw(3)
    tensor([[0.0000, 0.0000],
            [0.5000, 0.5000],
            [0.7500, 0.2500]])
    """

    MAXBIT = 30
    MAXDIM = 21201

    def __init__(self, dimension: int, scramble: bool = False, seed: int | None = None) -> None:
        if dimension > self.MAXDIM or dimension < 1:
            raise ValueError(f"Supported range of dimensionality for SobolEngine is [1, {self.MAXDIM}]")
        self.dimension, self.scramble, self.seed = dimension, scramble, seed
        numbers, shift = _directions(dimension), np.zeros(dimension, np.int64)
        if scramble:
            generator = None if seed is None else Generator().manual_seed(seed)
            size = (dimension, self.MAXBIT)
            shift = ops.randint(2, size, generator=generator)._array @ (1 << np.arange(self.MAXBIT))
            matrices = np.tril(ops.randint(2, (*size, self.MAXBIT), generator=generator)._array)
            matrices[:, range(self.MAXBIT), range(self.MAXBIT)] = 1
            numbers = _scrambled(numbers, matrices)
        self.sobolstate: Tensor = ops.from_numpy(np.ascontiguousarray(numbers))
        self.shift: Tensor = ops.from_numpy(shift)
        self.quasi: Tensor = self.shift.clone()
        self._first_point: Tensor = (self.quasi / 2**self.MAXBIT).reshape(1, -1)
        self.num_generated = 0

    def draw(self, n: int = 1, out: Tensor | None = None, dtype: Dtype | None = None) -> Tensor:
        """The next `n` points, a tensor of shape `(n, dimension)`."""
        kind = dtype or get_default_dtype()
        if self.num_generated == 0:
            first = self._first_point.to(kind)
            result = first if n == 1 else ops.cat((first, self._points(n - 1, kind)), dim=-2)
        else:
            result = self._points(n, kind)
        self.num_generated += n
        return result if out is None else out.resize_(result.shape).copy_(result)

    def _steps(self, n: int) -> Any:
        """What the last point becomes in each of the next steps, and counts them."""
        if n < 0:
            raise RuntimeError(
                f"Trying to create tensor with negative dimension {n}: [{n}, {self.dimension}]"
            )
        counts = np.arange(n) + max(self.num_generated - 1, 0)
        zeros = ~counts & (counts + 1)  # the lowest bit that is 0
        steps = (
            self.sobolstate._array.T[np.log2(zeros).astype(np.int64)]
            if n
            else np.empty((0, self.dimension), int)
        )
        return np.bitwise_xor.accumulate(np.concatenate((self.quasi._array[None], steps)), axis=0)

    def _points(self, n: int, dtype: Dtype) -> Tensor:
        numbers = self._steps(n)
        self.quasi.copy_(ops.from_numpy(numbers[-1]))
        made: Tensor = ops.from_numpy(numbers[1:]).to(dtype)
        return made.mul_(2.0**-self.MAXBIT)

    def draw_base2(self, m: int, out: Tensor | None = None, dtype: Dtype | None = None) -> Tensor:
        """The next `2**m` points. ValueError where all points then are not a power of 2."""
        n, total = 2**m, self.num_generated + 2**m
        if total & (total - 1):
            raise ValueError(
                "The balance properties of Sobol' points require n to be a power of 2. "
                f"{self.num_generated} points have been previously generated, then: "
                f"n={self.num_generated}+2**{m}={total}. If you still want to do this, please use "
                "'SobolEngine.draw()' instead."
            )
        return self.draw(n=n, out=out, dtype=dtype)

    def reset(self) -> Self:
        """Goes back to the first point."""
        self.quasi.copy_(self.shift)
        self.num_generated = 0
        return self

    def fast_forward(self, n: int) -> Self:
        """Leaves out `n` points."""
        count = n - 1 if self.num_generated == 0 else n
        self.quasi.copy_(ops.from_numpy(self._steps(max(count, 0))[-1]))
        self.num_generated += n
        return self

    def __repr__(self) -> str:
        words = [f"dimension={self.dimension}"]
        words += ["scramble=True"] if self.scramble else []
        words += [f"seed={self.seed}"] if self.seed is not None else []
        return f"SobolEngine({', '.join(words)})"


__getattr__ = getter(__name__)
