"""`torch.torch_version`: where PyTorch keeps the type of its version."""

from pullback.face.absent import getter
from pullback.version import TorchVersion

__all__ = ["TorchVersion"]

__getattr__ = getter(__name__)
