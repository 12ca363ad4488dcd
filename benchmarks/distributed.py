"""Measures training in several processes, and models what a step costs with more of them.

    python benchmarks/distributed.py [--write docs/howto/distributed.md]

It starts one and two ranks with one thread each and measures: latency and bandwidth of a message, an all-
reduce by size beside the ring's lower bound, and a training step that computes much: alone, with its
gradients reduced while the backward pass runs, and reduced afterwards. On one machine a reduction is copied
by the processors that compute, so little of it can be hidden. What the engine hides is measured with a
network that is imitated: a bucket takes its bytes over 1 GB/s, in which no processor works. The model of a
step of n ranks is

    sent(n) = buckets * 2 (n - 1) latency + 2 (n - 1) / n * bytes / bandwidth
    t(n) = compute + max((1 - hidden) * sent(n), sent(n) - 2 / 3 compute)

where `hidden` is the part of that network's time that the backward pass was measured to hide, of which it
cannot hide more than it lasts: two thirds of the computing. --latency (microseconds) and --bandwidth (GB/s)
put a network's figures in the place of this machine's. --write puts the tables into a page, between its
marks.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SIZES = [1 << 10, 1 << 14, 1 << 18, 1 << 22, 1 << 25]
BEGIN, END = "<!-- measured by benchmarks/distributed.py -->", "<!-- end of what was measured -->"
WIDTH, BATCH, REPEATS = 768, 512, 15
NETWORK = 1e9  # bytes a second of the network that is imitated


def fastest(*runs: Callable[[], Any], repeats: int = REPEATS) -> list[float]:
    """The least time of each function in seconds; ranks begin together, and the functions take turns."""
    import pullback as torch

    found = [float("inf")] * len(runs)
    for _ in range(repeats):
        for i, run in enumerate(runs):
            torch.distributed.barrier()
            start = time.perf_counter()
            run()
            found[i] = min(found[i], time.perf_counter() - start)
    return found


def messages(rank: int) -> dict[str, float]:
    """Latency in seconds and bandwidth in bytes a second of a message between two ranks."""
    import pullback as torch

    dist = torch.distributed

    def there_and_back(x: Any) -> None:
        for _ in range(10):
            if rank == 0:
                dist.send(x, 1)
                dist.recv(x, 1)
            else:
                dist.recv(x, 0)
                dist.send(x, 0)

    small, large = torch.zeros(1), torch.zeros(1 << 22)
    short, whole = fastest(lambda: there_and_back(small), lambda: there_and_back(large))
    return {"latency": short / 20, "bandwidth": 20 * large.nbytes / (whole - short)}


def step() -> dict[str, float]:
    """Seconds of a training step in its forms, and bytes of its gradients."""
    import pullback as torch

    torch.manual_seed(0)
    layers = [torch.nn.Sequential(torch.nn.Linear(WIDTH, WIDTH), torch.nn.ReLU()) for _ in range(6)]
    model = torch.nn.parallel.DistributedDataParallel(
        torch.nn.Sequential(*layers), bucket_cap_mb=4, gradient_as_bucket_view=True
    )
    x = torch.randn(BATCH, WIDTH)
    grads = sum(p.nbytes for p in model.parameters())
    flat = torch.zeros(grads // 4)

    def run(sync: bool, after: bool = False) -> None:
        model.require_backward_grad_sync = sync
        model(x).sum().backward()
        if after:
            torch.distributed.all_reduce(flat)
        model.zero_grad()

    times = fastest(
        lambda: run(False),
        lambda: run(True),
        lambda: run(False, True),
        lambda: torch.distributed.all_reduce(flat),
    )
    found = dict(zip(("alone", "overlapped", "after", "reduce"), times, strict=True))
    with ThreadPoolExecutor(1) as network:
        model.register_comm_hook(network, imitated)
        found["bare"], found["network"] = fastest(lambda: run(False), lambda: run(True))
    return {"bytes": grads, "buckets": len(model.reducer.buckets), **found}


def imitated(network: ThreadPoolExecutor, bucket: Any) -> Any:
    """A communication hook: the bucket is back when a network would have carried its bytes."""
    import pullback as torch

    future: Any = torch.futures.Future()
    buffer = bucket.buffer()

    def carry() -> None:
        time.sleep(buffer.nbytes / NETWORK)
        future.set_result(buffer)

    network.submit(carry)
    return future


def rank_main(path: str) -> None:
    """What one rank measures; rank 0 writes it."""
    import pullback as torch

    dist = torch.distributed
    dist.init_process_group("gloo")
    rank, size = dist.get_rank(), dist.get_world_size()
    found: dict[str, Any] = {"step": step()}
    if size > 1:
        found["message"] = messages(rank)
        found["reduce"] = []
        for count in SIZES:
            x = torch.zeros(count // 4)
            found["reduce"].append((count, fastest(partial(dist.all_reduce, x))[0]))
    if rank == 0:
        Path(path).write_text(json.dumps(found))
    dist.destroy_process_group()


def world(size: int) -> Any:
    """What a world of so many ranks measures."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "found.json")
        settings = {
            **os.environ,
            "OPENBLAS_NUM_THREADS": "1",
            "OMP_NUM_THREADS": "1",
            "PULLBACK_THREADS": "1",
        }
        settings["PYTHONPATH"] = str(ROOT)
        launcher = [sys.executable, "-m", "pullback.distributed.run", "--nproc-per-node", str(size)]
        subprocess.run([*launcher, __file__, "--rank", str(path)], env=settings, cwd=folder, check=True)
        return json.loads(path.read_text())


def ring(count: float, size: int, latency: float, bandwidth: float) -> float:
    """The least time of an all-reduce in a ring: each rank sends 2 (n - 1) / n of the bytes, in 2 (n - 1)
    messages.
    """
    return 2 * (size - 1) * latency + 2 * (size - 1) / size * count / bandwidth


def tables(one: Any, two: Any, latency: float, bandwidth: float, load: float) -> str:
    """The measurements and the model, as a page has them."""
    at = two["message"]
    lines = [
        f"Measured with {os.cpu_count()} processors and a load of {load:.1f} besides: a message between two "
        f"ranks takes {at['latency'] * 1e6:.0f} µs, and carries {at['bandwidth'] / 1e9:.2f} GB/s.",
        "",
        "| all-reduce, 2 ranks | bytes a rank sends at least | measured | the ring's bound | ratio |",
        "|---|---|---|---|---|",
    ]
    for count, seconds in two["reduce"]:
        bound = ring(count, 2, at["latency"], at["bandwidth"])
        row = f"| {count // 1024} KB | {count // 1024} KB | {seconds * 1e3:.3f} ms"
        lines.append(f"{row} | {bound * 1e3:.3f} ms | {seconds / bound:.2f} |")
    first, second = one["step"], two["step"]
    reduce = second["reduce"]
    carried = second["bytes"] / NETWORK
    hidden = min(1.0, max(0.0, 1 - (second["network"] - second["bare"]) / carried))
    scaling = first["alone"] / second["overlapped"]
    lines += [
        "",
        "| training step | time |",
        "|---|---|",
        f"| 1 rank | {first['alone'] * 1e3:.1f} ms |",
        f"| 2 ranks, gradients not reduced | {second['alone'] * 1e3:.1f} ms |",
        f"| 2 ranks, reduced while the backward pass runs | {second['overlapped'] * 1e3:.1f} ms |",
        f"| 2 ranks, reduced afterwards | {second['after'] * 1e3:.1f} ms |",
        f"| the reduction alone, {second['bytes'] / 1e6:.1f} MB | {reduce * 1e3:.1f} ms |",
        f"| 2 ranks, over the network that is imitated | {second['network'] * 1e3:.1f} ms |",
        f"| that network alone, {NETWORK / 1e9:.0f} GB/s | {carried * 1e3:.1f} ms |",
        "",
        f"Two ranks do {2 * scaling:.2f} times the work of one in the same time: a scaling of {scaling:.2f}.",
        "The copies of a reduction are made by the processors that compute, so on one machine it is not",
        f"hidden; of a network's time the backward pass hides {hidden:.0%}.",
        "",
        f"The model, with {latency * 1e6:.0f} µs and {bandwidth / 1e9:.2f} GB/s:",
        "",
        "| ranks | bytes a rank sends | a step | of it communication | scaling |",
        "|---|---|---|---|---|",
    ]
    for size in (1, 2, 8, 64, 1024):
        passed = ring(second["bytes"], size, latency * second["buckets"], bandwidth)
        shown = max((1 - hidden) * passed, passed - 2 / 3 * first["alone"])
        total = first["alone"] + shown
        sent = 2 * (size - 1) / size * second["bytes"] / 1e6
        share, scaling = shown / total, first["alone"] / total
        lines.append(f"| {size} | {sent:.1f} MB | {total * 1e3:.1f} ms | {share:.0%} | {scaling:.2f} |")
    return "\n".join(lines)


def main() -> None:
    """Measures, prints and writes."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rank", help=argparse.SUPPRESS)
    parser.add_argument("--write", type=Path, help="the page whose tables are made anew")
    parser.add_argument("--latency", type=float, help="microseconds of a message, for the model")
    parser.add_argument("--bandwidth", type=float, help="GB a second of a message, for the model")
    options = parser.parse_args()
    if options.rank:
        rank_main(options.rank)
        return
    load = os.getloadavg()[0]
    one, two = world(1), world(2)
    latency = two["message"]["latency"] if options.latency is None else options.latency / 1e6
    bandwidth = two["message"]["bandwidth"] if options.bandwidth is None else options.bandwidth * 1e9
    text = tables(one, two, latency, bandwidth, load)
    print(text)
    if options.write:
        page = options.write.read_text()
        head, _, rest = page.partition(BEGIN)
        options.write.write_text(f"{head}{BEGIN}\n\n{text}\n\n{END}{rest.partition(END)[2]}")


if __name__ == "__main__":
    main()
