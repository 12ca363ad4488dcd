"""`torch.functional`: the functions that PyTorch writes in Python."""

from pullback.face.absent import getter
from pullback.overrides import has_torch_function, has_torch_function_unary, has_torch_function_variadic

__all__ = ["has_torch_function", "has_torch_function_unary", "has_torch_function_variadic"]

_FUNCTIONS = (
    "atleast_1d atleast_2d atleast_3d block_diag broadcast_shapes broadcast_tensors cartesian_prod cdist "
    "chain_matmul einsum istft lu meshgrid norm split stft tensordot unique unique_consecutive "
    "unravel_index pca_lowrank svd_lowrank"
)

__getattr__ = getter(__name__, dict.fromkeys(_FUNCTIONS.split(), "pullback"))
