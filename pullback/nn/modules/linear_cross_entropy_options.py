"""How `linear_cross_entropy` may save memory, as `torch.nn.modules.linear_cross_entropy_options`."""

from __future__ import annotations

from dataclasses import dataclass

from pullback.core.dtypes import dtype
from pullback.face.absent import getter

__all__ = ["LinearCrossEntropyOptions"]


@dataclass(frozen=True, slots=True)
class LinearCrossEntropyOptions:
    """Asks `linear_cross_entropy` to go through the batch in chunks. Here it is kept, and without effect."""

    allow_retain_graph: bool = False
    batch_chunk_size: int | None = None
    chunking_method: str | None = "auto"
    acc_policy: str = "auto"
    acc_dtype: dtype | None = None

    def __post_init__(self) -> None:
        if self.acc_policy not in ("accurate", "balanced", "compact", "auto"):
            raise ValueError(f"invalid acc_policy: {self.acc_policy!r}")
        size = self.batch_chunk_size
        if size is not None and not (isinstance(size, int) and size > 0):
            raise ValueError(f"batch_chunk_size must be positive int or None, got {size}")
        method = self.chunking_method
        if method not in (None, "auto") and not str(method).startswith("aspect_ratio:"):
            raise ValueError(f"invalid chunking_method: {method!r}")


__getattr__ = getter(__name__)
