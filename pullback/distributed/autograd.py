"""`torch.distributed.autograd`: gradients stay in one process."""

from pullback.face.placeholders import placeholders

__all__ = ["is_available"]


def is_available() -> bool:
    """Whether gradients go between processes: False."""
    return False


__getattr__ = placeholders(__name__, "runs in one process")
