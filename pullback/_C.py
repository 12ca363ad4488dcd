"""The few names of PyTorch's compiled module that programs use."""

from __future__ import annotations

import sys

from pullback.core._engine import DisableTorchFunction as DisableTorchFunctionSubclass
from pullback.core._engine import Tensor
from pullback.core._engine import disabled_torch_function as _disabled_torch_function_impl
from pullback.ops.linalg.refusals import LinAlgError as _LinAlgError

TensorBase = Tensor
_VariableFunctions = _VariableFunctionsClass = sys.modules["pullback"]  # functions as `torch.relu`

__all__ = [
    "DisableTorchFunctionSubclass",
    "TensorBase",
    "_LinAlgError",
    "_VariableFunctions",
    "_VariableFunctionsClass",
    "_disabled_torch_function_impl",
]
