"""`python benchmarks/memory.py`: the peak of memory of a step, beside PyTorch's.

Each figure is the least of a few processes of its own: how far resident memory rises, above what the process
holds with the library loaded and the step's own tensors made, while the step runs three times. `--save` keeps
the figures, which the page of speed shows. Linux only: the peak is read, and reset, in /proc.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from rows_networks import NETWORKS, by_modules  # noqa: E402
from run import OURS, THEIRS, THREADS, machine  # noqa: E402

FIGURES = HERE / "results" / "memory.json"
PROCESS = Path("/proc/self")
Step = Callable[[], Any]


def passes(torch: Any, function: Callable[..., Any], *inputs: Any) -> Step:
    """A call and its backward pass."""

    def step() -> Any:
        for x in inputs:
            x.grad = None
        function(*inputs).sum().backward()

    return step


def leaf(torch: Any, *shape: int) -> Any:
    """Random numbers that ask for a gradient."""
    return torch.rand(shape).requires_grad_()


def steps(torch: Any) -> dict[str, Callable[[], Step]]:
    """What is measured: makers of steps, by their names."""
    F = torch.nn.functional
    found: dict[str, Callable[[], Step]] = {
        name: lambda network=network: by_modules(torch, network)  # type: ignore[misc]
        for name, network in NETWORKS.items()
    }

    def calls(name: str, function: Callable[..., Any], *shapes: tuple[int, ...]) -> None:
        found[name] = lambda: passes(torch, function, *(leaf(torch, *shape) for shape in shapes))

    square = (2048, 2048)
    calls("x * y, 4M", lambda x, y: x * y, square, square)
    calls("gelu(x), 4M", F.gelu, square)
    calls("chain of 5, 4M", lambda x: (x.exp() + 1).log().tanh() * x, square)
    calls("softmax(x, 1), 4M", lambda x: F.softmax(x, 1), square)
    calls("layer_norm, 4M", lambda x, w, b: F.layer_norm(x, (2048,), w, b), square, (2048,), (2048,))
    calls("logsumexp(x, 0), 4M", lambda x: torch.logsumexp(x, 0), square)
    calls("cumsum(x, 0), 4M", lambda x: torch.cumsum(x, 0), square)
    calls("sort(x, 1), 4M", lambda x: torch.sort(x, 1)[0], square)
    calls("cat([x, y]), 8M", lambda x, y: torch.cat([x, y]), square, square)
    calls("x @ y, 2048", lambda x, y: x @ y, square, square)
    images, filters = (8, 32, 64, 64), (64, 32, 3, 3)
    calls("conv2d 3x3, 8 x 32 x 64 x 64", lambda x, w: F.conv2d(x, w, padding=1), images, filters)
    calls("batch_norm, 8 x 32 x 64 x 64", lambda x: F.batch_norm(x, None, None, training=True), images)
    calls("max_pool2d, 8 x 32 x 64 x 64", lambda x: F.max_pool2d(x, 2), images)
    heads = (4, 8, 1024, 64)
    calls("attention, 4 x 8 x 1024 x 64", F.scaled_dot_product_attention, heads, heads, heads)
    calls("solve, 1024", torch.linalg.solve, (1024, 1024), (1024, 1024))
    return found


def held(name: str) -> int:
    """Bytes of this process: resident now (VmRSS), or at most since the peak was reset (VmHWM)."""
    line = next(line for line in (PROCESS / "status").read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) * 1024


def rise(library: str, name: str) -> int:
    """How far a step lifts the memory of this process, in bytes."""
    torch = import_module(library)
    small = torch.ones(8, 8, requires_grad=True)
    (small @ small).tanh().sum().backward()  # the library's own memory: threads, tables, BLAS
    step = steps(torch)[name]()
    before = held("VmRSS")
    (PROCESS / "clear_refs").write_text("5")
    for _ in range(3):
        step()
    return held("VmHWM") - before


def measured(library: str, name: str, options: argparse.Namespace) -> int:
    """The least rise of a few processes."""
    settings = {**os.environ, **dict.fromkeys(THREADS, str(options.threads))}
    command = [sys.executable, __file__, "--one", library, name]
    runs = [
        subprocess.run(command, env=settings, stdout=subprocess.PIPE, text=True, check=True).stdout
        for _ in range(options.repeats)
    ]
    return min(map(int, runs))


def main() -> int:
    """Prints the table."""
    parser = argparse.ArgumentParser(description="Compare the peak memory of steps with PyTorch's.")
    parser.add_argument("words", nargs="*", help="only rows whose names have one of these")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--save", action="store_true", help="keep the figures for the page of speed")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        sys.stdout.write(f"{rise(*options.one)}\n")
        return 0
    figures: dict[str, dict[str, int]] = {}
    sys.stdout.write(f"{machine()}; {options.threads} threads\n{'MB':32}{OURS:>10}{THEIRS:>10}{'ratio':>8}\n")
    for name in steps(import_module(THEIRS)):
        if options.words and not any(word in name for word in options.words):
            continue
        found = figures[name] = {library: measured(library, name, options) for library in (OURS, THEIRS)}
        ours, theirs = found[OURS], found[THEIRS]
        sys.stdout.write(f"{name:32}{ours / 1e6:10.1f}{theirs / 1e6:10.1f}{ours / theirs:8.2f}\n")
        sys.stdout.flush()
    if options.save:
        modules = [import_module(name) for name in (OURS, THEIRS, "numpy")]
        record = {
            "machine": machine(),
            "threads": options.threads,
            "versions": ", ".join(f"{module.__name__} {module.__version__}" for module in modules),
            "command": "python benchmarks/memory.py --save",
            "rows": figures,
        }
        FIGURES.write_text(json.dumps(record, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
