"""Writes type stubs of what is put in its place at run time: `python tools/stubs.py`.

`--check` says whether they are fresh. The functions of `pullback` and its namespaces and the methods of
Tensor come from the op table, so type checkers and editors would not see them. Their signatures are read off
it and written as `.pyi` files beside the package's own: `__init__.pyi`, one for each namespace, and
`core/tensor_members.pyi`, the base that `core/_engine.pyi` gives Tensor. What is plain Python needs no stub.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import math
import pkgutil
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
if any(ROOT.glob("pullback/core/_engine.*.so")):  # built here; else the installed package is asked
    sys.path.insert(0, str(ROOT))

import pullback  # noqa: E402
from pullback import return_types  # noqa: E402
from pullback.core import dtypes  # noqa: E402
from pullback.core.op import SURFACE  # noqa: E402
from pullback.core.signatures import signature_of  # noqa: E402
from pullback.face import namespaces  # noqa: E402
from pullback.face.members import MEMBERS  # noqa: E402
from pullback.ops.shared.forms import HIDDEN  # noqa: E402

PACKAGE = ROOT / "pullback"
HEAD = '"""Made by tools/stubs.py: {}."""\n\n'
IMPORTS = {
    "builtins": "bool complex float int property staticmethod str type",
    "collections.abc": "Callable Iterable Iterator Mapping Sequence",
    "typing": "Any overload",
    "numpy": "ndarray",
    "pullback": "return_types",
    "pullback.core._engine": "Tensor",
    "pullback.core.dtypes": "Size device dtype layout memory_format",
    "pullback.core.types": "Dims Number",
    "pullback.face.storage": "TypedStorage UntypedStorage",
    "pullback.kernels.random.generators": "Generator",
}
"""What signatures refer to; under names with an underscore, as `torch.float` and `Tensor.type` are others."""

TYPES = {
    "Array": "ndarray[Any, Any]",
    "Arrays": "tuple[Tensor, ...]",
    "Tensors": "Sequence[Tensor]",
    "Ints": "int | Sequence[int]",
    "Dtype": "dtype",
    "Device": "device",
}
"""What kernels and functions write in their annotations, as users see it."""

BY_NAME = {"out": "Tensor | None", "generator": "Generator | None"}
"""The types of parameters that say nothing of their own."""

PROPERTIES = {"itemsize": "int", "nbytes": "int", "layout": "layout", "grad_dtype": "dtype", "name": "None"}
"""The types of properties; of others bool or Tensor."""

NAMED = {name: kind for name, kind in vars(return_types).items() if getattr(kind, "n_fields", 0)}
"""The named tuples of results."""

TUPLES = {("histogramdd", "bin_edges"), ("histogramdd_out", "bin_edges")}
"""The items of named tuples that are tuples of tensors."""

INTERNAL = {"core", "kernels", "ops", "face", "transforms", "_engine", "__main__"}

HIDDEN_NAMES = {name for names in IMPORTS.values() for name in names.split()}


def imports() -> str:
    """The imports of every stub."""
    rows = ((module, [f"{n} as _{n}" for n in names.split()]) for module, names in IMPORTS.items())
    return "".join(f"from {module} import {', '.join(names)}\n" for module, names in rows)


def typed(annotation: Any, name: str = "") -> str:
    """The type of a parameter or result as a stub writes it."""
    if annotation is inspect.Parameter.empty or annotation in ("Any", Any):
        annotation = BY_NAME.get(name, "Any")
    text = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", str(annotation))
    text = re.sub(r"(?<![\w.])\w+", lambda word: TYPES.get(word[0], word[0]), text.strip("'\""))
    return re.sub(r"(?<![\w.])\w+", lambda word: f"_{word[0]}" if word[0] in HIDDEN_NAMES else word[0], text)


def default(value: Any) -> str:
    """The default of a parameter, where a stub can say it."""
    if value is inspect.Parameter.empty:
        return ""
    number = type(value) is float and math.isfinite(value)
    return f" = {value!r}" if value is None or number or type(value) in (bool, int, str) else " = ..."


def signature(function: Any, method: bool = False, kind_of_results: str = "") -> str:
    """The parameters and the result of a function, as between `def name` and the colon."""
    found = signature_of(function)
    parts: list[str] = []
    starred = False  # whether what comes is by keyword only
    for place, p in enumerate(found.parameters.values()):
        kind, note = p.kind, p.annotation
        if note == "Size" and kind is p.POSITIONAL_OR_KEYWORD and p.default is p.empty:
            kind, note = p.VAR_POSITIONAL, "int | Sequence[int]"  # a tuple, or ints one by one
        if kind is p.KEYWORD_ONLY and not starred:
            parts.append("*")
        starred = starred or kind in (p.KEYWORD_ONLY, p.VAR_POSITIONAL)
        if method and place == 0 and kind is not p.VAR_POSITIONAL:
            parts.append("self")
        elif kind is p.VAR_POSITIONAL or kind is p.VAR_KEYWORD:
            parts.append(f"{'*' if kind is p.VAR_POSITIONAL else '**'}{p.name}: {typed(note, p.name)}")
        else:
            text = typed(note, p.name)
            wide = " | None" if p.default is None and not re.search("None|_Any|_Dims", text) else ""
            parts.append(f"{p.name}: {text}{wide}{default(p.default)}")
    return f"({', '.join(parts)}) -> {result(found.return_annotation, kind_of_results)}"


def result(annotation: Any, kind_of_results: str) -> str:
    """The type of a result; a tuple is the named one of `return_types` where there is one of the name."""
    several = annotation in ("Any", Any) or str(annotation).startswith("tuple[")
    return f"_return_types.{kind_of_results}" if several and kind_of_results else typed(annotation)


def forms_shown(function: Any) -> list[Any]:
    """The functions whose signatures are those of its calls, none for its own."""
    declared = getattr(getattr(function, "__wrapped__", None), "signatures", ())
    explained = getattr(getattr(function, "rescue", None), "forms", ())
    return [form for form in declared or explained if form is not HIDDEN]


def functions(surface: dict[str, Any], indent: str = "", space: str = "") -> Iterable[str]:
    """A line for each function by name, several for one that has several forms."""
    for name, function in sorted(surface.items()):
        if isinstance(function, type) and issubclass(function, Exception):
            yield f"class {name}({function.__bases__[0].__name__}): ..."
        elif isinstance(function, type):
            yield f"from {function.__module__} import {function.__name__} as {name}"
        elif isinstance(function, property):
            kind = PROPERTIES.get(name, "bool" if name.startswith("is_") else "Tensor")
            yield f"{indent}@_property\n{indent}def {name}(self) -> {typed(kind)}: ..."
        elif isinstance(function, staticmethod):
            yield f"{indent}@_staticmethod\n{indent}def {name}{signature(function.__func__)}: ..."
        elif not callable(function):
            yield f"{indent}{name}: {typed(type(function).__name__)}"
        else:
            forms = forms_shown(function)
            mark = f"{indent}@_overload\n" if len(forms) > 1 else ""
            named = f"{space}_{name}" if space else name
            named = named if named in NAMED else ""
            for form in forms or [function]:
                yield f"{mark}{indent}def {name}{signature(form, bool(indent), named)}: ..."


def package() -> str:
    """`pullback/__init__.pyi`: the public names that `__init__.py` imports and makes, and every function."""
    lines, imported = [], set()
    for node in ast.parse((PACKAGE / "__init__.py").read_text()).body:
        if isinstance(node, ast.ImportFrom):
            names = [a.name for a in node.names if a.name.islower() or a.name in ("Tensor", "Size")]
            names = [name for name in names if name not in ("blas", "ops", "namespaces", "_engine")]
            imported |= set(names)
            lines += [f"from {node.module} import {name} as {name}" for name in names]
    modules = [m.name for m in pkgutil.iter_modules([str(PACKAGE)]) if m.name not in INTERNAL]
    lines += [f"from pullback import {name} as {name}" for name in (*modules, *namespaces.NAMESPACES)]
    lines += [f"from pullback.{m} import {name} as {name}" for name, m in namespaces.ELSEWHERE.items()]
    lines += [f"{kind.name}: _dtype" for kind in dtypes.DTYPES]
    lines += [f"{alias}: _dtype" for alias in dtypes.ALIASES]
    lines += [f"{name}: _float" for name in ("inf", "nan", "pi", "e")]
    lines += ["newaxis: None", "__version__: _str"]
    lines += [f"{name}: _type[_Tensor]" for name in pullback.face.legacy.TENSOR_TYPES]
    lines += functions({name: f for name, f in SURFACE["torch"].items() if name not in imported})
    return HEAD.format("the names of `torch`") + imports() + "\n" + "\n".join(lines) + "\n"


def namespace(space: str) -> str:
    """The stub of a namespace such as `pullback.linalg`."""
    lines = functions(SURFACE[space], space=space)
    return HEAD.format(f"the functions of `torch.{space}`") + imports() + "\n" + "\n".join(lines) + "\n"


def members() -> str:
    """`core/tensor_members.pyi`: the methods of Tensor that are ops."""
    lines = functions({**SURFACE["Tensor"], **MEMBERS}, "    ")
    return (
        HEAD.format("the methods of Tensor")
        + imports()
        + "\nclass TensorMembers:\n"
        + "\n".join(lines)
        + "\n"
    )


def layers() -> dict[Path, str]:
    """The stubs of `pullback.nn` and `pullback.nn.modules`, which gather what the files of layers hold."""
    folder = PACKAGE / "nn"
    own = [
        f"from {node.module} import {a.name} as {a.name}"
        for node in ast.parse((folder / "__init__.py").read_text()).body
        if isinstance(node, ast.ImportFrom)
        for a in node.names
        if a.name != "getter"
    ]
    below = [m.name for m in pkgutil.iter_modules([str(folder)]) if m.name[0] != "_"]
    own = sorted({*own, *(f"from pullback.nn import {name} as {name}" for name in below)})
    files = [m.name for m in pkgutil.iter_modules([str(folder / "modules")]) if m.name[0] != "_"]
    gathered = []
    for file in files:
        module = f"pullback.nn.modules.{file}"
        gathered += [
            f"from {module} import {name} as {name}" for name in importlib.import_module(module).__all__
        ]
    head = HEAD.format("the names of `torch.{}`")
    return {
        folder / "__init__.pyi": head.format("nn") + "\n".join(own + gathered) + "\n",
        folder / "modules" / "__init__.pyi": head.format("nn.modules") + "\n".join(gathered) + "\n",
    }


def named_tuples() -> str:
    """`pullback/return_types.pyi`: a class for each named tuple."""
    lines = []
    for name, kind in NAMED.items():
        items = [
            "tuple[Tensor, ...]" if (name, field) in TUPLES else "Tensor" for field in kind.__match_args__
        ]
        lines.append(f"\nclass {name}(tuple[{', '.join(items)}]):")
        lines.append(f"    def __new__(cls, sequence: Iterable[Any], /) -> {name}: ...")
        for field, item in zip(kind.__match_args__, items, strict=True):
            lines += ["    @property", f"    def {field}(self) -> {item}: ..."]
    return (
        HEAD.format("the results of `torch.return_types`")
        + "from collections.abc import Iterable\nfrom typing import Any\n\n"
        + "from pullback.core._engine import Tensor\n"
        + "\n".join(lines)
        + "\n"
    )


def stubs() -> dict[Path, str]:
    """All stubs: file -> text."""
    namespaces.complete()
    made = {
        PACKAGE / "__init__.pyi": package(),
        PACKAGE / "return_types.pyi": named_tuples(),
        PACKAGE / "core" / "tensor_members.pyi": members(),
    }
    for space in SURFACE:
        if space not in ("torch", "Tensor"):
            made[PACKAGE.joinpath(*space.split(".")).with_suffix(".pyi")] = namespace(space)
    return made | layers()


def main() -> int:
    """Writes the stubs, or with `--check` says which are not current."""
    stale = [path for path, text in stubs().items() if not path.exists() or path.read_text() != text]
    if "--check" in sys.argv:
        print("\n".join(f"{path.relative_to(ROOT)} is not current: python tools/stubs.py" for path in stale))
        return bool(stale)
    for path, text in stubs().items():
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
