"""The random engine gives PyTorch's numbers, bit for bit, and leaves its generator's state.

golden/random.txt holds digests recorded from PyTorch 2.13. Where PyTorch is installed, random
programs run on both and are compared bit by bit. `Ours` and `Theirs` give both libraries one
interface: fills and samples by name, arrays out.
"""

import copy
import hashlib
import importlib
import pickle
import threading
import warnings

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from library import GOLDEN, ON_TORCH, pullback_only

if not ON_TORCH:
    from pullback.kernels.random import fills, generators, samples

pytestmark = pullback_only("the engine below the tensors is its own")
FILE = GOLDEN / "random.txt"
FLOATS = ["float32", "float64", "float16", "bfloat16"]
COMPLEX = ["complex64", "complex128"]
INTEGERS = ["bool", "uint8", "int8", "int16", "int32", "int64"]
SIZES = [0, 1, 2, 5, 15, 16, 17, 23, 31, 32, 33, 100, 1000, 100003]
TORCH_NAMES = {"any_integer": "random_", "randint": "random_", "dirichlet": "_sample_dirichlet"}
TORCH_NAMES |= {"standard_gamma": "_standard_gamma"}

FILLS = [
    ("uniform", (0.0, 1.0), FLOATS + COMPLEX),
    ("uniform", (-0.3, 2.8), FLOATS + COMPLEX),
    ("normal", (0.0, 1.0), FLOATS + COMPLEX),
    ("normal", (0.7, 2.3), FLOATS + COMPLEX),
    ("log_normal", (0.7, 0.3), FLOATS),
    ("cauchy", (0.7, 2.3), FLOATS),
    ("exponential", (0.7,), FLOATS),
    ("geometric", (0.3,), FLOATS + INTEGERS[1:]),
    ("bernoulli", (0.3,), FLOATS + INTEGERS),
    ("any_integer", (), FLOATS + INTEGERS),
    ("randint", (0, 2), FLOATS + INTEGERS),
    ("randint", (3, None), FLOATS + INTEGERS[1:]),
    ("randint", (-5, 100), FLOATS + INTEGERS[2:]),
    ("randint", (0, 2**28 - 1), ["int32", "int64"]),
    ("randint", (-7, 2**28), ["int32", "int64"]),
    ("randint", (-3, 2**40 + 7), ["int64", "float64"]),
    ("randint", (-(2**63), 2**63 - 1), ["int64"]),
    ("randint", (-(2**63), None), ["int64", "float64", "float32", "bfloat16"]),
    ("randint", (0, 60001), ["float16", "uint16", "uint32", "uint64"]),
]
SAMPLES = {  # name: parameters made of numbers in [0, 1) by NumPy arithmetic that is exact
    "poisson": lambda u: (u * 16,),
    "binomial": lambda u: (np.floor(u * 64), u),
    "standard_gamma": lambda u: (u * 4,),
    "dirichlet": lambda u: (u * 4,),
    "bernoulli_each": lambda u: (u,),
}
PROBS = {"ties": lambda u: np.floor(u * 4), "rare": lambda u: u * (u > 0.75), "all": lambda u: u}


def numpy_dtype(name):
    return np.dtype(ml_dtypes.bfloat16 if name == "bfloat16" else name)


class Ours:
    """Pullback's engine."""

    def __init__(self, seed):
        self.generator = generators.Generator().manual_seed(seed)

    def state(self):
        return self.generator.get_state_bytes()

    def load(self, state):
        self.generator.set_state_bytes(state)

    def fill(self, name, args, dtype, shape, layout=None):
        out = laid_out(np.zeros(shape, numpy_dtype(dtype)), layout, np.ndarray.swapaxes)
        if name == "bernoulli":
            fills.bernoulli(out, *args, self.generator)
        else:
            getattr(fills, name)(out, self.generator, *args)
        return np.ascontiguousarray(out)

    def sample(self, name, arrays):
        if name == "bernoulli_each":
            out = np.zeros(arrays[0].shape, arrays[0].dtype)
            fills.bernoulli(out, arrays[0], self.generator)
            return out
        return getattr(samples, name)(*arrays, self.generator)


class Theirs:
    """PyTorch, asked for the same."""

    def __init__(self, seed):
        self.torch = importlib.import_module("torch")
        self.generator = self.torch.Generator().manual_seed(seed)

    def state(self):
        return self.generator.get_state().numpy().tobytes()

    def load(self, state):
        self.generator.set_state(self.torch.frombuffer(bytearray(state), dtype=self.torch.uint8))

    def fill(self, name, args, dtype, shape, layout=None):
        out = self.torch.zeros(shape, dtype=getattr(self.torch, dtype))
        out = laid_out(out, layout, self.torch.Tensor.transpose)
        getattr(out, TORCH_NAMES.get(name, name + "_"))(*args, generator=self.generator)
        return self.array(out)

    def sample(self, name, arrays):
        name = {"bernoulli_each": "bernoulli"}.get(name, TORCH_NAMES.get(name, name))
        given = [self.tensor(a) if isinstance(a, np.ndarray) else a for a in arrays]
        return self.array(getattr(self.torch, name)(*given, generator=self.generator))

    def tensor(self, array):
        if array.dtype.name == "bfloat16":
            return self.torch.from_numpy(array.astype(np.float32)).bfloat16()
        return self.torch.from_numpy(array)

    def array(self, tensor):
        flat = self.torch.empty(tensor.numel(), dtype=tensor.dtype).copy_(tensor.reshape(-1))
        if tensor.dtype is self.torch.bfloat16:
            flat = flat.view(self.torch.int16).numpy().view(ml_dtypes.bfloat16)
        else:
            flat = flat.numpy()
        return flat.reshape(tensor.shape)


def laid_out(array, layout, swap):
    """A view of the array: its axes swapped, every second number, or a part of each row."""
    if layout == "swapped":
        return swap(array, 0, len(array.shape) - 1)
    if layout == "spread":
        return array[..., ::2]
    return array[..., 1:] if layout == "part" else array


def parameters(name, dtype, size):
    """Parameters for `size` samples, the same everywhere: a linear congruence, no generator."""
    u = (np.arange(size) * 40503 % 65536).reshape(-1, 2 if name == "dirichlet" else 1) / 65536
    return [a.astype(numpy_dtype(dtype)) for a in SAMPLES[name](u)]


# ---- Golden digests ----


def digest(arrays, state):
    """Of all bytes. What the C library's log, sin, ... gave in float64 may differ between its
    versions in the last bit, so float64 counts rounded to float32."""
    sha = hashlib.sha256(state)
    for array in arrays:
        sha.update(array.astype("complex64" if array.dtype.kind == "c" else "float32").tobytes())
    return sha.hexdigest()[:16]


def golden(library, seed=2026):
    """The lines of the golden file, as that library gives them."""
    for name, args, dtypes in FILLS:
        for dtype in dtypes:
            lib = library(seed)
            arrays = [lib.fill(name, args, dtype, (size,)) for size in SIZES]
            yield line(f"{name} {args} {dtype}", arrays, lib)
    for name in SAMPLES:
        for dtype in FLOATS if name in ("poisson", "bernoulli_each") else FLOATS[:2]:
            lib = library(seed)
            arrays = [lib.sample(name, parameters(name, dtype, size)) for size in (2, 16, 1000)]
            yield line(f"{name} {dtype}", arrays, lib)
    for kind, probs in PROBS.items():
        for dtype in FLOATS:
            for replacement in (False, True):
                lib = library(seed)
                p = probs(parameters("bernoulli_each", dtype, 2100)[0].reshape(3, 700))
                p = p.astype(numpy_dtype(dtype))
                arrays = [lib.sample("multinomial", (p, k, replacement)) for k in (1, 5, 20, 600)]
                yield line(f"multinomial {kind} {dtype} {replacement}", arrays, lib)
    lib = library(seed)
    yield line("randperm", [lib.sample("randperm", (n,)) for n in SIZES], lib)


def line(title, arrays, lib):
    kind = complex if arrays[2].dtype.kind == "c" else float
    first = " ".join(f"{x:.4g}" for x in arrays[2].ravel()[:2].astype(kind))
    return f"{title} => {first} {digest(arrays, lib.state())}"


@pytest.fixture(scope="module")
def oracle():
    """PyTorch, of the version that the numbers are promised for."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    if not torch.__version__.startswith("2.13"):
        pytest.skip(f"PyTorch is {torch.__version__}, not 2.13")
    return torch


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*out of bounds:UserWarning")
def test_golden_digests():
    for expected, found in zip(FILE.read_text().splitlines(), golden(Ours), strict=True):
        assert found == expected


@pytest.mark.filterwarnings("ignore:.*out of bounds:UserWarning")
def test_golden_digests_are_pytorchs(oracle):
    assert FILE.read_text().splitlines() == list(golden(Theirs))


def test_first_numbers_of_seed_0():
    ours = Ours(0)
    expected = [0.4963, 0.7682, 0.0885, 0.1320, 0.3074]
    assert ours.fill("uniform", (), "float32", (5,)).tolist() == pytest.approx(expected, abs=5e-5)
    ours.generator.manual_seed(0)
    expected = [1.5410, -0.2934, -2.1788, 0.5684, -1.0845]
    assert ours.fill("normal", (), "float32", (5,)).tolist() == pytest.approx(expected, abs=5e-5)
    ours.generator.manual_seed(0)
    assert ours.sample("randperm", (8,)).tolist() == [4, 0, 7, 3, 2, 5, 1, 6]


# ---- Random programs, on both ----


def steps():
    fills = st.sampled_from([(n, a, d) for n, a, dtypes in FILLS for d in dtypes])
    sizes = st.sampled_from(SIZES[:-1]) | st.integers(0, 2100)
    shapes = st.tuples(sizes) | st.tuples(st.integers(1, 40), st.integers(1, 6), st.integers(1, 6))
    layouts = st.sampled_from([None, None, "swapped", "spread", "part"])
    fill = st.tuples(st.just("fill"), fills, shapes, layouts)
    dtypes = st.sampled_from(FLOATS[:2])
    numbers = st.tuples(st.just("sample"), st.sampled_from(sorted(SAMPLES)), dtypes, sizes)
    kinds = st.sampled_from(sorted(PROBS))
    rows, counts = st.integers(1, 3), st.integers(1, 30)
    drawn = st.tuples(st.just("draw"), kinds, st.sampled_from(FLOATS), rows, counts, st.booleans())
    return st.lists(fill | numbers | drawn | st.just(("exchange",)), min_size=1, max_size=12)


def run(step, lib):
    kind, *rest = step
    if kind == "fill":
        (name, args, dtype), shape, layout = rest
        return lib.fill(name, args, dtype, shape, layout)
    if kind == "sample":
        name, dtype, size = rest
        return lib.sample(name, parameters(name, dtype, size * 2))
    probs, dtype, rows, count, replacement = rest
    p = PROBS[probs](parameters("bernoulli_each", dtype, rows * 90)[0].reshape(rows, 90))
    return lib.sample("multinomial", (p.astype(numpy_dtype(dtype)), count, replacement))


@pytest.mark.filterwarnings("ignore:.*out of bounds:UserWarning")
@settings(max_examples=150, deadline=None)
@given(seed=st.integers(-(2**63), 2**64 - 1), program=steps())
def test_programs_give_the_same_bits(oracle, seed, program):
    ours, theirs = Ours(seed), Theirs(seed)
    for step in program:
        if step[0] == "exchange":
            kept = ours.state()
            ours.load(theirs.state())
            theirs.load(kept)
        else:
            found, expected = run(step, ours), run(step, theirs)
            assert found.shape == expected.shape and found.dtype == expected.dtype
            assert found.tobytes() == expected.tobytes(), step
        assert ours.state() == theirs.state()


@pytest.mark.filterwarnings("ignore:.*out of bounds:UserWarning")
@pytest.mark.parametrize("name, args, dtypes", FILLS)
def test_long_fills_give_the_same_bits(oracle, name, args, dtypes):
    ours, theirs = Ours(3), Theirs(3)
    for dtype in dtypes[:2]:
        found, expected = (lib.fill(name, args, dtype, (SIZES[-1],)) for lib in (ours, theirs))
        assert found.tobytes() == expected.tobytes()


def test_bernoulli_with_a_probability_each_walks_the_output(oracle):
    for dtype in (oracle.float32, oracle.bool):
        for swapped in (False, True):
            p = oracle.rand(5, 4, 3).transpose(0, 2)
            theirs = oracle.zeros(3, 4, 5, dtype=dtype)
            theirs = theirs.permute(2, 1, 0).contiguous().permute(2, 1, 0) if swapped else theirs
            ours = theirs.numpy().copy(order="K")
            theirs.bernoulli_(p, generator=oracle.Generator().manual_seed(1))
            fills.bernoulli(ours, p.numpy(), Ours(1).generator)
            np.testing.assert_array_equal(ours, theirs.numpy())


NOTHING = (None, [])
MISUSE = [
    ("uniform", (1.0, 0.0), "float32"),
    ("uniform", (0.0, float("nan")), "float32"),
    ("uniform", (-1e5, 0.0), "float16"),
    ("uniform", (-3e38, 3e38), "float32"),
    ("uniform", (), "int64"),
    ("normal", (0.0, -1.0), "float32"),
    ("normal", (), "bool"),
    ("log_normal", (0.0, 0.0), "float64"),
    ("log_normal", (), "complex64"),
    ("cauchy", (0.0, 0.0), "float64"),
    ("cauchy", (), "int16"),
    ("exponential", (0.0,), "float32"),
    ("exponential", (), "complex64"),
    ("geometric", (1.0,), "float32"),
    ("geometric", (0.5,), "bool"),
    ("bernoulli", (1.5,), "float32"),
    ("bernoulli", (0.5,), "uint16"),
    ("any_integer", (), "uint32"),
    ("any_integer", (), "complex128"),
    ("randint", (3, 3), "int64"),
    ("randint", (0, 257), "uint8"),
    ("randint", (-1, 3), "uint64"),
    ("randint", (0, None), "uint64"),
    ("randint", (0, 3), "bool"),
    ("randint", (0, 2**40), "float16"),
    ("randint", (300, None), "bfloat16"),
    ("randint", (2**24 + 1, 2**24 + 2), "float32"),
    ("randint", (0, 3), "complex64"),
    ("randint", (0, None), "complex64"),
    ("randint", (-(2**63), None), "int32"),
    ("randint", (-(2**63), None), "float16"),
    ("randint", (0, 2**30), "float32"),
]


@pytest.mark.parametrize("name, args, dtype", MISUSE)
def test_misuse_of_fills_meets_pytorchs_words(oracle, name, args, dtype):
    found, expected = (outcome(lib.fill, name, args, dtype, (3,)) for lib in (Ours(1), Theirs(1)))
    assert found == expected and found != NOTHING


@pytest.mark.parametrize(
    "name, arrays",
    [
        ("poisson", (np.array([1.0, 2.0, -1.0]),)),
        ("poisson", (np.array([1, 2]),)),
        ("binomial", (np.ones(2, np.int32), np.ones(2))),
        ("binomial", (np.ones(2), np.ones(2, np.float32))),
        ("binomial", (np.ones(2, np.float16), np.ones(2, np.float16))),
        ("standard_gamma", (np.ones(2, np.float16),)),
        ("dirichlet", (np.ones(2, np.int64),)),
        ("bernoulli_each", (np.array([0.1, 0.2, 1.5]),)),
        ("multinomial", (np.ones((2, 2, 2)), 1, True)),
        ("multinomial", (np.ones(3, np.int64), 1, True)),
        ("multinomial", (np.ones(3), 0, True)),
        ("multinomial", (np.ones(3), 4, False)),
        ("multinomial", (np.zeros(3), 2, False)),
        ("multinomial", (np.zeros(3), 2, True)),
        ("multinomial", (np.array([1.0, -1.0]), 2, False)),
        ("multinomial", (np.array([1.0, np.nan]), 2, False)),
        ("multinomial", (np.array([1.0, -1.0]), 2, True)),
        ("multinomial", (np.array([1.0, np.inf]), 2, True)),
        ("multinomial", (np.ones(0), 1, True)),
        ("multinomial", (np.ones(2**24 + 1, np.float32), 1, True)),
    ],
)
def test_misuse_of_samples_meets_pytorchs_words(oracle, name, arrays):
    ours, theirs = Ours(1), Theirs(1)
    found, expected = (outcome(lib.sample, name, arrays) for lib in (ours, theirs))
    assert found == expected and found != NOTHING
    assert ours.state() == theirs.state()


def outcome(call, *args):
    """What a call raised and warned; PyTorch's notes on where it came from are dropped."""
    raised = None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            call(*args)
        except Exception as error:
            raised = type(error).__name__, str(error).split("  (Could")[0]
    told = [str(w.message).split(" (Triggered")[0] for w in caught]
    return raised, told


# ---- The generator ----


def test_generator_seeds():
    gen = generators.Generator("somewhere")
    assert gen.device == "somewhere" and gen.initial_seed() == 67280421310721
    assert gen.manual_seed(-1) is gen and gen.initial_seed() == 2**64 - 1
    assert gen.manual_seed(np.int32(7)).initial_seed() == 7
    for seed in (2**64, -(2**63) - 1):
        with pytest.raises(ValueError, match=r"^Overflow when unpacking long long$"):
            gen.manual_seed(seed)
    for seed in (1.5, True, None):
        with pytest.raises(RuntimeError, match=r"^manual_seed expected a long, but got "):
            gen.manual_seed(seed)
    drawn = {gen.seed() for _ in range(4)}
    assert len(drawn) == 4 and gen.initial_seed() in drawn


def test_state_keeps_the_second_normal():
    ours = Ours(5)
    ours.fill("normal", (), "float64", (3,))
    state = ours.state()
    assert len(state) == 5056
    rest = [ours.fill("normal", (), dtype, (2,)).tobytes() for dtype in ("float32", "float64")]
    for _ in range(2):
        ours.load(state)
        assert ours.fill("normal", (), "float32", (2,)).tobytes() == rest[0]
        assert ours.fill("normal", (), "float64", (2,)).tobytes() == rest[1]
    ours.generator.manual_seed(5)
    assert ours.state() == Ours(5).state()


@pytest.mark.parametrize(
    "twin", [copy.copy, copy.deepcopy, lambda g: pickle.loads(pickle.dumps(g)), "clone_state"]
)
def test_a_twin_goes_its_own_way(twin):
    ours, other = Ours(5), Ours(6)
    ours.fill("normal", (), "float64", (3,))
    other.generator = ours.generator.clone_state() if twin == "clone_state" else twin(ours.generator)
    assert other.state() == ours.state() and other.generator.initial_seed() == 5
    expected = ours.fill("uniform", (), "float32", (700,))
    assert other.fill("uniform", (), "float32", (700,)).tobytes() == expected.tobytes()


def test_bad_states_are_refused():
    ours = Ours(5)
    ours.fill("uniform", (), "float32", (3,))
    good = ours.state()
    with pytest.raises(RuntimeError, match=r"^Expected a CPUGeneratorImplState of size 5056 but "):
        ours.load(good[:-1])
    for place, value in ((8, 0), (8, 625), (12, 0), (16, 625), (16, 600)):
        bad = good[:place] + value.to_bytes(4, "little") + good[place + 4 :]
        with pytest.raises(RuntimeError, match=r"^Invalid mt19937 state$"):
            ours.load(bad)
    assert ours.state() == good


def test_arrays_are_filled_in_the_order_of_memory():
    for name in ("uniform", "randint"):
        args = (0, 50) if name == "randint" else ()
        flat = Ours(1).fill(name, args, "float64", (2 * 3 * 4,))
        swapped = Ours(1).fill(name, args, "float64", (2, 3, 4), "swapped")
        np.testing.assert_array_equal(swapped.swapaxes(0, 2).ravel(), flat)


def test_a_byte_swapped_or_unaligned_array_is_filled():
    expected = Ours(1).fill("uniform", (), "float32", (40,))
    swapped = np.zeros(40, ">f4")
    unaligned = np.zeros(161, np.uint8)[1:].view(np.float32)
    for out in (swapped, unaligned):
        fills.uniform(out, Ours(1).generator)
        np.testing.assert_array_equal(out, expected)


def test_an_unknown_dtype_is_refused():
    with pytest.raises(TypeError, match="no random numbers of dtype"):
        fills.uniform(np.zeros(3, object), Ours(1).generator)


def test_threads_share_a_generator_without_losing_words():
    shared, count = Ours(1), 60
    parts = [[] for _ in range(4)]

    def work(part):
        part.extend(shared.fill("uniform", (), "float64", (1500,)) for _ in range(count))

    threads = [threading.Thread(target=work, args=(part,)) for part in parts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    alone = Ours(1)
    expected = {alone.fill("uniform", (), "float64", (1500,)).tobytes() for _ in range(4 * count)}
    assert {array.tobytes() for part in parts for array in part} == expected
    assert shared.state() == alone.state()
