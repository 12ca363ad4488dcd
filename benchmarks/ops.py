"""`python benchmarks/ops.py`: every public op at three sizes, PyTorch's time over Pullback's.

The libraries take turns, each in processes of their own; a time is the least of all. A row is a call of
`ops_rows.py`, forward, and with its backward pass where there is one. `--save` keeps the figures in
results/ops.json, from which docs/speed.md is made. `--floor 0.5` fails if a row is below it.

    python benchmarks/ops.py --sizes 8 --only "softmax|sort" --slowest 20
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import re
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import CodeType
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from ops_rows import function_of, inputs, rows  # noqa: E402
from run import OURS, THEIRS, THREADS, cores, machine, shown  # noqa: E402

FORWARD, BOTH = "forward", "with backward"
LEAST = 0.003  # seconds that one measurement takes
ROUNDS = 5
Times = dict[str, float]


def seconds(step: Callable[[], Any]) -> float:
    """The least time of a step over a few rounds; of a long step, that of one."""
    step()
    begin = time.perf_counter()
    step()
    once = time.perf_counter() - begin
    count = max(1, min(2000, int(LEAST / max(once, 2e-7))))
    best = once
    for _ in range(ROUNDS if once < 0.2 else 1):
        begin = time.perf_counter()
        for _ in range(count):
            step()
        best = min(best, (time.perf_counter() - begin) / count)
    return best


def leaves_of(torch: Any, names: dict[str, Any], used: tuple[str, ...]) -> tuple[dict[str, Any], list[Any]]:
    """The inputs with leaves in place of those used tensors that may require a gradient, and the leaves."""
    leaves: list[Any] = []

    def leaf(value: Any) -> Any:
        if isinstance(value, list):
            return [leaf(one) for one in value]
        if not isinstance(value, torch.Tensor) or not (value.is_floating_point() or value.is_complex()):
            return value
        leaves.append(value.detach().clone().requires_grad_())
        return leaves[-1]

    return {name: leaf(value) if name in used else value for name, value in names.items()}, leaves


def results_of(torch: Any, result: Any) -> list[Any]:
    """The tensors of a result that require a gradient."""
    if isinstance(result, (tuple, list)):
        return [tensor for one in result for tensor in results_of(torch, one)]
    return [result] if isinstance(result, torch.Tensor) and result.requires_grad else []


def forward(torch: Any, names: dict[str, Any], name: str, code: CodeType) -> Callable[[], Any]:
    """The step that calls an op."""
    given = {**names, "f": function_of(torch, name)}
    return lambda: eval(code, given)


def both(torch: Any, names: dict[str, Any], name: str, code: CodeType) -> Callable[[], Any] | None:
    """The step that calls an op and takes its backward pass; None if it has none."""
    names, leaves = leaves_of(torch, names, code.co_names)
    call = forward(torch, names, name, code)
    grads = [torch.ones_like(root) for root in results_of(torch, call())]
    if not leaves or not grads:
        return None
    return lambda: torch.autograd.grad(results_of(torch, call()), leaves, grads, allow_unused=True)


def work(library: str, size: int, only: str, threads: int) -> None:
    """Times one library, in this process, and writes a line of JSON."""
    warnings.simplefilter("ignore")
    torch = import_module(library)
    torch.set_num_threads(threads)
    names = inputs(torch, size)
    times: Times = {}
    refused: dict[str, str] = {}
    for label, name, arguments in rows():
        if not re.search(only, label):
            continue
        code = compile(f"f({arguments})", label, "eval")
        for way, make in ((FORWARD, forward), (BOTH, both)):
            try:
                step = make(torch, names, name, code)
                if step is not None:
                    times[f"{label} {way}"] = seconds(step)
            except (RuntimeError, NotImplementedError, TypeError) as error:
                refused[f"{label} {way}"] = str(error).partition("\n")[0]
    version = f"{library} {torch.__version__}"
    sys.stdout.write(json.dumps({"version": version, "times": times, "refused": refused}) + "\n")


def measure(options: argparse.Namespace, size: int) -> tuple[dict[str, Times], dict[str, Any]]:
    """The least times of each library at a size, and what else the processes told."""
    libraries = [OURS, THEIRS] if importlib.util.find_spec(THEIRS) else [OURS]
    least: dict[str, Times] = {library: {} for library in libraries}
    about: dict[str, Any] = {"versions": {}, "refused": {}}
    settings = {**os.environ, **dict.fromkeys(THREADS, str(options.threads))}
    for turn in range(options.repeats):
        for library in libraries if turn % 2 else libraries[::-1]:
            words = ["--worker", library, "--sizes", str(size), "--only", options.only]
            command = [sys.executable, __file__, *words, "--threads", str(options.threads)]
            done = subprocess.run(command, env=settings, stdout=subprocess.PIPE, text=True, check=True)
            found = json.loads(done.stdout.splitlines()[-1])
            about["versions"][library] = found["version"]
            if library == OURS:
                about["refused"].update(found["refused"])
            for label, took in found["times"].items():
                least[library][label] = min(took, least[library].get(label, took))
    return least, about


def summary(size: int, ratios: list[float]) -> str:
    """How the rows of a size stand, in a line."""
    good = sum(ratio >= 1 for ratio in ratios)
    quarter = sorted(ratios)[len(ratios) // 4]
    return (
        f"{size} x {size}: {len(ratios)} rows, {good} at PyTorch's speed or faster; the least ratio "
        f"{min(ratios):.2f}, the lower quartile {quarter:.2f}, the median {statistics.median(ratios):.2f}"
    )


def main() -> int:
    """Measure, print, save, judge; the exit status."""
    parser = argparse.ArgumentParser(description="Compare every op of Pullback with PyTorch's.")
    parser.add_argument("--sizes", default="8,128,1024", help="n of the matrices, by commas")
    parser.add_argument("--only", default="", help="a pattern: only the calls that have it")
    parser.add_argument("--threads", type=int, default=cores(), help="threads of each library")
    parser.add_argument("--repeats", type=int, default=3, help="processes of each library")
    parser.add_argument("--slowest", type=int, default=40, help="how many rows are printed for each size")
    parser.add_argument("--floor", type=float, help="fail if a ratio is below this")
    parser.add_argument("--save", action="store_true", help="keep the figures in results/ops.json")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    options = parser.parse_args()
    sizes = [int(size) for size in options.sizes.split(",")]
    if options.worker:
        work(options.worker, sizes[0], options.only, options.threads)
        return 0
    command = "python benchmarks/ops.py " + " ".join(sys.argv[1:])
    record: dict[str, Any] = {"machine": machine(), "threads": options.threads, "command": command.strip()}
    missed = []
    for size in sizes:
        least, about = measure(options, size)
        record.setdefault("versions", ", ".join(about["versions"].values()))
        record.setdefault("sizes", {})[str(size)] = least
        if THEIRS not in least:
            continue
        for label in least[THEIRS].keys() & about["refused"].keys():
            print(f"refused at {size}: {label}: {about['refused'][label]}")
            missed.append(label)
        ratios = {k: least[THEIRS][k] / took for k, took in least[OURS].items() if k in least[THEIRS]}
        print(f"\n{summary(size, list(ratios.values()))}\n")
        for label, ratio in sorted(ratios.items(), key=lambda one: one[1])[: options.slowest]:
            ours, theirs = shown(least[OURS][label]), shown(least[THEIRS][label])
            print(f"{ratio:7.2f}  {label:60} Pullback {ours:>8}  PyTorch {theirs:>8}")
        missed += [label for label, ratio in ratios.items() if ratio < (options.floor or 0)]
        sys.stdout.flush()
    print(f"\n{record['machine']}, {options.threads} threads; {record['versions']}\n`{record['command']}`")
    if options.save:
        (HERE / "results/ops.json").write_text(json.dumps(record, indent=1) + "\n")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
