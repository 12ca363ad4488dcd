"""`torch._functorch`: the parts of `vmap` that packages put their own in the place of."""

from pullback.face.absent import getter

__getattr__ = getter(__name__)
