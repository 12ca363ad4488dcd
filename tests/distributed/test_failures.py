"""Ranks that die, hang or leave: the others end with an error that names them, and soon."""

import os
import re
import shutil
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest
from library import ON_TORCH, run_python, torch

with_mpi = pytest.mark.skipif(find_spec("mpi4py") is None, reason="mpi4py is not installed")
pytestmark = pytest.mark.skipif(ON_TORCH, reason="PyTorch's wheels are built without MPI")

PROGRAM = """
import datetime, os, signal, sys, time
import torch, torch.distributed as dist
from torch.distributed import checkpoint

what, folder = sys.argv[1:]
dist.init_process_group("gloo", timeout=datetime.timedelta(seconds=3))
rank = dist.get_rank()
x = torch.full((4,), float(rank))
checkpoint.save({"x": x}, checkpoint_id=folder)
if rank == 1:
    if what == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "raises":
        raise ValueError("of rank one")
    if what == "leaves":
        sys.exit(0)
    if what == "hangs":
        time.sleep(60)
if what == "monitored":
    if rank == 1:
        time.sleep(60)
    dist.monitored_barrier(timeout=datetime.timedelta(seconds=1))
try:
    dist.all_reduce(x)
except RuntimeError as error:
    print("told:", error, flush=True)
    raise
print("the end", flush=True)
"""


def ranks(program, count, *arguments, launcher=(), **options):
    """Runs a program by the launcher."""
    begin = ["-m", "pullback.distributed.run", "--nproc-per-node", count, *launcher]
    return run_python(*begin, program, *arguments, **options)


@pytest.fixture
def program(tmp_path):
    file = tmp_path / "program.py"
    file.write_text(PROGRAM)
    return file


@with_mpi
@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("killed", "rank 1 has ended"),
        ("raises", "rank 1 has ended"),
        ("leaves", "rank 1 has left the program"),
        ("hangs", "rank 1 did not take part"),
        ("monitored", "Rank 1 failed to pass monitoredBarrier in 1000 ms"),
    ],
)
def test_the_rank_is_named(program, tmp_path, what, words):
    start = time.monotonic()
    done = ranks(program, 3, what, tmp_path / "saved", timeout=60)
    output = done.stdout + done.stderr
    assert done.returncode == 1 and words in output, output
    assert "the end" not in output and time.monotonic() - start < 50
    assert re.search(r"FAILED\n  rank \d", output)
    if what == "killed":
        assert re.search(r"rank 1 .*signal 9 \(SIGKILL\)", output)
    if what == "raises":
        assert "[rank1]: ValueError: of rank one" in output
    found = {"x": torch.zeros(4)}  # what was saved before is whole
    torch.distributed.checkpoint.load(found, checkpoint_id=tmp_path / "saved")
    assert found["x"].eq(found["x"][0]).all()


@with_mpi
@pytest.mark.skipif(shutil.which("mpiexec") is None, reason="there is no mpiexec")
def test_by_mpiexec(program, tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(Path(torch.__file__).resolve().parents[1])}
    command = ["mpiexec", "-n", "2", sys.executable, "-m", "pullback", str(program)]
    for what, good in (("nothing", True), ("killed", False)):
        done = subprocess.run(
            [*command, what, str(tmp_path / "saved")],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (done.returncode == 0) is good, done.stdout + done.stderr
        assert done.stdout.count("the end") == 2 * good


SPAWNED = """
import os, sys
import torch, torch.distributed as dist, torch.multiprocessing as mp

def main(rank, how):
    if how.startswith("env"):
        os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=how[4:])
        dist.init_process_group("gloo", rank=rank, world_size=2)
    else:
        dist.init_process_group("gloo", init_method=how, rank=rank, world_size=2)
    x = torch.ones(2) * (rank + 1)
    dist.all_reduce(x)
    assert x.tolist() == [3, 3] and os.environ.get("PMI_FD") is None
    dist.destroy_process_group()

if __name__ == "__main__":
    mp.spawn(main, args=(sys.argv[1],), nprocs=2)
    print("the end")
"""


@with_mpi
@pytest.mark.parametrize("how", ["env", "tcp", "file"])
def test_processes_that_the_program_starts(tmp_path, how):
    file = tmp_path / "program.py"
    file.write_text(SPAWNED)
    port = free_port()
    method = {"env": f"env:{port}", "tcp": f"tcp://127.0.0.1:{port}", "file": f"file://{tmp_path}/meeting"}[
        how
    ]
    done = run_python("-m", "pullback", file, method, timeout=60)
    assert done.stdout == "the end\n", done.stderr


def free_port():
    import socket

    with socket.socket() as found:
        found.bind(("", 0))
        return found.getsockname()[1]


@with_mpi
def test_the_launcher(tmp_path):
    file = tmp_path / "program.py"
    file.write_text(
        "import os, sys\n"
        "names = 'RANK LOCAL_RANK WORLD_SIZE LOCAL_WORLD_SIZE GROUP_RANK'.split()\n"
        "names.append('TORCHELASTIC_RESTART_COUNT')\n"
        "print(*[os.environ[n] for n in names], sys.argv[1:], flush=True)\n"
        "sys.exit(os.environ['TORCHELASTIC_RESTART_COUNT'] == '0' and os.environ['RANK'] == '1')\n"
    )
    logs = tmp_path / "logs"
    more = ["--max-restarts=1", "--tee", "1", f"--log_dir={logs}", "--rdzv_id=job", "--standalone"]
    done = ranks(file, 2, "--steps", "3", launcher=more)
    assert done.returncode == 0, done.stderr
    lines = sorted(done.stdout.splitlines())
    assert lines[1] == "[default0]:0 0 2 2 0 1 ['--steps', '3']"
    assert lines[3] == "[default1]:1 1 2 2 0 1 ['--steps', '3']"
    assert "starting all ranks again: 1 of 1" in done.stderr and "exit code 1" in done.stderr
    assert (logs / "job" / "attempt_1" / "1" / "stdout.log").read_text().startswith("1 1 2 2 0 1")


def test_a_world_of_one_needs_no_mpi():
    dist = torch.distributed
    assert dist.is_available() and not dist.is_initialized()
    with pytest.raises(ValueError, match="Default process group has not been initialized"):
        dist.get_rank()
    with pytest.raises(RuntimeError, match="Distributed package doesn't have NCCL built in"):
        dist.init_process_group("nccl", rank=0, world_size=1)
    with pytest.raises(AssertionError, match="Unknown backend type foo"):
        dist.init_process_group("foo", rank=0, world_size=1)
    with pytest.raises(RuntimeError, match="No rendezvous handler for foo://"):
        dist.init_process_group("gloo", init_method="foo://x", rank=0, world_size=1)
    dist.init_process_group("gloo", rank=0, world_size=1, store=dist.HashStore())
    try:
        x = torch.ones(3)
        dist.all_reduce(x)
        out = [torch.zeros(3)]
        dist.all_gather(out, x)
        assert out[0].tolist() == [1, 1, 1] and dist.get_world_size() == 1
        model = torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(3, 1))
        model(x).sum().backward()
        assert model.module.weight.grad.tolist() == [[1, 1, 1]]
        assert "mpi4py.MPI" not in sys.modules
    finally:
        dist.destroy_process_group()
    assert not dist.is_initialized()


def test_stores(tmp_path):
    import datetime
    import threading

    dist = torch.distributed
    tcp = dist.TCPStore("127.0.0.1", 0, 1, True, datetime.timedelta(seconds=1))
    other = dist.TCPStore("127.0.0.1", tcp.port, None, False, datetime.timedelta(seconds=1))
    file = dist.FileStore(str(tmp_path / "store"), 2)
    again = dist.FileStore(str(tmp_path / "store"), 2)
    file.set_timeout(datetime.timedelta(seconds=0.2))
    hashed = dist.HashStore()
    hashed.set_timeout(datetime.timedelta(seconds=0.2))
    for one, two in ((tcp, other), (file, again), (hashed, hashed)):
        one.set("a", "1")
        assert two.get("a") == b"1" and two.check(["a"]) and not one.check(["a", "b"])
        assert [two.add("n", 2), one.add("n", 3)] == [2, 5]
        assert one.compare_set("a", "1", "2") == b"2" and two.compare_set("a", "1", "3") == b"2"
        two.append("l", "x")
        one.append("l", "y")
        assert two.get("l") == b"xy"
        below = dist.PrefixStore("p", one)
        below.set("a", b"\x00\xff")
        assert below.get("a") == b"\x00\xff" and two.get("p/a") == b"\x00\xff"
        assert two.num_keys() == 4 and one.delete_key("a") and not one.delete_key("a")
        with pytest.raises(dist.DistStoreError, match="wait timeout"):
            one.get("never")
        threading.Timer(0.05, two.set, ("later", "z")).start()
        assert one.get("later") == b"z"


@with_mpi
def test_a_killed_rank_in_training(tmp_path):
    """The last checkpoint of a program that is killed is what it goes on from."""
    file = tmp_path / "program.py"
    file.write_text(
        "import os, signal, sys\n"
        "import torch, torch.distributed as dist\n"
        "from torch.distributed import checkpoint\n"
        "dist.init_process_group()\n"
        "model = torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(2, 1))\n"
        "optimizer = torch.optim.SGD(model.parameters(), lr=0.1)\n"
        "state = {'model': model, 'optim': optimizer, 'step': 0}\n"
        "if os.path.exists(sys.argv[1] + '/.metadata'):\n"
        "    checkpoint.load(state, checkpoint_id=sys.argv[1])\n"
        "    sys.stdout.write(f'from {state[\"step\"]}\\n')\n"
        "first = os.environ['TORCHELASTIC_RESTART_COUNT'] == '0'\n"
        "for step in range(state['step'], 6):\n"
        "    if first and step == 4 and dist.get_rank() == 1:\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "    model(torch.ones(1, 2)).sum().backward()\n"
        "    optimizer.step()\n"
        "    optimizer.zero_grad()\n"
        "    state['step'] = step + 1\n"
        "    checkpoint.save(state, checkpoint_id=sys.argv[1])\n"
        "sys.stdout.write(f'done {state[\"step\"]}\\n')\n"
        "dist.destroy_process_group()\n"
    )
    done = ranks(file, 2, tmp_path / "saved", launcher=["--max-restarts", "1"], timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("from 4") == 2 and done.stdout.count("done 6") == 2, done.stdout
