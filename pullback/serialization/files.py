"""Files that are replaced in one step."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def replaced(path: str | bytes) -> Iterator[Any]:
    """A file to write, which takes the place of the one at a path when all is written, and only then.

    What is no regular file, or lies where no other can be made, is written directly.
    """
    place = os.path.realpath(os.fsdecode(path))
    folder, name = os.path.split(place)
    if not os.path.isdir(folder):
        raise RuntimeError(f"Parent directory {os.path.dirname(os.fsdecode(path))} does not exist.")
    try:
        mode = os.stat(place).st_mode
    except FileNotFoundError:
        mode = None
    beside = os.path.join(folder, f".{name}.{secrets.token_hex(4)}.part")
    try:
        if mode is not None and not (stat.S_ISREG(mode) and os.access(place, os.W_OK)):
            raise PermissionError
        handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    except OSError:
        with open(place, "wb") as file:
            yield file
        return
    try:
        with open(handle, "wb") as file:
            yield file
        if mode is not None:
            os.chmod(beside, stat.S_IMODE(mode))
        os.replace(beside, place)
    except BaseException:
        os.unlink(beside)
        raise
