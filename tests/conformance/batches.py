"""`vmap` of a call: two samples stacked, against the loop over them, within one library."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

import pullback
import pullback.func

from .calls import AHEAD, SKIP, Call, Differs, attempt, distance, is_tensor, leaves
from .translate import for_ours, for_theirs, mapped, ours, to_numpy


def batched(one: Call, two: Call, all_in: bool) -> Any:
    """`vmap` over two samples gives what the loop gives; `all_in`: all tensors batched, else the first."""
    row = one.row
    theirs = attempt(lambda: Batch(torch, row.op, for_theirs, one, two, all_in).check())
    if theirs is SKIP:
        return SKIP
    mine = Batch(pullback, ours(row.op), for_ours, one, two, all_in)
    if theirs is None:
        return SKIP if attempt(mine.check) is None else AHEAD
    mine.check()
    return None


class Batch:
    """One library's side: the tensors that are stacked, and the call with them replaced."""

    def __init__(self, library: Any, op: Any, translate: Any, one: Call, two: Call, all_in: bool) -> None:
        self.library, self.op, self.name = library, op, one.row.name
        self.call = translate(one.args, one.kwargs)
        flat, other = flattened(self.call), flattened(translate(two.args, two.kwargs))
        places = [i for i, x in enumerate(flat) if is_tensor(x)]
        alike = len(flat) == len(other) and all(_alike(flat[i], other[i]) for i in places)
        self.chosen = places if all_in else places[:1] if len(places) > 1 else []
        self.pairs = [(flat[i], other[i] if alike and _inexact(flat[i]) else flat[i]) for i in self.chosen]

    def single(self, *tensors: Any) -> Any:
        """The call with other tensors in the chosen places."""
        counter, given = iter(range(1_000_000)), dict(zip(self.chosen, tensors, strict=True))
        args, kwargs = mapped(self.call, lambda x: given.get(next(counter), x))
        self.library.manual_seed(0)
        out = self.op(*args, **kwargs)
        return tuple(leaves(out)) if isinstance(out, list | tuple) else out

    def check(self) -> Any:
        """Holds the batch against the loop; random numbers are compared in shape and dtype."""
        loop = [leaves(self.single(*(pair[b].clone() for pair in self.pairs))) for b in (0, 1)]
        if not self.chosen or not all(map(is_tensor, loop[0])):
            return SKIP
        random = "empty" in self.name or self._varies()
        stacked = [self.library.stack(pair) for pair in self.pairs]
        found = leaves(self.library.func.vmap(self.single, randomness="different")(*stacked))
        for k, x in enumerate(found):
            for b in (0, 1):
                wanted = loop[b][k]
                if x[b].shape != wanted.shape or x.dtype != wanted.dtype:
                    raise Differs(
                        f"{x.dtype}{list(x[b].shape)}, the loop gives {wanted.dtype}{list(wanted.shape)}"
                    )
                values, expected = to_numpy(x[b]), to_numpy(wanted)
                if not random and not np.allclose(values, expected, 1e-6, 1e-6, True):
                    raise Differs(f"batch {b} differs from the loop by {distance(expected, values)}")
        return True

    def _varies(self) -> bool:
        """Whether the call draws random numbers: the generator has moved."""
        self.library.manual_seed(0)
        before = to_numpy(self.library.get_rng_state())
        self.single(*(pair[0].clone() for pair in self.pairs))
        return not np.array_equal(before, to_numpy(self.library.get_rng_state()))


def flattened(call: Any) -> list[Any]:
    """The leaves of a call's arguments, in `mapped`'s order."""
    found: list[Any] = []
    mapped(call, found.append)
    return found


def _alike(x: Any, y: Any) -> bool:
    return is_tensor(y) and x.shape == y.shape and x.dtype == y.dtype


def _inexact(x: Any) -> bool:
    return x.dtype.is_floating_point or x.dtype.is_complex
