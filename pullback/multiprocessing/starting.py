"""How new interpreters are started, so that `import torch` means the same in them as here."""

from __future__ import annotations

import sys
from importlib import import_module
from multiprocessing import spawn
from typing import Any

_preparation_data = spawn.get_preparation_data


class _Installation:
    """What installs the launcher's finder where it is unpickled."""

    def __reduce__(self) -> Any:
        return import_module("pullback.launch").install, ()


def preparation_data(name: str) -> dict[str, Any]:
    """What a new process reads before all else, whether spawned or forked by a server.

    Where `torch` is Pullback, it becomes so there too.
    """
    data = _preparation_data(name)
    if sys.modules.get("torch") is sys.modules["pullback"]:
        data["torch"] = _Installation()
    return data


def install() -> None:
    """Makes `multiprocessing` start interpreters so."""
    spawn.get_preparation_data = preparation_data
