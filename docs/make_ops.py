"""Writes docs/ops.md: every op, what it does, and the formula of its derivative, from the op table.

`python docs/make_ops.py` writes it; `--check` says whether it is current. The formulas are the rules
themselves: the source of each lambda, or the last line of a longer rule.
"""

from __future__ import annotations

import ast
import functools
import inspect
import sys
import textwrap
from importlib.machinery import SOURCE_SUFFIXES, FileFinder, ModuleSpec, SourceFileLoader
from pathlib import Path
from types import FunctionType
from typing import Any


def is_family(module: str) -> bool:
    """Whether a module declares ops."""
    return module.startswith("pullback.ops.")


class Sources:
    """Finds the rules as Python: a compiled rule has no lines to read."""

    def find_spec(self, name: str, path: Any, target: Any = None) -> ModuleSpec | None:
        if not is_family(name):
            return None
        found = (FileFinder(place, (SourceFileLoader, SOURCE_SUFFIXES)).find_spec(name) for place in path)
        return next((spec for spec in found if spec is not None), None)


sys.meta_path.insert(0, Sources())  # type: ignore[arg-type]

from pullback import ops  # noqa: E402
from pullback.core._engine import REGISTRY, Op  # noqa: E402
from pullback.core.op import SURFACE  # noqa: E402

PAGE = Path(__file__).with_name("ops.md")

HEAD = """# Ops

Made by `python docs/make_ops.py` from the op table: each op, what it does, and its derivative, as the rule
that the backward pass runs. `g` is the gradient of the result, the other names are the op's inputs and its
`result`; the engine sums each gradient over what was broadcast. A gradient is PyTorch's: of a complex
input, the direction of steepest ascent, so a holomorphic function has `g * conj(its derivative)`.
Forward mode is derived from these rules, but where *forward* gives a rule of its own. Ops marked *linear*
are their own derivative, *views* share memory; *of ops* is a function made of other ops.
"""


@functools.cache
def parsed(path: str) -> list[Any]:
    """The functions and lambdas of a source file."""
    tree = ast.parse(Path(path).read_text())
    return [node for node in ast.walk(tree) if isinstance(node, ast.Lambda | ast.FunctionDef)]


def formula(rule: Any) -> str:
    """A rule as it is written: the body of a lambda, or what a function returns at its end."""
    if rule == "g":
        return "g"
    code = rule.__code__
    names = code.co_varnames[: code.co_argcount]
    for node in parsed(inspect.getsourcefile(rule) or ""):
        line = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))])
        if line != code.co_firstlineno or tuple(a.arg for a in node.args.args) != names:
            continue
        if isinstance(node, ast.FunctionDef):
            return _returned(node)
        places = [place for place in code.co_positions() if place[2] is not None]
        if (node.body.lineno, node.body.col_offset) in {(place[0], place[2]) for place in places}:
            return ast.unparse(node.body)
    return f"by {rule.__name__.strip('_')}"


def _returned(node: ast.FunctionDef) -> str:
    """What a rule of several lines returns, if that says it; else the rule's name."""
    last = node.body[-1]
    body = [
        line
        for line in node.body
        if not (isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant))
    ]
    if len(body) == 1 and isinstance(last, ast.Return) and last.value is not None:
        return ast.unparse(last.value)
    return f"by {node.name.strip('_')}"


def derivative(op: Op) -> str:
    """The column of an op's derivative."""
    if op.nondiff:
        return "none"
    told = []
    tensors = [name for name, kind in zip(op.params, op.kinds, strict=True) if kind in "TNOL"]
    if op.joint is not None:
        told.append(f"all: {code(formula(op.joint.function))}")
    for name, rule in zip(tensors, op.rules, strict=True):
        if rule is not None:
            text = f"g * conj({rule.names[1]})" if rule.product else formula(rule.function or "g")
            told.append(f"{name}: {code(text)}")
    flags = [word for word, has in (("linear", op.linear), ("view", op.view or op.multi_view)) if has]
    if op.jvp_rule is not None:
        told.append(f"*forward*: {code(formula(op.jvp_rule))}")
    return "; ".join([*told, *(f"*{word}*" for word in flags)]) or "none"


def code(text: str) -> str:
    """A formula for a table's cell."""
    short = textwrap.shorten(text.replace("ops.", ""), 160, placeholder=" ...")
    return f"`{short.replace('|', chr(92) + '|')}`"


def sentence(doc: str | None) -> str:
    """The first sentence of a docstring."""
    first = " ".join((doc or "").strip().partition("\n\n")[0].split())
    return first.partition(". ")[0].rstrip(".").replace("|", "\\|")


def public_names() -> dict[int, list[str]]:
    """What users call each function, by its id."""
    names: dict[int, list[str]] = {}
    for space, functions in SURFACE.items():
        for name, thing in functions.items():
            names.setdefault(id(thing), []).append(f"{space}.{name}")
    return names


def home(thing: Any, modules: dict[str, Any]) -> str:
    """The family that an op or a composite is declared in."""
    rules = [rule.function for rule in getattr(thing, "rules", ()) if rule is not None]
    candidates = [getattr(thing, "kernel", None), getattr(thing, "__wrapped__", None), thing, *rules]
    for candidate in candidates:
        if isinstance(candidate, FunctionType) and candidate.__module__ in modules:
            return candidate.__module__
    return next((name for name, module in modules.items() if thing in vars(module).values()), "")


def page() -> str:
    """All of docs/ops.md."""
    ops.load_later()
    modules = {
        name: module for name, module in sys.modules.items() if name.count(".") == 3 and is_family(name)
    }
    names = public_names()
    composites = {
        id(thing): thing
        for functions in SURFACE.values()
        for name, thing in functions.items()
        if not isinstance(thing, Op) and not name.endswith("_")
    }
    things: list[tuple[str, Any]] = [*REGISTRY.items()]
    things += [(names[key][0].rpartition(".")[2], thing) for key, thing in composites.items()]
    parts: dict[str, list[str]] = {}
    for name, thing in things:
        where = ", ".join(names.get(id(thing), []))
        shown = f"`{name}`" + (f" ({where})" if where and where != f"torch.{name}" else "")
        of = derivative(thing) if isinstance(thing, Op) else "*of ops*"
        row = f"| {shown} | {sentence(thing.__doc__)} | {of} |"
        parts.setdefault(home(thing, modules), []).append(row)
    text = HEAD
    for module, rows in sorted(parts.items(), key=lambda part: (not part[0], part[0])):
        title = sentence(modules[module].__doc__) if module else "What tensors have besides the ops"
        text += f"\n## {module.rpartition('.')[2] or 'methods'}\n\n{title}.\n\n"
        text += "\n".join(["| op | what | derivative |", "|---|---|---|", *sorted(rows)]) + "\n"
    return text


if __name__ == "__main__":
    if "--check" in sys.argv:
        sys.exit(0 if PAGE.read_text() == page() else "docs/ops.md is not current: python docs/make_ops.py")
    PAGE.write_text(page())
