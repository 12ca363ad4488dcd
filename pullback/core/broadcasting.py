"""The shape that several tensors have in common."""

from __future__ import annotations

from typing import Any

import numpy as np


def common_shape(*shapes: Any) -> tuple[int, ...]:
    """The common shape of several tensors; RuntimeError if there is none.

    They are joined one after the other, from the last dim on: so the error names the sizes and the dim that
    PyTorch names.
    """
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        pass
    whole: list[int] = []
    for shape in shapes:
        whole = [1] * (len(shape) - len(whole)) + whole
        for d in range(1, len(shape) + 1):
            n, m = shape[-d], whole[-d]
            if n != m and n != 1 and m != 1:
                raise RuntimeError(
                    f"The size of tensor a ({m}) must match the size of tensor b ({n}) "
                    f"at non-singleton dimension {len(whole) - d}"
                )
            whole[-d] = m if n == 1 else n
    return tuple(whole)
