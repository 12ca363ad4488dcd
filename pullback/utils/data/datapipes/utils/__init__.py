"""`torch.utils.data.datapipes.utils`: what pipes of files share."""

from pullback.face.absent import getter

__getattr__ = getter(__name__)
