"""Tensors and the world around them: copies, pickles, NumPy, DLPack, subclasses, promotion rules.

What is shared and what is copied is half of every promise here, so memory is compared too.
"""

import copy
import gc
import importlib
import pickle
import weakref

import numpy as np
import pytest
from library import check, leaf, pullback_only, torch, vec

INTEGERS = ["uint8", "int8", "int16", "int32", "int64", "uint16", "uint32", "uint64"]
ALL = ["bool", *INTEGERS, "float16", "float32", "float64", "complex64", "complex128"]


# Copies and pickles ------------------------------------------------------------------------


UNSIGNED = pullback_only("PyTorch cannot pickle the wide unsigned dtypes")


@pytest.mark.parametrize(
    "dtype",
    [
        pytest.param(name, marks=UNSIGNED if name in ("uint16", "uint32", "uint64") else ())
        for name in [*ALL, "bfloat16"]
    ],
)
def test_pickle_and_deepcopy_keep_everything(dtype):
    x = torch.tensor([[0, 1], [1, 0]], dtype=getattr(torch, dtype)).t()
    for twin in (pickle.loads(pickle.dumps(x)), copy.deepcopy(x)):
        assert twin is not x and twin.data_ptr() != x.data_ptr()
        assert (twin.dtype, twin.shape, twin.stride()) == (x.dtype, x.shape, x.stride())
        assert twin.tolist() == x.tolist()


def test_pickle_keeps_requires_grad():
    twin = pickle.loads(pickle.dumps(leaf([1.0, 2.0])))
    assert twin.requires_grad and twin.is_leaf and twin.grad is None


def test_deepcopy_keeps_grad_and_shared_memory():
    x = leaf([1.0, 2.0])
    (x * x).sum().backward()
    twin = copy.deepcopy(x)
    check(twin.grad, [2, 4])
    assert twin.grad is not x.grad and twin.requires_grad
    base = torch.zeros(3)
    first, second = copy.deepcopy([base, base[1:]])
    first[1] = 5
    check(second, [5, 0])
    check(base, [0, 0, 0])


def test_shallow_copy_shares():
    x = vec(1, 2)
    twin = copy.copy(x)
    twin[0] = 9
    check(x, [9, 2])


def test_clone_is_in_the_graph():
    x = leaf([1.0, 2.0])
    y = x.clone()
    assert y.data_ptr() != x.data_ptr()
    (y * 3).sum().backward()
    check(x.grad, [3, 3])


# NumPy -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ALL)
def test_numpy_both_ways(name):
    array = np.array([0, 1, 1], dtype=name)
    t = torch.from_numpy(array)
    assert t.dtype is getattr(torch, name)
    assert t.numpy().dtype == array.dtype
    array[0] = 1
    assert t[0].item() == 1
    assert torch.tensor(array).dtype is t.dtype and torch.as_tensor(array).data_ptr() == t.data_ptr()
    assert torch.tensor(array).data_ptr() != t.data_ptr()


def test_numpy_shares_memory_and_strides():
    x = torch.arange(6.0).reshape(2, 3)
    array = x.t().numpy()
    assert array.strides == (4, 12) and np.shares_memory(array, x.numpy())
    array[0, 1] = -1
    assert x[1, 0].item() == -1
    back = torch.from_numpy(np.arange(12.0).reshape(3, 4)[:, ::2])
    assert back.stride() == (4, 2)


@pytest.mark.filterwarnings("ignore:__array_")  # PyTorch keeps NumPy 1 protocols
def test_array_protocol():
    x = torch.tensor([[1, 2], [3, 4]])
    assert np.asarray(x).dtype == np.int64 and np.asarray(x, dtype=np.float32).dtype == np.float32
    assert np.array(x).tolist() == [[1, 2], [3, 4]]
    assert isinstance(np.sin(vec(0.0)), torch.Tensor)
    check(torch.tensor([torch.tensor(1.0), torch.tensor(2.0)]), [1, 2])
    check(torch.tensor([np.float64(1.5), np.int64(2)]), [1.5, 2])
    check(torch.tensor(np.float32(2.5)), 2.5)
    check(vec(1, 2) + np.float32(1), [2, 3])
    assert x.detach().numpy().sum() == 10
    assert leaf([1.0]).numpy(force=True).tolist() == [1.0]


def test_array_of_a_zero_dim_tensor():
    assert np.asarray(torch.tensor(3)).shape == ()
    assert int(np.asarray(torch.tensor(3))) == 3


def test_frombuffer_and_asarray():
    buffer = bytearray(b"\x01\x00\x02\x00")
    t = torch.frombuffer(buffer, dtype=torch.int16)
    check(t, [1, 2])
    t[0] = 5
    assert buffer[0] == 5
    array = np.ones(2)
    assert torch.asarray(array).data_ptr() == torch.from_numpy(array).data_ptr()
    assert torch.asarray(array, copy=True).data_ptr() != torch.from_numpy(array).data_ptr()


def test_from_file(tmp_path):
    path = str(tmp_path / "numbers")
    torch.from_file(path, shared=True, size=3, dtype=torch.int16).fill_(7)
    mine = torch.from_file(path, size=2, dtype=torch.int16)
    mine[0] = 1
    assert torch.from_file(path, size=3, dtype=torch.int16).tolist() == [7, 7, 7]
    assert mine.tolist() == [1, 7] and torch.from_file(path).shape == (0,)
    with pytest.raises(RuntimeError, match="size <6> is smaller than the required mapping size <8>"):
        torch.from_file(path, size=2)
    with pytest.raises(RuntimeError, match=r"unable to open file <.+> in read-only mode: No such file"):
        torch.from_file(path + "x", size=2)


def test_a_dlpack_capsule_is_taken_once():
    x = torch.ones(2, requires_grad=True)
    capsule = torch.utils.dlpack.to_dlpack(x)
    y = torch.from_dlpack(capsule)
    assert y.data_ptr() == x.data_ptr() and not y.requires_grad
    with pytest.raises(RuntimeError, match="can be consumed only once"):
        torch.from_dlpack(capsule)


def test_dlpack_both_ways():
    x = torch.arange(6.0).reshape(2, 3)
    array = np.from_dlpack(x)
    assert np.shares_memory(array, x.numpy())
    y = torch.from_dlpack(np.arange(3, dtype=np.int16))
    assert y.dtype is torch.int16
    z = torch.from_dlpack(x.t())
    z[0, 0] = 9
    assert x[0, 0].item() == 9 and z.stride() == (1, 3)
    assert x.__dlpack_device__() == (1, 0)


# Objects -----------------------------------------------------------------------------------


def test_attributes_and_weak_references():
    x = vec(1, 2)
    x.note = "kept"
    assert x.note == "kept" and x.__dict__ == {"note": "kept"}
    alive = weakref.ref(x)
    assert alive() is x
    del x
    gc.collect()
    assert alive() is None


def test_a_tensor_that_holds_itself_is_collected():
    x = vec(1, 2)
    x.me = x
    alive = weakref.ref(x)
    del x
    gc.collect()
    assert alive() is None


class Named(torch.Tensor):
    """A subclass with an attribute and a method of its own."""

    def doubled(self):
        return self * 2


def test_subclasses_stay_subclasses():
    x = torch.ones(2).as_subclass(Named)
    assert type(x) is Named and isinstance(x, torch.Tensor)
    assert type(x.doubled()) is Named and type(x + torch.ones(2)) is Named
    assert type(torch.ones(2) + x) is Named and type(torch.add(x, 1)) is Named
    assert type(x[0]) is Named and type(x.sum()) is Named
    assert type(torch.stack([torch.ones(2), x])) is Named
    assert isinstance(Named([1.0, 2.0]), Named)
    check(Named([1.0, 2.0]).doubled(), [2, 4])
    assert repr(x) == "Named([1., 1.])"
    assert type(x.max(0).values) is Named


def test_subclasses_take_part_in_autograd():
    x = torch.ones(2).as_subclass(Named).requires_grad_()
    y = (x * 3).sum()
    assert type(y) is Named
    y.backward()
    check(x.grad, [3, 3])
    z = leaf([1.0, 2.0])
    (z.as_subclass(Named) * 2).sum().backward()
    check(z.grad, [2, 2])


def test_torch_function_sees_each_call():
    calls = []

    class Logged(torch.Tensor):
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            calls.append((func.__name__, types, len(args), sorted(kwargs or {})))
            return super().__torch_function__(func, types, args, kwargs or {})

    x = torch.ones(2, 2).as_subclass(Logged)
    calls.clear()
    torch.sum(x, dim=0, keepdim=True)
    x.add(1)
    torch.cat([x, torch.zeros(1, 2)])
    assert calls == [
        ("sum", (Logged,), 1, ["dim", "keepdim"]),
        ("add", (Logged,), 2, []),
        ("cat", (Logged,), 1, []),
    ]


def test_what_asks_for_a_type_asks_no_torch_function():
    class Other:
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            raise NotImplementedError

    assert not torch.is_tensor(Other()) and not torch.is_storage(Other())


def test_torch_function_of_what_is_no_tensor():
    class Diagonal:
        def __init__(self, size, value):
            self.size, self.value = size, value

        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            if func is torch.mean:
                return args[0].value / args[0].size
            if func is torch.add:
                return "added"
            return NotImplemented

    d = Diagonal(4, 2.0)
    assert torch.mean(d) == 0.5
    assert torch.add(torch.ones(2), d) == "added"
    with pytest.raises(TypeError, match=r"Multiple dispatch failed for 'torch\.sum'"):
        torch.sum(d)
    assert torch.overrides.has_torch_function((d,))
    assert torch.overrides.is_tensor_like(d) and not torch.overrides.is_tensor_like(1)


def test_torch_function_can_be_turned_off():
    class Deaf(torch.Tensor):
        __torch_function__ = torch._C._disabled_torch_function_impl

    x = torch.ones(2).as_subclass(Deaf)
    assert type(x) is Deaf and type(x + 1) is torch.Tensor
    y = torch.ones(2).as_subclass(Named)
    with torch._C.DisableTorchFunctionSubclass():
        assert type(y + 1) is torch.Tensor


def test_parameter_like_predicates():
    assert torch.is_tensor(vec(1)) and not torch.is_tensor(1)
    assert torch.numel(torch.zeros(2, 3)) == 6
    assert torch.is_nonzero(torch.tensor(2)) and not torch.is_nonzero(torch.tensor([0.0]))
    assert vec(1, 2).is_same_size(vec(3, 4)) and vec(1).is_nonzero()


# Promotion by category ---------------------------------------------------------------------

i32, f16, f32, f64 = torch.int32, torch.float16, torch.float32, torch.float64
RESULT_TYPES = [
    (torch.ones(1, dtype=i32), 1.5, f32),
    (torch.ones(1, dtype=i32), torch.tensor(1.5), f32),
    (torch.ones(1, dtype=i32), torch.tensor(1.5, dtype=f64), f64),
    (torch.ones(1), torch.tensor(1.5, dtype=f64), f32),
    (torch.ones(()), torch.tensor(1.5, dtype=f64), f64),
    (torch.ones(1, dtype=f16), 2.5, f16),
    (torch.ones(1, dtype=f16), torch.ones(1, dtype=torch.bfloat16), f32),
    (torch.ones(1, dtype=torch.uint8), torch.ones(1, dtype=torch.int8), torch.int16),
    (torch.ones(1), 1j, torch.complex64),
    (torch.ones(1, dtype=f64), 1j, torch.complex128),
    (torch.ones(1, dtype=torch.bool), 1, torch.int64),
    (torch.ones(1, dtype=torch.bool), True, torch.bool),
    (torch.ones(1, dtype=torch.uint8), 300, torch.uint8),
    (1, 1.5, f32),
    (1, 2, torch.int64),
]


@pytest.mark.parametrize(("a", "b", "expected"), RESULT_TYPES)
def test_result_type(a, b, expected):
    assert torch.result_type(a, b) is expected
    assert torch.result_type(b, a) is expected
    if isinstance(a, torch.Tensor):
        assert (a + b).dtype is expected
        assert (b + a).dtype is expected


def test_can_cast():
    assert torch.can_cast(f64, f32) and torch.can_cast(i32, f16)
    assert not torch.can_cast(f32, i32) and not torch.can_cast(torch.complex64, f32)
    assert not torch.can_cast(i32, torch.bool) and torch.can_cast(torch.bool, i32)
    assert torch.can_cast(torch.int8, torch.uint8)


REDUCED = [
    ("sum", torch.int64, f16, torch.complex64),
    ("prod", torch.int64, f16, torch.complex64),
    ("cumsum", torch.int64, f16, torch.complex64),
    ("amax", torch.int8, f16, None),
    ("all", torch.bool, torch.bool, torch.bool),
    ("mean", None, f16, torch.complex64),
    ("exp", f32, f16, torch.complex64),
    ("abs", torch.int8, f16, f32),
    ("argmax", torch.int64, torch.int64, None),
    ("std", None, f16, f32),
    ("sqrt", f32, f16, torch.complex64),
    ("ceil", torch.int8, f16, None),
    ("isnan", torch.bool, torch.bool, torch.bool),
    ("logsumexp", f32, f16, torch.complex64),
]


@pytest.mark.parametrize(("name", "of_int8", "of_half", "of_complex"), REDUCED)
def test_dtype_of_unary_results(name, of_int8, of_half, of_complex):
    needs_dim = name in ("cumsum", "logsumexp")
    for dtype, expected in (
        (torch.int8, of_int8),
        (f16, of_half),
        (torch.complex64, of_complex),
    ):
        x = torch.ones(2, dtype=dtype)
        apply = getattr(x, name)
        if expected is None:
            with pytest.raises((RuntimeError, NotImplementedError)):
                apply()
        else:
            assert (apply(0) if needs_dim else apply()).dtype is expected


def test_a_subclass_with_its_own_missing_attributes():
    class Named(torch.Tensor):
        def __getattr__(self, name):
            if name.startswith("axis_"):
                return name[5:]
            raise AttributeError(name)

    x = torch.ones(2).as_subclass(Named)
    assert x.axis_time == "time" and x.shape == (2,) and x.digamma().shape == (2,)
    with pytest.raises(AttributeError, match="nothing"):
        x.nothing  # noqa: B018


def test_dlpack_has_a_module_of_its_own():
    from_dlpack = importlib.import_module(f"{torch.__name__}.utils.dlpack").from_dlpack
    source = np.arange(3.0)
    check(from_dlpack(source), source)


def test_no_grad_gives_the_numbers_of_what_requires_grad():
    p = torch.ones(2, requires_grad=True)
    with torch.no_grad():
        assert p.numpy().tolist() == np.asarray(p).tolist() == [1.0, 1.0]
    with pytest.raises(RuntimeError, match=r"Can't call numpy\(\) on Tensor that requires grad"):
        p.numpy()


def test_old_constructors_take_arrays():
    assert torch.Tensor(np.array([1, 2])).tolist() == [1.0, 2.0]
    assert torch.LongTensor(np.array([1, 2])).tolist() == [1, 2]
    assert torch.ones(1).new(np.ones((2, 1))).shape == (2, 1)
    assert torch.ones(1, dtype=torch.int64).type(torch.Tensor).dtype == torch.float32


def test_numbers_of_numpy_are_assigned():
    x = torch.zeros(2, 2)
    x[..., 0] = np.float64(1.5)
    x[0, 1] = np.int64(3)
    assert x.tolist() == [[1.5, 3.0], [1.5, 0.0]]
    with pytest.raises(TypeError, match=r"can't assign a numpy.float16 to a torch.FloatTensor"):
        x[0] = np.float16(1)
