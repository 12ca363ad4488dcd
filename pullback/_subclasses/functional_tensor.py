"""`torch._subclasses.functional_tensor`: names to ask by."""

from __future__ import annotations

from pullback.face.absent import getter

__all__ = ["FunctionalTensor", "FunctionalTensorMode"]


class FunctionalTensor:
    """A name to ask by: no tensor is one."""


class FunctionalTensorMode:
    """A name to ask by."""


__getattr__ = getter(__name__)
