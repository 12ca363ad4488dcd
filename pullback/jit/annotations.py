"""`torch.jit.annotations`: types of arguments of TorchScript, as other files import them."""

from typing import Any, Dict, List, Optional, Tuple, Union  # noqa: F401, UP035

from pullback._jit_internal import (
    BroadcastingList1,
    BroadcastingList2,
    BroadcastingList3,
    BroadcastingList4,
    BroadcastingList5,
    BroadcastingList6,
)
from pullback.face.absent import getter

__all__ = [
    "BroadcastingList1",
    "BroadcastingList2",
    "BroadcastingList3",
    "BroadcastingList4",
    "BroadcastingList5",
    "BroadcastingList6",
]

__getattr__ = getter(__name__)
