"""Whether the compiled modules of a checkout are made of the sources that stand beside them.

An edit of a compiled file does nothing until it is built again, and nothing shows it. So `setup.py` puts a
digest of a module's sources into it (`tracebacks.h`), and `import pullback` compares, if there is a
`setup.py` beside the package. The times of files decide what is looked at: a module younger than all that
it may be made of is taken for fresh. They decide nothing more, since a checkout of another branch makes
files young, and a copied module keeps its age. One that is found to be fresh is made young, so that it
is looked at once.

Read `stale`. `setup.py` runs this file by itself: it imports nothing of Pullback.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress

HEADER = "pullback/core/tracebacks.h"
"""Comes first in each compiled module, and holds the digest."""

MARK = b"pullback sources s"
"""Stands before the digest in a compiled module."""

_SHARED = (".pxi", ".pxd", ".h")


def _named(source: str, text: str) -> Iterator[str]:
    """The files that a source may mean: what it includes, what it cimports from, its own declarations."""
    for name in text.split('"'):
        if name.endswith((".pxi", ".h")):
            yield from (os.path.join(os.path.dirname(source), name), name)
    for line in text.split("\n"):
        if "cimport" in line:
            yield from (f"{w.replace('.', '/')}.pxd" for w in line.split() if w.startswith("pullback."))
    yield os.path.splitext(source)[0] + ".pxd"


def sources_of(source: str, root: str = ".") -> dict[str, bytes]:
    """What a module is made of, by paths from the root: its source, and all it includes and cimports."""
    found: dict[str, bytes] = {}
    waiting = [source, HEADER]
    while waiting:
        path = os.path.normpath(waiting.pop()).replace(os.sep, "/")
        if path in found or not os.path.isfile(os.path.join(root, path)):
            continue
        with open(os.path.join(root, path), "rb") as file:
            found[path] = file.read().replace(b"\r\n", b"\n")
        waiting.extend(_named(path, found[path].decode()))
    return found


def digest(source: str, root: str = ".") -> str:
    """A short digest of what a module is made of: names and contents."""
    from hashlib import blake2b

    total = blake2b(digest_size=12)
    for path, content in sorted(sources_of(source, root).items()):
        total.update(f"{path} {len(content)}\n".encode() + content)
    return total.hexdigest()


def _files(folder: str) -> Iterator[os.DirEntry[str]]:
    """All files below a folder but cached ones."""
    for entry in os.scandir(folder):
        if entry.is_dir():
            if not entry.name.startswith("__"):
                yield from _files(entry.path)
        else:
            yield entry


def _made_of(module: str, source: str, root: str) -> bool:
    """Whether a compiled module holds the digest of these sources, or none at all, which says nothing."""
    with open(module, "rb") as file:
        content = file.read()
    place = content.find(MARK)
    made_of = content[place + len(MARK) : place + len(MARK) + 24]
    return place < 0 or made_of == digest(source, root).encode()


def stale(root: str) -> list[str]:
    """The compiled modules whose sources are others than those they were made of, or gone."""
    from importlib.machinery import EXTENSION_SUFFIXES

    suffix = EXTENSION_SUFFIXES[0]
    modules, sources, shared = {}, {}, 0.0
    for entry in _files(os.path.join(root, "pullback")):
        if entry.name.endswith(suffix):
            modules[entry.path[: -len(suffix)]] = entry
        elif entry.name.endswith(_SHARED):
            shared = max(shared, entry.stat().st_mtime)
        elif entry.name.endswith(".pyx"):
            sources[entry.path] = entry
    found = []
    for path, module in sorted(modules.items()):
        source = sources.get(path + ".pyx")
        if source is None:
            found.append(path)
        elif module.stat().st_mtime < max(shared, source.stat().st_mtime):
            if _made_of(module.path, os.path.relpath(source.path, root), root):
                with suppress(OSError):  # from now on its age says so
                    os.utime(module.path)
            else:
                found.append(path)
    return [os.path.relpath(path, root).replace(os.sep, ".") for path in found]


def warn_of_stale(root: str) -> None:
    """Warns, by name, of compiled modules that have to be built again, and says how."""
    names = stale(root)
    if names:
        import warnings

        warnings.warn(
            "compiled modules of other sources than those that stand beside them now: "
            f"{', '.join(names)}. What was edited since has no effect. Build again: "
            "python setup.py build_ext --inplace (quickly with PULLBACK_DEV=1), "
            "and delete modules that have no source.",
            RuntimeWarning,
            stacklevel=2,
        )
