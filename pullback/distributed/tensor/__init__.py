"""`torch.distributed.tensor`: the names of placements. There are no tensors on several processes."""

from __future__ import annotations

from pullback.distributed.tensor.placement_types import Partial, Placement, Replicate, Shard
from pullback.face.placeholders import placeholders

__all__ = ["Partial", "Placement", "Replicate", "Shard"]

__getattr__ = placeholders(__name__, "has not this part of torch.distributed")
