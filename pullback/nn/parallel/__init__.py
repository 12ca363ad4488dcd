"""Modules on several devices, as `torch.nn.parallel`. Here there is one device, on which they run."""

from pullback.face.absent import getter
from pullback.nn.parallel.data_parallel import DataParallel, data_parallel
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

LATER = {"DistributedDataParallel": "pullback.nn.parallel.distributed"}
"""Which module has the names that are imported when they are first used: it stands above `distributed`."""

__getattr__ = getter(__name__, LATER)
