"""`FlopCounterMode`: how many multiplications and additions matrix products and convolutions take.

It is an interpreter on the engine's stack, so that the ops of backward passes are counted too. An op counts
if `ops/shared/flops.py` has a formula for it; those of elements and sums do not.
"""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from pullback.core import _engine
from pullback.core._engine import Op, Tensor
from pullback.nn import Module
from pullback.nn.modules._path import ModulePath
from pullback.ops.shared.flops import Formula, formula_of
from pullback.see.tables import table
from pullback.transforms.stack import Interpreter, entered


class _Counter(Interpreter):
    """The interpreter: counts by the names of the modules that run, or ran when a node was recorded."""

    def __init__(
        self, counts: dict[str, dict[str, int]], path: ModulePath, formulas: Mapping[str, Formula]
    ) -> None:
        self.counts, self.path, self.formulas = counts, path, formulas
        self.recorded_in: list[str] = []

    def process(self, op: Op, args: tuple[Any, ...], out: Any) -> Any:
        """Does the op one level below, and counts it."""
        result = _engine.apply_below(op, args, out)
        backward = _engine.current_pass() >= 0
        within = self.recorded_in if backward else self.path.dotted()
        formula = self.formulas.get(op.name) or formula_of(op)
        if formula is not None:
            count = formula(op, args, result)
            for name in ("Global", *within):
                self.counts[name][op.__name__] += count
        if within and not backward:
            self._remember(result, within)
        return result

    def _remember(self, result: Any, within: list[str]) -> None:
        first = result[0] if isinstance(result, (tuple, list)) and result else result
        if isinstance(first, Tensor) and first.grad_fn is not None:
            first.grad_fn.register_prehook(lambda _: setattr(self, "recorded_in", within))


class FlopCounterMode:
    """Within, the floating point operations of matrix products and convolutions are counted, those of
    backward passes as well, for each module and each op.

    `depth` says how deep the table that is printed at the end goes (`display=False`: none). `custom_mapping`
    has formulas of further ops by name: functions of the op, its arguments and its result. Attention is
    counted on the CPU too, where PyTorch counts none.

    >>> import pullback as torch
    >>> from pullback.utils.flop_counter import FlopCounterMode
    >>> with FlopCounterMode(display=False) as counter:
    ...     _ = torch.ones(2, 3) @ torch.ones(3, 4)
    >>> counter.get_total_flops()
    48
    """

    def __init__(
        self,
        mods: Module | Sequence[Module] | None = None,
        depth: int = 2,
        display: bool = True,
        custom_mapping: Mapping[str, Formula] | None = None,
    ) -> None:
        self.depth, self.display = depth, display
        self.flop_counts: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        self._formulas = dict(custom_mapping or {})
        self._path = ModulePath()
        self._context = contextlib.ExitStack()

    def __enter__(self) -> FlopCounterMode:
        self.flop_counts.clear()
        self._context.enter_context(self._path)
        self._context.enter_context(entered(_Counter(self.flop_counts, self._path, self._formulas)))
        return self

    def __exit__(self, *exc: object) -> None:
        self._context.close()
        if self.display:
            print(self.get_table(self.depth))

    def get_total_flops(self) -> int:
        """How many there were."""
        return sum(self.flop_counts["Global"].values())

    def get_flop_counts(self) -> dict[str, dict[str, int]]:
        """The numbers by module ("Global" for all) and op."""
        return {name: dict(counts) for name, counts in self.flop_counts.items()}

    def get_table(self, depth: int | None = None) -> str:
        """The numbers as text, modules down to `depth`."""
        depth = self.depth if depth is None else depth
        total = self.get_total_flops()
        rows = []
        for name in sorted(self.flop_counts, key=lambda name: (name != "Global", name)):
            if name != "Global" and name.count(".") + 1 > depth:
                continue
            counts = self.flop_counts[name]
            rows.append((name, *_shown(sum(counts.values()), total)))
            rows += [(f" - {op}", *_shown(count, total)) for op, count in counts.items()]
        return table(("Module", "FLOP", "% Total"), rows)


def _shown(count: int, total: int) -> tuple[str, str]:
    for size, unit in ((10**12, "T"), (10**9, "B"), (10**6, "M"), (10**3, "K")):
        if count >= size:
            return f"{count / size:.3f}{unit}", f"{count / (total or 1):.2%}"
    return str(count), f"{count / (total or 1):.2%}"
