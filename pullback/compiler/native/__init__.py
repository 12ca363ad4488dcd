"""Machine code for the chains of recordings that run often, where llvmlite is installed (the extra `llvm`).

    code.py         one loop in LLVM's language for some items of a chain
    __init__.py     which items, when, and their exchange

A chain (core/loops/chains.h) does its loops block by block, each of them over memory in the cache.
Neighbouring ones that `code.OPS` knows become one loop, in which what only they ask for stays in registers;
it is called as any loop of a chain is. All others, such as `tanh`, stay as they are. The operations are those
of the loops, one by one and without fused multiply-adds, so results are the same to the bit, but for the sign
of a NaN. Read `often`, then `joined`.
"""

from __future__ import annotations

import functools
import importlib.util
import threading
import time
from collections.abc import Callable
from typing import Any

from pullback.core._replay import Replay

__all__ = ["available", "native", "often"]

MOST_OPERANDS = 60
"""Of one loop."""
PATIENCE = 2000
"""Looks at a replay that is running."""
_lock = threading.Lock()


def available() -> bool:
    """Whether there is a compiler."""
    return importlib.util.find_spec("llvmlite") is not None


def often(replays: list[Replay]) -> threading.Thread | None:
    """Has a thread compile the chains of some replays, and exchange them; the thread, None where there is no
    work."""
    if not available() or not any(replay.chains() for replay in replays):
        return None
    made = threading.Thread(target=native, args=(replays,), name="pullback native")
    made.start()
    return made


def native(replays: list[Replay]) -> int:
    """Compiles the chains of some replays, and exchanges them; how many were."""
    count = 0
    with _lock:
        for replay in replays:
            for place, spec in replay.chains():
                items = joined(spec[1], replay.is_single)
                if items is not None:
                    count += exchanged(replay, place, ("chain", items, *spec[2:]))
    return count


def exchanged(replay: Replay, place: int, spec: tuple[Any, ...]) -> bool:
    """Has a chain done as another spec says, if there is a moment in which it is not running."""
    for _ in range(PATIENCE):
        if replay.exchange(place, spec):
            return True
        time.sleep(0.0003)
    return False


def joined(items: list[tuple[Any, ...]], is_single: Callable[[int], bool]) -> list[tuple[Any, ...]] | None:
    """The items of a chain with ("native", address, what owns the code, operands) for runs of some loops."""
    from pullback.compiler.native import code

    made: list[tuple[Any, ...]] = []
    begin = 0
    while begin < len(items):
        end = begin
        while (
            end < len(items)
            and code.known(items[end])
            and len(operands(items[begin : end + 1])) < MOST_OPERANDS
        ):
            end += 1
        if end - begin > 1:
            read = functools.partial(is_read, items[end:])
            made.append(("native", *code.compiled(items[begin:end], read, is_single)))
        else:
            end = begin + 1
            made.append(items[begin])
        begin = end
    return made if len(made) < len(items) else None


def operands(group: list[tuple[Any, ...]]) -> set[Any]:
    """The operands and targets of some loops."""
    return {x for item in group for x in (*item[3], item[4]) if type(x) is not bytes}


def is_read(after: list[tuple[Any, ...]], slot: int) -> bool:
    """Whether items read a slot before they write to it."""
    for item in after:
        read = () if item[0] == "spread" else item[3]
        if any(type(x) is tuple and x[0] == slot for x in read):
            return True
        target = item[2] if item[0] == "spread" else item[4]
        if type(target) is tuple and target[0] == slot:
            return False
    return False
