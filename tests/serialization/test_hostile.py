"""Broken and hostile files: a clear error, nothing run, and memory in proportion to the file's length.

Broken files are good ones with bytes changed, cut out or repeated, by a fixed seed. Hostile ones are
pickles and archives written by hand. An audit hook sees whether anything is run.
"""

import io
import pickle
import random
import struct
import sys
import tracemalloc
import zipfile
import zlib

import pytest
from library import pullback_only, torch

pytestmark = pullback_only("what PyTorch does with such files is its own business")

ERRORS = (pickle.UnpicklingError, RuntimeError, EOFError)
RUNS = {
    "os.system",
    "os.exec",
    "os.fork",
    "os.mkdir",
    "subprocess.Popen",
    "exec",
    "compile",
    "import",
    "open",
}

watched: list | None = None


def watch(event, args):
    if watched is not None and event in RUNS:
        watched.append((event, args))


sys.addaudithook(watch)


def loaded(data, **options):
    """Loads a file of these bytes, and sees that nothing is run and little memory is taken."""
    global watched
    torch.load(good(True))  # what is imported when it is first used is there
    file = io.BytesIO(data)
    tracemalloc.start()
    watched = []
    try:
        return torch.load(file, **options)
    finally:
        seen, watched = watched, None
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert not seen, seen
        assert peak < 300 * len(data) + 300_000, f"{peak} bytes for a file of {len(data)}"


def good(zipped):
    """A file with some of everything."""
    x = torch.arange(40.0)
    obj = {"x": x, "part": x[3:9], "t": x.view(5, 8).t(), "b": torch.ones(3, dtype=torch.bfloat16)}
    obj["more"] = [1, 2.5, "text", (None, True), {1, 2}, 10**30, torch.Size([2]), torch.float16]
    obj["w"] = torch.nn.Parameter(torch.ones(2, 2))
    file = io.BytesIO()
    torch.save(obj, file, _use_new_zipfile_serialization=zipped)
    file.seek(0)
    return file


def broken(data, draw):
    """The bytes with some of them changed, cut off, cut out, repeated or put elsewhere."""
    changed = bytearray(data)
    a, b = sorted(draw.randrange(len(data)) for _ in range(2))
    kind = draw.choice(["flip", "flips", "cut", "drop", "twice", "move", "number", "noise"])
    if kind == "flip":
        changed[a] ^= 1 << draw.randrange(8)
    elif kind == "flips":
        for _ in range(draw.randrange(2, 30)):
            changed[draw.randrange(len(data))] = draw.randrange(256)
    elif kind == "cut":
        del changed[a:]
    elif kind == "drop":
        del changed[a : min(b, a + 64)]
    elif kind == "twice":
        changed[a:a] = data[a : min(b, a + 64)]
    elif kind == "move":
        changed[a : a + 16], changed[b : b + 16] = data[b : b + 16], data[a : a + 16]
    elif kind == "number":
        size = draw.choice([1, 2, 4, 8])
        changed[a : a + size] = draw.choice([b"\xff", b"\x00", b"\x7f"]) * size
    else:
        changed[a:b] = draw.randbytes(b - a)
    return bytes(changed)


@pytest.mark.parametrize("part", range(10))
@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_broken_files(zipped, part):
    """40 in each of the 20 cases: an error, or, where what was changed is not read, the object."""
    data = good(zipped).getvalue()
    draw = random.Random(f"{zipped} {part}")
    refused = 0
    for _ in range(40):
        try:
            loaded(broken(data, draw))
        except ERRORS as error:
            refused += 1
            assert str(error).strip() or isinstance(error, EOFError)
    assert refused > 10


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_files_that_end_early(zipped):
    data = good(zipped).getvalue()
    for size in range(1, len(data), 37):
        with pytest.raises(ERRORS):
            loaded(data[:size])


def test_a_changed_number_is_noticed():
    """PyTorch's reader does not look at the checksums; this one does."""
    data = bytearray(good(True).getvalue())
    data[data.find(torch.arange(40.0).numpy().tobytes()) + 9] ^= 1
    with pytest.raises(RuntimeError, match="failed reading file data/0: checksum does not agree"):
        loaded(bytes(data))


# -------------------------------------------------------------------------------- hostile pickles


def archive(text, records=None, method=zipfile.ZIP_STORED):
    """An archive with this for a pickle and these records."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as made:
        made.writestr("archive/data.pkl", text)
        made.writestr("archive/version", "3\n")
        for name, data in (records or {}).items():
            made.writestr(f"archive/{name}", data)
    return file.getvalue()


def text(value):
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def number(value):
    data = value.to_bytes(20, "little", signed=True)
    return b"\x8a" + bytes([len(data)]) + data


def storage(key="0", size=4, kind="torch\nFloatStorage\n", location="cpu"):
    """The opcodes of a storage's persistent id."""
    return b"(" + text("storage") + b"c" + kind.encode() + text(key) + text(location) + number(size) + b"tQ"


def ints(*values):
    return b"(" + b"".join(map(number, values)) + b"t"


def tensor(place=storage(), offset=0, size=(4,), stride=(1,), more=b""):  # noqa: B008
    """The opcodes of a tensor."""
    head = b"ctorch._utils\n_rebuild_tensor_v2\n(" + place + number(offset) + ints(*size) + ints(*stride)
    return head + b"\x89" + b"}" + more + b"tR"


def doubled(count, opcodes=b"\x86"):
    """A tuple that has itself twice, `count` levels deep: an endless one to walk."""
    return b"K\x01" + (b"2" + opcodes) * count


FOUR = {"data/0": b"\0" * 16, "data/1": struct.pack("<2q", 9, 2)}


def jagged(offsets, lengths=b"N"):
    """The opcodes of a nested tensor of four numbers."""
    parts = text("values") + tensor() + text("offsets") + offsets + text("lengths") + lengths
    whole = b"}(" + parts + text("_ragged_idx") + b"K\x01u"
    return b"ctorch.nested._internal.nested_tensor\n_rebuild_njt\n(" + whole + b"tR."


def places(offset, size, stride=1):
    """The opcodes of a tensor of 9 and 2, or one of them."""
    return tensor(storage("1", 2, "torch\nLongStorage\n"), offset, (size,), (stride,))


PICKLES = {
    "system": b"cos\nsystem\n(" + text("touch hacked") + b"tR.",
    "posix": b"cposix\nsystem\n(" + text("touch hacked") + b"tR.",
    "eval": b"c__builtin__\neval\n(" + text("print(1)") + b"tR.",
    "getattr": b"cbuiltins\ngetattr\n(ctorch\nTensor\n" + text("mro") + b"tR.",
    "import": b"cbuiltins\n__import__\n(" + text("antigravity") + b"tR.",
    "stack global": b"\x80\x04" + text("builtins") + text("exec") + b"\x93.",
    "stack global of numbers": b"\x80\x04K\x01K\x02\x93.",
    "a module": b"ctorch.__main__\nmain\n.",
    "dotted": b"\x80\x04" + text("torch") + text("serialization.os.system") + b"\x93.",
    "inst": b"(" + text("touch hacked") + b"ios\nsystem\n.",
    "obj": b"(cos\nsystem\n" + text("touch hacked") + b"o.",
    "ext": b"\x82\x01.",
    "call of a class": b"ctorch\nTensor\n)R.",
    "call of a storage": b"ctorch\nFloatStorage\n(" + number(10**12) + b"tR.",
    "new tensor": b"ctorch\nTensor\n)\x81.",
    "new type": b"ctorch\nFloatTensor\n(" + number(10**12) + b"t\x81.",
    "call of a text": text("x") + b")R.",
    "call of a result": tensor() + b")R.",
    "arguments that are no tuple": b"ccollections\nOrderedDict\n]R.",
    "state of a class": b"ctorch\nTensor\n}" + text("sum") + b"Nsb.",
    "state of a function": b"ctorch._utils\n_rebuild_tensor_v2\n}" + text("__code__") + b"Nsb.",
    "slots of a class": b"ctorch.nn.parameter\nParameter\n(N}" + text("data") + b"Nstb.",
    "state that hides a method": b"ccollections\nOrderedDict\n)R}" + text("items") + b"Nsb.",
    "items of a class": b"ctorch\nTensor\n" + text("sum") + b"Ns.",
    "append to a class": b"ctorch\nTensor\nNa.",
    "set of a text": b"ccollections\nOrderedDict\n)RNa.",
    "a huge bytearray": b"c__builtin__\nbytearray\n(" + number(10**12) + b"tR.",
    "a huge text": b"\x8d" + struct.pack("<Q", 2**60) + b"x.",
    "huge bytes": b"\x8e" + struct.pack("<Q", 2**62) + b"x.",
    "a negative text": b"T" + struct.pack("<i", -5) + b"x.",
    "a huge number": b"\x8b" + struct.pack("<i", 2**31 - 1) + b"1.",
    "a negative number of bytes": b"\x8b" + struct.pack("<i", -1) + b"1.",
    "a far memo": b"Nr" + struct.pack("<I", 2**32 - 1) + b"h\x05.",
    "a missing memo": b"h\x05.",
    "an endless key": b"}" + doubled(60) + b"Ns.",
    "an endless element": b"\x8f(" + doubled(60) + b"\x90.",
    "an endless argument": b"ctorch\nSize\n" + doubled(60) + b"\x85R.",
    "an endless size": b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage() + number(0) + doubled(60)
    + ints(1) + b"\x89}tR.",
    "an endless function": doubled(60) + b")R.",
    "an endless id": doubled(60) + b"Q.",
    "a deep key": b"}K\x01" + b"\x85" * 100000 + b"Ns.",
    "an unhashable key": b"}]Ns.",
    "a key without a value": b"}(K\x01u.",
    "nothing on the stack": b".",
    "no mark": b"t.",
    "no end": b"N",
    "protocol 99": b"\x80\x63N.",
    "a bad line": b"c" + b"x" * 5000 + b"\nN.",
    "not UTF-8": b"X\x02\0\0\0\xff\xfe.",
    "bytes by another codec": b"c_codecs\nencode\n(" + text("x") + text("idna") + b"tR.",
    "a large storage": tensor(storage(size=10**12)) + b".",
    "a negative storage": tensor(storage(size=-4)) + b".",
    "a storage that is not there": tensor(storage(key="7")) + b".",
    "a storage of another place": tensor(storage("../../version", 2, "torch\nByteStorage\n")) + b".",
    "a storage on a device": tensor(storage(location="cuda:0")) + b".",
    "a storage on nothing": tensor(storage(location="nowhere")) + b".",
    "a storage that is no storage": tensor(storage(kind="torch\nSize\n")) + b".",
    "two sizes": b"(" + tensor() + tensor(storage(size=2)) + b"t.",
    "an id of three": b"(" + text("storage") + b"NNtQ.",
    "an id that is a text": text("0") + b"Q.",
    "an id of another kind": b"(" + text("module") + b"NNNNtQ.",
    "beyond the storage": tensor(size=(5,)) + b".",
    "far beyond the storage": tensor(size=(2**62, 2**62), stride=(1, 1)) + b".",
    "beyond by strides": tensor(size=(2,), stride=(2**61,)) + b".",
    "beyond by the offset": tensor(offset=2) + b".",
    "a negative offset": tensor(offset=-1, size=(2,)) + b".",
    "a huge offset": tensor(offset=2**100) + b".",
    "a negative size": tensor(size=(-4,)) + b".",
    "a negative stride": tensor(offset=3, stride=(-1,)) + b".",
    "more strides": tensor(stride=(1, 1)) + b".",
    "many dims": tensor(size=(1,) * 70, stride=(1,) * 70) + b".",
    "expanded without end, and conjugated": tensor(
        storage(size=2, kind="torch\nComplexFloatStorage\n"), size=(2**40,), stride=(0,),
        more=b"}" + text("conj") + b"\x88s",
    ) + b".",
    "a tensor on a number": tensor(number(3)) + b".",
    "a dtype that is none": b"ctorch._utils\n_rebuild_tensor_v3\n(" + storage() + number(0)
    + ints(4) + ints(1) + b"\x89}NtR.",
    "a meta tensor that is none": b"ctorch._utils\n_rebuild_meta_tensor_no_storage\n(N" + ints(4)
    + ints(1) + b"\x89tR.",
    "a parameter of a number": b"ctorch._utils\n_rebuild_parameter\n(K\x01\x88}tR.",
    "a tensor with a method": b"ctorch._tensor\n_rebuild_from_type_v2\n(ctorch._utils\n_rebuild_tensor_v2\n"
    b"ctorch\nTensor\n(" + storage() + number(0) + ints(4) + ints(1) + b"\x89}t}" + text("sum") + b"NstR.",
    "a tensor by another function": b"ctorch._tensor\n_rebuild_from_type_v2\n(ccollections\nOrderedDict\n"
    b"ctorch\nTensor\n)NtR.",
    "jagged offsets beyond the values": jagged(places(0, 1)),
    "jagged offsets that descend": jagged(places(0, 2)),
    "jagged offsets of text": jagged(text("offsets")),
    "a jagged length beyond its offsets": jagged(places(1, 2, 0), places(0, 1)),
    "jagged lengths of too many": jagged(places(1, 2, 0), places(0, 2)),
    "a nested tensor of text": b"ctorch._utils\n_rebuild_nested_tensor\n(" + text("a") * 4 + b"tR.",
    "nested parts of another dtype": b"ctorch._utils\n_rebuild_nested_tensor\n(" + tensor() * 4 + b"tR.",
    "a mark of a size that is called": b"ctorch._dynamo.decorators\n_DimRange\n(K\x01tR.",
    "a device that is none": b"ctorch\ndevice\n(" + text("nowhere") + b"tR.",
    "a layout that is none": b"ctorch.serialization\n_get_layout\n(" + text("torch.serialization") + b"tR.",
}  # fmt: skip


@pytest.mark.parametrize("name", PICKLES)
def test_hostile_pickles(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ERRORS) as found:
        loaded(archive(PICKLES[name], FOUR))
    assert str(found.value) and len(str(found.value)) < 3000
    assert not list(tmp_path.iterdir())


def test_the_same_by_hand_is_a_tensor():
    """What the hostile pickles are made of is right."""
    assert loaded(archive(jagged(places(1, 2, 0)), FOUR)).size(0) == 1
    assert loaded(archive(tensor() + b".", FOUR)).tolist() == [0.0] * 4
    wide = loaded(archive(tensor(size=(2**40,), stride=(0,)) + b".", FOUR))
    assert wide.shape == (2**40,) and wide[5] == 0
    assert loaded(archive(b"](](K\x01ee.")) == [[1]]


def test_names_are_told_without_anything_made(tmp_path):
    file = io.BytesIO(archive(PICKLES["system"]))
    assert torch.serialization.get_unsafe_globals_in_checkpoint(file) == ["os.system"]


# ------------------------------------------------------------------------------- hostile archives


def test_compressed_records_are_refused():
    with pytest.raises(RuntimeError, match="unsupported compression method"):
        loaded(archive(tensor() + b".", {"data/0": b"\0" * 10**6}, zipfile.ZIP_DEFLATED))


def test_records_that_share_their_bytes_are_refused():
    """A directory with a thousand entries for the same bytes: each is in the file, all are not."""
    names = [f"archive/{name}".encode() for name in ("data.pkl", *(f"data/{n}" for n in range(1000)))]
    data = b"\0" * 5000
    head = struct.pack("<4s5H3L2H", b"PK\3\4", 20, 0, 0, 0, 0, zlib.crc32(data), 5000, 5000, 1, 0) + b"x"
    entry = struct.Struct("<4s6H3L5H2L")
    rows = b"".join(
        entry.pack(b"PK\1\2", 20, 20, 0, 0, 0, 0, zlib.crc32(data), 5000, 5000, len(n), *[0] * 6) + n
        for n in names
    )
    begin = len(head) + len(data)
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, len(names), len(names), len(rows), begin, 0)
    with pytest.raises(RuntimeError, match="invalid header or archive is corrupted"):
        loaded(head + data + rows + end)


@pytest.mark.parametrize("field", range(3))
def test_directories_that_claim_much(field):
    data = archive(tensor() + b".", FOUR)
    place = data.rfind(b"PK\5\6")
    claims = list(struct.unpack_from("<HLL", data, place + 10))
    claims[field] = 0xFFF0 if field == 0 else 0xFFFFFFF0
    with pytest.raises(RuntimeError, match="PytorchStreamReader failed reading zip archive"):
        loaded(data[: place + 10] + struct.pack("<HLL", *claims) + data[place + 20 :])


def test_other_archives():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        made.writestr("a.txt", "x")
    with pytest.raises(RuntimeError, match="file not in archive folder"):
        loaded(file.getvalue())
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        made.writestr("archive/constants.pkl", "x")
    with pytest.raises(RuntimeError, match=r"failed locating file data\.pkl: file not found"):
        loaded(file.getvalue())
    with pytest.raises(ERRORS):
        loaded(b"PK\3\4 and no more")


def test_legacy_files_that_claim_much():
    head = good(False).getvalue()
    begin = pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2) + pickle.dumps({}, 2)
    for size, rest in ((10**12, b""), (4, pickle.dumps(["0"], 2) + struct.pack("<q", 10**12) + b"\0" * 16)):
        place = (
            b"("
            + text("storage")
            + b"ctorch\nFloatStorage\n"
            + text("0")
            + text("cpu")
            + number(size)
            + b"NtQ"
        )
        with pytest.raises(ERRORS):
            loaded(begin + b"\x80\x02" + tensor(place, size=(4,)) + b"." + rest)
    assert torch.load(io.BytesIO(head))["x"].shape == (40,)
