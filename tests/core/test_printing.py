"""The text of tensors: recorded texts for every rule, and random tensors against PyTorch.

The table needs NumPy only. Where PyTorch can be imported, each of its questions is asked again of
it, and random tensors of every dtype, shape, scale and setting must print as PyTorch prints them.
"""

import math

import ml_dtypes
import numpy as np
import pytest

from pullback.core.printing import array_str, get_printoptions, printoptions, set_printoptions, tensor_str

nan, inf = math.nan, math.inf
INTEGERS = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
FLOATS = ["float16", "float32", "float64", "bfloat16"]
COMPLEX = ["complex64", "complex128"]
OPTIONS = {"precision", "threshold", "edgeitems", "linewidth", "profile", "sci_mode"}

# Questions, as arguments of `question`, and what PyTorch 2.13 prints.
TABLE = r"""
# Whole numbers end in a point; other floats have four digits.
>>> array(3.0)
tensor(3.)
>>> array(3.5)
tensor(3.5000)
>>> array([1.0, -2.0, 30.0])
tensor([ 1., -2., 30.])
>>> array([1.0, 2.5, -3.25])
tensor([ 1.0000,  2.5000, -3.2500])
>>> array(-0.0)
tensor(-0.)
>>> array([1.0, -0.0])
tensor([1., -0.])
>>> array([0.0, -0.0, 0.0])
tensor([0., -0., 0.])
>>> array([12345.678])
tensor([12345.6777])
>>> array([0.1, 22.25, 133.125])
tensor([1.0000e-01, 2.2250e+01, 1.3312e+02])
# Beyond a ratio of 1000, above 1e8 or below 1e-4 they turn scientific.
>>> array([1.0, 1000.0])
tensor([   1., 1000.])
>>> array([1.0, 1001.0])
tensor([1.0000e+00, 1.0010e+03])
>>> array([1.5, 1500.5])
tensor([1.5000e+00, 1.5005e+03])
>>> array([1e8])
tensor([100000000.])
>>> array([1.0001e8])
tensor([1.0001e+08])
>>> array([0.0, 1e-4], "float64")
tensor([0.0000, 0.0001], dtype=torch.float64)
>>> array([0.0, 9.99e-5], "float64")
tensor([0.0000e+00, 9.9900e-05], dtype=torch.float64)
>>> array([-1e-5, 1.0])
tensor([-1.0000e-05,  1.0000e+00])
>>> array([1e-300, 1e300], "float64")
tensor([1.0000e-300, 1.0000e+300], dtype=torch.float64)
>>> array(5e-324, "float64")
tensor(4.9407e-324, dtype=torch.float64)
>>> array(1e-40)
tensor(9.9999e-41)
# nan and inf are padded, but have no say in the notation or the width.
>>> array([nan, inf, -inf])
tensor([nan, inf, -inf])
>>> array([1.0, nan, -inf])
tensor([1., nan, -inf])
>>> array([1.5, nan, inf])
tensor([1.5000,    nan,    inf])
>>> array([[1.0, nan], [1e-9, -3.0]])
tensor([[ 1.0000e+00,         nan],
        [ 1.0000e-09, -3.0000e+00]])
# Half precisions print the value they hold; a dtype is shown unless it is the default.
>>> array([0.1, 0.2], "float16")
tensor([0.1000, 0.2000], dtype=torch.float16)
>>> array([0.1, 65504.0], "float16")
tensor([9.9976e-02, 6.5504e+04], dtype=torch.float16)
>>> array([0.1, 3.0], "bfloat16")
tensor([0.1001, 3.0000], dtype=torch.bfloat16)
>>> array([1e38, 2.0], "bfloat16")
tensor([9.9692e+37, 2.0000e+00], dtype=torch.bfloat16)
>>> array([0.1, 0.2], "float64")
tensor([0.1000, 0.2000], dtype=torch.float64)
>>> array([0.1, 0.2], "float64"), default_float="float64"
tensor([0.1000, 0.2000])
>>> array([0.1, 0.2]), default_float="float64"
tensor([0.1000, 0.2000], dtype=torch.float32)
>>> array([1j], "complex128"), default_float="float64"
tensor([0.+1.j])
>>> array([1j], "complex64"), default_float="float16"
tensor([0.+1.j])
# Integers and bools: the widest entry sets the width.
>>> array([1, -20, 300], "int64")
tensor([  1, -20, 300])
>>> array([10**18, 0], "int64")
tensor([1000000000000000000,                   0])
>>> array([0, 255], "uint8")
tensor([  0, 255], dtype=torch.uint8)
>>> array([2**64 - 1, 1], "uint64")
tensor([18446744073709551615,                    1], dtype=torch.uint64)
>>> array(-128, "int8")
tensor(-128, dtype=torch.int8)
>>> array([2**31 - 1], "int32")
tensor([2147483647], dtype=torch.int32)
>>> array([7], "uint16")
tensor([7], dtype=torch.uint16)
>>> array([7], "uint32")
tensor([7], dtype=torch.uint32)
>>> array([-7], "int16")
tensor([-7], dtype=torch.int16)
>>> array([True, False], "bool")
tensor([ True, False])
>>> array(True, "bool")
tensor(True)
# Complex numbers have a notation and a width for each part.
>>> array([1 + 2j, 3 - 4j], "complex64")
tensor([1.+2.j, 3.-4.j])
>>> array([1 + 2j, 3.5 - 4.25j], "complex64")
tensor([1.0000+2.0000j, 3.5000-4.2500j])
>>> array(2.5 - 0j, "complex128")
tensor(2.5000+0.j, dtype=torch.complex128)
>>> array([1e8 + 1j, 0.5 - 2j], "complex64")
tensor([1.0000e+08+1.j, 5.0000e-01-2.j])
>>> array([complex(nan, inf), complex(-1, -inf), 100 + 0.5j], "complex64")
tensor([ nan+infj,  -1.-infj, 100.+0.5000j])
>>> array([[10 + 0.5j, -1j], [2, 3 - 1e-9j]], "complex64")
tensor([[10.+5.0000e-01j, -0.-1.0000e+00j],
        [ 2.+0.0000e+00j,  3.-1.0000e-09j]])
# Lines break before column 80; each dimension more adds an empty line between its slices.
>>> array(np.arange(30.0))
tensor([ 0.,  1.,  2.,  3.,  4.,  5.,  6.,  7.,  8.,  9., 10., 11., 12., 13.,
        14., 15., 16., 17., 18., 19., 20., 21., 22., 23., 24., 25., 26., 27.,
        28., 29.])
>>> array(np.arange(6).reshape(2, 3), "int64")
tensor([[0, 1, 2],
        [3, 4, 5]])
>>> array(np.arange(12.0).reshape(2, 2, 3))
tensor([[[ 0.,  1.,  2.],
         [ 3.,  4.,  5.]],

        [[ 6.,  7.,  8.],
         [ 9., 10., 11.]]])
>>> array(np.zeros((2, 2, 1, 1)))
tensor([[[[0.]],

         [[0.]]],


        [[[0.]],

         [[0.]]]])
>>> array(np.arange(1, 16) * (1.5 - 0.25j), "complex64")
tensor([ 1.5000-0.2500j,  3.0000-0.5000j,  4.5000-0.7500j,  6.0000-1.0000j,
         7.5000-1.2500j,  9.0000-1.5000j, 10.5000-1.7500j, 12.0000-2.0000j,
        13.5000-2.2500j, 15.0000-2.5000j, 16.5000-2.7500j, 18.0000-3.0000j,
        19.5000-3.2500j, 21.0000-3.5000j, 22.5000-3.7500j])
>>> array(np.arange(26).reshape(1, 26) * 100, "int64")
tensor([[   0,  100,  200,  300,  400,  500,  600,  700,  800,  900, 1000, 1100,
         1200, 1300, 1400, 1500, 1600, 1700, 1800, 1900, 2000, 2100, 2200, 2300,
         2400, 2500]])
# More than 1000 elements: three at each end of a dimension, of which the format is made.
>>> array(np.arange(1000.0))[::40]
tensor([  0.,  40.,  80., 120., 160., 200., 240., 280., 320., 360., 400., 440.,
        480., 520., 560., 600., 640., 680., 720., 760., 800., 840., 880., 920.,
        960.])
>>> array(np.arange(1001), "int64")
tensor([   0,    1,    2,  ...,  998,  999, 1000])
>>> array(np.where(np.arange(1001) == 500, 0.5, 7.0))
tensor([7., 7., 7.,  ..., 7., 7., 7.])
>>> array(np.arange(2000.0).reshape(2, 1000))
tensor([[0.0000e+00, 1.0000e+00, 2.0000e+00,  ..., 9.9700e+02, 9.9800e+02,
         9.9900e+02],
        [1.0000e+03, 1.0010e+03, 1.0020e+03,  ..., 1.9970e+03, 1.9980e+03,
         1.9990e+03]])
>>> array(np.arange(1200).reshape(20, 2, 30), "int64")
tensor([[[   0,    1,    2,  ...,   27,   28,   29],
         [  30,   31,   32,  ...,   57,   58,   59]],

        [[  60,   61,   62,  ...,   87,   88,   89],
         [  90,   91,   92,  ...,  117,  118,  119]],

        [[ 120,  121,  122,  ...,  147,  148,  149],
         [ 150,  151,  152,  ...,  177,  178,  179]],

        ...,

        [[1020, 1021, 1022,  ..., 1047, 1048, 1049],
         [1050, 1051, 1052,  ..., 1077, 1078, 1079]],

        [[1080, 1081, 1082,  ..., 1107, 1108, 1109],
         [1110, 1111, 1112,  ..., 1137, 1138, 1139]],

        [[1140, 1141, 1142,  ..., 1167, 1168, 1169],
         [1170, 1171, 1172,  ..., 1197, 1198, 1199]]])
>>> array(np.zeros(1001), "bool")
tensor([False, False, False,  ..., False, False, False])
>>> array(np.ones((40, 30)), "complex64")
tensor([[1.+0.j, 1.+0.j, 1.+0.j,  ..., 1.+0.j, 1.+0.j, 1.+0.j],
        [1.+0.j, 1.+0.j, 1.+0.j,  ..., 1.+0.j, 1.+0.j, 1.+0.j],
        [1.+0.j, 1.+0.j, 1.+0.j,  ..., 1.+0.j, 1.+0.j, 1.+0.j],
        ...,
        [1.+0.j, 1.+0.j, 1.+0.j,  ..., 1.+0.j, 1.+0.j, 1.+0.j],
        [1.+0.j, 1.+0.j, 1.+0.j,  ..., 1.+0.j, 1.+0.j, 1.+0.j],
        [1.+0.j, 1.+0.j, 1.+0.j,  ..., 1.+0.j, 1.+0.j, 1.+0.j]])
# What is empty shows its size, unless it is one-dimensional, and any dtype but the default.
>>> array([])
tensor([])
>>> array([], "int64")
tensor([], dtype=torch.int64)
>>> array([], "bool")
tensor([], dtype=torch.bool)
>>> array(np.zeros((0, 3)))
tensor([], size=(0, 3))
>>> array(np.zeros((2, 0, 3)), "float64")
tensor([], size=(2, 0, 3), dtype=torch.float64)
>>> array([], "complex64"), requires_grad=True
tensor([], dtype=torch.complex64, requires_grad=True)
# Meta tensors show their size and no number.
>>> array([1.0, 2.0]), is_meta=True, device="meta"
tensor(..., device='meta', size=(2,))
>>> array(1.0), is_meta=True, device="meta"
tensor(..., device='meta', size=())
>>> array(np.ones((2, 0)), "float64"), is_meta=True, device="meta", requires_grad=True
tensor(..., device='meta', size=(2, 0), dtype=torch.float64,
       requires_grad=True)
>>> array([1], "int64"), is_meta=True, device="meta"
tensor(..., device='meta', size=(1,), dtype=torch.int64)
# Suffixes move to a new line one by one.
>>> array([1.0, 2.0]), requires_grad=True
tensor([1., 2.], requires_grad=True)
>>> array([1.0, 2.0]), grad_fn_name="CloneBackward0"
tensor([1., 2.], grad_fn=<CloneBackward0>)
>>> array([1.0, 2.0]), tangent="tensor([1., 1.])"
tensor([1., 2.], tangent=tensor([1., 1.]))
>>> array(0.5), tangent="1.0"
tensor(0.5000, tangent=1.0)
>>> array([[1, 2], [3, 4]], "float64"), grad_fn_name="CloneBackward0"
tensor([[1., 2.],
        [3., 4.]], dtype=torch.float64, grad_fn=<CloneBackward0>)
>>> array(np.arange(13.0), "float64"), requires_grad=True
tensor([ 0.,  1.,  2.,  3.,  4.,  5.,  6.,  7.,  8.,  9., 10., 11., 12.],
       dtype=torch.float64, requires_grad=True)
>>> array(np.arange(9.0), "float64"), requires_grad=True
tensor([0., 1., 2., 3., 4., 5., 6., 7., 8.], dtype=torch.float64,
       requires_grad=True)
>>> array(np.arange(8) + 0.5, "float64"), grad_fn_name="CloneBackward0"
tensor([0.5000, 1.5000, 2.5000, 3.5000, 4.5000, 5.5000, 6.5000, 7.5000],
       dtype=torch.float64, grad_fn=<CloneBackward0>)
>>> array(np.arange(12.0)), requires_grad=True
tensor([ 0.,  1.,  2.,  3.,  4.,  5.,  6.,  7.,  8.,  9., 10., 11.],
       requires_grad=True)
>>> array(np.arange(11.0) * 2), requires_grad=True
tensor([ 0.,  2.,  4.,  6.,  8., 10., 12., 14., 16., 18., 20.],
       requires_grad=True)
>>> array(np.arange(6.0), "float64"), linewidth=40, requires_grad=True
tensor([0., 1., 2., 3., 4., 5.],
       dtype=torch.float64,
       requires_grad=True)
>>> array([1.0], "float64"), linewidth=20, requires_grad=True
tensor([1.],
       dtype=torch.float64,
       requires_grad=True)
# The last line of the prefix sets the indentation.
>>> array([[1.0, 2.0], [3.0, 4.0]]), prefix="MyTensor("
MyTensor([[1., 2.],
          [3., 4.]])
>>> array([[1.0, 2.0], [3.0, 4.0]]), prefix="Parameter containing:\ntensor(", requires_grad=True
Parameter containing:
tensor([[1., 2.],
        [3., 4.]], requires_grad=True)
>>> array(np.arange(14.0)), prefix="Parameter containing:\ntensor(", requires_grad=True
Parameter containing:
tensor([ 0.,  1.,  2.,  3.,  4.,  5.,  6.,  7.,  8.,  9., 10., 11., 12., 13.],
       requires_grad=True)
# Options.
>>> array([1 / 3, 100.25]), precision=2
tensor([  0.33, 100.25])
>>> array([1 / 3, 100.25]), precision=0
tensor([  0, 100])
>>> array([1 / 3, 1e9]), precision=0
tensor([3e-01, 1e+09])
>>> array([1 / 3, 2.0], "float64"), precision=10
tensor([0.3333333333, 2.0000000000], dtype=torch.float64)
>>> array([1.5, -20.0]), sci_mode=True
tensor([ 1.5000e+00, -2.0000e+01])
>>> array([1.0, -20.0]), sci_mode=True
tensor([ 1.0000e+00, -2.0000e+01])
>>> array([0.0, 0.0]), sci_mode=True
tensor([0., 0.])
>>> array([1e-9, 1.0]), sci_mode=False
tensor([0.0000, 1.0000])
>>> array([1e12, 1.0]), sci_mode=False
tensor([999999995904.,            1.])
>>> array([1e-9 + 1e9j], "complex64"), sci_mode=False
tensor([0.0000+1000000000.j])
>>> array(np.arange(8) / 2), threshold=5, edgeitems=2
tensor([0.0000, 0.5000,  ..., 3.0000, 3.5000])
>>> array(np.arange(25.0).reshape(5, 5)), threshold=0, edgeitems=1
tensor([[ 0.,  ...,  4.],
        ...,
        [20.,  ..., 24.]])
>>> array(2.5), threshold=0
tensor(2.5000)
>>> array(np.arange(4.0).reshape(2, 2)), threshold=0, edgeitems=1
tensor([[0., 1.],
        [2., 3.]])
>>> array(np.arange(8.0)), threshold=5, edgeitems=0
tensor([...], size=(8,))
>>> array(np.ones((2, 3))), threshold=5, edgeitems=0
tensor([...], size=(2, 3))
>>> array([1.0, 2.0]), edgeitems=0
tensor([1., 2.], size=(2,))
>>> array(1.0), threshold=0, edgeitems=0
tensor(1., size=())
>>> array(np.arange(12.0)), linewidth=30
tensor([ 0.,  1.,  2.,  3.,
         4.,  5.,  6.,  7.,
         8.,  9., 10., 11.])
>>> array(np.arange(3.0)), linewidth=1
tensor([0.,
        1.,
        2.])
>>> array(np.arange(4.0).reshape(2, 2)), linewidth=8
tensor([[0.,
         1.],
        [2.,
         3.]])
>>> array(np.arange(1001) / 7), profile="short"
tensor([  0.00,   0.14,  ..., 142.71, 142.86])
>>> array(np.arange(3) / 7), profile="short", precision=3
tensor([0.000, 0.143, 0.286])
>>> array(np.arange(3) / 7), profile="unknown"
tensor([0.0000, 0.1429, 0.2857])
"""


def array(values, dtype="float32"):
    """A NumPy array of `values`, whose dtype may be bfloat16."""
    with np.errstate(all="ignore"):
        return np.array(values, ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)


def question(line):
    """The array and the settings (print options, arguments of `tensor_str`) that `line` spells."""
    return eval(f"(lambda values, **settings: (values, settings))({line})")


def table():
    """The rows of TABLE: the line of each question, and the text that answers it."""
    lines = [line for line in TABLE.splitlines() if not line.startswith("# ")]
    blocks = "\n".join(lines).split("\n>>> ")[1:]
    return [tuple(block.split("\n", 1)) for block in blocks]


def options_and_about(settings):
    """The print options among `settings`, and what else is said of the tensor."""
    options = {name: value for name, value in settings.items() if name in OPTIONS}
    return options, {name: value for name, value in settings.items() if name not in OPTIONS}


def our_text(values, settings):
    """What Pullback prints."""
    options, about = options_and_about(settings)
    with printoptions(**options):
        return tensor_str(values, **{"dtype_name": values.dtype.name, "default_float": "float32", **about})


def torch_tensor(torch, values, about):
    """The PyTorch tensor of which `about` is true, holding `values`."""
    if values.dtype.name == "bfloat16":
        tensor = torch.from_numpy(values.astype("float32")).to(torch.bfloat16)
    else:
        tensor = torch.from_numpy(values)
    if about.get("is_meta"):
        tensor = tensor.to("meta")
    heading, _, name = about.get("prefix", "tensor(").rpartition("\n")
    if heading:
        tensor = torch.nn.Parameter(tensor)
    elif name != "tensor(":
        tensor = tensor.as_subclass(type(name[:-1], (torch.Tensor,), {}))
    if about.get("requires_grad"):
        tensor.requires_grad_()
    elif "grad_fn_name" in about:
        tensor = tensor.requires_grad_().clone()
    return tensor


def torch_text(torch, values, settings):
    """What PyTorch prints."""
    from torch._tensor_str import printoptions as torch_printoptions

    options, about = options_and_about(settings)
    tensor, forward_ad = torch_tensor(torch, values, about), torch.autograd.forward_ad
    torch.set_default_dtype(getattr(torch, about.get("default_float", "float32")))
    try:
        with torch_printoptions(**options):
            if "tangent" not in about:
                return repr(tensor)
            with forward_ad.dual_level():
                return repr(forward_ad.make_dual(tensor, torch.ones_like(tensor)))
    finally:
        torch.set_default_dtype(torch.float32)


def random_values(rng, shape, dtype):
    """Numbers of one dtype: of one or many magnitudes, whole or not, with some nan, inf, -0."""
    if dtype == "bool":
        return rng.random(shape) < 0.5
    if dtype in INTEGERS:
        reach, limits = 10 ** int(rng.integers(0, 21)), np.iinfo(dtype)
        low, high = max(limits.min, -reach), min(limits.max, reach)
        return rng.integers(low, high, shape, dtype=dtype, endpoint=True)
    if dtype in COMPLEX:
        pair = [random_values(rng, shape, "float64") for _ in range(2)]
        return array(np.stack(pair, axis=-1).view("complex128")[..., 0], dtype)
    values, reach = rng.normal(size=shape), rng.choice([0.5, 3, 8, 40, 300])
    with np.errstate(all="ignore"):
        if rng.random() < 0.3:
            values *= 10 ** rng.uniform(-reach, reach, shape)
        if rng.random() < 0.3:
            values *= 10 ** rng.uniform(-reach, reach)
        if rng.random() < 0.4:
            values = np.round(values * rng.choice([1, 30, 1e4, 3e8]))
    for special in (0.0, -0.0, nan, inf, -inf, 1e-4, 1e8, 1e3, 1.0, 0.5, 5e-324, 1e-41):
        if rng.random() < 0.1:
            values = np.where(rng.random(shape) < rng.choice([0.1, 1]), special, values)
    return array(values, dtype)


def random_question(rng, dtype):
    """A random array of one dtype, contiguous or transposed, and random settings for it."""
    rank = rng.integers(0, 5)
    top = rng.choice([[1, 1], [8, 1500], [5, 40], [4, 12], [3, 8]][rank])
    shape = rng.integers(rng.random() > 0.1, top, rank, endpoint=True)
    values = np.asarray(random_values(rng, tuple(shape), dtype))
    choices = {
        "profile": ["default", "short", "full", "unknown"],
        "precision": range(11),
        "threshold": [0, 3, 10, 100],
        "edgeitems": [0, 1, 2, 5],
        "linewidth": [1, 10, 40, 60, 79, 81, 120, 300],
        "sci_mode": [True, False],
        "default_float": FLOATS,
        "prefix": ["MyTensor("],
    }
    settings = {
        name: options[rng.integers(len(options))] for name, options in choices.items() if rng.random() < 0.25
    }
    if rng.random() < 0.1:
        settings |= {"is_meta": True, "device": "meta"}
    if dtype in FLOATS + COMPLEX and rng.random() < 0.3:
        settings["requires_grad"] = True
    elif dtype in FLOATS + COMPLEX and rng.random() < 0.3 and "prefix" not in settings:
        settings["grad_fn_name"] = "CloneBackward0"
    return values.T if rng.random() < 0.2 else values, settings


@pytest.fixture(scope="module")
def pytorch():
    return pytest.importorskip("torch", reason="compares with PyTorch, which is not installed")


@pytest.mark.parametrize(("line", "text"), table())
def test_recorded_text(line, text):
    assert our_text(*question(line)) == text


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")
def test_recorded_texts_are_what_pytorch_prints(pytorch):
    for line, text in table():
        assert torch_text(pytorch, *question(line)) == text


@pytest.mark.parametrize("dtype", ["bool", *INTEGERS, *FLOATS, *COMPLEX])
def test_random_tensors_print_as_in_pytorch(pytorch, dtype):
    rng = np.random.default_rng(0)
    for _ in range(60):
        values, settings = random_question(rng, dtype)
        assert our_text(values, settings) == torch_text(pytorch, values, settings), settings


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_every_half_precision_number_prints_as_in_pytorch(pytorch, dtype):
    bits = np.arange(2**16, dtype=np.uint16)
    numbers = bits.view(array(0.0, dtype).dtype)
    same = pytorch.from_numpy(bits).view(getattr(pytorch, dtype))
    for start in range(0, 2**16, 64):
        chunk = slice(start, start + 64)
        assert our_text(numbers[chunk], {}) == repr(same[chunk])


def test_array_str_is_the_data_part():
    matrix = np.arange(4.0).reshape(2, 2)
    assert array_str(matrix, indent=0) == "[[0., 1.],\n [2., 3.]]"
    assert array_str(matrix, indent=3) == "[[0., 1.],\n    [2., 3.]]"
    assert array_str(np.array(1.5), indent=7) == "1.5000"


def test_only_the_shown_numbers_are_read():
    """No copy of the whole is made, which would take eight terabytes here."""
    vast = np.broadcast_to(np.arange(10**6), (10**6, 10**6))
    row = "[     0,      1,      2,  ..., 999997, 999998, 999999]"
    assert array_str(vast, indent=0) == "[" + ",\n ".join([row] * 3 + ["..."] + [row] * 3) + "]"


def test_options_stay_until_set_again():
    with printoptions():
        set_printoptions(precision=2, linewidth=60, sci_mode=True)
        set_printoptions(edgeitems=1)
        assert get_printoptions() == {
            "precision": 2,
            "threshold": 1000,
            "edgeitems": 1,
            "linewidth": 60,
            "sci_mode": None,
        }
        set_printoptions(profile="full", precision=7)
        assert list(get_printoptions().values()) == [7, inf, 3, 80, None]
        set_printoptions(profile="short")
        assert list(get_printoptions().values()) == [2, 1000, 2, 80, None]
        get_printoptions()["precision"] = 9
        assert get_printoptions()["precision"] == 2
    assert list(get_printoptions().values()) == [4, 1000, 3, 80, None]


def test_printoptions_ends_with_the_block_even_by_an_exception():
    before = get_printoptions()
    with pytest.raises(KeyError), printoptions(precision=1, sci_mode=False):
        assert array_str(np.array(1e-9), indent=0) == "0.0"
        raise KeyError
    assert get_printoptions() == before

    @printoptions(precision=1)
    def decorated():
        return array_str(np.array(0.25), indent=0)

    assert decorated() == "0.2" and get_printoptions() == before


def test_unusable_options():
    with pytest.raises(TypeError, match="unexpected keyword argument 'digits'"):
        set_printoptions(digits=3)
    with (
        pytest.raises(TypeError, match="unexpected keyword argument 'digits'"),
        printoptions(digits=3),
    ):
        pass
    with printoptions(precision=-1):
        assert array_str(np.array(1.0), indent=0) == "1."
        with pytest.raises(ValueError, match="Format specifier missing precision"):
            array_str(np.array(1.5), indent=0)
    with printoptions(edgeitems=-1, threshold=0):
        assert array_str(np.ones((2, 2)), indent=0) == "[...]"
