from typing import Any

from pullback.core.types import Array

IM2COL: Any
COL2IM: Any

class Geometry:
    numbers: tuple[int, ...]
    taps: int
    places: int
    rows: int
    width: int
    out: tuple[int, ...]
    stretch: int
    plain: bool
    def __init__(
        self,
        size: tuple[int, ...],
        kernel: tuple[int, ...],
        stride: tuple[int, ...],
        padding: tuple[int, ...],
        dilation: tuple[int, ...],
        out: tuple[int, ...],
    ) -> None: ...

def im2col(image: Array, columns: Array, g: Geometry, images: int, channels: int, jump: int, pitch: int, first: int, last: int) -> None: ...
def col2im(image: Array, columns: Array, g: Geometry, images: int, channels: int, jump: int, pitch: int, first: int, last: int) -> None: ...
def depthwise(x: Array, w: Array, y: Array, g: Geometry, images: int, channels: int, times: int, part: str) -> None: ...
