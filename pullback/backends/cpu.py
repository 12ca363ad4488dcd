"""`torch.backends.cpu`: which of the processor's instructions PyTorch's own kernels would use."""

from pullback.face.absent import getter

__all__ = ["get_cpu_capability"]


def get_cpu_capability() -> str:
    """ "DEFAULT": results do not depend on the processor."""
    return "DEFAULT"


__getattr__ = getter(__name__)
