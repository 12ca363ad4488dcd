"""`torch.multiprocessing`: tensors that several processes have, and processes whose errors are raised."""

import os
import signal
import sys

import pytest
from library import pullback_only, run_python, torch

mp = torch.multiprocessing

pytestmark = pytest.mark.skipif(
    not hasattr(os, "memfd_create"), reason="memory is shared by files without names"
)


def write(index, tensor, amount=1):
    tensor[index] = index + amount


def put(queue, back):
    x = queue.get()
    x += 1
    back.put(x)
    back.put([torch.arange(3), "text"])
    queue.get()


def raises(index):
    if index == 1:
        raise ValueError("what is wrong")


def leaves(index):
    if index == 1:
        sys.exit(3)


def dies(index):
    if index == 1:
        os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_tensors_are_shared_with_processes(method):
    context = mp.get_context(method)
    x = torch.zeros(3).share_memory_()
    assert x.is_shared()
    process = context.Process(target=write, args=(1, x))
    process.start()
    process.join()
    assert process.exitcode == 0 and x.tolist() == [0.0, 2.0, 0.0]


def test_tensors_are_shared_through_queues():
    context = mp.get_context("fork")
    queue, back = context.Queue(), context.Queue()
    process = context.Process(target=put, args=(queue, back))
    process.start()
    x = torch.zeros(2, 2)
    queue.put(x)
    again, (numbers, text) = back.get(), back.get()
    queue.put(None)
    process.join()
    assert again.tolist() == x.tolist() == [[1.0, 1.0], [1.0, 1.0]]
    again[0, 0] = 5
    assert x[0, 0] == 5 and numbers.tolist() == [0, 1, 2] and text == "text"


def test_what_is_sent_of_a_tensor():
    queue = mp.Queue()
    kinds = [
        torch.arange(6.0).reshape(2, 3).t(),
        torch.ones(2, requires_grad=True),
        torch.nn.Parameter(torch.ones(2)),
    ]
    kinds += [torch.ones(2, dtype=torch.bfloat16), torch.empty(0, 3), torch.tensor(3)]
    for x in kinds:
        queue.put(x)
        y = queue.get()
        assert (
            type(y) is type(x)
            and y.dtype == x.dtype
            and y.stride() == x.stride()
            and y.tolist() == x.tolist()
        )
        assert y.requires_grad == x.requires_grad


def test_spawned_processes():
    x = torch.zeros(3)
    mp.spawn(write, (x,), nprocs=3)
    assert x.tolist() == [1.0, 2.0, 3.0] and x.is_shared()
    context = mp.start_processes(write, (x, 5), nprocs=2, join=False, start_method="fork")
    assert len(context.pids()) == 2
    while not context.join():
        pass
    assert x.tolist() == [5.0, 6.0, 3.0]


@pytest.mark.parametrize("function", [raises, leaves, dies])
def test_processes_that_fail(function):
    with pytest.raises((mp.ProcessRaisedException, mp.ProcessExitedException)) as found:
        mp.start_processes(function, nprocs=2, start_method="fork")
    error = found.value
    assert error.error_index == 1
    if function is raises:
        assert str(error).startswith("\n\n-- Process 1 terminated with the following error:\nTraceback")
        assert "ValueError: what is wrong" in str(error)
    elif function is leaves:
        assert str(error) == "process 1 terminated with exit code 3" and error.exit_code == 3
    else:
        assert str(error) == "process 1 terminated with signal SIGKILL" and error.signal_name == "SIGKILL"


def test_the_names_of_multiprocessing_are_here():
    for name in (
        "Process",
        "Queue",
        "Pool",
        "Lock",
        "get_context",
        "set_start_method",
        "cpu_count",
        "Manager",
    ):
        assert callable(getattr(mp, name))
    assert mp.get_sharing_strategy() in mp.get_all_sharing_strategies()
    mp.set_sharing_strategy("file_system")
    mp.set_sharing_strategy("file_descriptor")
    with pytest.raises(AssertionError, match="invalid sharing strategy 'x', expected one of"):
        mp.set_sharing_strategy("x")


@pytest.mark.slow
@pullback_only("the launcher is Pullback's")
def test_under_the_launcher_torch_is_pullback_in_new_interpreters(tmp_path):
    program = tmp_path / "program.py"
    program.write_text("""
import torch
import torch.multiprocessing as mp
from torch.utils.data import DataLoader

def f(index, x):
    assert torch.Tensor is type(x)
    x[index] = 1

if __name__ == "__main__":
    x = torch.zeros(2)
    mp.spawn(f, (x,), nprocs=2)
    loader = DataLoader(range(4), 2, num_workers=1, multiprocessing_context="spawn")
    print(x.tolist(), [batch.tolist() for batch in loader])
""")
    done = run_python("-m", "pullback", program)
    assert done.stdout == "[1.0, 1.0] [[0, 1], [2, 3]]\n", done.stderr
