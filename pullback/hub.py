"""`torch.hub`: models from folders with a `hubconf.py`, and files of weights from the net.

Code is taken from local folders alone: `load` with `source="github"` says so.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import re
import sys
import tempfile
from types import ModuleType
from typing import Any, NoReturn
from urllib.parse import urlparse
from urllib.request import Request, urlopen

from pullback.face.absent import getter

__all__ = [
    "download_url_to_file",
    "get_dir",
    "help",
    "list",
    "load",
    "load_state_dict_from_url",
    "set_dir",
]

HASH_REGEX = re.compile(r"-([a-f0-9]*)\.")
MODULE_HUBCONF = "hubconf.py"
VAR_DEPENDENCY = "dependencies"
READ_DATA_CHUNK = 128 * 1024
ENV_TORCH_HOME = "TORCH_HOME"
ENV_XDG_CACHE_HOME = "XDG_CACHE_HOME"
DEFAULT_CACHE_DIR = "~/.cache"

_hub_dir: str | None = None


class _NoBar:
    """What shows progress where tqdm is not installed: nothing."""

    def __init__(self, iterable: Any = None, total: int | None = None, **options: Any) -> None:
        self.iterable, self.total = iterable, total

    def __iter__(self) -> Any:
        return iter(self.iterable or ())

    def update(self, n: int) -> None:
        """Accepted."""

    def close(self) -> None:
        """Accepted."""

    def __enter__(self) -> _NoBar:
        return self

    def __exit__(self, *exc: object) -> None: ...


def _bar() -> Any:
    try:
        from tqdm.auto import tqdm
    except ImportError:
        return _NoBar
    return tqdm


def _get_torch_home() -> str:
    """The folder of what is kept: $TORCH_HOME, else `torch` in the user's cache."""
    cache = os.getenv(ENV_XDG_CACHE_HOME, DEFAULT_CACHE_DIR)
    return os.path.expanduser(os.getenv(ENV_TORCH_HOME, os.path.join(cache, "torch")))


def get_dir() -> str:
    """The folder of what was downloaded: that of `set_dir`, else `$TORCH_HOME/hub`."""
    return os.path.join(_get_torch_home(), "hub") if _hub_dir is None else _hub_dir


def set_dir(d: str | os.PathLike[str]) -> None:
    """Sets the folder of what is downloaded."""
    global _hub_dir
    _hub_dir = os.path.expanduser(d)


def _no_code(what: str) -> NoReturn:
    raise RuntimeError(
        f"torch.hub.{what}: Pullback fetches no code from GitHub. Fetch the repository, and give its folder "
        'to torch.hub.load with source="local"'
    )


def _hubconf(folder: str) -> ModuleType:
    """The module in a folder that says what there is; RuntimeError where it needs what is missing."""
    spec = importlib.util.spec_from_file_location(MODULE_HUBCONF, os.path.join(folder, MODULE_HUBCONF))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, folder)
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(folder)
    needed = getattr(module, VAR_DEPENDENCY, ())
    missing = [name for name in needed if name not in sys.modules and importlib.util.find_spec(name) is None]
    if missing:
        raise RuntimeError(f"Missing dependencies: {', '.join(missing)}")
    return module


def load(
    repo_or_dir: str,
    model: str,
    *args: Any,
    source: str = "github",
    trust_repo: Any = "check",
    force_reload: bool = False,
    verbose: bool = True,
    skip_validation: bool = False,
    **kwargs: Any,
) -> Any:
    """What a function of a folder's `hubconf.py` returns for the arguments: a model.

    `source` must be "local". RuntimeError for a function that is not there, and for packages that are missing
    of those that `hubconf.py` names in `dependencies`.
    """
    if source.lower() not in ("github", "local"):
        raise ValueError(f'Unknown source: "{source}". Allowed values: "github" | "local".')
    if source.lower() == "github":
        _no_code("load")
    entry = getattr(_hubconf(os.path.expanduser(repo_or_dir)), model, None)
    if not callable(entry):
        raise RuntimeError(f"Cannot find callable {model} in hubconf")
    return entry(*args, **kwargs)


def list(
    github: str,
    force_reload: bool = False,
    skip_validation: bool = False,
    trust_repo: Any = "check",
    verbose: bool = True,
) -> NoReturn:
    """RuntimeError: no code is fetched from GitHub."""
    _no_code("list")


def help(
    github: str,
    model: str,
    force_reload: bool = False,
    skip_validation: bool = False,
    trust_repo: Any = "check",
) -> NoReturn:
    """RuntimeError: no code is fetched from GitHub."""
    _no_code("help")


def download_url_to_file(url: str, dst: str, hash_prefix: str | None = None, progress: bool = True) -> None:
    """Fetches a file. RuntimeError where its SHA-256 does not begin with `hash_prefix`."""
    dst = os.path.expanduser(dst)
    digest = hashlib.sha256()
    with urlopen(Request(url, headers={"User-Agent": "torch.hub"})) as source:
        size = source.headers.get("Content-Length")
        handle, partial = tempfile.mkstemp(suffix=".partial", dir=os.path.dirname(dst) or ".")
        try:
            total = int(size) if size else None
            with (
                os.fdopen(handle, "wb") as file,
                _bar()(total=total, disable=not progress, unit="B", unit_scale=True) as bar,
            ):
                while block := source.read(READ_DATA_CHUNK):
                    file.write(block)
                    digest.update(block)
                    bar.update(len(block))
            found = digest.hexdigest()
            if hash_prefix is not None and not found.startswith(hash_prefix):
                raise RuntimeError(f'invalid hash value (expected "{hash_prefix}", got "{found}")')
            os.replace(partial, dst)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.remove(partial)


def load_state_dict_from_url(
    url: str,
    model_dir: str | None = None,
    map_location: Any = None,
    progress: bool = True,
    check_hash: bool = False,
    file_name: str | None = None,
    weights_only: bool = False,
) -> dict[str, Any]:
    """What `torch.load` reads from a file of the net, which is kept in `model_dir`.

    `model_dir` is by default `checkpoints` in the folder of `get_dir`. With `check_hash`, the file's name
    holds the beginning of its SHA-256, as `net-1234abcd.pth`.
    """
    from pullback.serialization import load as load_file

    folder = os.path.join(get_dir(), "checkpoints") if model_dir is None else model_dir
    os.makedirs(folder, exist_ok=True)
    name = file_name or os.path.basename(urlparse(url).path)
    path = os.path.join(folder, name)
    if not os.path.exists(path):
        sys.stderr.write(f'Downloading: "{url}" to {path}\n')
        found = HASH_REGEX.search(name) if check_hash else None
        download_url_to_file(url, path, found.group(1) if found else None, progress)
    state: dict[str, Any] = load_file(path, map_location=map_location, weights_only=weights_only)
    return state


__getattr__ = getter(__name__)
