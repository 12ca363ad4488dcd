"""`torch.utils.data`: data sets, the order in which they are read, and batches from worker processes."""

from pullback.face.absent import getter
from pullback.utils.data import datapipes as datapipes
from pullback.utils.data import graph as graph
from pullback.utils.data import graph_settings as graph_settings
from pullback.utils.data._utils.collate import default_collate, default_convert
from pullback.utils.data._utils.worker import get_worker_info
from pullback.utils.data.dataloader import DataLoader, _DatasetKind
from pullback.utils.data.datapipes._decorator import (
    argument_validation,
    functional_datapipe,
    guaranteed_datapipes_determinism,
    non_deterministic,
    runtime_validation,
    runtime_validation_disabled,
)
from pullback.utils.data.datapipes.datapipe import DataChunk, DFIterDataPipe, IterDataPipe, MapDataPipe
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
    "DFIterDataPipe",
    "DataChunk",
    "DataLoader",
    "Dataset",
    "DistributedSampler",
    "IterDataPipe",
    "IterableDataset",
    "MapDataPipe",
    "RandomSampler",
    "Sampler",
    "SequentialSampler",
    "StackDataset",
    "Subset",
    "SubsetRandomSampler",
    "TensorDataset",
    "WeightedRandomSampler",
    "_DatasetKind",
    "argument_validation",
    "default_collate",
    "default_convert",
    "functional_datapipe",
    "get_worker_info",
    "guaranteed_datapipes_determinism",
    "non_deterministic",
    "random_split",
    "runtime_validation",
    "runtime_validation_disabled",
]

LATER = {"DistributedSampler": "pullback.utils.data.distributed"}
"""Which module has the names that are imported when they are first used: it stands above `distributed`."""

__getattr__ = getter(__name__, LATER)
