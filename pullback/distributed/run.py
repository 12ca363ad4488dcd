"""Starts a program as the ranks of a world: `python -m pullback.distributed.run --nproc-per-node 4 train.py`.

It takes torchrun's arguments and sets torchrun's variables: RANK, LOCAL_RANK, WORLD_SIZE, LOCAL_WORLD_SIZE,
GROUP_RANK, MASTER_ADDR, MASTER_PORT. The program's `import torch` imports Pullback. With an MPI library of
MPICH's kind it starts the processes itself and they meet by MASTER_ADDR; with another it starts `mpiexec`.
When a rank ends by an error the others are ended too, and the error says which rank it was.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

from pullback.distributed.errors import DistNetworkError
from pullback.distributed.stores import TCPStore

GRACE, KILL = 3.0, 5.0
"""Seconds that ranks have to end by themselves after one has failed, and after they were asked to."""


class ChildFailedError(RuntimeError):
    """A rank has failed. `failures` are its rank, its local rank, its process and its status."""

    def __init__(self, name: str, failures: Sequence[tuple[int, int, int, int]]) -> None:
        self.name, self.failures = name, list(failures)
        lines = [f"{name} FAILED"]
        for rank, local, pid, status in failures:
            how = (
                f"signal {-status} ({signal.Signals(-status).name})" if status < 0 else f"exit code {status}"
            )
            lines.append(
                f"  rank {rank} (local_rank: {local}, pid: {pid}, host: {socket.gethostname()}): {how}"
            )
        super().__init__("\n".join(lines))


def get_args_parser() -> argparse.ArgumentParser:
    """The parser of the command line; names may have dashes or underscores."""
    parser = argparse.ArgumentParser(prog="python -m pullback.distributed.run", description=__doc__)

    def add(name: str, *short: str, **more: Any) -> None:
        under = [name.replace("-", "_").replace("__", "--", 1)] if "-" in name[2:] else []
        parser.add_argument(*short, name, *under, **more)

    add("--nnodes", default="1:1", help="number of machines, or lowest:highest")
    add("--nproc-per-node", default="1", help="processes on this machine: a number, cpu or auto")
    add("--node-rank", type=int, default=None, help="the number of this machine")
    add("--master-addr", default=None, help="the address of machine 0")
    add("--master-port", type=int, default=None, help="the port at which ranks meet")
    add("--rdzv-endpoint", default="", help="host:port at which machines meet, in place of the three above")
    add("--rdzv-backend", default="static")
    add("--rdzv-id", default="none")
    add("--rdzv-conf", default="")
    add("--standalone", action="store_true", help="one machine, at any free port")
    add("--max-restarts", type=int, default=0, help="how often to start all again after a failure")
    add("--monitor-interval", type=float, default=0.1, help="seconds between looks at the processes")
    add("--start-method", default="spawn", choices=["spawn", "fork", "forkserver"])
    add("--role", default="default")
    add("--module", "-m", action="store_true", help="the program is a module")
    add("--no-python", action="store_true", help="the program is no Python program")
    add("--run-path", action="store_true")
    add("--log-dir", default=None, help="where the files of --redirects and --tee are")
    add(
        "--redirects",
        "-r",
        default="0",
        help="1 output, 2 errors, 3 both: into files; or local_rank:number,...",
    )
    add("--tee", "-t", default="0", help="the same, and to the console too")
    add("--local-ranks-filter", default="", help="the local ranks whose output is shown")
    add("--local-addr", default=None)
    add("--logs-specs", default=None)
    add("--numa-binding", default=None)
    add("--event-log-handler", default="null")
    add("--signals-to-handle", default="SIGTERM,SIGINT,SIGHUP,SIGQUIT")
    add("--virtual-local-rank", action="store_true")
    parser.add_argument("training_script", help="the program")
    parser.add_argument("training_script_args", nargs=argparse.REMAINDER, help="its arguments")
    return parser


def parse_args(args: Sequence[str] | None = None) -> argparse.Namespace:
    """The arguments of a command line."""
    return get_args_parser().parse_args(args)


def _count(text: str) -> int:
    if text in ("auto", "cpu"):
        return os.cpu_count() or 1
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"Unsupported nproc_per_node value: {text}") from None


def _per_rank(text: str, count: int) -> list[int]:
    """The numbers that `-r 3` or `-r 0:1,1:2` give each local rank."""
    if ":" not in text:
        return [int(text)] * count
    given = dict(pair.split(":") for pair in text.split(","))
    return [int(given.get(str(rank), 0)) for rank in range(count)]


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("", 0))
        port: int = found.getsockname()[1]
        return port


def _machines(options: argparse.Namespace) -> tuple[int, int, str, int]:
    """How many machines there are, which one this is, and where rank 0 is to be met."""
    nodes = int(options.nnodes.rpartition(":")[2])
    if nodes == 1:
        return 1, 0, options.master_addr or "127.0.0.1", options.master_port or _free_port()
    if options.rdzv_endpoint and options.node_rank is None:
        host, _, port = options.rdzv_endpoint.partition(":")
        try:
            store = TCPStore(host, int(port or 29400), nodes, True, wait_for_workers=False)
        except DistNetworkError:
            store = TCPStore(host, int(port or 29400), nodes, False, wait_for_workers=False)
        place = store.add(f"{options.rdzv_id}/machines", 1) - 1
        if place == 0:
            store.set(f"{options.rdzv_id}/port", str(_free_port()))
        options.held = store
        return nodes, place, host, int(store.get(f"{options.rdzv_id}/port"))
    if options.node_rank is None:
        raise ValueError("several machines need --node-rank, or --rdzv-endpoint")
    host = options.master_addr or options.rdzv_endpoint.partition(":")[0] or "127.0.0.1"
    port = options.master_port or int(options.rdzv_endpoint.partition(":")[2] or 29500)
    return nodes, options.node_rank, host, port


def _command(options: argparse.Namespace) -> list[str]:
    """The command of one rank."""
    program = [options.training_script, *options.training_script_args]
    if options.no_python:
        return program
    return [sys.executable, "-u", "-m", "pullback", *(["-m"] if options.module else []), *program]


def _starts_by_itself() -> bool:
    """Whether processes become ranks without MPI's starter: with libraries of MPICH's kind."""
    try:
        import mpi4py
    except ImportError:
        return True  # one rank needs none; several say so themselves
    mpi4py.rc.initialize = False
    from mpi4py import MPI

    return MPI.get_vendor()[0] in ("MPICH", "Intel MPI", "MVAPICH", "MVAPICH2")


class _Ranks:
    """The processes of this machine, in one attempt."""

    def __init__(self, options: argparse.Namespace, count: int, attempt: int, run_id: str) -> None:
        nodes, node, host, port = _machines(options)
        self.first = node * count
        self.processes: list[subprocess.Popen[bytes]] = []
        self.copies: list[threading.Thread] = []
        shown = {int(r) for r in options.local_ranks_filter.split(",") if r} or set(range(count))
        redirects, tees = _per_rank(options.redirects, count), _per_rank(options.tee, count)
        for local in range(count):
            environment = dict(
                os.environ,
                RANK=str(self.first + local),
                LOCAL_RANK=str(local),
                WORLD_SIZE=str(nodes * count),
                LOCAL_WORLD_SIZE=str(count),
                GROUP_RANK=str(node),
                GROUP_WORLD_SIZE=str(nodes),
                ROLE_RANK=str(self.first + local),
                ROLE_WORLD_SIZE=str(nodes * count),
                ROLE_NAME=options.role,
                MASTER_ADDR=host,
                MASTER_PORT=str(port),
                TORCHELASTIC_RESTART_COUNT=str(attempt),
                TORCHELASTIC_MAX_RESTARTS=str(options.max_restarts),
                TORCHELASTIC_RUN_ID=run_id,
            )
            environment["PYTHONPATH"] = _with_this_package(environment)
            if count > 1:
                environment.setdefault("OMP_NUM_THREADS", "1")
            streams: list[Any] = [None, None]
            files: list[BinaryIO | None] = [None, None]
            for i, name in enumerate(("stdout", "stderr")):
                wanted = (redirects[local] | tees[local]) >> i & 1
                if wanted:
                    folder = Path(
                        options.log_dir or "torchrun_logs", run_id, f"attempt_{attempt}", str(local)
                    )
                    folder.mkdir(parents=True, exist_ok=True)
                    files[i] = open(folder / f"{name}.log", "wb")  # noqa: SIM115
                    streams[i] = subprocess.PIPE if tees[local] >> i & 1 else files[i]
                elif local not in shown:
                    streams[i] = subprocess.DEVNULL
            process = subprocess.Popen(
                _command(options), env=environment, stdout=streams[0], stderr=streams[1]
            )
            self.processes.append(process)
            for source, file, sink in zip(
                (process.stdout, process.stderr), files, (sys.stdout.buffer, sys.stderr.buffer), strict=True
            ):
                if source is not None and file is not None:
                    prefix = f"[{options.role}{local}]:".encode()
                    copy = threading.Thread(target=_copy, args=(source, file, sink, prefix), daemon=True)
                    copy.start()
                    self.copies.append(copy)

    def watch(self, interval: float) -> list[tuple[int, int, int, int]]:
        """Waits until all have ended; the first failures, after which the others are ended too."""
        failed: list[tuple[int, int, int, int]] = []
        since = 0.0
        while any(process.poll() is None for process in self.processes):
            if not failed:
                failed = self.failures()
                since = time.monotonic()
            elif time.monotonic() - since > GRACE:
                self.end()
            time.sleep(interval)
        for copy in self.copies:
            copy.join()
        return failed or self.failures()

    def failures(self) -> list[tuple[int, int, int, int]]:
        """Those that have failed: rank, local rank, process and status."""
        ended = [(i, process, process.poll()) for i, process in enumerate(self.processes)]
        return [(self.first + i, i, process.pid, status) for i, process, status in ended if status]

    def end(self) -> None:
        """Ends what still runs."""
        for process in self.processes:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
        until = time.monotonic() + KILL
        for process in self.processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, until - time.monotonic()))
            if process.poll() is None:
                process.kill()


def _copy(source: Any, file: BinaryIO, sink: Any, prefix: bytes) -> None:
    with file:
        for line in source:
            file.write(line)
            file.flush()
            sink.write(prefix + line)
            sink.flush()


def _with_this_package(environment: dict[str, str]) -> str:
    """The PYTHONPATH with which a process imports this same package."""
    place = str(Path(__file__).resolve().parents[2])
    others = [p for p in environment.get("PYTHONPATH", "").split(os.pathsep) if p and p != place]
    return os.pathsep.join([*others, place])


def _by_mpiexec(options: argparse.Namespace, count: int) -> int:
    """Runs the ranks by the MPI library's own starter; its status."""
    starter = shutil.which("mpiexec")
    if starter is None:
        raise RuntimeError("this MPI library needs its mpiexec, which is not there")
    if int(options.nnodes.rpartition(":")[2]) > 1:
        raise ValueError("with this MPI library start several machines by its mpiexec")
    environment = dict(os.environ, PYTHONPATH=_with_this_package(dict(os.environ)))
    environment.setdefault("OMP_NUM_THREADS", "1")
    return subprocess.run(
        [starter, "-n", str(count), *_command(options)], env=environment, check=False
    ).returncode


def run(args: argparse.Namespace) -> None:
    """Runs the ranks of this machine until they end. ChildFailedError if one fails."""
    count = _count(str(args.nproc_per_node))
    if not _starts_by_itself():
        status = _by_mpiexec(args, count)
        if status:
            raise SystemExit(status)
        return
    run_id = args.rdzv_id if args.rdzv_id != "none" else uuid.uuid4().hex[:12]
    for attempt in range(args.max_restarts + 1):
        ranks = _Ranks(args, count, attempt, run_id)
        before = {
            number: signal.signal(number, lambda *_: _interrupted())
            for number in (signal.SIGTERM, signal.SIGINT)
        }
        try:
            failures = ranks.watch(args.monitor_interval)
        finally:
            ranks.end()
            for number, handler in before.items():
                signal.signal(number, handler)
        if not failures:
            return
        error = ChildFailedError(args.training_script, failures)
        if attempt < args.max_restarts:
            print(f"{error}\nstarting all ranks again: {attempt + 1} of {args.max_restarts}", file=sys.stderr)
    raise error


def _interrupted() -> None:
    raise KeyboardInterrupt


def main(args: Sequence[str] | None = None) -> None:
    """Runs a command line."""
    try:
        run(parse_args(args))
    except ChildFailedError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
