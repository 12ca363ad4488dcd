"""Modules on several devices, as `torch.nn.parallel`. Here there is one device, on which they run."""

from pullback.face.absent import getter
from pullback.nn.parallel.data_parallel import DataParallel, data_parallel
from pullback.nn.parallel.distributed import DistributedDataParallel
from pullback.nn.parallel.parallel_apply import parallel_apply
from pullback.nn.parallel.replicate import replicate
from pullback.nn.parallel.scatter_gather import gather, scatter

__all__ = [
    "DataParallel",
    "DistributedDataParallel",
    "data_parallel",
    "gather",
    "parallel_apply",
    "replicate",
    "scatter",
]

__getattr__ = getter(__name__)
