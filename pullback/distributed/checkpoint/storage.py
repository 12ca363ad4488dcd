"""Where a checkpoint's bytes are: a folder with one file a rank, and `.metadata`, which is written last.

A save writes its ranks' files by new names, then replaces `.metadata` at once, then takes old files away. So
a folder has one whole checkpoint at any time, whichever rank dies when.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pullback.face.placeholders import placeholders

METADATA = ".metadata"


class Chunk(NamedTuple):
    """The numbers from `start` to `end` of a flat tensor: in which file, from which byte on."""

    start: int
    end: int
    file: str
    offset: int


class FileSystemWriter:
    """Writes checkpoints into a folder. With `overwrite=False` a folder that has one is an error."""

    def __init__(self, path: str | os.PathLike[str], overwrite: bool = True, **options: Any) -> None:
        self.path = Path(path)
        self.overwrite = overwrite
        self.token = ""

    def begin(self) -> str:
        """Makes the folder; a word that is in the names of this save's files."""
        self.path.mkdir(parents=True, exist_ok=True)
        if not self.overwrite and (self.path / METADATA).exists():
            raise RuntimeError(f"Checkpoint already exists and self.overwrite={self.overwrite}.")
        return secrets.token_hex(4)

    def name(self, rank: int, token: str) -> str:
        """The name of a rank's file."""
        return f"__{rank}_{token}.distcp"

    def write(self, name: str, parts: Iterable[bytes | np.ndarray[Any, Any]]) -> list[int]:
        """Writes parts one after the other into a file that is on the disk afterwards; where each begins."""
        starts = []
        with open(self.path / name, "wb") as file:
            for part in parts:
                starts.append(file.tell())
                file.write(part if isinstance(part, bytes) else part.data)
            file.flush()
            os.fsync(file.fileno())
        return starts

    def finish(self, metadata: dict[str, Any], files: set[str]) -> None:
        """Makes what was written the folder's checkpoint."""
        new = self.path / f"{METADATA}.new"
        new.write_text(json.dumps(metadata))
        os.replace(new, self.path / METADATA)
        for old in self.path.glob("__*.distcp"):
            if old.name not in files:
                with contextlib.suppress(OSError):
                    old.unlink()


class FileSystemReader:
    """Reads checkpoints from a folder."""

    def __init__(self, path: str | os.PathLike[str], **options: Any) -> None:
        self.path = Path(path)

    def metadata(self) -> dict[str, Any]:
        """What the checkpoint has."""
        try:
            found: dict[str, Any] = json.loads((self.path / METADATA).read_text())
        except FileNotFoundError:
            raise FileNotFoundError(f"there is no checkpoint in {self.path}") from None
        return found

    read_metadata = metadata

    def read(self, file: str, offset: int, count: int) -> bytes:
        """Some bytes of a file."""
        with open(self.path / file, "rb") as source:
            source.seek(offset)
            return source.read(count)


__getattr__ = placeholders(__name__, "has not this part of torch.distributed")
