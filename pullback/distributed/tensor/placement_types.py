"""How a tensor lies on several processes, as programs say it: `torch.distributed.tensor.placement_types`."""

from __future__ import annotations

from dataclasses import dataclass

from pullback.face.placeholders import placeholders

__all__ = ["Partial", "Placement", "Replicate", "Shard"]


class Placement:
    """How a tensor lies along one dim of a mesh of processes."""

    def is_shard(self, dim: int | None = None) -> bool:
        """Whether each process has a part of it, along `dim` if that is given."""
        return isinstance(self, Shard) and (dim is None or self.dim == dim)

    def is_replicate(self) -> bool:
        """Whether each process has all of it."""
        return isinstance(self, Replicate)

    def is_partial(self, reduce_op: str | None = None) -> bool:
        """Whether it is what the tensors of the processes are reduced to, by `reduce_op` if that is given."""
        return isinstance(self, Partial) and (reduce_op is None or self.reduce_op == reduce_op)


@dataclass(frozen=True)
class Shard(Placement):
    """Each process has a part along `dim`."""

    dim: int


@dataclass(frozen=True)
class Replicate(Placement):
    """Each process has all of it."""


@dataclass(frozen=True, repr=False)
class Partial(Placement):
    """The tensor is what those of the processes are reduced to."""

    reduce_op: str = "sum"

    def __repr__(self) -> str:
        return f"Partial({self.reduce_op})"


__getattr__ = placeholders(__name__, "has not this part of torch.distributed")
