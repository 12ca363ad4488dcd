"""`torch._subclasses.fake_tensor`: names to ask by. What has no numbers is on "meta"."""

from __future__ import annotations

from typing import Any

from pullback.core._engine import Tensor
from pullback.face.absent import getter

__all__ = ["FakeTensor", "FakeTensorMode", "is_fake"]


class FakeTensor(Tensor):
    """A name to ask by."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        raise RuntimeError('FakeTensor: Pullback has tensors without numbers on the device "meta"')


class FakeTensorMode:
    """A context that refuses: tensors without numbers are made on the device "meta"."""

    def __init__(self, **options: Any) -> None: ...

    def __enter__(self) -> None:
        raise RuntimeError('FakeTensorMode: Pullback has tensors without numbers on the device "meta"')

    def __exit__(self, *exc: object) -> None: ...


def is_fake(x: Any) -> bool:
    """Whether a tensor is one of PyTorch's compiler: False."""
    return False


__getattr__ = getter(__name__)
