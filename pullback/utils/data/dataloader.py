"""`DataLoader`: batches of a data set, read in this process or by worker processes.

`DataLoader` checks its arguments and knows the order; an iterator of one of two classes does the work. A
worker has a connection of its own. It is sent the numbers of batches and their indices, `prefetch_factor`
ahead, and answers in that order; messages.py says how batches travel.
"""

from __future__ import annotations

import os
import pickle
import signal
import time
import warnings
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from multiprocessing import connection as connections
from multiprocessing.context import BaseContext
from typing import Any, Generic, TypeVar, cast

from pullback import multiprocessing
from pullback.core import _engine
from pullback.face.absent import getter
from pullback.kernels.random.generators import Generator
from pullback.utils.data._utils.collate import default_collate, default_convert
from pullback.utils.data._utils.fetch import fetcher
from pullback.utils.data._utils.messages import Receiver
from pullback.utils.data._utils.pipes import Part, prepared
from pullback.utils.data._utils.worker import (
    ENDS,
    MP_STATUS_CHECK_INTERVAL,
    Ended,
    ExceptionWrapper,
    Resume,
    Task,
    get_worker_info,
    work,
)
from pullback.utils.data.datapipes.datapipe import IterDataPipe
from pullback.utils.data.dataset import Dataset, IterableDataset
from pullback.utils.data.graph_settings import apply_shuffle_settings
from pullback.utils.data.sampler import (
    BatchSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
    random_seed,
)

__all__ = ["DataLoader", "default_collate", "default_convert", "get_worker_info"]

T_co = TypeVar("T_co", covariant=True)

ROOM = 1 << 15  # bytes of messages that a worker may have waiting: they fit in any pipe


class _DatasetKind:
    """The two kinds of data sets."""

    Map = 0
    Iterable = 1


class _InfiniteConstantSampler(Sampler[None]):
    """The sampler of an iterable data set: it gives None for ever."""

    def __iter__(self) -> Iterator[None]:
        while True:
            yield None


class DataLoader(Generic[T_co]):
    """Batches of a data set: an iterable, each pass over which is an epoch.

    `shuffle` or a `sampler` says in which order, `batch_sampler` also which samples make a batch;
    `batch_size=None` gives single samples. `collate_fn` makes a batch of a list of samples. With
    `num_workers` the data set is read by as many processes, `prefetch_factor` batches ahead each, in
    `in_order`; `persistent_workers` live on for the next epoch. `generator` gives the shuffles and the seeds
    of the workers, where worker w has base seed + w. A batch that takes longer than `timeout` seconds, and
    a worker that dies, is a RuntimeError. `pin_memory` is accepted.

    >>> import pullback as torch
    >>> data = torch.utils.data.TensorDataset(torch.arange(5.0))
    >>> for (batch,) in torch.utils.data.DataLoader(data, batch_size=2):
    ...     print(batch)
    tensor([0., 1.])
    tensor([2., 3.])
    tensor([4.])
    """

    dataset: Dataset[T_co]
    batch_size: int | None
    num_workers: int
    sampler: Any
    _iterator: Any = None
    __initialized = False

    def __init__(
        self,
        dataset: Dataset[T_co],
        batch_size: int | None = 1,
        shuffle: bool | None = None,
        sampler: Sampler[Any] | Iterable[Any] | None = None,
        batch_sampler: Sampler[list[Any]] | Iterable[list[Any]] | None = None,
        num_workers: int = 0,
        collate_fn: Callable[[Any], Any] | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn: Callable[[int], Any] | None = None,
        multiprocessing_context: Any = None,
        generator: Generator | None = None,
        *,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
        pin_memory_device: str = "",
        in_order: bool = True,
    ) -> None:
        _check_workers(num_workers, timeout, prefetch_factor, persistent_workers)
        pipe = isinstance(dataset, IterDataPipe)
        self.dataset = apply_shuffle_settings(dataset, shuffle) if pipe else dataset
        self.num_workers = num_workers
        self.prefetch_factor = 2 if num_workers and prefetch_factor is None else prefetch_factor
        self.pin_memory = pin_memory
        self.pin_memory_device = pin_memory_device
        self.timeout = timeout
        self.worker_init_fn = worker_init_fn
        self.multiprocessing_context = multiprocessing_context
        self.in_order = in_order
        iterable = isinstance(dataset, IterableDataset)
        self._dataset_kind = _DatasetKind.Iterable if iterable else _DatasetKind.Map
        if iterable:
            for name, value in (
                ("shuffle", None if pipe else shuffle or None),
                ("sampler", sampler),
                ("batch_sampler", batch_sampler),
            ):
                if value is not None:
                    raise ValueError(
                        f"DataLoader with IterableDataset: expected unspecified {name} option, but got "
                        f"{name}={value}"
                    )
        shuffle = bool(shuffle) and not pipe
        if sampler is not None and shuffle:
            raise ValueError("sampler option is mutually exclusive with shuffle")
        if batch_sampler is not None:
            if batch_size != 1 or shuffle or sampler is not None or drop_last:
                raise ValueError(
                    "batch_sampler option is mutually exclusive with batch_size, shuffle, sampler, and "
                    "drop_last"
                )
            batch_size, drop_last = None, False
        elif batch_size is None and drop_last:
            raise ValueError(
                "batch_size=None option disables auto-batching and is mutually exclusive with drop_last"
            )
        if sampler is None:
            if iterable:
                sampler = _InfiniteConstantSampler()
            elif shuffle:
                sampler = RandomSampler(dataset, generator=generator)
            else:
                sampler = SequentialSampler(dataset)
        if batch_size is not None and batch_sampler is None:
            batch_sampler = BatchSampler(cast(Any, sampler), batch_size, drop_last)
        self.batch_size = batch_size
        self.drop_last = drop_last
        self.sampler = sampler
        self.batch_sampler = batch_sampler
        self.generator = generator
        if collate_fn is None:
            collate_fn = default_collate if self._auto_collation else default_convert
        self.collate_fn = collate_fn
        self.persistent_workers = persistent_workers
        self.__initialized = True
        self._IterableDataset_len_called: int | None = None
        self.check_worker_number_rationality()

    @property
    def multiprocessing_context(self) -> Any:
        """How workers are started: a context of `multiprocessing`, None for the usual one."""
        return self.__context

    @multiprocessing_context.setter
    def multiprocessing_context(self, context: Any) -> None:
        if context is not None:
            if not self.num_workers:
                raise ValueError(
                    "multiprocessing_context can only be used with multi-process loading (num_workers > 0), "
                    f"but got num_workers={self.num_workers}"
                )
            if isinstance(context, str):
                known = multiprocessing.get_all_start_methods()
                if context not in known:
                    raise ValueError(
                        f"multiprocessing_context option should specify a valid start method in {known!r}, "
                        f"but got multiprocessing_context={context!r}"
                    )
                context = multiprocessing.get_context(context)
            if not isinstance(context, BaseContext):
                raise TypeError(
                    "multiprocessing_context option should be a valid context object or a string specifying "
                    f"the start method, but got multiprocessing_context={context}"
                )
        self.__context = context

    def __setattr__(self, name: str, value: Any) -> None:
        fixed = ("batch_size", "batch_sampler", "sampler", "drop_last", "dataset", "persistent_workers")
        if self.__initialized and name in fixed:
            raise ValueError(f"{name} attribute should not be set after {type(self).__name__} is initialized")
        super().__setattr__(name, value)

    @property
    def _auto_collation(self) -> bool:
        return self.batch_sampler is not None

    @property
    def _index_sampler(self) -> Any:
        return self.batch_sampler if self._auto_collation else self.sampler

    def _get_iterator(self) -> _BaseDataLoaderIter:
        kind = _MultiProcessingDataLoaderIter if self.num_workers else _SingleProcessDataLoaderIter
        return kind(self)

    def __iter__(self) -> Iterator[Any]:
        if not (self.persistent_workers and self.num_workers):
            return self._get_iterator()
        if self._iterator is None:
            self._iterator = self._get_iterator()
        else:
            self._iterator._reset(self)
        return self._iterator

    def __len__(self) -> int:
        if self._dataset_kind == _DatasetKind.Map:
            return len(self._index_sampler)
        count = self._IterableDataset_len_called = len(self.dataset)  # type: ignore[arg-type]
        if self.batch_size is None:
            return count
        return count // self.batch_size if self.drop_last else -(-count // self.batch_size)

    def check_worker_number_rationality(self) -> None:
        """Warns where there are more workers than processors."""
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        if cores is not None and self.num_workers > cores:
            warnings.warn(
                f"This DataLoader will create {self.num_workers} worker processes in total. Our suggested "
                f"max number of worker in current system is {cores}, which is smaller than what this "
                "DataLoader is going to create. Please be aware that excessive worker creation might get "
                "DataLoader running slow or even freeze, lower the worker number to avoid potential "
                "slowness/freeze if necessary.",
                stacklevel=3,
            )


def _check_workers(count: int, timeout: float, prefetch: int | None, persistent: bool) -> None:
    if count < 0:
        raise ValueError(
            "num_workers option should be non-negative; use num_workers=0 to disable multiprocessing."
        )
    if timeout < 0:
        raise ValueError("timeout option should be non-negative")
    if count == 0 and prefetch is not None:
        raise ValueError(
            "prefetch_factor option could only be specified in multiprocessing.let num_workers > 0 to enable "
            "multiprocessing, otherwise set prefetch_factor to None."
        )
    if prefetch is not None and prefetch < 0:
        raise ValueError("prefetch_factor option should be non-negative")
    if persistent and count == 0:
        raise ValueError("persistent_workers option needs num_workers > 0")


# ------------------------------------------------------------------------------------- iterators


class _BaseDataLoaderIter:
    """One epoch of a DataLoader."""

    def __init__(self, loader: DataLoader[Any]) -> None:
        self._dataset = loader.dataset
        self._iterable = loader._dataset_kind == _DatasetKind.Iterable
        self._index_sampler = loader._index_sampler
        self._num_workers = loader.num_workers
        self._timeout = loader.timeout
        self._collate_fn = loader.collate_fn
        self._begin(loader)
        if isinstance(self._dataset, IterDataPipe) and not self._num_workers:
            prepared(self._dataset, self._part.seed, self._part.group)
        self._base_seed = random_seed(loader.generator)
        if loader.pin_memory:
            warnings.warn(
                "'pin_memory' argument is set as true but no accelerator is found, then device pinned memory "
                "won't be used.",
                stacklevel=4,
            )

    def _begin(self, loader: DataLoader[Any]) -> None:
        self._sampler_iter = iter(self._index_sampler)
        self._yielded = 0
        self._part = Part(random_seed(loader.generator) if isinstance(loader.dataset, IterDataPipe) else None)
        self._IterableDataset_len_called = loader._IterableDataset_len_called if self._iterable else None

    def _reset(self, loader: DataLoader[Any]) -> None:
        self._begin(loader)

    def __iter__(self) -> _BaseDataLoaderIter:
        return self

    def _next_data(self) -> Any:
        raise NotImplementedError

    def __next__(self) -> Any:
        if _engine.is_profiling():
            with _engine.Range(f"enumerate(DataLoader)#{type(self).__name__}.__next__"):
                batch = self._next_data()
        else:
            batch = self._next_data()
        self._yielded += 1
        if self._IterableDataset_len_called is not None and self._yielded > self._IterableDataset_len_called:
            self._warn_of_length()
        return batch

    def _warn_of_length(self) -> None:
        words = (
            f"Length of IterableDataset {self._dataset} was reported to be "
            f"{self._IterableDataset_len_called}(when accessing len(dataloader)), but {self._yielded} "
            "samples have been fetched. "
        )
        if self._num_workers:
            words += (
                "For multiprocessing data-loading, this could be caused by not properly configuring the "
                "IterableDataset replica at each worker. Please see "
                "https://pytorch.org/docs/stable/data.html#torch.utils.data.IterableDataset for examples."
            )
        warnings.warn(words, stacklevel=3)

    def __len__(self) -> int:
        return len(self._index_sampler)


class _SingleProcessDataLoaderIter(_BaseDataLoaderIter):
    """Reads in this process."""

    def __init__(self, loader: DataLoader[Any]) -> None:
        super().__init__(loader)
        self._fetcher = fetcher(
            self._iterable, loader.dataset, loader._auto_collation, loader.collate_fn, loader.drop_last
        )

    def _next_data(self) -> Any:
        return self._fetcher.fetch(next(self._sampler_iter))


class _Worker:
    """A worker process as the parent knows it."""

    def __init__(self, context: Any, task: Task, seed: int) -> None:
        self.connection, other = context.Pipe()
        ENDS.add(self.connection)
        self.process = context.Process(target=work, args=(other, task, seed), daemon=True)
        self.process.start()
        other.close()
        self.receiver = Receiver(self.connection)
        self.sent: deque[int] = deque()  # the sizes of messages that are not answered
        self.waiting: deque[bytes] = deque()  # messages that have no room yet
        self.ended = False

    def ask(self, message: Any) -> None:
        """Sends a message that is answered, when there is room for it."""
        self.waiting.append(pickle.dumps(message))
        self._send()

    def _send(self) -> None:
        while self.waiting and (not self.sent or sum(self.sent) + len(self.waiting[0]) <= ROOM):
            data = self.waiting.popleft()
            self.sent.append(len(data))
            self.connection.send_bytes(data)

    def answer(self) -> Any:
        """The next answer; waits for it."""
        found = self.receiver.receive()
        self.sent.popleft()
        self._send()
        return found

    def forget(self) -> None:
        """The worker answers no more until it is told to begin again."""
        self.ended = True
        self.sent.clear()
        self.waiting.clear()


def _stop(workers: list[_Worker], owner: int) -> None:
    """Ends worker processes: closing a connection wakes a worker wherever it waits."""
    if os.getpid() != owner:
        return  # a forked process, of which they are no children
    for worker in workers:
        worker.connection.close()
    deadline = time.monotonic() + MP_STATUS_CHECK_INTERVAL
    for worker in workers:
        worker.process.join(max(0.0, deadline - time.monotonic()))
        if worker.process.is_alive():
            worker.process.terminate()
            worker.process.join()
    workers.clear()


class _MultiProcessingDataLoaderIter(_BaseDataLoaderIter):
    """Has worker processes read.

    Batches have numbers. Those from `_given` to `_asked` are with a worker, which `_with` says, or have come
    too early and are in `_early`.
    """

    def __init__(self, loader: DataLoader[Any]) -> None:
        super().__init__(loader)
        context = loader.multiprocessing_context or multiprocessing.get_context()
        self._in_order = loader.in_order
        self._persistent = loader.persistent_workers
        self._prefetch = loader.prefetch_factor or 0
        self._workers: list[_Worker] = []
        self._finalizer = weakref.finalize(self, _stop, self._workers, os.getpid())
        for number in range(loader.num_workers):
            task = Task(
                number,
                loader.num_workers,
                os.getpid(),
                self._iterable,
                loader.dataset,
                loader._auto_collation,
                loader.collate_fn,
                loader.drop_last,
                loader.worker_init_fn,
                self._part,
            )
            self._workers.append(_Worker(context, task, self._base_seed))
        if self._part.seed is not None:
            random_seed(loader.generator)  # PyTorch draws one for the next epoch here, so later draws agree
        self._prime()

    def _prime(self) -> None:
        """Asks for the first batches."""
        self._asked = self._given = 0
        self._with: dict[int, _Worker] = {}
        self._early: dict[int, Any] = {}
        self._turn = 0
        for _ in range(self._prefetch * len(self._workers)):
            self._ask_next()

    def _reset(self, loader: DataLoader[Any]) -> None:
        super()._reset(loader)
        mark = Resume(self._part.seed)
        for worker in self._workers:
            worker.waiting.clear()
            worker.ended = False
            worker.ask(mark)
        for worker in self._workers:
            while not isinstance(self._answer(worker)[1], Resume):
                pass  # of an epoch that was left early
        self._prime()

    def _ask_next(self) -> None:
        """Gives the next index to the worker whose turn it is; nothing if there is no index or no worker."""
        for _ in self._workers:
            worker = self._workers[self._turn % len(self._workers)]
            self._turn += 1
            if not worker.ended:
                break
        else:
            return
        try:
            index = next(self._sampler_iter)
        except StopIteration:
            return
        self._with[self._asked] = worker
        worker.ask((self._asked, index, worker.receiver.released()))
        self._asked += 1

    def _next_data(self) -> Any:
        while True:
            while self._given < self._asked:
                worker = self._with.get(self._given)
                if self._given in self._early or (worker is not None and not worker.ended):
                    break
                self._with.pop(self._given, None)
                self._given += 1
            else:
                if not self._persistent:
                    self._finalizer()
                raise StopIteration
            if self._given in self._early:
                return self._out(self._given, self._early.pop(self._given))
            assert worker is not None
            if not self._in_order:
                worker = self._ready()
            number, batch = self._answer(worker)
            if isinstance(batch, Ended):
                worker.forget()
                self._ask_next()
            elif number == self._given or not self._in_order:
                return self._out(number, batch)
            else:
                self._early[number] = batch

    def _out(self, number: int, batch: Any) -> Any:
        """A batch for the program, in whose place another is asked for."""
        self._with.pop(number, None)
        if number == self._given:
            self._given += 1
        self._ask_next()
        if isinstance(batch, ExceptionWrapper):
            batch.reraise()
        return batch

    def _ready(self) -> _Worker:
        """A worker that has an answer, of those that were asked."""
        asked = {id(worker.connection): worker for worker in self._with.values() if not worker.ended}
        ends = [worker.connection for worker in asked.values()]
        found = connections.wait(ends, self._timeout or None)
        if not found:
            self._late()
        return asked[id(found[0])]

    def _answer(self, worker: _Worker) -> Any:
        """The next answer of a worker. RuntimeError if it takes too long or the worker is dead."""
        if self._timeout and not worker.connection.poll(self._timeout):
            self._late()
        try:
            return worker.answer()
        except (EOFError, ConnectionResetError, BrokenPipeError) as error:
            self._dead(worker, error)

    def _late(self) -> None:
        raise RuntimeError(f"DataLoader timed out after {self._timeout} seconds")

    def _dead(self, worker: _Worker, error: BaseException) -> None:
        process = worker.process
        process.join(MP_STATUS_CHECK_INTERVAL)
        status = process.exitcode
        cause: BaseException = error
        if status is not None and status < 0:
            name = signal.strsignal(-status)
            cause = RuntimeError(f"DataLoader worker (pid {process.pid}) is killed by signal: {name}. ")
        self._finalizer()
        raise RuntimeError(f"DataLoader worker (pid(s) {process.pid}) exited unexpectedly") from cause

    def _shutdown_workers(self) -> None:
        self._finalizer()


_collate_fn_t = Callable[[list[Any]], Any]
_worker_init_fn_t = Callable[[int], None]

__getattr__ = getter(__name__)
