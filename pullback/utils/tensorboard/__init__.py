"""`torch.utils.tensorboard`: `SummaryWriter`, for which the package `tensorboard` must be installed."""

from pullback.face.absent import getter

__getattr__ = getter(__name__, {"SummaryWriter": "pullback.utils.tensorboard.writer"})
