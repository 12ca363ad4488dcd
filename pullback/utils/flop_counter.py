"""`torch.utils.flop_counter`: `FlopCounterMode`."""

from pullback.face.absent import getter

__getattr__ = getter(__name__, {"FlopCounterMode": "pullback.see.flops"})
