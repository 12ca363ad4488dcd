"""Saves and loads the states of many ranks, also by another number of ranks than has saved them.

A tensor is its numbers in order, cut into chunks by rank: a `ShardedTensor` at the ranks' own borders, while
one that all ranks have whole is written by one of them. Loading reads the chunks that a rank's piece needs.
"""

from __future__ import annotations

import io
import os
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from pullback.core._engine import Tensor, from_array
from pullback.core.modes import no_grad
from pullback.distributed.buffers import as_bytes, write
from pullback.distributed.checkpoint.storage import Chunk, FileSystemReader, FileSystemWriter
from pullback.distributed.groups import is_initialized, members
from pullback.distributed.objects import broadcast_one, gathered
from pullback.distributed.sharded import ShardedTensor
from pullback.futures import Future
from pullback.serialization import load as load_file
from pullback.serialization import save as save_file


class CheckpointException(Exception):
    """Ranks have failed to save or load: `failures` are the errors by rank."""

    def __init__(self, msg: str, failures: dict[int, str]) -> None:
        super().__init__(f"{msg}: " + "; ".join(f"rank {rank}: {words}" for rank, words in failures.items()))
        self.failures = failures


def flattened(state: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[str, Any, Any, Any]]:
    """The leaves of nested dicts and lists: name, value, and the container and key where it stands."""
    items = state.items() if isinstance(state, Mapping) else enumerate(state)
    for key, value in items:
        here = (*path, key)
        if (isinstance(value, Mapping) and value) or (
            isinstance(value, list) and any(isinstance(x, Tensor | Mapping | ShardedTensor) for x in value)
        ):
            yield from flattened(value, here)
        else:
            yield ".".join(map(str, here)), value, state, key


def _stated(state: Mapping[str, Any]) -> dict[str, Any]:
    """The states of what has one, as a module or an optimizer."""
    return {k: v.state_dict() if _is_stateful(v) else v for k, v in state.items()}


def _is_stateful(value: Any) -> bool:
    plain = isinstance(value, Tensor | ShardedTensor | Mapping | list)
    return not plain and hasattr(value, "state_dict") and hasattr(value, "load_state_dict")


class _Alone:
    """The group of a process that saves or loads for itself."""

    @staticmethod
    def rank() -> int:
        return 0

    @staticmethod
    def size() -> int:
        return 1


def _group(process_group: Any, no_dist: bool) -> Any:
    return _Alone() if no_dist or not is_initialized() else members(process_group)


def _all(value: Any, group: Any) -> list[Any]:
    return [value] if isinstance(group, _Alone) else gathered(value, group)


def _one(value: Any, group: Any) -> Any:
    return value if isinstance(group, _Alone) else broadcast_one(value, 0, group)


def _together(what: str, group: Any, result: Any, error: Exception | None) -> list[Any]:
    """The results of all ranks; CheckpointException on all of them if one has failed."""
    found = _all((result, None if error is None else f"{type(error).__name__}: {error}"), group)
    failures = {rank: words for rank, (_, words) in enumerate(found) if words is not None}
    if failures:
        raise CheckpointException(f"{what} has failed", failures) from error
    return [result for result, _ in found]


def save(
    state_dict: dict[str, Any],
    *,
    checkpoint_id: str | os.PathLike[str] | None = None,
    storage_writer: FileSystemWriter | None = None,
    planner: Any = None,
    process_group: Any = None,
    no_dist: bool = False,
    use_collectives: bool = True,
) -> dict[str, Any]:
    """Saves the states of all ranks into a folder, which all of them can write to.

    `state_dict` may be nested, and hold modules and optimizers themselves. What all ranks have is written
    once. CheckpointException on all ranks if one of them fails; a checkpoint that the folder had before stays
    then. Returns what was saved: for each name its shape, dtype and chunks.
    """
    group = _group(process_group, no_dist)
    writer = storage_writer or FileSystemWriter(_path(checkpoint_id))
    leaves = [(name, value) for name, value, _, _ in flattened(_stated(state_dict))]
    token, error = "", None
    if group.rank() == 0:
        try:
            token = writer.begin()
        except Exception as found:
            error = found
    token = _together("save", group, token, error)[0]
    entries: dict[str, Any] = {}
    try:
        entries = _write(leaves, writer, writer.name(group.rank(), token), group)
    except Exception as found:
        error = found
    parts = _together("save", group, entries, error)
    metadata: dict[str, Any] = {}
    for part in parts:
        for name, entry in part.items():
            known = metadata.setdefault(name, {**entry, "chunks": []})
            known["chunks"] += entry["chunks"]
    if group.rank() == 0:
        try:
            writer.finish(metadata, {writer.name(rank, token) for rank in range(group.size())})
        except Exception as found:
            error = found
    _together("save", group, None, error)
    return metadata


def _write(leaves: list[tuple[str, Any]], writer: FileSystemWriter, file: str, group: Any) -> dict[str, Any]:
    """Writes what is this rank's to write; its part of the metadata."""
    parts: list[Any] = []
    entries: list[tuple[str, dict[str, Any], int, int]] = []
    for name, value in leaves:
        if isinstance(value, ShardedTensor):
            entry = {"shape": list(value.shape), "dtype": str(value.local.dtype)}
            array = _flat(value.local)
            if array.size:
                parts.append(as_bytes(array))
                entries.append((name, entry, value.start, value.start + array.size))
            continue
        if zlib.crc32(name.encode()) % group.size() != group.rank():
            continue
        if isinstance(value, Tensor) and value.layout == _STRIDED:
            array = _flat(value)
            parts.append(as_bytes(array))
            entries.append((name, {"shape": list(value.shape), "dtype": str(value.dtype)}, 0, array.size))
        else:
            buffer = io.BytesIO()
            save_file(value, buffer)
            parts.append(buffer.getvalue())
            entries.append((name, {"object": True}, 0, len(parts[-1])))
    starts = writer.write(file, parts)
    return {
        name: {**entry, "chunks": [Chunk(start, end, file, offset)]}
        for (name, entry, start, end), offset in zip(entries, starts, strict=True)
    }


def _flat(x: Tensor) -> np.ndarray[Any, Any]:
    return np.ascontiguousarray(x.detach().resolve_conj()._array).reshape(-1)


_STRIDED: Any = from_array(np.zeros(1)).layout


def load(
    state_dict: dict[str, Any],
    *,
    checkpoint_id: str | os.PathLike[str] | None = None,
    storage_reader: FileSystemReader | None = None,
    planner: Any = None,
    process_group: Any = None,
    no_dist: bool = False,
) -> None:
    """Loads a checkpoint into the tensors of `state_dict`, in place; objects are put into its dicts.

    Each rank reads what its own state names: whole tensors or pieces, however they were parted when they were
    saved. Modules and optimizers load their states. CheckpointException on all ranks if one of them fails.
    """
    group = _group(process_group, no_dist)
    reader = storage_reader or FileSystemReader(_path(checkpoint_id))
    error = None
    try:
        metadata = reader.metadata()
        stated = _stated(state_dict)
        for name, value, where, key in flattened(stated):
            if name not in metadata:
                raise RuntimeError(f"Missing key in checkpoint state_dict: {name}.")
            found = _read(value, metadata[name], reader, name)
            if found is not value:
                where[key] = found
        for name, value in state_dict.items():
            if _is_stateful(value):
                value.load_state_dict(stated[name])
            elif not isinstance(value, Mapping | Tensor | ShardedTensor | list):
                state_dict[name] = stated[name]
    except Exception as found_error:
        error = found_error
    _together("load", group, None, error)


def _read(value: Any, entry: dict[str, Any], reader: FileSystemReader, name: str) -> Any:
    chunks = [Chunk(*chunk) for chunk in entry["chunks"]]
    if "object" in entry:
        data = reader.read(chunks[0].file, chunks[0].offset, chunks[0].end)
        return load_file(io.BytesIO(data), weights_only=False)
    target = value.local if isinstance(value, ShardedTensor) else value
    if not isinstance(target, Tensor):
        raise RuntimeError(f"{name} is a tensor in the checkpoint, not a {type(value).__name__}")
    if tuple(entry["shape"]) != tuple(value.shape):
        raise ValueError(
            f"Size mismatch between saved {tuple(entry['shape'])} and current: {tuple(value.shape)} for "
            f"{name}"
        )
    if entry["dtype"] != str(target.dtype):
        raise ValueError(f"{name} is {entry['dtype']} in the checkpoint, not {target.dtype}")
    first = value.start if isinstance(value, ShardedTensor) else 0
    array = np.empty(target.numel(), target._array.dtype)
    got = 0
    for chunk in chunks:
        low, high = max(chunk.start, first), min(chunk.end, first + array.size)
        if low < high:
            size = array.dtype.itemsize
            data = reader.read(chunk.file, chunk.offset + (low - chunk.start) * size, (high - low) * size)
            as_bytes(array)[(low - first) * size : (high - first) * size] = np.frombuffer(data, np.uint8)
            got += high - low
    if got != array.size:
        raise RuntimeError(f"{name} is not whole in the checkpoint: {got} of {array.size} numbers")
    with no_grad():
        write(target, array)
    return value


def _path(checkpoint_id: Any) -> Any:
    if checkpoint_id is None:
        raise RuntimeError("`checkpoint_id` must be specified if storage_reader and storage_writer are None.")
    return checkpoint_id


def async_save(state_dict: dict[str, Any], **options: Any) -> Future[Any]:
    """`save`, as a Future that is done: the ranks' meetings need the program's own thread."""
    done: Future[Any] = Future()
    options.pop("async_checkpointer_type", None)
    done.set_result(save(state_dict, **options))
    return done


def save_state_dict(
    state_dict: dict[str, Any],
    storage_writer: FileSystemWriter,
    process_group: Any = None,
    coordinator_rank: int = 0,
    no_dist: bool = False,
    planner: Any = None,
) -> dict[str, Any]:
    """`save`, by its former name."""
    return save(state_dict, storage_writer=storage_writer, process_group=process_group, no_dist=no_dist)


def load_state_dict(
    state_dict: dict[str, Any],
    storage_reader: FileSystemReader,
    process_group: Any = None,
    coordinator_rank: int = 0,
    no_dist: bool = False,
    planner: Any = None,
) -> None:
    """`load`, by its former name."""
    load(state_dict, storage_reader=storage_reader, process_group=process_group, no_dist=no_dist)
