"""The rows of the op database that are compared, the others with their reasons, and their samples.

A row is one OpInfo. It is compared unless a rule below leaves it out: what is left out cannot run on a
CPU with dense tensors, or has no public name. Samples come from OpInfo itself, seeded; where there are
many, every combination of shapes is kept first, and the rest are taken evenly.
"""

from __future__ import annotations

import random
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch.testing._internal.common_device_type import precisionOverride, toleranceOverride
from torch.testing._internal.common_methods_invocations import op_db

DTYPES = (torch.float32, torch.float64, torch.complex128, torch.int64, torch.bool)
LIMIT = 40

_TOLERANCES = {  # relative, absolute: those of torch.testing.assert_close
    torch.float16: (1e-3, 1e-5),
    torch.bfloat16: (1.6e-2, 1e-5),
    torch.float32: (1.3e-6, 1e-5),
    torch.complex64: (1.3e-6, 1e-5),
    torch.float64: (1e-7, 1e-7),
    torch.complex128: (1e-7, 1e-7),
}


def left_out(row: Any) -> str | None:
    """Why a row is not compared; None if it is."""
    kind = type(row.op).__module__
    if kind == "torch.cuda.jiterator":
        return "compiles a CUDA kernel from a string"
    if not row.supported_dtypes("cpu"):
        return "no dtype on the CPU"
    if row.name.startswith("sparse.") or row.name == "to_sparse":
        return "sparse tensors"
    if kind == "torch._ops":
        return "reached as torch.ops.aten only: no public name"
    if "aten" in getattr(getattr(row.op, "__code__", None), "co_names", ()):
        return "reached as torch.ops.aten only: no public name"
    if row.name.startswith("torch._scaled"):
        return "8-bit floats with scales: a CUDA kernel, its CPU form a fallback for tests"
    return None


def rows(words: list[str] | None = None) -> list[Any]:
    """The rows compared whose names are, or contain, one of the words; all without words."""
    kept = [row for row in op_db if left_out(row) is None]
    if not words:
        return kept
    names = {row.full_name for row in kept} | {row.name for row in kept}
    exact = {w for w in words if w in names}
    return [
        row
        for row in kept
        if {row.full_name, row.name} & exact or any(w in row.full_name for w in words if w not in exact)
    ]


def excluded() -> list[tuple[str, str]]:
    """The rows that are not compared, with the reasons."""
    return [(row.full_name, why) for row in op_db if (why := left_out(row))]


def seed(number: int = 0) -> None:
    """The generators that the op database draws from."""
    torch.manual_seed(number)
    np.random.seed(number)
    random.seed(number)


def dtypes_of(row: Any) -> list[torch.dtype]:
    """Those of DTYPES that the row takes on a CPU."""
    return [dtype for dtype in DTYPES if dtype in row.supported_dtypes("cpu")]


def samples(row: Any, dtype: torch.dtype, limit: int | None, grad: bool, number: int = 0) -> list[Any]:
    """The row's samples of a dtype, at most `limit` beyond the distinct shapes; None is all."""
    seed(number)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        drawn = list(row.sample_inputs("cpu", dtype, requires_grad=grad))
    if limit is None or len(drawn) <= limit:
        return drawn
    chosen: dict[Any, int] = {}
    for i, sample in enumerate(drawn):
        chosen.setdefault(_shapes(sample), i)
    first = evenly(sorted(chosen.values()), limit)
    rest = [i for i in range(len(drawn)) if i not in set(first)]
    return [drawn[i] for i in sorted(first + evenly(rest, limit - len(first)))]


def evenly(things: list[Any], count: int) -> list[Any]:
    """`count` of the things, evenly spread; all if there are no more."""
    if len(things) <= count:
        return things
    return [things[i * len(things) // count] for i in range(count)]


def errors(row: Any) -> Iterator[Any]:
    """The calls that must raise."""
    seed()
    if row.error_inputs_func is None:
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield from row.error_inputs("cpu")


def tensors_in(value: Any) -> Iterator[torch.Tensor]:
    """The tensors of an argument list, in order."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from tensors_in(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from tensors_in(item)


def _shapes(sample: Any) -> tuple[Any, ...]:
    args = [sample.input, *sample.args, *sample.kwargs.items()]
    return tuple(tuple(t.shape) for t in tensors_in(args)), tuple(sample.kwargs)


def tolerance(row: Any, dtype: torch.dtype) -> tuple[float, float]:
    """Relative and absolute: PyTorch's for the dtype, or the widest that the row asks for on a CPU."""
    rtol, atol = _TOLERANCES.get(dtype, (0.0, 0.0))
    for decorator in row.decorators:
        if getattr(decorator, "device_type", None) not in (None, "cpu"):
            continue
        for change in getattr(decorator, "decorators", [decorator]):
            if isinstance(change, toleranceOverride) and dtype in change.d:
                atol, rtol = max(atol, change.d[dtype].atol), max(rtol, change.d[dtype].rtol)
            elif isinstance(change, precisionOverride) and dtype in change.d:
                atol = max(atol, change.d[dtype])
    return rtol, atol
