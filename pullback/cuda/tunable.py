"""`torch.cuda.tunable`: the choice between kernels of CUDA devices, of which there are none."""

from pullback.cuda import NO_CUDA
from pullback.face.absent import getter
from pullback.face.accelerators import refusals

_REFUSED = refusals(
    "enable get_filename get_max_tuning_duration get_max_tuning_iterations get_results "
    "get_rotating_buffer_size get_validators is_enabled mgpu_tune_gemm_in_file read_file "
    "record_untuned_enable record_untuned_is_enabled set_filename set_max_tuning_duration "
    "set_max_tuning_iterations set_numerical_check_tolerances set_rotating_buffer_size "
    "tune_gemm_in_file tuning_enable tuning_is_enabled",
    AssertionError,
    NO_CUDA,
)
globals().update(_REFUSED)
__all__ = [*_REFUSED]

__getattr__ = getter(__name__)
