"""`torch.distributed.elastic`: programs are started once, in one process."""

from pullback.face.placeholders import placeholders

__getattr__ = placeholders(__name__, "runs in one process")
