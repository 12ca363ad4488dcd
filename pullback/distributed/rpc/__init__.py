"""`torch.distributed.rpc`: there are no other processes to call."""

from pullback.face.placeholders import placeholders

__all__ = ["is_available"]


def is_available() -> bool:
    """Whether functions of other processes can be called: False."""
    return False


__getattr__ = placeholders(__name__, "runs in one process")
