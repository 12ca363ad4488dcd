"""`torch.version`: which version of PyTorch's interface this is, and for which devices it was built.

`pullback.__version__` is Pullback's own; where the launcher makes `torch` mean Pullback, `torch.__version__`
is the one here, so that programs that ask for a feature by version find it.
"""

from __future__ import annotations

from typing import Any

from pullback.face.absent import getter

__all__ = ["TorchVersion"]


def _numbers(text: Any) -> tuple[tuple[int, int | str], ...]:
    """A version's parts in an order that compares: numbers after words."""
    if not isinstance(text, str):
        text = ".".join(map(str, text))
    parts = text.partition("+")[0].split(".")
    return tuple((1, int(part)) if part.isdigit() else (0, part) for part in parts)


class TorchVersion(str):
    """A version that compares with versions, as text or as tuples of numbers.

    >>> import pullback as torch
    >>> torch.version.__version__ >= (2, 0), torch.version.__version__ < "2.13.1"
    (True, True)
    """

    def __lt__(self, other: Any) -> bool:
        return _numbers(self) < _numbers(other)

    def __le__(self, other: Any) -> bool:
        return _numbers(self) <= _numbers(other)

    def __gt__(self, other: Any) -> bool:
        return _numbers(self) > _numbers(other)

    def __ge__(self, other: Any) -> bool:
        return _numbers(self) >= _numbers(other)

    def __eq__(self, other: object) -> bool:
        return _numbers(self) == _numbers(other) if isinstance(other, (str, tuple)) else NotImplemented

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = str.__hash__


__version__ = TorchVersion("2.13.0")
debug = False
cuda: str | None = None
hip: str | None = None
rocm: str | None = None
xpu: str | None = None
git_version = "unknown"

__getattr__ = getter(__name__)
