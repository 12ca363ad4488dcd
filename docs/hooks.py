"""What mkdocs calls: adds the pages made from the op table, docstrings, programs and figures."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import make_api
import make_drawings
import make_examples
import make_ops
import make_speed
from mkdocs.structure.files import File, Files

MADE: dict[str, str] = {}


def on_config(config: Any) -> Any:
    """Makes the pages, and puts them where the navigation names their folder."""
    MADE.update(make_ops.pages() | make_api.pages() | make_examples.pages() | make_speed.pages())
    MADE.update(make_drawings.drawings())
    config["nav"] = [_filled(part) for part in config["nav"]]
    return config


def _filled(part: Any) -> Any:
    """A part of the navigation; a folder's name becomes its pages."""
    if not isinstance(part, dict):
        return part
    ((title, inside),) = part.items()
    if isinstance(inside, str) and inside.endswith("/"):
        return {title: _folder(inside)}
    return {title: [_filled(p) for p in inside]} if isinstance(inside, list) else part


def _folder(name: str) -> list[Any]:
    """The pages of a folder in the order that they were made, its index first, deeper folders by name."""
    pages = [p for p in MADE if p.startswith(name)]
    direct = [p for p in pages if "/" not in p.removeprefix(name)]
    found: list[Any] = [p for p in direct if p.endswith("/index.md")]
    for page in (p for p in direct if not p.endswith("/index.md")):
        short = page.removeprefix(name).removesuffix(".md")
        below = f"{name}{short}/"
        deeper = [{p.removeprefix(below).removesuffix(".md"): p} for p in pages if p.startswith(below)]
        found.append({short: [page, *deeper]} if deeper else {short: page})
    return found


def on_files(files: Files, config: Any) -> Files:
    """Adds the pages and the pictures."""
    for path, text in MADE.items():
        files.append(File.generated(config, path, content=text))
    for path, picture in make_examples.pictures().items():
        files.append(File.generated(config, path, abs_src_path=str(picture)))
    return files
