"""`torch.ao`: nothing is quantised or pruned so; names can be imported and asked by."""

from pullback.face.placeholders import placeholders

__getattr__ = placeholders(__name__, "has no torch.ao")
