"""The forms of a call: function, method, in place, `out=`; and the call that must raise.

A check returns None if it holds, SKIP if there is nothing to compare, and raises otherwise.
"""

from __future__ import annotations

import re
from typing import Any

import torch

import pullback

from .calls import SKIP, Call, Differs, agree, is_tensor, leaves, run_ours, run_theirs
from .translate import for_ours, for_theirs, ours

CORRUPT_OUT = {"tril", "triu", "lu_unpack", "linalg.lu"}
"""Rows with which PyTorch 2.13 writes outside of an `out` of another layout, and crashes later."""


def function(call: Call, theirs: Any, notes: Any) -> None:
    """The function's values, dtypes and shapes."""
    mine = run_ours(ours(call.row.op), call.args, call.kwargs)
    agree(call, theirs[0], mine)
    for x, y in zip(leaves(theirs[0]), leaves(mine), strict=True):
        if is_tensor(x) and x.numel() > 1 and x.stride() != y.stride():
            notes["strides"] += 1


def method(call: Call) -> Any:
    """The method gives what PyTorch's method gives."""
    try:
        theirs = run_theirs(call.row.method_variant, call.args, call.kwargs)
    except Exception:
        return SKIP
    agree(call, theirs, run_ours(ours(call.row.method_variant), call.args, call.kwargs))
    return None


def inplace(call: Call) -> Any:
    """The in-place method returns its tensor and leaves the result in it; or both refuse."""
    if not isinstance(call.args[0], torch.Tensor):
        return SKIP
    try:
        theirs = run_theirs(call.row.inplace_variant, call.args, call.kwargs)
    except Exception as refusal:
        try:
            run_ours(ours(call.row.inplace_variant), call.args, call.kwargs)
        except type(refusal):
            return SKIP
        raise Differs(f"does not refuse: {type(refusal).__name__}: {refusal}") from None
    args, kwargs = for_ours(call.args, call.kwargs)
    pullback.manual_seed(0)
    mine = ours(call.row.inplace_variant)(*args, **kwargs)
    if mine is not args[0]:
        raise Differs("does not return its tensor")
    agree(call, theirs, mine)
    return None


def into_out(call: Call, theirs: Any) -> Any:
    """`out=` tensors of another layout get the result and keep their layout."""
    results = theirs[0]
    single = isinstance(results, torch.Tensor)
    parts = [results] if single else list(results) if isinstance(results, tuple | list) else []
    if not parts or not all(isinstance(x, torch.Tensor) for x in parts):
        return SKIP

    def holders() -> Any:
        made = [holder(x, plain=call.row.name in CORRUPT_OUT) for x in parts]
        return made[0] if single else tuple(made)

    try:
        their_out = holders()
        run_with_out(run_theirs, call.row.op, call, their_out)
    except Exception:
        return SKIP
    args, kwargs = for_ours(call.args, call.kwargs)
    our_out, _ = for_ours(holders(), {})
    pullback.manual_seed(0)
    ours(call.row.op)(*args, **kwargs, out=our_out)
    try:
        agree(call, results, our_out)
    except Differs:  # random numbers go by the layout that they are written to
        agree(call, their_out, our_out)
    for x, y in zip(leaves(their_out), leaves(our_out), strict=True):
        if x.numel() > 1 and x.stride() != y.stride():
            raise Differs(f"strides of out {y.stride()} for {x.stride()}")
    return None


def holder(like: torch.Tensor, plain: bool) -> torch.Tensor:
    """A tensor of ones to hold a result, its dimensions laid out in the other order unless `plain`."""
    if plain:
        return torch.ones_like(like, memory_format=torch.contiguous_format)
    return torch.ones(tuple(like.shape)[::-1], dtype=like.dtype).permute(*reversed(range(like.ndim)))


def run_with_out(run: Any, op: Any, call: Call, out: Any) -> Any:
    """PyTorch's call into `out`, which is not copied."""
    args, kwargs = for_theirs(call.args, call.kwargs)
    torch.manual_seed(0)
    return op(*args, **kwargs, out=out)


def refusal(call: Call) -> Any:
    """The same exception with the same text."""
    try:
        run_theirs(call.row.op, call.args, call.kwargs)
    except Exception as error:
        expected = error
    else:
        return SKIP
    try:
        run_ours(ours(call.row.op), call.args, call.kwargs)
    except Exception as error:
        found = error
    else:
        raise Differs(f"no error; PyTorch: {type(expected).__name__}: {_text(expected)}")
    if type(found) is not type(expected):
        raise Differs(
            f"{type(found).__name__}: {_text(found)!r} for {type(expected).__name__}: {_text(expected)!r}"
        )
    if _text(found) != _text(expected):
        raise Differs(f"text {_text(found)!r} for {_text(expected)!r}")
    return None


def _text(error: Exception) -> str:
    """A message without links and C++ positions, under one name for both libraries."""
    text = re.sub(r"\s*\(Triggered internally at [^)]*\)", "", str(error)).partition("\nException raised")[0]
    text = text.replace("_C.TensorBase", "Tensor")  # the class that has the operators
    text = re.sub(r"(https?://|github\.com/)[^\s)]+", "<url>", text)
    return re.sub(r"\s+", " ", text.replace("pullback.", "torch.")).strip()
