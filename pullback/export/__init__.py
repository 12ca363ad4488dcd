"""`torch.export`: programs are not exported; names can be imported and asked by."""

from pullback.face.placeholders import placeholders

__getattr__ = placeholders(__name__, "exports no programs")
