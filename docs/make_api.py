"""Makes the pages of the API, one a namespace, from signatures and docstrings.

The site's build calls `pages`. What is public: the names that ops publish, and those in the `__all__` of a
module, if no part of its name begins with an underscore.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from types import ModuleType
from typing import Any

import make_ops
from make_ops import markdown, prose, sentence

import pullback
from pullback.core.op import SURFACE
from pullback.face.members import MEMBERS

INDEX = """# The API

The names are PyTorch's, `torch` being what `import pullback as torch` binds. Each page is made from the
docstrings; their examples run as tests. [Coverage](../coverage.md) tells, op by op, how far Pullback agrees
with PyTorch, [Derivatives](../derivatives/index.md) gives the formulas.

| namespace | what it holds | names |
|---|---|---:|
{rows}
"""

TENSOR = """
Most methods are the functions of `torch` with the tensor as first argument: `x.sum(0)` is
`torch.sum(x, 0)`. They are listed, with links; what only tensors have follows.

A trailing underscore means in place: `x.add_(y)` writes the sum into `x` and returns it. The methods that
have such a twin:

{in_place}

## Methods that are functions of torch

{shared}
"""

# ----------------------------------------------------------------------------------------- signatures


def signature(thing: Any, method: bool = False) -> str:
    """The parameters of a function, with types and defaults; "" for what is not called."""
    if not callable(thing) or isinstance(thing, property):
        return ""
    try:
        found = inspect.signature(thing)
    except (TypeError, ValueError):
        return "(...)"
    parameters = list(found.parameters.values())[1 if method else 0 :]
    shown, starred = [], False
    for parameter in parameters:
        if parameter.kind is parameter.KEYWORD_ONLY and not starred:
            shown.append("*")
        starred |= parameter.kind in (parameter.KEYWORD_ONLY, parameter.VAR_POSITIONAL)
        stars = str(parameter).partition(parameter.name)[0]
        shown.append(stars + parameter.name + _typed(parameter))
    result = _annotation(found.return_annotation)
    return f"({', '.join(shown)})" + (f" -> {result}" if result else "")


def _typed(parameter: inspect.Parameter) -> str:
    note = _annotation(parameter.annotation)
    has = parameter.default is not parameter.empty
    value = getattr(parameter.default, "__name__", None) or repr(parameter.default) if has else ""
    value = "..." if value.startswith("<") else value
    if note:
        return f": {note}" + (f" = {value}" if has else "")
    return f"={value}" if has else ""


def _annotation(note: Any) -> str:
    """An annotation as text; "" for one that says nothing."""
    if note is inspect.Signature.empty:
        return ""
    text = note if isinstance(note, str) else getattr(note, "__name__", None) or str(note)
    text = text.strip("'\"").replace("typing.", "")
    return "" if text in ("Any", "None") or "Unpack" in text else text


# ------------------------------------------------------------------------------------------- entries


def entry(name: str, thing: Any, method: bool = False) -> str:
    """A name's heading, signature and docstring; a class's public methods too."""
    text = f"### {name} {{ #{name} }}\n\n"
    call = signature(thing, method)
    short = name.rpartition(".")[2]
    if call:
        shown = short + call
        if len(shown) > 100:
            inside, _, result = call[1:].rpartition(")")
            shown = f"{short}(\n    " + ",\n    ".join(_split(inside)) + f",\n){result}"
        text += f"```python\n{shown}\n```\n\n"
    text += (markdown(getattr(thing, "__doc__", None)) or _of_python(thing)) + "\n"
    if isinstance(thing, type):
        for inner, member in vars(thing).items():
            if not inner.startswith("_") and getattr(member, "__doc__", None):
                function = getattr(member, "__func__", member)
                own = not isinstance(member, staticmethod)
                head = f"{inner}{signature(function, own)}" if not isinstance(member, property) else inner
                text += f"\n**`{head}`** {prose(sentence(member.__doc__))}.\n"
    return text


def _of_python(thing: Any) -> str:
    """What stands for a docstring where Python's own module, whose name it is, has none."""
    module = str(getattr(thing, "__module__", "pullback"))
    return "" if module.startswith("pullback") else f"That of Python's `{module.partition('.')[0]}`."


def _split(parameters: str) -> list[str]:
    """Parameters, separated by the commas that stand outside of brackets."""
    parts, depth = [""], 0
    for letter in parameters:
        depth += (letter in "([{") - (letter in ")]}")
        if letter == "," and not depth:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts]


# ----------------------------------------------------------------------------------------- namespaces


def modules() -> dict[str, ModuleType]:
    """The public modules besides the op namespaces: those with an `__all__`."""
    found = {}
    for info in pkgutil.walk_packages(pullback.__path__, "pullback."):
        parts = info.name.split(".")[1:]
        if parts[0] in INSIDE or any(part.startswith("_") for part in parts):
            continue
        module = importlib.import_module(info.name)
        if hasattr(module, "__all__"):
            found[".".join(parts)] = module
    return found


INSIDE = ("core", "kernels", "ops", "face", "transforms")
"""The packages that hold what users see under other names."""


def namespaces() -> dict[str, dict[str, Any]]:
    """Namespace -> name -> thing, "torch" and "Tensor" among them."""
    make_ops.complete()
    found: dict[str, dict[str, Any]] = {}
    for space, functions in SURFACE.items():
        known = {n: f for n, f in functions.items() if not n.startswith("_")}
        if known and (space in ("torch", "Tensor") or _module(space) is not None):
            found[space] = known
    found["Tensor"].update({n: m for n, m in MEMBERS.items() if not n.startswith("_")})
    for path, module in modules().items():
        names = {n: getattr(module, n) for n in module.__all__ if not n.startswith("_")}
        for name, thing in names.items():
            if not isinstance(thing, ModuleType):
                found.setdefault(_home(path, name, thing), {})[name] = thing
    settings = {
        name: thing
        for name, thing in vars(pullback).items()
        if not name.startswith("_")
        and name not in found["torch"]
        and (inspect.isroutine(thing) or isinstance(thing, type))
        and thing is not pullback.Tensor
    }
    found["torch"].update(settings)
    return found


def _home(path: str, name: str, thing: Any) -> str:
    """The shortest namespace that has a module's thing: a package above the module, or the module."""
    parts = path.split(".")
    for i in range(1, len(parts)):
        above = ".".join(parts[:i])
        if getattr(_module(above), name, None) is thing:
            return above
    return path


def described(space: str) -> str:
    """What a namespace is, in its docstring's words."""
    if space == "torch":
        return "Functions of tensors, and settings."
    if space == "Tensor":
        return sentence(pullback.Tensor.__doc__) + "."
    return sentence(_module(space).__doc__) + "."


def _module(space: str) -> Any:
    """The module that users reach under a name, None if there is none."""
    found: Any = pullback
    for part in space.split("."):
        found = getattr(found, part, None)
    return found


def pages() -> dict[str, str]:
    """All pages by their path below docs/."""
    found = namespaces()
    made, rows = {}, []
    for space in sorted(found, key=lambda s: (s not in ("torch", "Tensor"), s != "torch", s.lower())):
        things = {
            n: t for n, t in found[space].items() if not n.endswith("_") or space not in ("torch", "Tensor")
        }
        title = space if space in ("torch", "Tensor") else f"torch.{space}"
        text = f"# {title}\n\n{prose(described(space))}\n"
        if space == "torch":
            made.update(torch_pages(things))
            text += "\n" + made.pop("api/torch.md")
        elif space == "Tensor":
            text += tensor_page(things, found)
        else:
            text += "\n" + listing(title, things)
            for name, thing in sorted(things.items()):
                text += "\n" + entry(f"{title}.{name}", thing)
        made[f"api/{space}.md"] = text
        rows.append(f"| [`{title}`]({space}.md) | {prose(described(space))} | {len(things)} |")
    made["api/index.md"] = INDEX.format(rows="\n".join(rows))
    return made


def torch_pages(things: dict[str, Any]) -> dict[str, str]:
    """The functions of torch, a page for each family, and the page that lists them all."""
    families: dict[str, dict[str, Any]] = {}
    for name, thing in sorted(things.items()):
        module = make_ops.home(thing) if callable(thing) and not isinstance(thing, type) else ""
        family = module.removeprefix("pullback.ops.").partition(".")[0] or "settings"
        families.setdefault(family, {})[name] = thing
    made, text = {}, ""
    for family, members in sorted(families.items()):
        title = family.replace("_", " ")
        page = f"# torch: {title}\n\n" + "".join(
            entry(f"torch.{name}", thing) + "\n" for name, thing in members.items()
        )
        made[f"api/torch/{family}.md"] = page
        text += f"## {title}\n\n" + listing("torch", members, f"torch/{family}.md") + "\n"
    made["api/torch.md"] = text
    return made


def listing(space: str, things: dict[str, Any], page: str = "") -> str:
    """A table of names, each with the first sentence of its docstring."""
    rows = [
        f"| [`{name}`]({page}#{space}.{name}) | {prose(sentence(getattr(thing, '__doc__', None)))} |"
        for name, thing in sorted(things.items())
    ]
    return "| name | what it is |\n|---|---|\n" + "\n".join(rows) + "\n"


def tensor_page(things: dict[str, Any], found: dict[str, dict[str, Any]]) -> str:
    """The methods: those that are functions of torch by name, the others in full."""
    torch = found["torch"]
    places = {
        name: f"torch/{(make_ops.home(t).removeprefix('pullback.ops.').partition('.')[0]) or 'settings'}.md"
        for name, t in torch.items()
        if callable(t) and not isinstance(t, type)
    }
    same = {
        name
        for name, thing in things.items()
        if name in places and _first(thing) == _first(torch[name]) and not isinstance(thing, property)
    }
    in_place = sorted(n for n in found["Tensor"] if n.endswith("_"))
    text = TENSOR.format(
        in_place=", ".join(f"`{name}`" for name in in_place),
        shared=", ".join(f"[`{name}`]({places[name]}#torch.{name})" for name in sorted(same)),
    )
    own = {n: t for n, t in things.items() if n not in same}
    text += "\n## Methods and attributes of tensors alone\n\n"
    for name, thing in sorted(own.items()):
        text += "\n" + entry(f"Tensor.{name}", thing, method=True)
    return text


def _first(thing: Any) -> str:
    return sentence(getattr(thing, "__doc__", None))
