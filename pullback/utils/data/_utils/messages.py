"""How batches go from a worker process to the one that trains.

A message is a pickle without the numbers, which follow as raw memory: small ones in the same message, large
ones in blocks of memory that both processes have. A block is used again once nothing in either process
refers to it, so that its pages are made once; `empty` gives memory in one, so that a batch is put together
where it is sent from. A tensor is sent as its own elements, whatever memory it is a view of.
"""

from __future__ import annotations

import io
import math
import mmap
import os
import pickle
import socket
import struct
import weakref
from multiprocessing import reduction
from typing import Any

import numpy as np

from pullback.core._engine import Tensor, from_array
from pullback.core.types import Array
from pullback.multiprocessing.reductions import COMPUTED

INLINE = 1 << 16  # bytes of numbers up to which they are part of the message
BLOCKS = hasattr(os, "memfd_create") and hasattr(socket, "AF_UNIX")

HEAD = struct.Struct("<QQ")
"""How many parts there are, and the length of the pickle."""

PART = struct.Struct("<QQ?")
"""The size of a part; its block, 0 if it is in the message; whether the block is new."""

PLAIN: Any = Tensor.__reduce_ex__


def _received(kind: type, dtype: Any, shape: Any, requires_grad: bool, data: Any) -> Tensor:
    """The tensor of a message."""
    made = from_array(np.frombuffer(data, np.uint8).view(dtype).reshape(shape))
    if requires_grad:
        made.requires_grad_()
    return made if kind is Tensor else made.as_subclass(kind)


class _Pickler(pickle.Pickler):
    """Pickles tensors as their elements, outside the message."""

    def reducer_override(self, thing: Any) -> Any:
        if not isinstance(thing, Tensor) or thing.is_meta or type(thing).__reduce_ex__ is not PLAIN:
            return NotImplemented
        if thing.requires_grad and not thing.is_leaf:
            raise RuntimeError(COMPUTED)
        a = np.ascontiguousarray(thing._array)
        data = pickle.PickleBuffer(a.reshape(-1).view(np.uint8).data)
        return _received, (type(thing), a.dtype, a.shape, thing.requires_grad, data)


class _Bytes(np.ndarray):
    """The bytes of a block in use; arrays on it refer to it, so that its end is that of the last of them."""


class Block:
    """Memory that both processes have. `users` counts the two of them."""

    def __init__(self, name: int, memory: mmap.mmap) -> None:
        self.name, self.memory = name, memory
        self.users = 0
        self.sent = False  # whether the other process knows it
        self.handle = -1  # its file, until it is sent
        self.address = np.frombuffer(memory, np.uint8).__array_interface__["data"][0]

    def bytes(self, ended: Any) -> Array:
        """Its bytes, to be used; `ended(block)` is called when nothing refers to them any more."""
        self.users += 1
        made = np.frombuffer(self.memory, np.uint8).view(_Bytes)
        weakref.finalize(made, ended, self).atexit = False
        return made


class Sender:
    """The worker's side of a connection."""

    current: Sender | None = None

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self.blocks: dict[int, Block] = {}
        self.free: list[Block] = []
        self.used: dict[int, Block] = {}  # by address: those that arrays lie in

    def released(self, names: list[int]) -> None:
        """Takes back blocks that the receiver is done with."""
        for name in names:
            self._left(self.blocks[name])

    def _left(self, block: Block) -> None:
        block.users -= 1
        if block.users == 0:
            self.used.pop(block.address, None)
            self.free.append(block)

    def empty(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array | None:
        """An array in a block, None if it is too small for one."""
        size = math.prod(shape) * dtype.itemsize
        if size <= INLINE or not BLOCKS:
            return None
        block = self._block(size)
        self.used[block.address] = block
        return block.bytes(self._left)[:size].view(dtype).reshape(shape)

    def _block(self, size: int) -> Block:
        """A block of at least this size that is not in use."""
        for place, block in enumerate(self.free):
            if size <= len(block.memory) <= 2 * size:
                return self.free.pop(place)
        handle = os.memfd_create("pullback")
        size += size // 8
        os.ftruncate(handle, size)
        block = Block(len(self.blocks) + 1, mmap.mmap(handle, size))
        block.handle = handle
        self.blocks[block.name] = block
        return block

    def send(self, thing: Any) -> None:
        """Sends an object. What cannot be pickled is an exception here, and nothing is sent."""
        buffers: list[pickle.PickleBuffer] = []
        file = io.BytesIO()
        _Pickler(file, 5, buffer_callback=buffers.append).dump(thing)
        text = file.getvalue()
        table, inline, handles = [], [], []
        for buffer in buffers:
            part = buffer.raw()
            block = self._holding(part)
            if block is None:
                table.append(PART.pack(part.nbytes, 0, False))
                inline.append(part)
                continue
            block.users += 1
            table.append(PART.pack(part.nbytes, block.name, not block.sent))
            if not block.sent:
                block.sent = True
                handles.append(block.handle)
        self.connection.send_bytes(b"".join([HEAD.pack(len(table), len(text)), *table, text, *inline]))
        if handles:
            with socket.fromfd(self.connection.fileno(), socket.AF_UNIX, socket.SOCK_STREAM) as link:
                for handle in handles:
                    reduction.sendfds(link, [handle])
                    os.close(handle)

    def _holding(self, part: memoryview) -> Block | None:
        """The block that has the bytes of a part at its beginning, to which a large one is copied."""
        if part.nbytes <= INLINE or not BLOCKS:
            return None
        place = np.frombuffer(part, np.uint8).__array_interface__["data"][0]
        block = self.used.get(place)
        if block is None:
            block = self._block(part.nbytes)
            memoryview(block.memory)[: part.nbytes] = part
        return block


class Receiver:
    """The other side: makes objects of messages, and collects the names of blocks that are free again."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self.blocks: dict[int, Block] = {}
        self.free: list[int] = []

    def released(self) -> list[int]:
        """The blocks that are free since the last call."""
        names: list[int] = []
        while self.free:
            names.append(self.free.pop())
        return names

    def _left(self, block: Block) -> None:
        self.free.append(block.name)

    def receive(self) -> Any:
        """The next object; EOFError or OSError if the sender is gone."""
        data = self.connection.recv_bytes()
        count, length = HEAD.unpack_from(data)
        begin = HEAD.size + PART.size * count
        table = list(PART.iter_unpack(memoryview(data)[HEAD.size : begin]))
        place = begin + length
        inline = np.frombuffer(data, np.uint8, offset=place).copy() if len(data) > place else None
        parts, place = [], 0
        for size, name, is_new in table:
            if name == 0:
                assert inline is not None or size == 0
                parts.append(np.empty(0, np.uint8) if inline is None else inline[place : place + size])
                place += size
                continue
            if is_new:
                self.blocks[name] = self._mapped(name)
            parts.append(self.blocks[name].bytes(self._left)[:size])
        return pickle.loads(memoryview(data)[begin : begin + length], buffers=parts)

    def _mapped(self, name: int) -> Block:
        """A new block, whose file comes after its message."""
        with socket.fromfd(self.connection.fileno(), socket.AF_UNIX, socket.SOCK_STREAM) as link:
            (handle,) = reduction.recvfds(link, 1)
        block = Block(name, mmap.mmap(handle, os.fstat(handle).st_size))
        os.close(handle)
        return block


def empty(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """An array for a batch: in a worker, and if it is large, where it can be sent from."""
    sender = Sender.current
    made = None if sender is None else sender.empty(shape, dtype)
    return np.empty(shape, dtype) if made is None else made
