"""`torch.storage`: the memory of tensors as objects."""

from pullback.face.absent import getter
from pullback.face.storage import TypedStorage, UntypedStorage
from pullback.serialization import _load_from_bytes

__all__ = ["TypedStorage", "UntypedStorage", "_load_from_bytes"]

__getattr__ = getter(__name__)
