"""Stores: values by keys that several processes write and read, to find each other.

`HashStore` is of one process, `FileStore` a file that all can open, `TCPStore` a thread of one process that
the others are connected to. A `PrefixStore` is a part of another. Values are bytes; `get` and `wait` wait
until the keys are there.
"""

from __future__ import annotations

import functools
import pickle
import socket
import struct
import threading
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from pullback.distributed.errors import DistNetworkError, DistStoreError

__all__ = ["FileStore", "HashStore", "PrefixStore", "Store", "TCPStore"]

_PAUSE = 0.01


def _bytes(value: Any) -> bytes:
    return value.encode() if isinstance(value, str) else bytes(value)


def seconds_of(timeout: Any) -> float:
    """A time-out in seconds, given as a timedelta or as seconds."""
    return timeout.total_seconds() if isinstance(timeout, timedelta) else float(timeout)


class Store:
    """Values by keys, bytes by strings.

    What a kind of store must have is `_change`, which calls a function on the dict of all values while nobody
    else does, and returns what it returns.
    """

    def __init__(self, timeout: Any = 300) -> None:
        self.timeout = timedelta(seconds=seconds_of(timeout))

    def _change(self, how: str, *arguments: bytes) -> bytes | None:
        raise NotImplementedError

    def set(self, key: str, value: Any) -> None:
        """Gives a key its value."""
        self._change("set", key.encode(), _bytes(value))

    def get(self, key: str) -> bytes:
        """The value of a key, waited for. DistStoreError after the time-out."""
        self.wait([key])
        found = self._change("get", key.encode())
        assert found is not None
        return found

    def add(self, key: str, amount: int) -> int:
        """Adds to a number, which begins as 0, and returns it."""
        return int(self._change("add", key.encode(), str(amount).encode()) or b"0")

    def append(self, key: str, value: Any) -> None:
        """Adds to the end of a value, which begins empty."""
        self._change("append", key.encode(), _bytes(value))

    def compare_set(self, key: str, expected_value: Any, desired_value: Any) -> bytes:
        """Gives a key a value if it has the expected one, or if none is expected and there is none."""
        found = self._change("swap", key.encode(), _bytes(expected_value), _bytes(desired_value))
        return b"" if found is None else found

    def check(self, keys: Sequence[str]) -> bool:
        """Whether all keys are there."""
        return self._change("check", *(key.encode() for key in keys)) == b"1"

    def delete_key(self, key: str) -> bool:
        """Takes a key away; whether it was there."""
        return self._change("delete", key.encode()) == b"1"

    def num_keys(self) -> int:
        """How many keys there are."""
        return int(self._change("count") or b"0")

    def list_keys(self) -> list[str]:
        """All keys."""
        return [key.decode() for key in pickle.loads(self._change("keys") or pickle.dumps([]))]

    def wait(self, keys: Sequence[str], timeout: timedelta | None = None) -> None:
        """Waits until all keys are there. DistStoreError after the time-out."""
        seconds = (self.timeout if timeout is None else timeout).total_seconds()
        until = time.monotonic() + seconds
        while not self.check(keys):
            if time.monotonic() > until:
                shown = ", ".join(keys)
                raise DistStoreError(f"wait timeout after {int(seconds * 1000)}ms, keys: /{shown}")
            time.sleep(_PAUSE)

    def multi_set(self, keys: Sequence[str], values: Sequence[Any]) -> None:
        """Gives several keys their values."""
        for key, value in zip(keys, values, strict=True):
            self.set(key, value)

    def multi_get(self, keys: Sequence[str]) -> list[bytes]:
        """The values of several keys, waited for."""
        return [self.get(key) for key in keys]

    def set_timeout(self, timeout: timedelta) -> None:
        """How long `get` and `wait` wait."""
        self.timeout = timeout

    def has_extended_api(self) -> bool:
        """Whether `append`, `multi_get` and `multi_set` are there."""
        return True


def _changed(values: dict[bytes, bytes], how: str, arguments: Sequence[bytes]) -> bytes | None:
    """What each request does with the values of a store."""
    key = arguments[0] if arguments else b""
    if how == "set":
        values[key] = arguments[1]
    elif how == "get":
        return values.get(key)
    elif how == "add":
        values[key] = str(int(values.get(key, b"0")) + int(arguments[1])).encode()
        return values[key]
    elif how == "append":
        values[key] = values.get(key, b"") + arguments[1]
    elif how == "swap":
        expected, desired = arguments[1:]
        if values.get(key, b"") != expected:
            return values.get(key, expected)
        values[key] = desired
        return desired
    elif how == "check":
        return b"1" if all(wanted in values for wanted in arguments) else b"0"
    elif how == "delete":
        return b"0" if values.pop(key, None) is None else b"1"
    elif how == "count":
        return str(len(values)).encode()
    elif how == "keys":
        return pickle.dumps(list(values))
    return None


class HashStore(Store):
    """A store of one process, for its threads.

    >>> import pullback as torch
    >>> store = torch.distributed.HashStore()
    >>> store.set("a", "1")
    >>> store.get("a"), store.add("b", 2)
    (b'1', 2)
    """

    def __init__(self) -> None:
        super().__init__()
        self._values: dict[bytes, bytes] = {}
        self._lock = threading.Lock()

    def _change(self, how: str, *arguments: bytes) -> bytes | None:
        with self._lock:
            return _changed(self._values, how, arguments)


class FileStore(Store):
    """A store in a file, for processes that can open it. Each request is added to its end."""

    def __init__(self, file_name: str, world_size: int = -1) -> None:
        super().__init__()
        self.path = str(file_name)
        Path(self.path).touch()
        self._values: dict[bytes, bytes] = {}
        self._read = 0

    def _change(self, how: str, *arguments: bytes) -> bytes | None:
        import fcntl

        with open(self.path, "r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(self._read)
            while (head := file.read(4)) != b"":
                past = pickle.loads(file.read(*struct.unpack("<I", head)))
                _changed(self._values, past[0], past[1])
            if how not in ("get", "check", "count", "keys"):
                body = pickle.dumps((how, arguments))
                file.write(struct.pack("<I", len(body)) + body)
            found = _changed(self._values, how, arguments)
            self._read = file.tell()
            return found


class PrefixStore(Store):
    """The part of a store whose keys begin with a prefix, which is left out."""

    def __init__(self, prefix: str, store: Store) -> None:
        super().__init__(store.timeout)
        self.prefix = prefix
        self.underlying_store = store

    def _change(self, how: str, *arguments: bytes) -> bytes | None:
        keys = len(arguments) if how == "check" else 1
        prefix = f"{self.prefix}/".encode()
        given = [prefix + a if i < keys else a for i, a in enumerate(arguments)]
        return self.underlying_store._change(how, *given)


def receive(connection: socket.socket) -> list[bytes] | None:
    """The parts of a message; None when the other side is gone."""
    parts = []
    head = _exactly(connection, 4)
    if head is None:
        return None
    for _ in range(struct.unpack("<I", head)[0]):
        size = _exactly(connection, 8)
        part = None if size is None else _exactly(connection, struct.unpack("<q", size)[0])
        if part is None:
            return None
        parts.append(part)
    return parts


def _exactly(connection: socket.socket, count: int) -> bytes | None:
    found = bytearray()
    while len(found) < count:
        try:
            more = connection.recv(count - len(found))
        except OSError:
            return None
        if not more:
            return None
        found += more
    return bytes(found)


def send(connection: socket.socket, parts: Sequence[bytes]) -> None:
    """Sends a message of several parts."""
    body = [struct.pack("<I", len(parts))]
    for part in parts:
        body += [struct.pack("<q", len(part)), part]
    connection.sendall(b"".join(body))


def serve(listener: socket.socket, answer: Callable[[socket.socket], None]) -> None:
    """Calls `answer` with each connection that is made, in a thread each, until the listener is closed."""

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=answer, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()


def connect(host: str, port: int, seconds: float) -> socket.socket:
    """A connection, tried until it is there. DistNetworkError after the time-out."""
    until = time.monotonic() + seconds
    while True:
        try:
            made = socket.create_connection((host, port), timeout=max(1.0, min(seconds, 10.0)))
        except OSError as error:
            if time.monotonic() > until:
                raise DistNetworkError(
                    f"The client socket has timed out after {int(seconds * 1000)}ms while trying to connect "
                    f"to ({host}, {port}): {error}"
                ) from None
            time.sleep(0.05)
        else:
            made.settimeout(None)
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return made


class TCPStore(Store):
    """A store that one process, the master, keeps for all that connect to it.

    >>> import pullback as torch
    >>> store = torch.distributed.TCPStore("127.0.0.1", 0, 1, True)
    >>> store.set("a", "1")
    >>> store.get("a")
    b'1'
    """

    def __init__(
        self,
        host_name: str,
        port: int,
        world_size: int | None = None,
        is_master: bool = False,
        timeout: timedelta = timedelta(seconds=300),
        wait_for_workers: bool = True,
        multi_tenant: bool = False,
        master_listen_fd: int | None = None,
        use_libuv: bool = True,
    ) -> None:
        super().__init__(timeout)
        self.host, self.port = host_name, port
        self._values: dict[bytes, bytes] = {}
        self._there = threading.Condition()
        self._lock = threading.Lock()
        self._listener: socket.socket | None = None
        if is_master:
            self._listen(master_listen_fd)
        self._connection = connect(host_name, self.port, self.timeout.total_seconds())
        if wait_for_workers and world_size is not None and world_size > 1:
            self._meet(world_size)

    def _listen(self, fd: int | None) -> None:
        try:
            self._listener = (
                socket.create_server(("", self.port), backlog=1024)
                if fd is None
                else socket.socket(fileno=fd)
            )
        except OSError as error:
            raise DistNetworkError(
                f"The server socket has failed to listen on any local network address. port: {self.port}, "
                f"{error}"
            ) from None
        self.port = self._listener.getsockname()[1]
        serve(self._listener, self._answer)

    def _answer(self, connection: socket.socket) -> None:
        """Answers what one process asks, until it is gone."""
        while (message := receive(connection)) is not None:
            how, *arguments = message
            with self._there:
                if how == b"wait":
                    seconds = float(arguments.pop())
                    came = self._there.wait_for(functools.partial(self._has, arguments), seconds)
                    found: bytes | None = b"1" if came else b"0"
                else:
                    found = _changed(self._values, how.decode(), arguments)
                    self._there.notify_all()
            try:
                send(connection, [] if found is None else [found])
            except OSError:
                return

    def _has(self, keys: Sequence[bytes]) -> bool:
        return all(key in self._values for key in keys)

    def _meet(self, world_size: int) -> None:
        self.add("init/", 1)
        until = time.monotonic() + self.timeout.total_seconds()
        while self.add("init/", 0) < world_size:
            if time.monotonic() > until:
                raise DistStoreError(
                    f"Timed out after {int(self.timeout.total_seconds())} seconds waiting for clients. "
                    f"{self.add('init/', 0)}/{world_size} clients joined."
                )
            time.sleep(_PAUSE)

    def _change(self, how: str, *arguments: bytes) -> bytes | None:
        with self._lock:
            try:
                send(self._connection, [how.encode(), *arguments])
                found = receive(self._connection)
            except OSError:
                found = None
        if found is None:
            raise DistNetworkError("failed to recv, got 0 bytes: the process that keeps the store has ended")
        return found[0] if found else None

    def wait(self, keys: Sequence[str], timeout: timedelta | None = None) -> None:
        """Waits until all keys are there. DistStoreError after the time-out."""
        seconds = (self.timeout if timeout is None else timeout).total_seconds()
        if self._change("wait", *(key.encode() for key in keys), str(seconds).encode()) != b"1":
            raise DistStoreError(f"wait timeout after {int(seconds * 1000)}ms, keys: /{', '.join(keys)}")

    def clone(self) -> TCPStore:
        """Another connection to the same store."""
        return TCPStore(self.host, self.port, None, False, self.timeout, False)

    def __del__(self) -> None:
        for held in (getattr(self, "_connection", None), getattr(self, "_listener", None)):
            if held is not None:
                held.close()
