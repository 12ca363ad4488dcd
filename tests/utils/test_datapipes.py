"""Data pipes: data sets made of others, their methods, their order, and what a DataLoader says to them."""

import importlib
import io
import json
import pickle

import pytest
from library import torch

data = torch.utils.data
pipes = importlib.import_module(f"{torch.__name__}.utils.data.datapipes")
decoder = importlib.import_module(f"{torch.__name__}.utils.data.datapipes.utils.decoder")
common = importlib.import_module(f"{torch.__name__}.utils.data.datapipes.utils.common")
settings = importlib.import_module(f"{torch.__name__}.utils.data.graph_settings")
graph = importlib.import_module(f"{torch.__name__}.utils.data.graph")

pytestmark = pytest.mark.filterwarnings("ignore")

wrap, sequence = pipes.iter.IterableWrapper, pipes.map.SequenceWrapper
NAMES = ["a1", "b1", "a2", "b2", "a3"]


def first(name):
    return name[0]


def parity(n):
    return n % 2


ROWS = {
    "map": (lambda: wrap(range(3)).map(str), ["0", "1", "2"]),
    "a column": (lambda: wrap([(1, 2), (3, 4)]).map(lambda x: 10 * x, input_col=0), [(10, 2), (30, 4)]),
    "columns": (lambda: wrap([(1, 2), (3, 4)]).map(lambda x, y: x + y, input_col=[0, 1]), [(3,), (7,)]),
    "columns, named": (
        lambda: wrap([(1, 2), (3, 4)]).map(lambda x, y: x + y, input_col=[1, 0], output_col=[1]),
        [(1, 3), (3, 7)],
    ),
    "a column more": (
        lambda: wrap([(1, 2), (3, 4)]).map(lambda x: 10 * x, input_col=0, output_col=-1),
        [(1, 2, 10), (3, 4, 30)],
    ),
    "a key": (
        lambda: wrap([{"a": 1, "b": 2}]).map(lambda x: x + 1, input_col="a", output_col="c"),
        [{"a": 1, "b": 2, "c": 2}],
    ),
    "filter": (lambda: wrap(range(5)).filter(lambda n: n > 2), [3, 4]),
    "batch": (lambda: wrap(range(5)).batch(2), [[0, 1], [2, 3], [4]]),
    "drop_last": (lambda: wrap(range(5)).batch(2, drop_last=True), [[0, 1], [2, 3]]),
    "unbatch": (lambda: wrap([[[0, 1], [2]], [[3]]]).unbatch(), [[0, 1], [2], [3]]),
    "unbatch all": (lambda: wrap([[[0, 1], [2]], [[3]]]).unbatch(unbatch_level=-1), [0, 1, 2, 3]),
    "concat": (lambda: wrap([1]).concat(wrap([2]), wrap([3])), [1, 2, 3]),
    "sum": (lambda: wrap([1]) + wrap([2]), [1, 2]),
    "mux": (lambda: wrap([1, 2]).mux(wrap([10, 20, 30])), [1, 10, 2, 20]),
    "zip": (lambda: wrap([1, 2]).zip(wrap([10, 20, 30])), [(1, 10), (2, 20)]),
    "groupby": (lambda: wrap(NAMES).groupby(first), [["a1", "a2", "a3"], ["b1", "b2"]]),
    "groups of two": (lambda: wrap(NAMES).groupby(first, group_size=2), [["a1", "a2"], ["b1", "b2"], ["a3"]]),
    "keys": (
        lambda: wrap(NAMES).groupby(first, keep_key=True),
        [("a", ["a1", "a2", "a3"]), ("b", ["b1", "b2"])],
    ),
    "a full buffer": (
        lambda: wrap(["a1", "b1", "c1", "b2", "a3"]).groupby(first, buffer_size=2),
        [["a1"], ["b1"], ["c1"], ["b2"], ["a3"]],
    ),
    "sampler": (lambda: pipes.iter.Sampler(wrap(range(3))), [0, 1, 2]),
    "a shard": (lambda: settings.apply_sharding(wrap(range(5)).sharding_filter(), 2, 1), [1, 3]),
    "no shuffle": (lambda: wrap(range(5)).shuffle().set_shuffle(False), [0, 1, 2, 3, 4]),
    "a seed": (lambda: wrap(range(10)).shuffle().set_seed(3), [3, 9, 2, 4, 7, 6, 0, 8, 1, 5]),
    "map by index": (lambda: sequence(range(3)).map(lambda n: 2 * n), [0, 2, 4]),
    "batch by index": (lambda: sequence(range(5)).batch(2), [[0, 1], [2, 3], [4]]),
    "zip by index": (lambda: sequence([1, 2]).zip(sequence([3, 4])), [(1, 3), (2, 4)]),
    "concat by index": (lambda: sequence([1, 2]).concat(sequence([3, 4])), [1, 2, 3, 4]),
}


@pytest.mark.parametrize("name", ROWS)
def test_samples(name):
    make, wanted = ROWS[name]
    assert list(make()) == wanted
    pipe = make()
    assert list(pipe) == list(pipe) == wanted or name == "a seed"


def test_shuffles_are_those_of_the_seed():
    torch.manual_seed(0)
    assert list(wrap(range(10)).shuffle()) == [3, 5, 0, 1, 9, 6, 2, 7, 4, 8]
    assert list(wrap(range(10)).shuffle(buffer_size=3)) == [0, 3, 1, 5, 6, 7, 8, 4, 2, 9]
    torch.manual_seed(1)
    assert list(sequence(range(5)).shuffle()) == [1, 0, 4, 2, 3]


def test_lengths_and_representations():
    pipe = wrap(range(5))
    assert [len(pipe), len(pipe.map(str)), len(pipe.batch(2)), len(pipe.zip(pipe)), len(pipe.mux(pipe))] == [
        5,
        5,
        3,
        5,
        10,
    ]
    assert repr(pipe.map(str)) == str(pipe.map(str)) == "MapperIterDataPipe"
    assert {"map", "batch", "shuffle"} <= set(dir(pipe))
    with pytest.raises(TypeError):
        len(pipe.filter(bool))
    with pytest.raises(AttributeError, match="'IterableWrapperIterDataPipe' object has no attribute 'foo"):
        pipe.foo  # noqa: B018
    assert list(pickle.loads(pickle.dumps(pipe.map(str).batch(2)))) == [["0", "1"], ["2", "3"], ["4"]]


def test_the_last_iterator_is_valid():
    pipe = wrap(range(3)).map(str)
    before, after = iter(pipe), iter(pipe)
    assert [next(before), next(after)] == ["0", "0"]
    with pytest.raises(RuntimeError, match="because another iterator has been created"):
        next(before)
    assert next(after) == "1"


def test_fork_and_demux():
    a, b = wrap(range(3)).fork(2)
    assert [list(a), list(b), list(a), list(b)] == [[0, 1, 2]] * 4
    even, odd = wrap(range(5)).demux(2, parity)
    assert [list(even), list(odd)] == [[0, 2, 4], [1, 3]]
    some, none = wrap(range(5)).demux(2, lambda n: None if n == 2 else n % 2, drop_none=True)
    assert [list(some), list(none)] == [[0, 4], [1, 3]]
    ahead, _ = wrap(range(5)).fork(2, buffer_size=2)
    with pytest.raises(BufferError, match="buffer size 2 is insufficient"):
        list(ahead)
    _, late = wrap(range(5)).demux(2, lambda n: n // 4, buffer_size=2)
    with pytest.raises(BufferError, match="buffer size 2 is insufficient"):
        list(late)
    first_one, other = wrap(range(3)).fork(2)
    begun = iter(other)
    next(iter(first_one)), next(begun)
    next(iter(first_one))
    with pytest.raises(RuntimeError, match=r"has been invalidated, because a new iterator"):
        next(begun)
    x, y = wrap([[1]]).fork(2, copy="deep")
    assert next(iter(x)) is not next(iter(y))


ERRORS = {
    "batch size": (AssertionError, lambda: wrap([1]).batch(0), "Batch size is required to be larger than 0!"),
    "buffer": (
        AssertionError,
        lambda: wrap([1]).shuffle(buffer_size=0),
        "should be larger than 0",
    ),
    "group": (AssertionError, lambda: wrap([1]).groupby(str, group_size=0), "group_size must be > 0"),
    "instances": (
        ValueError,
        lambda: wrap([1]).fork(0),
        "larger than 0, but 0 is found",
    ),
    "parts": (ValueError, pipes.iter.Concater, "Expected at least one DataPipe, but got nothing"),
    "no pipe": (TypeError, lambda: pipes.iter.Zipper(1), "All inputs are required to be `IterDataPipe`"),
    "columns": (ValueError, lambda: wrap([1]).map(str, output_col=0), "`output_col` must be None when"),
    "arguments": (
        ValueError,
        lambda: wrap([1]).map(lambda x: x, input_col=[0, 1]),
        "The function <lambda> takes 1 parameters, but 2 are required",
    ),
    "class": (
        ValueError,
        lambda: list(wrap([5]).demux(2, lambda n: n)[0]),
        "Output of the classification fn should be between 0 and 1. 5 is returned",
    ),
    "depth": (
        IndexError,
        lambda: list(wrap([1]).unbatch(3)),
        "unbatch_level 3 exceeds the depth of the DataPipe\n"
        "This exception is thrown by __iter__ of UnBatcherIterDataPipe",
    ),
    "no bool": (ValueError, lambda: list(wrap([1]).filter(lambda n: 1)), "Boolean output is required"),
    "shard": (ValueError, lambda: wrap([1]).sharding_filter().apply_sharding(2, 2), "should be smaller than"),
    "mode": (ValueError, lambda: pipes.iter.FileOpener([], mode="q"), "Invalid mode q"),
    "encoding": (ValueError, lambda: pipes.iter.FileOpener([], mode="b", encoding="utf8"), "binary mode"),
    "image": (AssertionError, lambda: decoder.imagehandler("foo"), "unknown image specification: foo"),
    "pair": (TypeError, lambda: common.validate_pathname_binary_tuple(1), "should be tuple type"),
    "name": (Exception, lambda: data.functional_datapipe("map")(type(wrap([]))), "already taken"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name):
    kind, act, words = ERRORS[name]
    with pytest.raises(kind) as found:
        act()
    assert words in str(found.value).replace("\\n", "\n")


def test_classes_of_programs():
    @data.functional_datapipe("doubled_for_this_test")
    class Doubled(data.IterDataPipe):
        def __init__(self, source):
            self.source = source
            self.resets = 0

        def reset(self):
            self.resets += 1

        def __iter__(self):
            for n in self.source:
                yield 2 * n

    pipe = wrap([1, 2]).doubled_for_this_test()
    assert list(pipe) == list(pipe) == [2, 4]
    assert pipe.resets == 2

    @data.non_deterministic
    class Unsure(data.IterDataPipe):
        def __iter__(self):
            yield 1

    assert list(Unsure()) == [1]
    with (
        data.guaranteed_datapipes_determinism(),
        pytest.raises(TypeError, match="is non-deterministic"),
    ):
        Unsure()


def test_files(tmp_path):
    for name in ("b.txt", "a.txt", "c.py"):
        (tmp_path / name).write_text(name + "\nmore")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "d.txt").write_text("d")

    def names(pipe):
        return [path.rpartition("/")[2] for path in pipe]

    root = str(tmp_path)
    assert names(pipes.iter.FileLister(root)) == ["a.txt", "b.txt", "c.py"]
    assert names(pipes.iter.FileLister(root, "*.txt", recursive=True)) == ["a.txt", "b.txt", "d.txt"]
    assert names(wrap([root]).list_files(["*.py", "b*"])) == ["b.txt", "c.py"]
    read = pipes.iter.FileLister(root, "a*").open_files("b").read_from_stream()
    assert [content for _, content in read] == [b"a.txt\nmore"]
    pieces = pipes.iter.FileLister(root, "a*").open_files("t").read_from_stream(chunk=4)
    assert [content for _, content in pieces] == ["a.tx", "t\nmo", "re"]


def test_decoders():
    files = {"a.txt": b"hi", "b.json": json.dumps({"a": 1}).encode(), "c.cls": b"7", "d.bin": b"zz"}
    source = wrap([(name, io.BytesIO(content)) for name, content in files.items()])
    wanted = [("a.txt", "hi"), ("b.json", {"a": 1}), ("c.cls", 7), ("d.bin", b"zz")]
    assert list(source.routed_decode(decoder.basichandlers)) == wanted
    handler = decoder.handle_extension("jpg", len)
    assert [handler("a.JPG", b"123"), handler("a.txt", b"1")] == [3, None]
    assert decoder.extension_extract_fn("a/b.tar.gz") == "gz"


def test_graphs():
    source = wrap([1])
    pipe = source.map(str)
    assert settings.get_all_graph_pipes(graph.traverse_dps(pipe)) == [pipe, source]
    assert graph.traverse_dps(pipe) == {id(pipe): (pipe, {id(source): (source, {})})}


def test_loaders_shuffle_and_part_a_pipe():
    def batches(loader):
        return [batch.tolist() for batch in loader]

    torch.manual_seed(0)
    loader = data.DataLoader(wrap(range(8)).shuffle(), batch_size=4, shuffle=True)
    assert [batches(loader), batches(loader)] == [
        [[0, 5, 6, 3], [7, 1, 2, 4]],
        [[6, 5, 7, 3], [0, 2, 4, 1]],
    ]
    loader = data.DataLoader(wrap(range(4)).shuffle(), batch_size=4, shuffle=False)
    assert batches(loader) == [[0, 1, 2, 3]]
    for persistent in (False, True):
        torch.manual_seed(0)
        pipe = wrap(range(8)).shuffle().sharding_filter()
        loader = data.DataLoader(pipe, batch_size=2, num_workers=2, persistent_workers=persistent)
        assert batches(loader) == [[0, 6], [5, 3], [7, 2], [1, 4]]
        torch.manual_seed(1)
        assert batches(loader) == [[2, 4], [0, 6], [5, 1], [3, 7]]
