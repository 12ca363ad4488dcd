"""Runs rows in worker processes; writes what they found: short on the screen, whole in docs/coverage.md."""

from __future__ import annotations

import collections
import multiprocessing
import platform
import re
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import numpy
import scipy
import torch

from . import draw
from .compare import COLUMNS, Found, compare

PAGE = Path(__file__).parents[2] / "docs" / "coverage.md"
KNOWN = Path(__file__).with_name("known.txt")
PATIENCE = 240.0  # seconds for a row

Row = Any


# ------------------------------------------------------------------------------------ running rows


def _work(pipe: Connection, rows: list[Row], everything: bool) -> None:
    """A worker: takes the index of a row, gives what it found."""
    torch.set_num_threads(1)
    while (i := pipe.recv()) is not None:
        pipe.send(compare(rows[i], everything))


class Worker:
    """A process that takes one row at a time; one that crashes or hangs costs its row only."""

    def __init__(self, rows: list[Row], everything: bool) -> None:
        self.rows, self.everything = rows, everything
        self.start()

    def start(self) -> None:
        """Forks the process: the op database is there already."""
        context = multiprocessing.get_context("fork")
        self.pipe, end = context.Pipe()
        self.process = context.Process(target=_work, args=(end, self.rows, self.everything), daemon=True)
        self.process.start()
        end.close()

    def give(self, i: int) -> None:
        self.row, self.since = self.rows[i], time.monotonic()
        self.pipe.send(i)

    def answer(self) -> Found:
        """What the row gave; a new process after a crash."""
        try:
            return self.pipe.recv()
        except (EOFError, ConnectionResetError):
            return self.lost("the process crashed")

    def lost(self, why: str) -> Found:
        """A row without an answer."""
        self.process.kill()
        self.process.join()
        self.start()
        found = Found(self.row.full_name)
        found.fail("forward", "", why)
        return found


def run(rows: list[Row], jobs: int, everything: bool = False) -> Iterator[Found]:
    """What each row gave, in the order in which they are done."""
    workers = {w.pipe: w for w in (Worker(rows, everything) for _ in range(min(jobs, len(rows))))}
    waiting = list(range(len(rows)))
    busy: dict[Any, Worker] = {}
    idle = list(workers.values())
    while waiting or busy:
        while waiting and idle:
            worker = idle.pop()
            worker.give(waiting.pop(0))
            busy[worker.pipe] = worker
        ready = wait(list(busy), timeout=1.0)
        late = [p for p, w in busy.items() if p not in ready and time.monotonic() - w.since > PATIENCE]
        for pipe in [*ready, *late]:
            worker = busy.pop(pipe)
            yield worker.answer() if pipe in ready else worker.lost(f"no answer in {PATIENCE:.0f} s")
            idle.append(worker)
    for worker in idle:
        worker.pipe.send(None)
        worker.process.join()


# --------------------------------------------------------------------------------- known reasons


def known() -> dict[tuple[str, str], str]:
    """(row, column) -> reason, of known.txt: `row | column | reason` a line."""
    lines = [line for line in KNOWN.read_text().splitlines() if line and not line.startswith("#")]
    parts = [[part.strip() for part in line.split("|", 2)] for line in lines]
    return {(name, column): reason for name, column, reason in parts}


def why(found: Found, reasons: dict[tuple[str, str], str]) -> str:
    """Why a row is not full, in a few words; empty if it is."""
    if found.missing:
        return reasons.get((found.name, "all"), f"not there: {found.missing}")
    told = []
    for column in COLUMNS:
        if not found.cells[column].bad:
            continue
        reason = reasons.get((found.name, column))
        if reason is None:
            common = collections.Counter(_brief(what) for c, _, what in found.failures if c == column)
            reason = common.most_common(1)[0][0]
        told.append(f"{column}: {reason}")
    return "; ".join(told)


def _brief(what: str) -> str:
    """A failure in some words."""
    if "received an invalid combination of arguments" in what:
        if what.startswith("no error"):
            return "arguments are taken that no form of PyTorch's function has"
        return "the wrong argument is named; PyTorch lists the forms of the function"
    return re.sub(r"\d+(\.\d+)?(e[-+]\d+)?", "N", what)[:90].replace("|", "/")


# ------------------------------------------------------------------------------------------ pages


def line(found: Found) -> str:
    """A row in short."""
    if found.missing:
        return f"{found.name:44} {found.missing}"
    return f"{found.name:44} " + " ".join(f"{found.cells[c].mark():>9}" for c in COLUMNS)


def table(results: list[Found]) -> list[str]:
    """The rows of docs/coverage.md."""
    reasons = known()
    lines = ["| op | " + " | ".join(COLUMNS) + " | why not full |", "|---" * (len(COLUMNS) + 2) + "|"]
    for found in results:
        marks = ["✗" if found.missing else found.cells[c].mark() for c in COLUMNS]
        lines.append("| " + " | ".join([f"`{found.name}`", *marks, why(found, reasons)]) + " |")
    return lines


def is_full(found: Found) -> bool:
    """Whether nothing of a row failed."""
    return not found.missing and not found.failures


def worse(results: list[Found]) -> list[str]:
    """The rows that docs/coverage.md calls full, or does not have, and that are not full. Both are told.

    That some counts of a row that is not full differ is no failure: they hang on the last digits, and so
    on the processor.
    """
    said = {text.split("`")[1]: text for text in PAGE.read_text().splitlines() if text.startswith("| `")}
    found = []
    for text in table(results)[2:]:
        name = text.split("`")[1]
        if name not in said or (_says_full(said[name]) and not _says_full(text)):
            found.append(name)
            print(f"docs/coverage.md is not current:\n  says {said.get(name)}\n  is   {text}")
    return found


def _says_full(line: str) -> bool:
    """Whether a line of the table has neither counts nor a missing op."""
    return not re.search(r"\| (\d+/\d+|✗)", line)


def page(results: list[Found]) -> str:
    """docs/coverage.md: a head with counts, the table, what is left out."""
    full = sum(map(is_full, results))
    ahead = sum(any(cell.ahead for cell in f.cells.values()) for f in results)
    left = draw.excluded()
    head = f"""# Coverage

PyTorch's own op database, run on PyTorch and on Pullback: each op's samples in float32, float64, complex128,
int64 and bool, as function, method, in place and with `out=`; gradients, second gradients and forward mode of
the same samples; `vmap` against the loop; the calls that must raise. {len(results)} rows: {full} full,
{ahead} where Pullback does something that PyTorch does not. {len(left)} rows are left out, below.

- ✓ all agrees. ✓+ all agrees, and where PyTorch has no derivative or no batching (or a wrong one) Pullback's
  holds against finite differences, the adjoint identity, or the loop. - nothing to compare: neither has it.
- n/m: n of m comparisons agree; the last column says why. ✗ the op is not there.

Made by `python -m tests.conformance --write` with PyTorch {torch.__version__}, NumPy {numpy.__version__},
SciPy {scipy.__version__}, Python {platform.python_version()}.
"""
    foot = ["", "## Left out", ""]
    for reason in dict.fromkeys(why for _, why in left):
        names = ", ".join(f"`{name}`" for name, w in left if w == reason)
        foot.append(f"- {reason}: {names}")
    return head + "\n" + "\n".join(table(results) + foot) + "\n"
