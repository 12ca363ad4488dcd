"""`torch.cuda.graphs`: recorded work of CUDA devices."""

from pullback import cuda
from pullback.face.absent import getter

_NAMES = "CUDAGraph graph graph_pool_handle is_current_stream_capturing make_graphed_callables"

globals().update({name: getattr(cuda, name) for name in _NAMES.split()})
__all__ = [*_NAMES.split()]

__getattr__ = getter(__name__)
