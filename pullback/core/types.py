"""Names of types for annotations.

Those of an op's or a public function's parameters are read as well: `core/op.py` takes from them which
parameters are tensors, `ops/shared/forms.py` what the messages call them. A kernel has an `Array` where the
op has a tensor.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]
"""What kernels take and return."""

Number = bool | int | float | complex
"""A Python number, where a tensor is not."""

Arrays = Sequence[Array]
"""A kernel's parameter where the op has a list of tensors."""

Size = tuple[int, ...]
"""A kernel's parameter that is a size, which users may give as separate ints."""

Dims = int | Sequence[int] | None
"""Some dims; None for all."""

Ints = int | Sequence[int]
"""A number for all dims, or one for each."""
