"""`ShardedTensor`: a tensor of which a rank has a piece, that a checkpoint saves and reshards."""

from __future__ import annotations

from collections.abc import Sequence

from pullback.core._engine import Tensor


class ShardedTensor:
    """A tensor of `shape`, flat in memory; `local` are its numbers from `start` on that are this rank's."""

    def __init__(self, shape: Sequence[int], local: Tensor, start: int) -> None:
        self.shape = tuple(shape)
        self.local = local
        self.start = start

    @property
    def dtype(self) -> object:
        """The dtype of the numbers."""
        return self.local.dtype

    def size(self) -> tuple[int, ...]:
        """The shape of the whole."""
        return self.shape

    def numel(self) -> int:
        """How many numbers the whole has."""
        count = 1
        for n in self.shape:
            count *= n
        return count

    def __repr__(self) -> str:
        end = self.start + self.local.numel()
        return f"ShardedTensor(shape={self.shape}, dtype={self.dtype}, [{self.start}:{end}])"
