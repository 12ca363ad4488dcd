"""What `torch.save` writes, `torch.load` reads: all kinds of objects, in both formats, wherever they are."""

import copy
import io
import os
import pickle
import stat
from collections import Counter, OrderedDict
from pathlib import Path

import pytest
from library import ON_TORCH, pullback_only, torch

KINDS = [
    torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.uint16, torch.uint32,
    torch.uint64, torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.complex64,
    torch.complex128,
]  # fmt: skip


def saved(obj, **options):
    """A file in memory that holds the object."""
    file = io.BytesIO()
    torch.save(obj, file, **options)
    file.seek(0)
    return file


def there_and_back(obj, weights_only=True, **options):
    """The object after a file."""
    return torch.load(saved(obj, **options), weights_only=weights_only)


def same(a, b):
    """Whether two tensors agree in all that a file keeps."""
    assert type(a) is type(b) and a.dtype == b.dtype and a.stride() == b.stride()
    assert a.requires_grad == b.requires_grad and a.storage_offset() == b.storage_offset()
    assert a.tolist() == b.tolist() and a.shape == b.shape


FORMATS = pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])


@FORMATS
@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_tensors_of_every_dtype(kind, zipped):
    if ON_TORCH and not zipped and str(kind).startswith("torch.uint") and kind is not torch.uint8:
        pytest.skip("PyTorch cannot read what it writes here")
    whole = torch.arange(12).to(kind).reshape(3, 4)
    for x in (whole, whole.t(), whole[1:, ::2], whole[2, 3], whole[:0], whole.expand(2, 3, 4)):
        same(x, there_and_back(x, _use_new_zipfile_serialization=zipped))


@FORMATS
def test_views_share_their_storage_afterwards(zipped):
    x = torch.arange(6.0)
    again = there_and_back(
        {"x": x, "tail": x[4:], "t": x.view(2, 3).t()}, _use_new_zipfile_serialization=zipped
    )
    again["tail"][0] = 40
    assert again["x"].tolist() == [0, 1, 2, 3, 40, 5] and again["t"].tolist() == [[0, 3], [1, 40], [2, 5]]
    assert again["x"].untyped_storage().data_ptr() == again["tail"].untyped_storage().data_ptr()


@FORMATS
def test_objects_of_all_kinds(zipped):
    obj = [
        1, -5, 10**30, 2.5, 1j, True, None, "text", b"bytes", bytearray(b"x"), (), (1,), (1, 2), (1, 2, 3, 4),
        {"a": 1, 2: "b", (1, "c"): None}, {1, 2}, Counter("aab"), OrderedDict(a=1), torch.Size([2, 3]),
        torch.float32, torch.device("cpu"), torch.device("cuda", 1), torch.strided, torch.Tensor,
    ]  # fmt: skip
    for weights_only in (True, False):
        again = there_and_back(obj, weights_only, _use_new_zipfile_serialization=zipped)
        assert again == obj and [type(a) for a in again] == [type(a) for a in obj]


def test_requires_grad_parameters_and_attributes():
    same(torch.ones(2, requires_grad=True), there_and_back(torch.ones(2, requires_grad=True)))
    again = there_and_back(torch.nn.Parameter(torch.ones(2)))
    assert type(again) is torch.nn.Parameter and again.requires_grad and again.is_leaf
    assert not there_and_back(torch.nn.Parameter(torch.ones(2), requires_grad=False)).requires_grad
    named = torch.nn.Parameter(torch.ones(2))
    named.label = "w"
    assert there_and_back(named).label == "w"
    plain = torch.ones(2)
    plain.label = "x"
    assert there_and_back(plain).label == "x"
    computed = there_and_back(torch.ones(2, requires_grad=True) * 2)
    assert computed.is_leaf and computed.requires_grad and computed.tolist() == [2.0, 2.0]


def test_meta_tensors():
    again = there_and_back(torch.empty(2, 3, device="meta"))
    assert again.is_meta and again.shape == (2, 3)


def test_modules_and_their_states():
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2))
    state = there_and_back(model.state_dict())
    assert type(state) is OrderedDict and list(state) == list(model.state_dict())
    assert state._metadata == model.state_dict()._metadata
    other = copy.deepcopy(model)
    other.load_state_dict(state)
    x = torch.randn(5, 3)
    assert torch.equal(there_and_back(model, weights_only=False)(x), model(x)) and torch.equal(
        other(x), model(x)
    )


class Mine:
    def __init__(self):
        self.weights = torch.ones(2)


def test_objects_of_a_program_must_be_allowed():
    refused = r"Unsupported global: GLOBAL test_save_load\.Mine was not an allowed global by default"
    with pytest.raises(pickle.UnpicklingError, match=refused):
        torch.load(saved(Mine()))
    assert torch.load(saved(Mine()), weights_only=False).weights.tolist() == [1.0, 1.0]
    with torch.serialization.safe_globals([Mine]):
        assert torch.load(saved(Mine())).weights.tolist() == [1.0, 1.0]
        assert Mine in torch.serialization.get_safe_globals()
    with pytest.raises(pickle.UnpicklingError):
        torch.load(saved(Mine()))
    assert "test_save_load.Mine" in torch.serialization.get_unsafe_globals_in_checkpoint(saved(Mine()))


class Runs:
    """An object whose pickle makes a file when it is loaded."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


@FORMATS
def test_nothing_in_a_file_is_run(tmp_path, zipped):
    file = saved(Runs(tmp_path / "made"), _use_new_zipfile_serialization=zipped)
    with pytest.raises(
        pickle.UnpicklingError, match=r"unsupported GLOBAL \w+.mkdir whose module \w+ is blocked"
    ):
        torch.load(file)
    assert not list(tmp_path.iterdir())


class Named(torch.Tensor):
    """A subclass of Tensor."""


def test_subclasses_of_tensor():
    x = torch.arange(3.0).as_subclass(Named)
    x.label = "x"
    again = there_and_back([x, torch.ones(1)], weights_only=False)[0]
    assert type(again) is Named and again.label == "x" and again.tolist() == [0.0, 1.0, 2.0]
    with torch.serialization.safe_globals([Named]):
        assert type(there_and_back(x)) is Named


# ------------------------------------------------------------------------------------ where to, from


def test_paths_and_files(tmp_path):
    x = torch.arange(3)
    for path in (tmp_path / "a.pt", str(tmp_path / "b.pt")):
        torch.save(x, path)
        same(torch.load(path), x)
    with open(tmp_path / "c.pt", "wb") as file:
        torch.save(x, file)
    with open(tmp_path / "c.pt", "rb") as file:
        same(torch.load(file), x)
    file = io.BytesIO(b"before" + saved(x, _use_new_zipfile_serialization=False).getvalue())
    file.seek(6)
    same(torch.load(file), x)


def test_several_objects_in_one_file():
    file = io.BytesIO()
    torch.save(torch.ones(2), file, _use_new_zipfile_serialization=False)
    torch.save([1], file, _use_new_zipfile_serialization=False)
    file.seek(0)
    assert torch.load(file, weights_only=False).tolist() == [1.0, 1.0]
    assert torch.load(file, weights_only=False) == [1]


@pullback_only("PyTorch writes into the file that is there")
def test_a_file_is_replaced_when_the_new_one_is_whole(tmp_path):
    path = tmp_path / "a.pt"
    torch.save(torch.ones(2), path)
    os.chmod(path, 0o640)
    with pytest.raises((pickle.PicklingError, AttributeError)):
        torch.save([torch.zeros(2), lambda: 0], path)
    same(torch.load(path), torch.ones(2))
    torch.save(torch.zeros(2), path)
    same(torch.load(path), torch.zeros(2))
    assert stat.S_IMODE(path.stat().st_mode) == 0o640 and [p.name for p in tmp_path.iterdir()] == ["a.pt"]
    link = tmp_path / "link.pt"
    link.symlink_to(path)
    torch.save(torch.ones(3), link)
    assert link.is_symlink() and torch.load(path).shape == (3,)
    torch.save(torch.ones(3), os.devnull)


@pullback_only("PyTorch's writer has its own error")
def test_a_full_disk_leaves_the_old_file(tmp_path):
    if not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full")
    with pytest.raises(OSError):
        torch.save(torch.ones(100000), "/dev/full")


def test_map_location():
    x = torch.ones(2)
    for where in ("cpu", torch.device("cpu"), {"cpu": "cpu"}, {}, lambda storage, location: storage):
        same(torch.load(saved(x), map_location=where), x)
    for where in ("meta", torch.device("meta"), {"cpu": "meta"}):
        assert torch.load(saved(x), map_location=where).is_meta
    seen = []
    torch.load(saved(x), map_location=lambda storage, location: seen.append((len(storage), location)))
    assert seen == [(8, "cpu")]
    with pytest.raises(RuntimeError, match=r"Attempting to deserialize object on a CUDA device but"):
        torch.load(saved(x), map_location="cuda")


def test_mapped_files(tmp_path):
    path = tmp_path / "a.pt"
    torch.save({"x": torch.arange(1000.0), "y": torch.ones(3, dtype=torch.int8)}, path)
    again = torch.load(path, mmap=True)
    assert torch.equal(again["x"], torch.arange(1000.0)) and again["y"].tolist() == [1, 1, 1]
    again["x"][0] = 5  # it stays with this process
    assert torch.load(path)["x"][0] == 0 and again["x"][0] == 5
    assert again["x"].data_ptr() % 64 == 0
    with pytest.raises(ValueError, match="f must be a file path in order to use the mmap argument"):
        torch.load(saved(1), mmap=True)
    torch.save(1, path, _use_new_zipfile_serialization=False)
    with pytest.raises(RuntimeError, match="mmap can only be used with files saved with"):
        torch.load(path, mmap=True)


def test_settings():
    serialization, x = torch.serialization, torch.arange(4.0)
    with serialization.skip_data():
        file = saved({"x": x})
    assert torch.load(file)["x"].tolist() == [0.0] * 4
    assert serialization.get_crc32_options() is True
    serialization.set_crc32_options(False)
    try:
        file = saved(x)
    finally:
        serialization.set_crc32_options(True)
    assert torch.equal(torch.load(file), x)
    broken = file.getvalue().replace(x.numpy().tobytes(), bytes(16))
    assert torch.load(io.BytesIO(broken)).tolist() == [0.0] * 4
    order = serialization.LoadEndianness.BIG
    assert serialization.get_default_load_endianness() is None and order.value == 3
    with pytest.raises(TypeError, match="Invalid argument type in function set_default_load_endianness"):
        serialization.set_default_load_endianness("big")
    serialization.set_default_load_endianness(order)
    try:
        named = torch.load(saved(x))  # the file says its own order
        nameless = saved(x).getvalue().replace(b"/byteorder", b"/byte_rder")
        swapped = torch.load(io.BytesIO(nameless))
    finally:
        serialization.set_default_load_endianness(None)
    assert torch.equal(named, x)
    assert swapped.numpy().tobytes() == x.numpy().byteswap().tobytes()


def test_other_picklers(tmp_path):
    class Loud:
        __name__ = "loud"
        Pickler, Unpickler = pickle._Pickler, pickle.Unpickler
        dump, dumps, load, loads = pickle.dump, pickle.dumps, pickle.load, pickle.loads

    file = saved(torch.ones(2), pickle_module=Loud)
    same(torch.load(file, pickle_module=pickle), torch.ones(2))
    with pytest.raises(
        RuntimeError, match="Can not safely load weights when explicit pickle_module is specified"
    ):
        torch.load(file, weights_only=True, pickle_module=pickle)
    for protocol in (2, 3, 4, 5):
        same(there_and_back(torch.ones(2), False, pickle_protocol=protocol), torch.ones(2))


def test_what_is_refused(tmp_path):
    x = torch.ones(4)
    with pytest.raises(
        RuntimeError, match="Cannot save multiple tensors or storages that view the same data as"
    ):
        saved([x, x.view(torch.int32)])
    with pytest.raises(RuntimeError, match=r"Parent directory .*/nowhere does not exist"):
        torch.save(x, tmp_path / "nowhere" / "a.pt")
    with pytest.raises(FileNotFoundError):
        torch.load(tmp_path / "a.pt")
    with pytest.raises(
        AttributeError, match="expected 'f' to be string, path, or a file-like object with a 'wri"
    ):
        torch.save(x, 3)
    with pytest.raises(AttributeError, match=r"You can only torch\.load from a file that is seekable"):
        torch.load(3)
    with pytest.raises(TypeError, match="'foo'"):
        torch.load(saved(x), weights_only=False, foo=1)
    with pytest.raises(EOFError):
        torch.load(io.BytesIO())


# ---------------------------------------------------------------------------------- pickle and copy


def test_pickles_and_copies():
    x = torch.arange(4.0, requires_grad=True)
    for again in (pickle.loads(pickle.dumps(x)), copy.deepcopy(x)):
        same(again, x)
        assert again.data_ptr() != x.data_ptr()
    assert copy.copy(x).data_ptr() == x.data_ptr()
    model = torch.nn.Linear(2, 2)
    same(pickle.loads(pickle.dumps(model)).weight, model.weight)


@pullback_only("PyTorch's plain pickles part what shares a memory")
def test_plain_pickles_keep_what_is_shared():
    x = torch.arange(4.0)
    storage = x.untyped_storage()
    first, tail, bytes_ = pickle.loads(pickle.dumps([x, x[1:], storage]))
    assert first.untyped_storage() == tail.untyped_storage() == bytes_
    first, tail, bytes_ = copy.deepcopy([x, x[1:], storage])
    assert first.untyped_storage() == tail.untyped_storage() == bytes_ != storage
