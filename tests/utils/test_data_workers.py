"""DataLoaders with worker processes: what they deliver, and what is said when one fails."""

import os
import random
import signal
import time
import warnings

import numpy as np
import pytest
from library import ON_TORCH, pullback_only, run_python, torch

data = torch.utils.data

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="workers are forked here"),
    pytest.mark.filterwarnings("ignore:This DataLoader will create"),
]


class Drawn(data.Dataset):
    """Numbers, and random ones from each generator."""

    def __len__(self):
        return 10

    def __getitem__(self, index):
        return torch.tensor([index]), torch.rand(1), random.random(), np.random.rand()


class Stream(data.IterableDataset):
    """A stream of which each worker gives its part."""

    def __iter__(self):
        worker = data.get_worker_info()
        return iter(range(worker.id, 9, worker.num_workers))


class Large(data.Dataset):
    """Samples of many bytes."""

    def __len__(self):
        return 24

    def __getitem__(self, index):
        return torch.full((100, 100), float(index)), np.full(30000, index)


class Faulty(data.Dataset):
    """What goes wrong at index 5."""

    def __init__(self, fault):
        self.fault = fault

    def __len__(self):
        return 8

    def __getitem__(self, index):
        if index == 5:
            self.fault()
        return index


DRAWN = [0.7821398973464966, 0.6938178539276123, 0.1948593258857727, 0.2847197651863098]
"""By the workers of PyTorch, for the first sample of each batch."""

DRAWN_BY_NUMPY = [0.8371640508861415, 0.6702704958690073, 0.8134918136402494, 0.4706913401053915]


def told(batches):
    return [[part.tolist() for part in batch] for batch in batches]


def test_batches_and_random_numbers_are_those_of_pytorch():
    torch.manual_seed(0)
    found = told(data.DataLoader(Drawn(), 3, shuffle=True, num_workers=2))
    order = [index for batch in found for (index,) in batch[0]]
    assert order == [6, 7, 1, 4, 2, 0, 9, 8, 3, 5]
    assert [batch[1][0][0] for batch in found] == pytest.approx(DRAWN, abs=1e-6)
    assert [batch[3][0] for batch in found] == pytest.approx(DRAWN_BY_NUMPY, abs=1e-6)
    again = data.DataLoader(Drawn(), 3, shuffle=True, num_workers=2)
    torch.manual_seed(0)
    assert told(again) == found and told(again) != found


@pytest.mark.slow
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_ways_to_start_workers(method):
    torch.manual_seed(0)
    here = told(data.DataLoader(Drawn(), 3, shuffle=True, num_workers=2))
    torch.manual_seed(0)
    loader = data.DataLoader(Drawn(), 3, shuffle=True, num_workers=2, multiprocessing_context=method)
    assert told(loader) == here


def test_workers_that_live_on():
    torch.manual_seed(0)
    loader = data.DataLoader(Drawn(), 3, shuffle=True, num_workers=2, persistent_workers=True)
    first = told(loader)
    processes = [
        worker.process if hasattr(worker, "process") else worker for worker in loader._iterator._workers
    ]
    second = told(loader)
    assert [p.pid for p in processes] == [
        (w.process if hasattr(w, "process") else w).pid for w in loader._iterator._workers
    ]
    assert sorted(i for b in first for (i,) in b[0]) == sorted(i for b in second for (i,) in b[0])
    assert first != second
    next(iter(loader))  # an epoch that is left early
    assert len(told(loader)) == 4


def test_streams_are_parted():
    for workers in (1, 2):
        found = [batch.tolist() for batch in data.DataLoader(Stream(), 2, num_workers=workers)]
        assert sorted(number for batch in found for number in batch) == list(range(9))
    assert found == [[0, 2], [1, 3], [4, 6], [5, 7], [8]]


def test_large_samples_and_memory_that_is_used_again():
    kept = []
    for turn in range(3):
        for number, (x, y) in enumerate(data.DataLoader(Large(), 4, num_workers=2)):
            assert x.shape == (4, 100, 100) and x[:, 5, 5].tolist() == [4.0 * number + i for i in range(4)]
            assert y.shape == (4, 30000) and y[:, -1].tolist() == [4 * number + i for i in range(4)]
            if turn == 0:
                kept.append((x, y))
    for number, (x, y) in enumerate(kept):  # what is kept is not written to by later batches
        assert x[3].unique().tolist() == [4.0 * number + 3] and y[3].unique().tolist() == [4 * number + 3]


def test_batches_can_be_written_to():
    for x, y in data.DataLoader(Large(), 4, num_workers=1):
        x.add_(1)
        y[0] = 7
        assert y[0, 3] == 7
    for batch in data.DataLoader(range(4), 2, num_workers=1):
        batch += 1
        assert batch.tolist() in ([1, 2], [3, 4])


def test_other_batches():
    found = list(data.DataLoader(["a", "b", "c"], 2, num_workers=1))
    assert found == [["a", "b"], ["c"]]
    found = list(data.DataLoader(range(3), batch_size=None, num_workers=1))
    assert found == [0, 1, 2]
    (found,) = data.DataLoader(
        [{"x": torch.ones(2, dtype=torch.bfloat16), "y": 1j * torch.ones(1)}], num_workers=1
    )
    assert found["x"].dtype == torch.bfloat16 and found["y"].dtype == torch.complex64
    big = torch.zeros(10**6)
    found = list(data.DataLoader([big[3:5], big[:0], big[1::500000]], batch_size=None, num_workers=1))
    assert [part.shape[0] for part in found] == [2, 0, 2]


def init(worker):
    data.get_worker_info().dataset.fault = worker


class Told(data.Dataset):
    def __len__(self):
        return 4

    def __getitem__(self, index):
        info = data.get_worker_info()
        return info.id, info.num_workers, info.seed, info.dataset.fault, torch.get_num_threads()


def test_what_a_worker_knows():
    torch.manual_seed(0)
    seed = torch.empty((), dtype=torch.int64).random_().item()
    torch.manual_seed(0)
    found = list(data.DataLoader(Told(), batch_size=None, num_workers=2, worker_init_fn=init))
    rows = [tuple(int(part) for part in row) for row in found]
    assert rows == [(0, 2, seed, 0, 1), (1, 2, seed + 1, 1, 1)] * 2


def test_not_in_order():
    found = [batch.tolist() for batch in data.DataLoader(range(12), 2, num_workers=2, in_order=False)]
    assert sorted(found) == [[n, n + 1] for n in range(0, 12, 2)]


# ---------------------------------------------------------------------------------------- faults


def fail():
    raise ValueError("what is wrong")


class Odd(Exception):
    def __init__(self, one, two):
        super().__init__(one, two)


def fail_oddly():
    raise Odd(1, 2)


def fail_by_key():
    raise KeyError("gone")


@pytest.mark.parametrize(
    "fault, kind, words",
    [(fail, ValueError, "what is wrong"), (fail_by_key, KeyError, "gone"), (fail_oddly, RuntimeError, "Odd")],
)
def test_exceptions_of_a_worker(fault, kind, words):
    loader = iter(data.DataLoader(Faulty(fault), 2, num_workers=2))
    assert [next(loader).tolist() for _ in range(2)] == [[0, 1], [2, 3]]
    with pytest.raises(kind) as found:
        next(loader)
    text = str(found.value)
    assert text.startswith("Caught ") and "in DataLoader worker process 0.\nOriginal Traceback" in text
    assert words in text and fault.__name__ in text
    assert next(loader).tolist() == [6, 7]  # the others come all the same


def test_what_cannot_be_sent():
    class Local:
        pass

    loader = data.DataLoader([1], collate_fn=lambda batch: Local(), num_workers=1)
    if ON_TORCH:
        pytest.skip("PyTorch's worker waits for ever")
    with pytest.raises((AttributeError, TypeError), match=r"in DataLoader worker process 0"):
        list(loader)
    computed = data.DataLoader([torch.ones(1, requires_grad=True)], num_workers=1)
    with pytest.raises(
        RuntimeError, match="Cowardly refusing to serialize non-leaf tensor which requires_grad"
    ):
        list(computed)


def kill():
    os.kill(os.getpid(), signal.SIGKILL)


def leave():
    os._exit(3)


# PyTorch tells of a dead worker from a handler of SIGCHLD, which may raise inside of a finaliser.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning" if ON_TORCH else "error")
@pytest.mark.parametrize("fault", [kill, leave])
def test_a_worker_that_dies(fault):
    begin = time.monotonic()
    with pytest.raises(RuntimeError, match=r"DataLoader worker \(pid") as found:
        list(data.DataLoader(Faulty(fault), 2, num_workers=2))
    if ON_TORCH:
        return  # it waits for its workers before it tells, and not of signals
    assert time.monotonic() - begin < 20
    if fault is kill:
        assert "is killed by signal: Killed" in str(found.value.__cause__)


def sleep():
    time.sleep(30)


def test_a_batch_that_takes_too_long():
    with pytest.raises(RuntimeError, match=r"DataLoader timed out after 0.5 seconds"):
        list(data.DataLoader(Faulty(sleep), 2, num_workers=1, timeout=0.5))


def bad_init(worker):
    raise ValueError("no start")


def test_an_init_function_that_fails():
    with pytest.raises(ValueError, match="no start"):
        list(data.DataLoader(range(4), num_workers=1, worker_init_fn=bad_init))


@pullback_only("PyTorch's workers take longer to notice")
def test_no_worker_is_left(tmp_path):
    """Neither after a loop that is left, nor after an interrupt, nor when the parent is killed."""
    program = tmp_path / "program.py"
    program.write_text(f"""
import os, signal, sys, time
import {torch.__name__} as torch
from {torch.__name__}.utils.data import DataLoader
how = sys.argv[1]
loader = iter(DataLoader(range(1000), 2, num_workers=2))
next(loader)
print(*[worker.process.pid for worker in loader._workers], flush=True)
if how == "interrupt":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(5)
elif how == "kill":
    os.kill(os.getpid(), signal.SIGKILL)
elif how == "delete":
    pids = [worker.process.pid for worker in loader._workers]
    del loader
    for pid in pids:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            continue
        print("left")
""")
    for how in ("leave", "delete", "interrupt", "kill"):
        done = run_python(program, how)
        pids = list(map(int, done.stdout.split()))
        assert len(pids) == 2
        deadline = time.monotonic() + 10
        while any(os.path.exists(f"/proc/{pid}") for pid in pids) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not any(os.path.exists(f"/proc/{pid}") for pid in pids), how
        if how == "interrupt":
            assert done.stderr.strip().endswith("KeyboardInterrupt")
            assert done.stderr.count("Traceback") == 1


def test_more_workers_than_processors_is_told():
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        data.DataLoader([1], num_workers=1000)
    assert "This DataLoader will create 1000 worker processes in total" in str(seen[0].message)
