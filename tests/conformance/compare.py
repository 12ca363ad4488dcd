"""One row of the op database, run on PyTorch and on Pullback: what agrees and what does not.

`compare(row)` goes through the columns. In each, a call that PyTorch itself refuses is not counted,
unless Pullback can do it: then the result is held against finite differences or the adjoint identity,
and counts as ahead. All else must agree within the row's tolerance; what fails is kept with its reason.
"""

from __future__ import annotations

import collections
import re
import warnings
from dataclasses import dataclass, field
from typing import Any

import torch

from . import draw, forms
from .batches import batched
from .calls import AHEAD, SKIP, Call, Differs
from .slopes import Gradients
from .translate import Missing, ours

COLUMNS = ("forward", "gradient", "second", "forward mode", "vmap", "errors")


@dataclass
class Cell:
    """How many comparisons of a column held, failed, or were beyond PyTorch."""

    good: int = 0
    bad: int = 0
    ahead: int = 0

    def mark(self) -> str:
        """What the table shows."""
        if self.bad:
            return f"{self.good + self.ahead}/{self.good + self.ahead + self.bad}"
        if self.ahead:
            return "✓+"
        return "✓" if self.good else "-"


@dataclass
class Found:
    """What one row gave: its cells, and its failures as (column, where, what)."""

    name: str
    cells: dict[str, Cell] = field(default_factory=lambda: {c: Cell() for c in COLUMNS})
    failures: list[tuple[str, str, str]] = field(default_factory=list)
    notes: collections.Counter[str] = field(default_factory=collections.Counter)
    missing: str = ""

    def hold(self, column: str, where: str, check: Any, *args: Any) -> Any:
        """Runs a check and counts it: it returns `None`, or `AHEAD`, or `SKIP`; it raises if it fails."""
        cell = self.cells[column]
        try:
            verdict = check(*args)
        except Differs as difference:
            what = str(difference)
        except Exception as error:
            what = f"{type(error).__name__}: {str(error).strip() or '(no text)'}"
        else:
            if verdict is AHEAD:
                cell.ahead += 1
            elif verdict is not SKIP:
                cell.good += 1
            return
        self.fail(column, where, what)

    def fail(self, column: str, where: str, what: str) -> None:
        """Counts a failure and keeps it."""
        self.cells[column].bad += 1
        self.failures.append((column, where, re.sub(r"\s+", " ", what)[:300]))


def compare(row: Any, everything: bool = False) -> Found:
    """Runs a row on both libraries. With `everything`, on all of its samples."""
    found = Found(row.full_name)
    warnings.simplefilter("ignore")
    try:
        ours(row.op)
    except Missing as missing:
        found.missing = str(missing)
        return found
    for dtype in draw.dtypes_of(row):
        _forward(found, row, dtype, None if everything else draw.LIMIT)
    for dtype, count in ((torch.float32, 4), (torch.float64, 16), (torch.complex128, 12)):
        if dtype in draw.dtypes_of(row):
            _derivatives(found, row, dtype, None if everything else count)
    _batches(found, row, 8)
    _errors(found, row)
    return found


def _calls(row: Any, dtype: torch.dtype, limit: int | None, grad: bool) -> list[Call]:
    """The row's samples as calls."""
    try:
        drawn = draw.samples(row, dtype, limit, grad)
    except Exception:
        return []  # PyTorch cannot draw it: it needs the op itself in a dtype that it lacks
    return [Call(row, dtype, sample) for sample in drawn]


def _forward(found: Found, row: Any, dtype: torch.dtype, limit: int | None) -> None:
    for call in _calls(row, dtype, limit, grad=False):
        theirs = call.theirs()
        if theirs is None:
            continue
        hold = found.hold
        hold("forward", call.where, forms.function, call, theirs, found.notes)
        if row.method_variant is not None:
            hold("forward", f"method {call.where}", forms.method, call)
        if row.inplace_variant is not None:
            hold("forward", f"in-place {call.where}", forms.inplace, call)
        if row.supports_out:
            hold("forward", f"out= {call.where}", forms.into_out, call, theirs)


def _derivatives(found: Found, row: Any, dtype: torch.dtype, limit: int | None) -> None:
    for i, call in enumerate(_calls(row, dtype, limit, grad=True)):
        if not any(t.requires_grad for t in draw.tensors_in([call.args, call.kwargs])):
            continue
        pass_ = Gradients(call)
        found.hold("gradient", call.where, pass_.first)
        if dtype is not torch.float32:
            if i < 8 or limit is None:
                found.hold("second", call.where, pass_.second)
            found.hold("forward mode", call.where, pass_.forward_mode)


def _batches(found: Found, row: Any, limit: int) -> None:
    taken = draw.dtypes_of(row)
    dtype = torch.float64 if torch.float64 in taken else (taken or [None])[0]
    if dtype is None:
        return
    try:
        pairs = zip(*(draw.samples(row, dtype, limit, False, seed) for seed in (0, 1)), strict=True)
        calls = [(Call(row, dtype, one), Call(row, dtype, two)) for one, two in pairs]
    except Exception:
        return
    for one, two in calls:
        if one.theirs() is None:
            continue
        for all_in in (True, False):
            where = f"{one.where} {'' if all_in else 'first batched'}".strip()
            found.hold("vmap", where, batched, one, two, all_in)


def _errors(found: Found, row: Any) -> None:
    try:
        drawn = list(draw.errors(row))
    except Exception:
        return
    for case in drawn:
        call = Call(row, None, case.sample_input)
        found.hold("errors", call.where, forms.refusal, call)
