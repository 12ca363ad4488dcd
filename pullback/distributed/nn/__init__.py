"""`torch.distributed.nn`: collectives that are differentiable."""

from pullback.distributed.nn import functional
from pullback.distributed.nn.functional import (
    all_gather,
    all_reduce,
    all_to_all,
    all_to_all_single,
    broadcast,
    gather,
    reduce,
    reduce_scatter,
    scatter,
)
from pullback.face.placeholders import placeholders

__all__ = [
    "all_gather",
    "all_reduce",
    "all_to_all",
    "all_to_all_single",
    "broadcast",
    "functional",
    "gather",
    "reduce",
    "reduce_scatter",
    "scatter",
]

__getattr__ = placeholders(__name__, "has not this part of torch.distributed")
