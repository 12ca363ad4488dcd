"""`torch.backends.mkl`: not there. Matrix products are those of NumPy's BLAS."""

from __future__ import annotations

from pullback.face.absent import getter

__all__ = ["is_available", "verbose"]

VERBOSE_OFF, VERBOSE_ON = 0, 1


def is_available() -> bool:
    """Whether the library is there: False.

    >>> import pullback as torch
    >>> torch.backends.mkl.is_available(), torch.backends.mps.is_available()
    (False, False)
    """
    return False


class verbose:
    """A context in which the library would say what it does. RuntimeError when it is entered to be on."""

    def __init__(self, enable: int) -> None:
        self.enable = enable

    def __enter__(self) -> verbose:
        if self.enable != VERBOSE_OFF:
            raise RuntimeError(
                "Failed to set MKL into verbose mode. Please consider to disable this verbose scope."
            )
        return self

    def __exit__(self, *exc: object) -> None:
        pass


__getattr__ = getter(__name__)
