"""The direct route to NumPy's loops gives the bits of the public ufuncs, and freed arrays stay private."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import pullback as torch
from pullback.core._engine import REGISTRY, from_array
from pullback.core.dtypes import DTYPES
from pullback.face.namespaces import complete

SHAPES = [
    ((), ()),
    ((1,), (1,)),
    ((7,), ()),
    ((1000,), (1000,)),
    ((5, 3), (3,)),
    ((4, 1), (1, 6)),
    ((0, 3), (3,)),
    ((3, 4), (3, 4)),
    ((200, 3), (3,)),
]


def operand(dtype, shape, seed):
    """Random numbers; every other matrix lies in memory column by column."""
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 5, shape) if dtype.kind in "ui" else rng.normal(size=shape) * 2
    if dtype.kind == "c":
        values = values + 1j * rng.normal(size=shape)
    if dtype.kind == "b":
        values = values > 0
    values = np.asarray(values).astype(dtype.numpy)
    return from_array(np.asfortranarray(values) if seed % 2 else values)


def digests():
    """A digest of every elementwise op's results, by op and dtype."""
    complete()
    found = {}
    for name, op in sorted(REGISTRY.items()):
        if not op.elementwise or op.ufunc is None:
            continue
        for dtype in DTYPES:
            if op.chooses and (dtype.kind == "e" or dtype is torch.complex32):
                continue  # they are moved by their size; the public ufunc has no loop that does
            digest = hashlib.sha256()
            try:
                for seed, (left, right) in enumerate(SHAPES):
                    inputs = [operand(dtype, left, seed), operand(dtype, right, seed + 100)]
                    inputs += [operand(dtype, left, seed + 200)] * (len(op.params) - 2)
                    result = op(*inputs[: len(op.params)])
                    digest.update(str(result.dtype).encode())
                    array = np.ascontiguousarray(result._array)
                    # The sign and payload of a NaN are nobody's contract.
                    if result.dtype.is_floating_point or result.dtype.is_complex:
                        array = np.where(np.isnan(array), np.array(np.nan, array.dtype), array)
                    digest.update(array.tobytes())
            except (RuntimeError, NotImplementedError, TypeError) as error:
                digest.update(type(error).__name__.encode())
            found[f"{name} {dtype.name}"] = digest.hexdigest()
    return found


@pytest.mark.slow
def test_direct_loops_give_the_bits_of_the_public_ufuncs():
    program = (
        "import json, sys; sys.path[:0] = sys.argv[1:]; import test_loops;"
        "print(json.dumps(test_loops.digests()))"
    )
    here = os.path.dirname(__file__)
    tests = os.path.dirname(here)
    public = subprocess.run(
        [sys.executable, "-c", program, here, tests, str(Path(torch.__file__).parents[1])],
        cwd=here,
        env={**os.environ, "PULLBACK_LOOPS": "0"},
        capture_output=True,
        text=True,
        check=True,
    )
    direct, public = digests(), json.loads(public.stdout)
    assert direct.keys() == public.keys() and len(direct) > 300
    assert [k for k in direct if direct[k] != public[k]] == []


def _stepped(values, step):
    """The same numbers, `step` elements apart."""
    room = np.ones(len(values) * step, values.dtype)
    room[::step] = values
    return from_array(room)[::step], room


def loops():
    """The names of the ops of one tensor or two."""
    complete()
    return [
        n for n, op in sorted(REGISTRY.items()) if op.elementwise and not op.chooses and len(op.params) < 3
    ]


@pytest.mark.parametrize("name", loops())
def test_results_go_where_they_belong_whatever_the_steps(name):
    """Inputs and outputs that do not run on in memory, and inputs that are the output."""
    op = REGISTRY[name]
    if op.ufunc is None:
        pytest.skip("not a loop")
    for dtype in (d for d in DTYPES if d.kind != "e"):
        rng = np.random.default_rng(len(name))
        for n in (3, 17, 70):
            numbers = [operand(dtype, (n,), 2 * i)._array for i in range(len(op.params))]
            for values in numbers if dtype.kind == "f" else ():
                values[rng.random(n) < 0.2] = np.nan
            try:
                want = op(*map(from_array, numbers))
            except (RuntimeError, NotImplementedError, TypeError):
                break
            for step, other in ((1, 2), (2, 1), (3, 2), (4, 4), (8, 8), (16, 3), (32, 1)):
                inputs = [_stepped(x, step)[0] for x in numbers]
                out, room = _stepped(np.zeros(n, want._array.dtype), other)
                out = out if out.dtype is want.dtype else out.view(want.dtype)
                op(*inputs, out=out)
                torch.testing.assert_close(out, want, equal_nan=True, rtol=1e-6, atol=0)
                assert other == 1 or (room.reshape(n, other)[:, 1:] == 1).all(), "what lies between is kept"
                if want.dtype is inputs[0].dtype:
                    op(*inputs, out=inputs[0])
                    torch.testing.assert_close(inputs[0], want, equal_nan=True, rtol=1e-6, atol=0)


@pytest.mark.parametrize("shape", [(), (3,), (64, 64), (512, 512)])
def test_freed_arrays_are_never_seen_by_others(shape):
    x = torch.ones(shape)
    held = (x + 1)._array
    view = (x + 2).numpy()
    exported = np.from_dlpack(x + 3) if shape else np.asarray(x + 3)
    tail = (x + 4).reshape(-1)[-1:]
    for k in range(20):
        x * k
    assert (held == 2).all() and (view == 3).all() and (exported == 4).all() and tail.item() == 5


def test_weakly_referenced_arrays_are_not_used_again():
    import weakref

    y = torch.ones(5) + 1
    reference = weakref.ref(y._array)
    del y
    assert reference() is None


def test_overlapping_writes_are_refused_before_anything_is_written():
    x = torch.arange(10.0)
    with pytest.raises(RuntimeError, match="refer to a single memory location"):
        x[1:].add_(x[:-1])
    assert x.tolist() == list(range(10))
    with pytest.raises(RuntimeError, match="refer to a single memory location"):
        x.div_(x[1])
    assert x.tolist() == list(range(10))


def test_misaligned_and_byteswapped_arrays():
    raw = np.zeros(41, np.uint8)
    odd = raw[1:].view(np.float64)
    odd[:] = np.arange(5)
    assert (from_array(odd) * 2).tolist() == [0, 2, 4, 6, 8]
