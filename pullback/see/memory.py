"""`memory_report`: what a graph keeps alive for its backward pass, by op, by line and by module."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from pullback.autograd.graph import saved
from pullback.core._engine import Tensor
from pullback.see.graph import leaves_of, line_of, module_of, op_name
from pullback.see.page import bytes_text
from pullback.see.recording import memory_of
from pullback.see.tables import table
from pullback.transforms.stack import bottom


@dataclass
class Kept:
    """A piece of memory that the graph holds: how many bytes, and the first node that saved it."""

    bytes: int
    node: Any
    made_by: Any


@dataclass
class MemoryReport:
    """What `memory_report` found, in bytes. `str` of it is a table.

    `total` is what lives for the backward pass alone, each piece of memory counted once; leaves, which live
    anyway, are in `leaves`. `by_op`, `by_line` and `by_module` divide the total; the last two know what was
    recorded within `explaining`. `checkpointing` says for each module how much less it would be if the
    module were called by `torch.utils.checkpoint`: what its own ops made and saved.
    """

    total: int
    leaves: int
    by_op: dict[str, int] = field(default_factory=dict)
    by_line: dict[str, int] = field(default_factory=dict)
    by_module: dict[str, int] = field(default_factory=dict)
    checkpointing: dict[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        parts = [
            f"kept for the backward pass: {bytes_text(self.total)}, besides leaves of "
            f"{bytes_text(self.leaves)}"
        ]
        for head, rows in (
            ("op", self.by_op),
            ("line", self.by_line),
            ("module", self.by_module),
            ("checkpointing would save", self.checkpointing),
        ):
            if rows:
                shown = [(name, bytes_text(n), f"{n / (self.total or 1):.0%}") for name, n in rows.items()]
                parts.append(table((head, "bytes", "part"), shown))
        return "\n\n".join(parts)

    __repr__ = __str__


def memory_report(result: Tensor | Sequence[Tensor]) -> MemoryReport:
    """What the graph of a tensor, or of several, keeps alive, and where it could be less.

    Within `torch.explaining()` the lines of the program and its modules are known too.

    >>> import pullback as torch
    >>> x = torch.ones(1000, requires_grad=True)
    >>> print(torch.memory_report((x * x).exp().sum()))
    kept for the backward pass: 3.91 KiB, besides leaves of 3.91 KiB
    <BLANKLINE>
    op      bytes  part
    ---  --------  ----
    exp  3.91 KiB  100%
    """
    leaves = {id(memory): memory for memory in map(memory_of, leaves_of(result))}
    pieces: dict[int, Kept] = {}
    held = []
    for node, _, tensor in saved(result):
        x = bottom(tensor)
        if not x.is_meta and id(memory_of(x)) not in leaves:
            held.append(memory_of(x))  # so that no two have the same id
            pieces.setdefault(id(held[-1]), Kept(held[-1].nbytes, node, x.grad_fn))
    kept = list(pieces.values())
    report = MemoryReport(
        sum(piece.bytes for piece in kept), sum(memory.nbytes for memory in leaves.values())
    )
    report.by_op = _divided(kept, lambda piece: [op_name(piece.node)])
    report.by_line = _divided(kept, lambda piece: _texts(line_of(piece.node)))
    report.by_module = _divided(kept, lambda piece: _texts(_path(piece.node)))
    report.checkpointing = _divided(kept, _freed_by)
    return report


def _texts(value: object) -> list[str]:
    return [str(value)] if value else []


def _path(node: Any) -> str:
    return " / ".join(module_of(node))


def _freed_by(piece: Kept) -> list[str]:
    """The modules within which a piece was both made and saved: a checkpoint there would not keep it."""
    if piece.made_by is None:
        return []
    path = []
    for a, b in zip(module_of(piece.node), module_of(piece.made_by), strict=False):
        if a != b:
            break
        path.append(a)
    return [" / ".join(path[: k + 1]) for k in range(len(path))]


def _divided(kept: Sequence[Kept], names: Callable[[Kept], Sequence[str]]) -> dict[str, int]:
    """The bytes by name, the largest first."""
    sums: dict[str, int] = {}
    for piece in kept:
        for name in names(piece):
            sums[name] = sums.get(name, 0) + piece.bytes
    return dict(sorted(sums.items(), key=lambda item: -item[1]))
