"""Programs written for PyTorch, run as they are: `torch` becomes the name of `pullback`.

    python -m pullback program.py [args]
    python -m pullback -m package.module [args]
    python -m pullback -c "import torch; ..." [args]

`install` puts a finder in front of all others that gives, for `torch` and `torch.x.y`, the modules
`pullback` and `pullback.x.y` themselves, not copies; `functorch`, which comes with PyTorch, is
`pullback.functorch`. It wins over an installed PyTorch. `main` runs
a program as Python would: its own `__main__`, `sys.argv` and `sys.path`, tracebacks that begin with
its first line, and with -i a prompt after its last.
"""

from __future__ import annotations

import importlib
import importlib.util
import io
import os
import sys
from collections.abc import Iterator, Sequence
from importlib.machinery import ModuleSpec, SourceFileLoader
from types import CodeType, ModuleType, TracebackType
from typing import Any

import pullback
from pullback.face.absent import absent_module
from pullback.face.namespaces import name_classes

OWN_VERSION = pullback.__version__

STARTED_BY_MPI = {"PMI_RANK", "OMPI_COMM_WORLD_RANK"}
"""Variables of the environment by which MPI's starters tell a process that it is a rank."""

USAGE = """\
usage: python -m pullback [-i] program.py [args]
       python -m pullback [-i] -m module [args]
       python -m pullback [-i] -c code [args]
       python -m pullback [-i] - [args]
       python -m pullback -i | --version | --help

Run a program written for PyTorch on Pullback: its `import torch` imports pullback. The program is
a file, a module, code, or with - what standard input holds. After -i comes Python's prompt, where
`import torch` imports pullback too.
"""


class TorchFinder:
    """Finds `torch`, `functorch` and what lies below in `pullback`. A meta-path finder and its loader."""

    @classmethod
    def find_spec(cls, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """The spec of a `torch` module, None for any other; ModuleNotFoundError if we lack it."""
        if name.partition(".")[0] not in ("torch", "functorch"):
            return None
        own = _own_name(name)
        if own not in sys.modules and importlib.util.find_spec(own) is None:
            raise absent_module(name)
        return ModuleSpec(name, cls)  # type: ignore[arg-type]

    @staticmethod
    def find_distributions(context: Any = None) -> Iterator[Any]:
        """What `importlib.metadata` is to say of `torch`: the version of PyTorch's interface."""
        if getattr(context, "name", None) == "torch":
            yield _distribution()

    @staticmethod
    def create_module(spec: ModuleSpec) -> ModuleType:
        """The Pullback module that the name stands for."""
        module = importlib.import_module(_own_name(spec.name))
        spec.loader_state = module.__spec__
        return module

    @staticmethod
    def exec_module(module: ModuleType) -> None:
        """The module has run under its own name; it gets back the spec that it had."""
        assert module.__spec__ is not None
        module.__spec__ = module.__spec__.loader_state
        if not hasattr(module, "__path__"):
            module.__path__ = []  # so that a missing module below it is also refused in our words


def _distribution() -> Any:
    """The package `torch` as `importlib.metadata` describes packages."""
    from importlib.metadata import Distribution

    from pullback.version import __version__

    class Torch(Distribution):
        def read_text(self, filename: str) -> str | None:
            text = f"Metadata-Version: 2.1\nName: torch\nVersion: {__version__}\n"
            return text if filename in ("METADATA", "PKG-INFO") else None

        def locate_file(self, path: Any) -> Any:
            return os.path.join(os.path.dirname(os.path.dirname(__file__)), path)

    return Torch()


def _own_name(name: str) -> str:
    return f"pullback.{name}" if name.startswith("functorch") else "pullback" + name.removeprefix("torch")


def install() -> None:
    """Make `import torch` mean Pullback in this process.

    From then on the module calls itself `torch`, its `__version__` is that of PyTorch's interface, which
    programs go by, and `importlib.metadata` says the same of a package `torch`. RuntimeError if PyTorch
    itself has been imported already.

    >>> import pullback.launch
    >>> pullback.launch.install()
    >>> import torch
    >>> torch is pullback
    True
    """
    loaded = sys.modules.get("torch")
    if loaded is not None and loaded is not sys.modules.get("pullback"):
        raise RuntimeError("'torch' is already imported, and it is not Pullback")
    if TorchFinder not in sys.meta_path:
        sys.meta_path.insert(0, TorchFinder)
        from pullback.version import __version__

        vars(pullback).update(__version__=__version__, __name__="torch", torch=pullback)
        name_classes("torch")


def main(arguments: Sequence[str]) -> int:
    """Run the program that the command line names; the exit status, 2 for wrong usage."""
    rest = list(arguments)
    prompt = rest[:1] == ["-i"]
    del rest[:prompt]
    first = rest[0] if rest else ""
    prompt = prompt or (first == "-" and sys.stdin.isatty())
    if first in ("-h", "--help"):
        sys.stdout.write(USAGE)
        return 0
    if first in ("-V", "--version"):
        print(_versions())
        return 0
    if not (rest or prompt) or (first in ("-m", "-c") and len(rest) == 1):
        sys.stderr.write(USAGE)
        return 2
    if first.startswith("-") and first not in ("-m", "-c", "-"):
        sys.stderr.write(f"python -m pullback: unknown option {first}\n{USAGE}")
        return 2
    install()
    if STARTED_BY_MPI.intersection(os.environ):
        from pullback.distributed.transport import export_place

        export_place()
    try:
        code, world = _load(rest)
    except (OSError, ModuleNotFoundError) as error:
        sys.stderr.write(f"python -m pullback: can't run the program: {error}\n")
        return 2
    except SyntaxError as error:
        return _report(error)
    status = _run(code, world, prompt)
    return _prompt(world, alone=not rest) if prompt else status


def _versions() -> str:
    """What runs here, in a line."""
    import numpy

    python = ".".join(map(str, sys.version_info[:3]))
    return f"Pullback {OWN_VERSION}, Python {python}, NumPy {numpy.__version__}"


def _load(arguments: list[str]) -> tuple[CodeType, ModuleType]:
    """The program that the arguments begin with, and the module that it is to run in; sets `sys.argv`."""
    first, *others = arguments or [""]
    if first == "-m":
        code, world = _load_module(others[0])
        sys.argv = [world.__file__ or others[0], *others[1:]]
        return code, world
    if first not in ("", "-", "-c"):
        code, world = _load_file(first)
        sys.argv = arguments
        return code, world
    if not sys.flags.safe_path:
        sys.path[0] = ""
    sys.argv = [first, *others[first == "-c" :]]
    source, name = (others[0], "<string>") if first == "-c" else ("", "<stdin>")
    if first == "-" and not sys.stdin.isatty():
        source = sys.stdin.read()
    return compile(source, name, "exec", dont_inherit=True), ModuleType("__main__")


def _load_file(path: str) -> tuple[CodeType, ModuleType]:
    """The code of a source file, and the module that it is to run in."""
    path = os.path.abspath(path)
    with io.open_code(path) as file:
        source = file.read()
    world = ModuleType("__main__")
    world.__file__ = path
    world.__loader__ = SourceFileLoader("__main__", path)
    if not sys.flags.safe_path:
        sys.path[0] = os.path.dirname(os.path.realpath(path))
    return compile(source, path, "exec", dont_inherit=True), world


def _load_module(name: str) -> tuple[CodeType, ModuleType]:
    """The code of a module, or of the `__main__` of a package."""
    spec = importlib.util.find_spec(name)
    if spec is not None and spec.submodule_search_locations is not None:
        name += ".__main__"
        spec = importlib.util.find_spec(name)
    if spec is None:
        raise ModuleNotFoundError(f"No module named '{name}'", name=name)
    load: Any = getattr(spec.loader, "get_code", lambda name: None)
    code = load(name)
    if code is None:
        raise ModuleNotFoundError(f"module '{name}' has no code to run", name=name)
    world = ModuleType("__main__")
    world.__file__, world.__loader__ = spec.origin, spec.loader
    world.__spec__, world.__package__ = spec, spec.parent
    return code, world


def _run(code: CodeType, world: ModuleType, prompt: bool) -> int:
    """Run a program in its module, which stays `__main__` until the process ends.

    Where a prompt follows, it does so after `sys.exit` too.
    """
    world.__dict__["__builtins__"] = __builtins__
    sys.modules["__main__"] = world
    try:
        exec(code, world.__dict__)
    except SystemExit as error:
        if not prompt:
            raise
        return _report(error)
    except KeyboardInterrupt as error:
        if prompt:
            return _report(error)
        _show_as_own(error)
        raise  # Python ends as an interrupted program does
    except Exception as error:
        return _report(error)
    return 0


def _prompt(world: ModuleType, alone: bool) -> int:
    """Python's prompt in the program's module: by Python itself at a terminal, else from standard input."""
    if alone:
        sys.stderr.write(f"{_versions()}: import torch imports pullback\n")
    if sys.stdin.isatty():
        os.environ["PYTHONINSPECT"] = "1"  # it looks when all else is done, and goes on in __main__
    else:
        from code import interact

        interact(banner="", exitmsg="", local=world.__dict__)
    return 0


def _report(error: BaseException) -> int:
    """Show an uncaught exception as Python does, without the frames of this file and of the core."""
    _strip(error)
    sys.excepthook(type(error), error, error.__traceback__)
    return 1


def _show_as_own(error: BaseException) -> None:
    """Has an exception that goes on through this file shown as if it had not."""
    _strip(error)
    trace, show = error.__traceback__, sys.excepthook

    def hook(kind: type[BaseException], found: BaseException, through: TracebackType | None) -> None:
        show(kind, found.with_traceback(trace), trace)

    sys.excepthook = hook


def _strip(error: BaseException) -> None:
    """Takes the frames of this file and of the core out of an exception and of those it comes from."""
    chain, place = [error], 0
    while place < len(chain):  # an exception may have been raised while others were handled
        found = chain[place]
        found.__traceback__ = _outside(found.__traceback__)
        chain += [e for e in (found.__cause__, found.__context__) if e is not None and e not in chain]
        place += 1


def _outside(trace: TracebackType | None) -> TracebackType | None:
    """The traceback without the frames of this file and of the compiled core."""
    kept = []
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if file != __file__ and not file.endswith((".pyx", ".pxi")):
            kept.append(trace)
        trace = trace.tb_next
    for entry, following in zip(kept, [*kept[1:], None], strict=False):
        entry.tb_next = following
    return kept[0] if kept else None
