"""Data sets, samplers, and how samples become a batch: what PyTorch does, sample by sample."""

import collections

import numpy as np
import pytest
from library import torch

data = torch.utils.data


class Numbers(data.Dataset):
    def __len__(self):
        return 10

    def __getitem__(self, index):
        return index


class Stream(data.IterableDataset):
    def __init__(self, count=7):
        self.count = count

    def __iter__(self):
        return iter(range(self.count))


def batches(*args, **kwargs):
    """The batches of a DataLoader as lists."""
    return [batch.tolist() for batch in data.DataLoader(*args, **kwargs)]


# ------------------------------------------------------------------------------------- data sets


def test_data_sets():
    d = Numbers()
    x, y = torch.arange(6.0).reshape(3, 2), torch.tensor([5, 6, 7])
    rows = data.TensorDataset(x, y)
    assert len(rows) == 3 and [t.tolist() for t in rows[1]] == [[2.0, 3.0], 6]
    assert [t.tolist() for t in rows[-1]] == [[4.0, 5.0], 7]
    both = d + d
    assert len(both) == 20 and [both[0], both[15], both[-1], both[-20]] == [0, 5, 9, 0]
    assert data.StackDataset(d, d)[1] == (1, 1) and data.StackDataset(a=d, b=d)[1] == {"a": 1, "b": 1}
    assert data.StackDataset(d, d).__getitems__([0, 2]) == [(0, 0), (2, 2)]
    part = data.Subset(d, [3, 4])
    assert len(part) == 2 and part[1] == 4 and part.__getitems__([0, 1]) == [3, 4]
    assert list(data.ChainDataset([Stream(2), Stream(3)])) == [0, 1, 0, 1, 2] == list(Stream(2) + Stream(3))


def test_random_split():
    def split(lengths):
        return [
            list(part.indices)
            for part in data.random_split(Numbers(), lengths, torch.Generator().manual_seed(1))
        ]

    assert split([3, 7]) == [[5, 6, 1], [2, 0, 8, 9, 3, 7, 4]] == split([0.3, 0.7])
    assert [len(part) for part in split([0.33, 0.33, 0.34])] == [4, 3, 3]
    with pytest.raises(
        ValueError, match="Sum of input lengths does not equal the length of the input dataset!"
    ):
        split([3, 3])


@pytest.mark.parametrize(
    "call, error, words",
    [
        (
            lambda: data.Dataset()[0],
            NotImplementedError,
            "Subclasses of Dataset should implement __getitem__.",
        ),
        (lambda: data.IterableDataset(), TypeError, "Can't instantiate abstract class IterableDataset"),
        (
            lambda: (Numbers() + Numbers())[-21],
            ValueError,
            "absolute value of index should not exceed dataset",
        ),
        (lambda: data.ConcatDataset([]), AssertionError, "datasets should not be an empty iterable"),
        (
            lambda: data.ConcatDataset([Stream()]),
            AssertionError,
            "ConcatDataset does not support IterableDataset",
        ),
        (
            lambda: list(data.ChainDataset([Numbers()])),
            AssertionError,
            "ChainDataset only supports IterableDataset",
        ),
        (
            lambda: data.TensorDataset(torch.ones(2), torch.ones(3)),
            AssertionError,
            "Size mismatch between tensors",
        ),
        (lambda: data.StackDataset(Numbers(), [1]), ValueError, "Size mismatch between datasets"),
        (lambda: data.StackDataset(), ValueError, "At least one dataset should be passed"),
        (
            lambda: data.RandomSampler([]),
            ValueError,
            "num_samples should be a positive integer value, but got num_",
        ),
        (
            lambda: data.RandomSampler([1], replacement=3),
            TypeError,
            "replacement should be a boolean value, but",
        ),
        (
            lambda: data.BatchSampler([1], 0, False),
            ValueError,
            "batch_size should be a positive integer value",
        ),
        (
            lambda: data.BatchSampler([1], 2, 3),
            ValueError,
            "drop_last should be a boolean value, but got drop_last=3",
        ),
        (
            lambda: data.WeightedRandomSampler([[1.0]], 1),
            ValueError,
            "weights should be a 1d sequence but given",
        ),
        (
            lambda: data.DistributedSampler([1], 3, 3),
            ValueError,
            "Invalid rank 3, rank should be in the interval",
        ),
    ],
)
def test_what_data_sets_and_samplers_refuse(call, error, words):
    with pytest.raises(error) as found:
        call()
    assert str(found.value).startswith(words)


# -------------------------------------------------------------------------------------- samplers


def test_shuffles_are_pytorchs():
    d = Numbers()
    torch.manual_seed(0)
    assert list(data.RandomSampler(d)) == [6, 9, 0, 7, 3, 5, 4, 2, 1, 8]
    assert torch.rand(1).item() == pytest.approx(0.0885, abs=1e-4)
    torch.manual_seed(0)
    drawn = list(data.RandomSampler(d, replacement=True, num_samples=40))
    assert drawn[:10] == [6, 0, 4, 3, 9, 5, 7, 8, 9, 1] and drawn[-8:] == [4, 6, 8, 8, 8, 7, 3, 9]
    assert list(data.RandomSampler(d, num_samples=25))[:12] == [6, 7, 1, 4, 2, 0, 9, 8, 3, 5, 6, 7]
    assert list(data.WeightedRandomSampler([0.1, 0.2, 0.7], 10)) == [2, 2, 2, 2, 1, 2, 2, 1, 2, 1]
    assert list(data.SubsetRandomSampler([5, 6, 7, 8])) == [5, 8, 6, 7]
    assert list(data.SequentialSampler(d)) == list(range(10))


def test_a_loader_shuffles_as_pytorchs():
    torch.manual_seed(0)
    assert batches(Numbers(), 3, shuffle=True) == [[6, 7, 1], [4, 2, 0], [9, 8, 3], [5]]
    assert torch.rand(1).item() == pytest.approx(0.3074, abs=1e-4)
    generator = torch.Generator().manual_seed(2)
    assert batches(Numbers(), 3, shuffle=True, generator=generator) == [[1, 0, 8], [3, 4, 5], [6, 7, 2], [9]]


def test_batches_of_indices():
    assert list(data.BatchSampler(range(7), 3, False)) == [[0, 1, 2], [3, 4, 5], [6]]
    assert list(data.BatchSampler(range(7), 3, True)) == [[0, 1, 2], [3, 4, 5]]
    assert len(data.BatchSampler(range(7), 3, False)) == 3 and len(data.BatchSampler(range(7), 3, True)) == 2


def test_parts_for_several_processes():
    d = Numbers()
    assert list(data.DistributedSampler(d, num_replicas=3, rank=1)) == [1, 3, 8, 4]
    assert list(data.DistributedSampler(d, num_replicas=3, rank=1, shuffle=False)) == [1, 4, 7, 0]
    assert list(data.DistributedSampler(d, 3, 1, shuffle=False, drop_last=True)) == [1, 4, 7]
    sampler = data.distributed.DistributedSampler(d, 3, 2, seed=4)
    first = list(sampler)
    assert first == [9, 3, 1, 4] and len(sampler) == 4
    sampler.set_epoch(1)
    assert list(sampler) != first


# --------------------------------------------------------------------------------------- batches

P = collections.namedtuple("P", "x y")


@pytest.mark.parametrize(
    "samples, batch",
    [
        ([1, 2], "tensor([1, 2])"),
        ([1.0, 2.0], "tensor([1., 2.], dtype=torch.float64)"),
        ([True, False], "tensor([ True, False])"),
        (["a", "b"], "['a', 'b']"),
        ([b"a"], "[b'a']"),
        ([np.array([1.0]), np.array([2.0])], "tensor([[1.],\n        [2.]], dtype=torch.float64)"),
        ([np.float32(1), np.float32(2)], "tensor([1., 2.])"),
        ([np.array(3), np.array(4)], "tensor([3, 4])"),
        ([(1, 2.0), (3, 4.0)], "[tensor([1, 3]), tensor([2., 4.], dtype=torch.float64)]"),
        ([[1, 2], [3, 4]], "[tensor([1, 3]), tensor([2, 4])]"),
        ([{"a": 1}, {"a": 2}], "{'a': tensor([1, 2])}"),
        ([P(1, 2)], "P(x=tensor([1]), y=tensor([2]))"),
        ([(), ()], "[]"),
        ([collections.defaultdict(int, {"a": 1})], "defaultdict(<class 'int'>, {'a': tensor([1])})"),
        ([range(2), range(2)], "[tensor([0, 0]), tensor([1, 1])]"),
        ([collections.deque([1])], "deque([tensor([1])])"),
        ([1, 2.0], "tensor([1., 2.])"),
    ],
)
def test_default_collate(samples, batch):
    assert repr(data.default_collate(samples)) == batch


def test_collated_tensors():
    collated = data.default_collate([torch.ones(2, requires_grad=True)])
    assert collated.requires_grad and collated.shape == (1, 2)
    assert data.default_collate([torch.ones(3, 2).t()] * 2).shape == (2, 2, 3)
    with pytest.raises(
        RuntimeError, match=r"stack expects each tensor to be equal size, but got \[2\] at entry 0"
    ):
        data.default_collate([torch.ones(2), torch.ones(3)])
    for wrong in ([None], [object()], [np.array("a")], [np.array([object()])], [1j]):
        with pytest.raises(
            TypeError, match="default_collate: batch must contain tensors, numpy arrays, numbers"
        ):
            data.default_collate(wrong)
    with pytest.raises(RuntimeError, match="each element in list of batch should be of equal size"):
        data.default_collate([[1], [1, 2]])


def test_default_convert():
    converted = data.default_convert([1, np.array([1.0]), {"a": np.float32(1)}, "s", (torch.ones(1), 2.0)])
    assert repr(converted) == (
        "[1, tensor([1.], dtype=torch.float64), {'a': tensor(1.)}, 's', [tensor([1.]), 2.0]]"
    )
    assert data.default_convert(np.array("a")) == np.array("a")


def test_the_table_of_types_can_be_extended():
    collate = data._utils.collate
    table = {**collate.default_collate_fn_map, int: lambda batch, *, collate_fn_map: sum(batch)}
    assert collate.collate([(1, "a"), (2, "b")], collate_fn_map=table) == [3, ("a", "b")]


# ---------------------------------------------------------------------------------- one process


def test_loaders_in_one_process():
    assert batches(Numbers(), 4) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert batches(Numbers(), 4, drop_last=True) == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert list(data.DataLoader(Numbers(), batch_size=None)) == list(range(10))
    assert batches(Stream(), 3) == [[0, 1, 2], [3, 4, 5], [6]]
    assert batches(Stream(), 3, drop_last=True) == [[0, 1, 2], [3, 4, 5]]
    assert batches(Numbers(), sampler=[3, 1], batch_size=2) == [[3, 1]]
    assert batches(Numbers(), batch_sampler=[[3, 1], [2]]) == [[3, 1], [2]]
    assert list(data.DataLoader(Numbers(), 5, collate_fn=tuple)) == [(0, 1, 2, 3, 4), (5, 6, 7, 8, 9)]
    assert list(data.DataLoader([])) == []
    assert [len(data.DataLoader(Numbers(), 3, drop_last=drop)) for drop in (False, True)] == [4, 3]


@pytest.mark.parametrize("shuffle", [False, True])
def test_rows_of_tensors_taken_at_once_are_the_same(shuffle):
    class OneByOne(data.TensorDataset):
        def __getitem__(self, index):
            return super().__getitem__(index)

    tensors = torch.randn(11, 3), torch.arange(11), torch.rand(11).to(torch.bfloat16), torch.zeros(11, 0)
    loaders = []
    for kind in (data.TensorDataset, OneByOne):
        rows = data.Subset(kind(*tensors), [10, 0, 5, 5, 3, 2, 7])
        torch.manual_seed(5)
        loaders.append(list(data.DataLoader(rows, 3, shuffle=shuffle)))
    for ours, theirs in zip(*loaders, strict=True):
        assert type(ours) is type(theirs) is list
        for a, b in zip(ours, theirs, strict=True):
            assert a.dtype == b.dtype and a.shape == b.shape and torch.equal(a, b) and a.is_contiguous()


@pytest.mark.parametrize(
    "options, error, words",
    [
        ({"num_workers": -1}, ValueError, "num_workers option should be non-negative; use num_workers=0 to"),
        ({"timeout": -1}, ValueError, "timeout option should be non-negative"),
        (
            {"prefetch_factor": 2},
            ValueError,
            "prefetch_factor option could only be specified in multiprocessing.",
        ),
        ({"persistent_workers": True}, ValueError, "persistent_workers option needs num_workers > 0"),
        ({"sampler": [1], "shuffle": True}, ValueError, "sampler option is mutually exclusive with shuffle"),
        (
            {"batch_sampler": [[1]], "batch_size": 2},
            ValueError,
            "batch_sampler option is mutually exclusive with",
        ),
        (
            {"batch_size": None, "drop_last": True},
            ValueError,
            "batch_size=None option disables auto-batching and is",
        ),
        (
            {"batch_size": 0},
            ValueError,
            "batch_size should be a positive integer value, but got batch_size=0",
        ),
        (
            {"multiprocessing_context": "spawn"},
            ValueError,
            "multiprocessing_context can only be used with multi-",
        ),
        (
            {"num_workers": 2, "multiprocessing_context": "foo"},
            ValueError,
            "multiprocessing_context option should",
        ),
        (
            {"num_workers": 2, "multiprocessing_context": 3},
            TypeError,
            "multiprocessing_context option should be a",
        ),
    ],
)
def test_what_a_loader_refuses(options, error, words):
    with pytest.raises(error) as found:
        data.DataLoader(Numbers(), **options)
    assert str(found.value).startswith(words)


def test_a_loader_of_a_stream_refuses_an_order():
    for name, value in (("shuffle", True), ("sampler", [1]), ("batch_sampler", [[1]])):
        with pytest.raises(
            ValueError, match=f"DataLoader with IterableDataset: expected unspecified {name} option"
        ):
            data.DataLoader(Stream(), **{name: value})
    loader = data.DataLoader(Numbers())
    with pytest.raises(
        ValueError, match="batch_size attribute should not be set after DataLoader is initialized"
    ):
        loader.batch_size = 3


def test_pinned_memory_is_accepted():
    with pytest.warns(UserWarning, match="'pin_memory' argument is set as true but no accelerator is found"):
        (batch,) = data.DataLoader([1, 2], 2, pin_memory=True)
    assert batch.tolist() == [1, 2]


def test_streams_that_are_longer_than_they_say():
    class Short(Stream):
        def __len__(self):
            return 2

    loader = data.DataLoader(Short(), batch_size=None)
    assert len(loader) == 2
    with pytest.warns(UserWarning, match=r"Length of IterableDataset .* was reported to be 2"):
        assert list(loader) == list(range(7))


def test_names_that_packages_import():
    assert data.dataloader.default_collate is data.default_collate
    assert data.sampler.BatchSampler is data.BatchSampler and data.dataset.Subset is data.Subset
    assert data._utils.collate.default_convert is data.default_convert
    assert data.get_worker_info() is None is data._utils.worker.get_worker_info()
    assert issubclass(data.dataloader._MultiProcessingDataLoaderIter, data.dataloader._BaseDataLoaderIter)
