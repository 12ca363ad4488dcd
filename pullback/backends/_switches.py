"""Switches of a library that is not there: a module's variables, set for a while by `flags`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any


def flags_of(module: str, **defaults: Any) -> Callable[..., AbstractContextManager[None]]:
    """The `flags` of a module: a context that sets some of its switches, those not named to `defaults`."""

    @contextmanager
    def flags(**switches: Any) -> Iterator[None]:
        """Sets switches of the library within a `with`."""
        unknown = switches.keys() - defaults.keys()
        if unknown:
            raise TypeError(f"flags() got an unexpected keyword argument '{min(unknown)}'")
        names = vars(sys.modules[module])
        before = {name: names[name] for name in defaults}
        names.update(defaults | switches)
        try:
            yield
        finally:
            names.update(before)

    return flags
