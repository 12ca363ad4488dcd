"""Sorting and selecting against NumPy: every dtype, ties, NaN and infinities, rows short and long."""

import numpy as np
import pytest
from library import torch

LENGTHS = [1, 2, 7, 8, 40, 41, 300, 5000]
DTYPES = ["bool", "uint8", "int8", "int16", "int32", "int64", "float16", "bfloat16", "float32", "float64"]


def drawn(dtype, shape, seed):
    """Numbers with many ties; floats with both zeros, NaN and infinities, integers with their ends."""
    rng = np.random.default_rng(seed)
    few = rng.integers(-4, 5, shape)
    if dtype == "bool":
        return few > 0
    if dtype.startswith(("int", "uint")):
        ends = np.iinfo(dtype)
        wide = rng.integers(ends.min, ends.max, shape, dtype=dtype, endpoint=True)
        return np.where(rng.random(shape) < 0.5, few.astype(dtype), wide)
    data = np.where(rng.random(shape) < 0.5, few / 2, rng.normal(size=shape)).astype("float32")
    for value in (np.nan, np.inf, -np.inf, -0.0):
        data[rng.random(shape) < 0.05] = value
    if dtype == "bfloat16":
        return (data.view("uint32") & 0xFFFF0000).view("float32")
    return data.astype(dtype)


def tensor(dtype, data):
    made = torch.from_numpy(np.ascontiguousarray(data))
    return made.to(torch.bfloat16) if dtype == "bfloat16" else made


def numpy(t):
    return (t.float() if t.dtype is torch.bfloat16 else t).numpy()


def order_of(data, descending):
    """The stable order along the last dim; NaN is the largest."""
    if not descending:
        return np.argsort(data, -1, kind="stable")
    turned = np.argsort(data[..., ::-1], -1, kind="stable")[..., ::-1]
    return data.shape[-1] - 1 - turned


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", LENGTHS)
def test_sort_is_that_of_numpy(dtype, n):
    data = drawn(dtype, (3, n), n)
    x = tensor(dtype, data)
    for descending in (False, True):
        order = order_of(data, descending)
        wanted = np.take_along_axis(data, order, -1)
        for source, dim in ((x, -1), (x.t().contiguous(), 0), (x.t().contiguous().t(), 1)):
            values, indices = torch.sort(source, dim=dim, descending=descending, stable=True)
            if dim == 0:
                values, indices = values.t(), indices.t()
            np.testing.assert_array_equal(numpy(values), wanted)
            np.testing.assert_array_equal(indices.numpy(), order)
        again = torch.argsort(x, dim=-1, descending=descending, stable=True)
        np.testing.assert_array_equal(again.numpy(), order)


@pytest.mark.parametrize("dtype", DTYPES[1:])
@pytest.mark.parametrize("n", LENGTHS)
def test_topk_and_kthvalue_have_the_values_of_sort(dtype, n):
    data = drawn(dtype, (4, n), n + 1)
    x = tensor(dtype, data)
    for k in sorted({1, min(3, n), n // 9 + 1, n}):
        for largest in (True, False):
            wanted = np.take_along_axis(data, order_of(data, largest), -1)[:, :k]
            values, indices = x.topk(k, largest=largest)
            np.testing.assert_array_equal(numpy(values), wanted)
            np.testing.assert_array_equal(np.take_along_axis(data, indices.numpy(), -1), wanted)
        smallest = np.take_along_axis(data, order_of(data, False), -1)
        values, indices = x.kthvalue(k)
        np.testing.assert_array_equal(numpy(values), smallest[:, k - 1])
        taken = np.take_along_axis(data, indices.numpy()[:, None], -1)[:, 0]
        np.testing.assert_array_equal(taken, smallest[:, k - 1])


@pytest.mark.parametrize("dtype", DTYPES[1:])
@pytest.mark.parametrize("n", LENGTHS)
def test_medians(dtype, n):
    data = drawn(dtype, (4, n), n + 2)
    x = tensor(dtype, data)
    for row, median, nanmedian in zip(data, x.median(1)[0], x.nanmedian(1)[0], strict=True):
        ranked = np.sort(row[row == row])
        lower = ranked[(len(ranked) - 1) // 2] if len(ranked) else np.nan
        np.testing.assert_array_equal(numpy(nanmedian), lower)
        np.testing.assert_array_equal(numpy(median), lower if len(ranked) == n else np.nan)
    ranked = np.sort(data[data == data])
    np.testing.assert_array_equal(numpy(x.nanmedian()), ranked[(len(ranked) - 1) // 2])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", LENGTHS)
def test_unique_is_that_of_numpy(dtype, n):
    data = drawn(dtype, (n,), n + 3)
    x = tensor(dtype, data)
    values, inverse, counts = x.unique(return_inverse=True, return_counts=True)
    wanted, places, times = np.unique(data, return_inverse=True, return_counts=True, equal_nan=False)
    np.testing.assert_array_equal(numpy(values), wanted)
    np.testing.assert_array_equal(counts.numpy(), times)
    finite = data == data  # which NaN is which of the distinct ones is left open
    np.testing.assert_array_equal(inverse.numpy()[finite], places.reshape(-1)[finite])
    assert sorted(inverse.numpy()[~finite]) == sorted(places.reshape(-1)[~finite])


@pytest.mark.parametrize("dtype", DTYPES)
def test_mode_is_the_most_frequent(dtype):
    for n in LENGTHS:
        data = drawn(dtype, (3, n), n + 4)
        data = np.where(data == data, data, np.zeros((), data.dtype))
        values, indices = tensor(dtype, data).mode(1)
        for row, value, index in zip(data, numpy(values), indices.numpy(), strict=True):
            found, times = np.unique(row, return_counts=True)
            assert value == found[np.argmax(times)]
            assert row[index] == value


@pytest.mark.parametrize("dtype", DTYPES[1:])
@pytest.mark.parametrize("right", [False, True])
def test_searchsorted_is_that_of_numpy(dtype, right):
    for n in LENGTHS:
        data = drawn(dtype, (n,), n + 5)
        rows, wanted = np.sort(data[data == data]), drawn(dtype, (3, 7), n)
        wanted = wanted if wanted.dtype.kind in "iu" else np.nan_to_num(wanted)
        found = torch.searchsorted(tensor(dtype, rows), tensor(dtype, wanted), right=right)
        expected = np.searchsorted(rows, numpy(tensor(dtype, wanted)), "right" if right else "left")
        np.testing.assert_array_equal(found.numpy(), expected)


@pytest.mark.parametrize("spread", [1, 40, 10**6])
@pytest.mark.parametrize("dtype", ["uint8", "int8", "int32", "int64"])
def test_distinct_integers_of_small_and_large_ranges(dtype, spread):
    kind = np.dtype(dtype)
    low, high = max(-20, np.iinfo(kind).min, -spread if kind.kind == "i" else 0), np.iinfo(kind).max
    numbers = np.random.default_rng(0).integers(low, min(high, low + spread), (70, 80)).astype(kind)
    for x in (numbers, numbers.T, np.full_like(numbers, high)):
        found = torch.unique(torch.from_numpy(x), return_inverse=True, return_counts=True)
        expected = np.unique(x, return_inverse=True, return_counts=True)
        assert [f.numpy().tolist() for f in found] == [
            e.reshape(f.shape).tolist() for e, f in zip(expected, found, strict=True)
        ]
        assert found[0].dtype == getattr(torch, dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_counts_of_many_numbers(dtype):
    torch.manual_seed(0)
    x = torch.rand(41, 530, dtype=getattr(torch, dtype)) * 4 - 2
    for y in (x, x.t(), x[:, ::3], x[1:2, 5:]):
        found = y.histc(64, -1, 1)
        inside = y[(y >= -1) & (y <= 1)].numpy()
        place = ((inside + y.numpy().dtype.type(1)) * 64 / y.numpy().dtype.type(2)).clip(max=63).astype(int)
        assert found.tolist() == np.bincount(place, minlength=64).tolist()
        assert y.histc(16).sum() == y.numel()
    x[3, 4] = float("nan")
    assert x.histc(64, -2, 2).sum() == x.numel() - 1
