"""Storages: the memory of tensors as objects."""

import copy
import warnings

import pytest
from library import pullback_only, torch


def typed(x):
    """The deprecated `storage()` without its warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return x.storage()


def test_views_have_one_storage():
    x = torch.arange(6.0)
    storage = x.untyped_storage()
    assert storage == x[2:].untyped_storage() and storage != torch.arange(6.0).untyped_storage()
    assert storage.data_ptr() == x.data_ptr() and storage.nbytes() == len(storage) == storage.size() == 24
    assert storage.device == torch.device("cpu") and storage.element_size() == 1 and not storage.is_cuda
    assert hash(storage) == hash(x.view(2, 3).untyped_storage())


def test_bytes_can_be_read_and_written():
    x = torch.tensor([1, 2], dtype=torch.int16)
    storage = x.untyped_storage()
    assert storage.tolist() == [1, 0, 2, 0] == list(storage) and storage[0] == 1 and storage[-1] == 0
    storage[1] = 1
    assert x.tolist() == [257, 2]
    part = storage[2:4]
    assert part.tolist() == [2, 0] and part.data_ptr() == storage.data_ptr() + 2
    part[0] = 7
    storage[0:2] = 0
    assert x.tolist() == [0, 7]
    storage.fill_(1)
    assert x.tolist() == [257, 257]
    storage.copy_(torch.tensor([3, 4], dtype=torch.int16).untyped_storage())
    assert x.tolist() == [3, 4]
    twin = storage.clone()
    storage.fill_(0)
    assert twin.tolist() == [3, 0, 4, 0] and copy.deepcopy(twin).tolist() == [3, 0, 4, 0]
    twin.byteswap(torch.int16)
    assert twin.tolist() == [0, 3, 0, 4]


def test_what_storages_refuse():
    storage = torch.arange(6.0).untyped_storage()
    with pytest.raises(
        RuntimeError, match="Trying to slice with a step of 2, but only a step of 1 is supported"
    ):
        storage[::2]
    with pytest.raises(IndexError, match="index 100 out of range for storage of size 24"):
        storage[100]
    with pytest.raises(TypeError, match=r"can't index a torch.UntypedStorage with str"):
        storage["a"]
    with pytest.raises(RuntimeError, match="size does not match, self was 24 bytes but src was 12 bytes"):
        storage.copy_(torch.zeros(3).untyped_storage())
    with pytest.raises(RuntimeError, match="one of the items was of type str instead of int"):
        torch.UntypedStorage("a")


def test_storages_of_their_own():
    assert len(torch.UntypedStorage()) == 0 and len(torch.UntypedStorage(4)) == 4
    assert torch.UntypedStorage([1, 2, 3]).tolist() == [1, 2, 3]
    assert torch.UntypedStorage(3, device="meta").device.type == "meta"
    storage = torch.UntypedStorage([1, 2, 3])
    storage.resize_(2)
    assert storage.tolist() == [1, 2]
    assert torch.UntypedStorage.from_buffer(b"abcd", "native", dtype=torch.float32).tolist() == [
        97,
        98,
        99,
        100,
    ]


@pullback_only("in PyTorch memory that tensors have may move")
def test_the_memory_of_a_tensor_keeps_its_size():
    x = torch.zeros(3)
    with pytest.raises(RuntimeError, match="Trying to resize storage that is not resizable"):
        x.untyped_storage().resize_(100)


def test_typed_storages():
    x = torch.arange(3.0)
    storage = typed(x)
    assert storage.dtype == torch.float32 and storage.type() == "torch.FloatStorage"
    assert len(storage) == storage.size() == 3 and storage.nbytes() == 12 and storage.element_size() == 4
    assert storage.tolist() == [0.0, 1.0, 2.0] == list(storage) and storage[1] == 1.0
    storage[0] = 5
    storage.fill_(2)
    assert x.tolist() == [2.0, 2.0, 2.0] and storage.data_ptr() == x.data_ptr()
    assert storage.double().dtype == torch.float64 and storage.int().tolist() == [2, 2, 2]
    assert isinstance(storage, torch.FloatStorage) and not isinstance(storage, torch.DoubleStorage)
    assert storage.untyped() == x.untyped_storage() and torch.is_storage(storage)
    with pytest.raises(RuntimeError, match=r"slices are only supported in UntypedStorage\.__getitem__"):
        storage[0:1]


def test_classes_by_dtype():
    storage = torch.FloatStorage([1, 2])
    assert storage.tolist() == [1.0, 2.0] and torch.FloatStorage(2).size() == 2
    assert torch.BoolStorage(2).dtype == torch.bool and torch.FloatStorage.dtype == torch.float32
    assert issubclass(torch.FloatStorage, torch.TypedStorage)
    assert torch.FloatTensor(storage).tolist() == [1.0, 2.0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert repr(storage).endswith(
            "[torch.storage.TypedStorage(dtype=torch.float32, device=cpu) of size 2]"
        )


def test_set_lays_a_tensor_on_a_storage():
    x = torch.arange(6.0)
    storage = x.untyped_storage()
    y = torch.empty(0)
    assert y.set_(storage, 1, (2, 2), (2, 1)) is y and y.tolist() == [[1.0, 2.0], [3.0, 4.0]]
    assert y.data_ptr() == x.data_ptr() + 4
    assert y.set_(x).tolist() == x.tolist() and y.data_ptr() == x.data_ptr()
    assert y.set_(typed(x)).shape == (6,) and y.set_(storage, 0, (2,)).tolist() == [0.0, 1.0]
    assert y.set_(x, 1, (2,), (2,)).tolist() == [1.0, 3.0] and y.set_().shape == (0,)
    with pytest.raises(RuntimeError, match="Tensor: invalid storage offset -1"):
        y.set_(storage, -1, (2,))
    with pytest.raises(RuntimeError, match="Expected a Storage of type"):
        y.set_(typed(torch.ones(2, dtype=torch.int64)))
    with pytest.raises(
        RuntimeError, match="a leaf Variable that requires grad is being used in an in-place oper"
    ):
        torch.zeros(2, requires_grad=True).set_(x)


def test_the_type_of_a_storage():
    assert torch.arange(4.0).storage_type() is torch.FloatStorage
    assert torch.arange(4).storage_type() is torch.LongStorage
