"""How new interpreters are started, so that `import torch` means the same in them as here."""

from __future__ import annotations

import sys
from multiprocessing import spawn
from typing import Any

PROLOGUE = "import pullback.launch; pullback.launch.install(); "
"""What a new interpreter runs first where `torch` is Pullback."""

_command_line = spawn.get_command_line


def command_line(**kwargs: Any) -> list[str]:
    """The command line of a new interpreter; it installs the launcher's finder if that is installed here."""
    command = _command_line(**kwargs)
    if "-c" in command and sys.modules.get("torch") is sys.modules["pullback"]:
        place = command.index("-c") + 1
        command[place] = PROLOGUE + command[place]
    return command


def install() -> None:
    """Makes `multiprocessing` start interpreters so."""
    spawn.get_command_line = command_line
