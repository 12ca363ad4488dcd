"""`torch.utils.data`: data sets, the order in which they are read, and batches from worker processes."""

from pullback.face.absent import getter
from pullback.utils.data._utils.collate import default_collate, default_convert
from pullback.utils.data._utils.worker import get_worker_info
from pullback.utils.data.dataloader import DataLoader, _DatasetKind
from pullback.utils.data.dataset import (
    ChainDataset,
    ConcatDataset,
    Dataset,
    IterableDataset,
    StackDataset,
    Subset,
    TensorDataset,
    random_split,
)
from pullback.utils.data.sampler import (
    BatchSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)

__all__ = [
    "BatchSampler",
    "ChainDataset",
    "ConcatDataset",
    "DataLoader",
    "Dataset",
    "DistributedSampler",
    "IterableDataset",
    "RandomSampler",
    "Sampler",
    "SequentialSampler",
    "StackDataset",
    "Subset",
    "SubsetRandomSampler",
    "TensorDataset",
    "WeightedRandomSampler",
    "_DatasetKind",
    "default_collate",
    "default_convert",
    "get_worker_info",
    "random_split",
]

LATER = {"DistributedSampler": "pullback.utils.data.distributed"}
"""Which module has the names that are imported when they are first used: it stands above `distributed`."""

__getattr__ = getter(__name__, LATER)
