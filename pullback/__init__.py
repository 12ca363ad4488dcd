"""Pullback: tensors with gradients. `import pullback as torch` runs programs written for PyTorch.

Public names and no logic. What an op is and does stands in `ops/`, Tensor and the backward pass in
`_engine.pyx`; docs/architecture.md shows the way of one op through them.
"""

# ruff: noqa: F401, E402

import os
import sys

from pullback.core import blas  # isort: skip  (before NumPy is loaded)
from pullback import ops
from pullback.core import _engine
from pullback.core._engine import Tensor, result_type, set_default_dtype
from pullback.core.dtypes import (
    ALIASES,
    DTYPES,
    NAMED,
    Size,
    can_cast,
    channels_last,
    channels_last_3d,
    contiguous_format,
    device,
    dtype,
    finfo,
    get_default_device,
    get_default_dtype,
    iinfo,
    jagged,
    layout,
    memory_format,
    preserve_format,
    promote_types,
    set_default_device,
    sparse_bsc,
    sparse_bsr,
    sparse_coo,
    sparse_csc,
    sparse_csr,
    strided,
)
from pullback.core.op import SURFACE
from pullback.core.printing import set_printoptions
from pullback.core.settings import (
    are_deterministic_algorithms_enabled,
    get_deterministic_debug_mode,
    get_float32_matmul_precision,
    get_num_interop_threads,
    get_num_threads,
    is_deterministic_algorithms_warn_only_enabled,
    is_warn_always_enabled,
    set_deterministic_debug_mode,
    set_float32_matmul_precision,
    set_num_interop_threads,
    set_num_threads,
    set_warn_always,
    use_deterministic_algorithms,
)
from pullback.face import namespaces
from pullback.face.legacy import TENSOR_TYPES, set_default_tensor_type
from pullback.face.members import MEMBERS
from pullback.face.storage import STORAGE_TYPES, StorageBase, TypedStorage, UntypedStorage

_engine.install({name: _engine.REGISTRY[name] for name in ops.OPERATORS.split()}, ops)
_engine.attach({**SURFACE["Tensor"], **MEMBERS, "__getattr__": namespaces.late_member})

from pullback import _C, __future__, autograd, overrides  # they use what is attached above
from pullback.autograd import (
    enable_grad,
    inference_mode,
    is_anomaly_check_nan_enabled,
    is_anomaly_enabled,
    is_grad_enabled,
    is_inference_mode_enabled,
    no_grad,
    set_grad_enabled,
)

__version__ = "0.1.0"

inf, nan, pi, e, newaxis = float("inf"), float("nan"), 3.141592653589793, 2.718281828459045, None

globals().update({kind.name: kind for kind in DTYPES} | NAMED | ALIASES | TENSOR_TYPES | STORAGE_TYPES)
namespaces.add_namespaces(__name__)
namespaces.name_classes(__name__)
_engine.install_completion(namespaces.complete, namespaces.absent_member)
__getattr__ = namespaces.fill_namespace(sys.modules[__name__], "torch")

if os.environ.get("PULLBACK_EXPLAINING") == "1":
    from pullback.see import explaining

    explaining().__enter__()  # for as long as the program runs
