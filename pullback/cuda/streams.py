"""`torch.cuda.streams`: queues of work on CUDA devices."""

from pullback.cuda import (
    Event,
    ExternalStream,
    Stream,
)
from pullback.face.absent import getter

__all__ = [
    "Event",
    "ExternalStream",
    "Stream",
]


__getattr__ = getter(__name__)
