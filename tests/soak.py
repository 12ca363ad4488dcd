"""python tests/soak.py [--minutes 60] [--rounds N]: hours of work must not make the process grow.

A round is the whole op table forward and backward, steps of four networks (eager and compiled, new ones
and old ones), transforms, arrays of sizes that never come again, and two Python threads calling at once, on
another number of threads each round. After each, what the process holds is printed: its memory and Python's
objects. It ends with status 1 if either has grown from the
first half of the time to the second.
"""

from __future__ import annotations

import argparse
import gc
import random
import resource
import sys
import threading
import time
import warnings
from pathlib import Path

from tqdm import tqdm

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE), str(HERE / "rows"), str(HERE.parent / "benchmarks")]

from rows_networks import NETWORKS, by_modules  # noqa: E402
from sample_rows import ROWS  # noqa: E402
from samples import Bound, differentiable  # noqa: E402

import pullback as torch  # noqa: E402

FEWEST = 20  # rounds: caches fill in the first ones, and are emptied from time to time
GROWTH = 1.03, 16 << 20  # by a factor and by bytes may the second half hold more than the first


def table() -> None:
    """Each call of each row, forward and backward."""
    for row in ROWS:
        for call in row.calls:
            for layout in ("", "strided"):
                try:
                    bound = Bound(torch, row, call, row.first_dtype(), layout=layout, grads="all")
                    for result in differentiable(torch, bound.run()):
                        result.sum().abs().backward(retain_graph=True)
                except Exception:
                    pass  # what one holds, frames and tensors, must go as well


def networks(kept: list[object]) -> None:
    """Steps of networks made before, and of new ones."""
    if not kept:
        kept.extend(by_modules(torch, network) for network in NETWORKS.values())
        kept.extend(torch.compile(step) for step in list(kept))
    fresh = [torch.compile(by_modules(torch, network)) for network in NETWORKS.values()]
    for step in [*kept, *fresh]:
        for _ in range(4):
            step()


def transforms() -> None:
    """Gradients of functions, batched and nested."""
    w = torch.randn(6, 6)

    def loss(w: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        return torch.tanh(w @ x).square().sum()

    torch.func.vmap(torch.func.grad(loss), (None, 0))(w, torch.randn(9, 6))
    torch.func.jacrev(torch.func.grad(loss))(w, torch.randn(6))
    torch.func.hessian(loss)(w, torch.randn(6))


def sizes(draw: random.Random) -> None:
    """Signatures that no table has seen."""
    for _ in range(200):
        m, n = draw.randint(1, 400), draw.randint(1, 400)
        x = torch.randn(m, n, requires_grad=True)
        (torch.softmax(x, draw.randint(0, 1)) @ torch.ones(n, 3)).sum().backward()


def at_once() -> None:
    """Two threads of Python."""
    threads = [threading.Thread(target=sizes, args=(random.Random(seed),)) for seed in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def resident() -> int:
    """Bytes of memory that the process holds now."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    except OSError:  # no Linux: the most that it has held
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main() -> int:
    """The rounds."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--rounds", type=int, help="end after so many")
    told = parser.parse_args()
    warnings.simplefilter("ignore")
    kept: list[object] = []
    draw, begin, held = random.Random(0), time.monotonic(), []
    with tqdm(total=told.minutes, unit="min", bar_format="{l_bar}{bar}| {n:.1f} of {total:.0f} min") as bar:
        while told.rounds is None or len(held) < told.rounds:
            torch.set_num_threads(1 + len(held) % 3)
            for work in (table, lambda: networks(kept), transforms, lambda: sizes(draw), at_once):
                work()
            gc.collect()
            held.append((resident(), len(gc.get_objects())))
            minutes = (time.monotonic() - begin) / 60
            bar.write(
                f"round {len(held)}: {held[-1][0] / 1e6:.1f} MB, {held[-1][1]:,} objects, {minutes:.1f} min"
            )
            bar.update(min(minutes, told.minutes) - bar.n)
            if minutes >= told.minutes:
                break
    if len(held) < FEWEST:
        print(f"{len(held)} rounds are too few to see growth: {FEWEST}")
        return 1
    halves = held[: len(held) // 2], held[len(held) // 2 :]
    (memory, objects), (memory_now, objects_now) = (
        tuple(map(max, zip(*half, strict=True))) for half in halves
    )
    grown = memory_now > GROWTH[0] * memory + GROWTH[1] or objects_now > GROWTH[0] * objects
    print(
        f"the most of each half of {len(held)} rounds: {memory / 1e6:.1f} and {memory_now / 1e6:.1f} MB, "
        f"{objects:,} and {objects_now:,} objects: {'GROWN' if grown else 'no growth'}"
    )
    return int(grown)


if __name__ == "__main__":
    sys.exit(main())
