"""`torch.cuda.random`: random numbers of CUDA devices."""

from pullback import cuda
from pullback.face.absent import getter

_NAMES = (
    "get_rng_state get_rng_state_all initial_seed manual_seed manual_seed_all seed seed_all "
    "set_rng_state set_rng_state_all"
)

globals().update({name: getattr(cuda, name) for name in _NAMES.split()})
__all__ = [*_NAMES.split()]

__getattr__ = getter(__name__)
