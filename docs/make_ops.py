"""Makes the pages of derivatives, one a family, from the op table; the site's build calls `pages`.

The formulas are the rules that the backward pass runs, read from their source: the body of a lambda, or
what a function returns, with what it computes on the way put in its place. A rule that is no such formula
is shown as it is written. `python docs/make_ops.py tanh softmax` prints the entries of single ops.
"""

from __future__ import annotations

import ast
import functools
import inspect
import re
import sys
import textwrap
from types import FunctionType
from typing import Any

import pullback
from pullback.core._engine import REGISTRY, Op
from pullback.core.op import SURFACE
from pullback.see.formulas import bare, formula, source_of

HEAD = """# Derivatives: {title}

{doc}

{how}
"""

HOW = """Each formula is the rule that the backward pass runs, from its source. `g` is the gradient of the
result (`g0`, `g1`, ... where there are several), `result` what the op returned, the other names are the op's
inputs and parameters. `times(g, slope)` is `g * slope`, and zero where `g` is zero and the slope infinite.
The engine sums each gradient to its input's shape. [How to read them](index.md)."""

INDEX = """# Derivatives

Every public op and the formula of its derivative, one page a family. The pages are made from the op table
when the site is built, so a formula here is the one that runs.

| page | what it holds | ops |
|---|---|---:|
{rows}

## How to read a formula

- **The name before the colon** is the input whose gradient the formula gives; *all* stands for a rule that
  gives the gradients of all inputs at once, since they share work.
- **`g`** is the gradient of the result, `g0`, `g1`, ... those of several results. The other names are the
  op's inputs, its parameters, and **`result`**. The first input is **`self`**, which calls name `input`.
- **Broadcasting is left out**: a rule may give its gradient in the shape of the result, and the engine sums
  it over what was broadcast. The same holds for dtypes.
- **Complex inputs**: a gradient is the direction of steepest ascent, as PyTorch's, so a holomorphic function
  has `g * conj(slope)`.
- **`times(g, slope)`** is `g * slope`, but zero where `g` is zero and the slope infinite or NaN.
- **Forward mode and batching** follow from these rules. *forward* gives a rule of its own where an op has
  one. *Linear* ops are their own derivative in forward mode; *views* share memory with their input.
- **A function of other ops** has their derivative, by the chain rule.
"""

LINES = 45
"""The longest rule that is shown as it is written."""


def written(rule: Any) -> str | None:
    """The source of a function, None where it is too long to be shown."""
    text, node = source_of(rule)
    if node is None or node.end_lineno - node.lineno >= LINES:
        return None
    lines = text.splitlines()[node.lineno - 1 : node.end_lineno]
    return textwrap.dedent("\n".join(re.sub(r"  # (fmt|type|noqa).*", "", line) for line in lines))


def told(rule: Any) -> str:
    """A rule in the best form there is: a formula, its source, or what its docstring says."""
    text = formula(rule) or written(rule)
    if text is None:
        text = f"# {sentence(rule.__doc__) or rule.__name__.strip('_')}"
    return bare(text)


# -------------------------------------------------------------------------------------- the entries


def sentence(doc: str | None) -> str:
    """The first sentence of a docstring."""
    first = " ".join((doc or "").strip().partition("\n\n")[0].split())
    return re.split(r"(?<!\.)\.\s", first)[0].rstrip(".")


def rules(op: Op) -> list[tuple[str, Any]]:
    """What gradients an op's rules give: (the inputs, the rule)."""
    tensors = [name for name, kind in zip(op.params, op.kinds, strict=True) if kind in "TNOL"]
    found: list[tuple[str, Any]] = [] if op.joint is None else [("all", op.joint.written)]
    for name, rule in zip(tensors, op.rules, strict=True):
        if rule is not None:
            found.append((name, rule.written or "g"))
    if op.jvp_rule is not None:
        found.append(("forward", op.jvp_rule))
    return found


def _line(name: str, rule: Any) -> str:
    """A rule under the name of its input; rules given as text are formulas already."""
    text = rule if isinstance(rule, str) else told(rule)
    if "\n" in text or text.startswith(("def ", "#")):
        return f"# {name}\n{text}"
    return "\n".join(_wrapped(f"{name}: {text}"))


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, 100, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False)


@functools.cache
def public_names() -> dict[int, list[str]]:
    """What users call each function, by its id; without twins that write in place, and private names."""
    complete()
    names: dict[int, list[str]] = {}
    for space, functions in SURFACE.items():
        for name, thing in functions.items():
            if not name.startswith("_") and not name.endswith("_"):
                shown = f"Tensor.{name}" if space == "Tensor" else f"torch.{name}"
                shown = shown if space in ("torch", "Tensor") else f"torch.{space}.{name}"
                names.setdefault(id(_read(thing)), []).append(shown)
    return names


def _read(thing: Any) -> Any:
    """What an attribute such as `x.real` calls; anything else as it is."""
    return thing.fget if isinstance(thing, property) else thing


@functools.cache
def complete() -> None:
    """Declares all ops, those too that wait for their first use."""
    dir(pullback)


def records(thing: Any) -> list[Op]:
    """The ops behind a public function: itself, what it wraps, or those of a composite that are its own."""
    if isinstance(thing, Op):
        return [thing]
    if isinstance(getattr(thing, "__wrapped__", None), Op):
        return [thing.__wrapped__]
    return [part for part in _called(thing) if isinstance(part, Op) and id(part) not in public_names()]


def _called(thing: Any, depth: int = 2) -> list[Any]:
    """The ops and public functions that a composite names in its source, through helpers of its file."""
    function = getattr(thing, "__wrapped__", thing)
    if not isinstance(function, FunctionType):
        return []
    code = function.__code__
    inner = [c for c in code.co_consts if hasattr(c, "co_names")]
    names = dict.fromkeys([*code.co_names, *(name for c in inner for name in c.co_names)])
    space = {**vars(pullback.ops), **function.__globals__}
    values = [space[name] for name in names if name in space]
    values += [cell.cell_contents for cell in function.__closure__ or ()]
    found: list[Any] = []
    for value in values:
        for one in value if isinstance(value, tuple | list) else [value]:
            if isinstance(one, Op) or id(one) in public_names():
                found.append(one)
            elif isinstance(one, FunctionType) and one.__module__ == function.__module__ and depth:
                found += _called(one, depth - 1)
    return [one for one in dict.fromkeys(found) if callable(one) and not isinstance(one, type)]


def _derivative(op: Op) -> str:
    """The rules of an op, a line or a block each, and its flags; "" if there is neither."""
    lines = [_line(name, rule) for name, rule in rules(op)]
    flags = [word for word, has in (("linear", op.linear), ("a view", op.view or op.multi_view)) if has]
    text = "```python\n" + "\n".join(lines) + "\n```\n" if lines else ""
    return text + (f"\nThe op is {' and '.join(flags)}.\n" if flags else "")


def entry(things: list[Any]) -> str:
    """The entry of a public function, or of several that are one op: names, what it does, derivative."""
    names = [name for thing in things for name in public_names()[id(thing)]]
    thing, ops = things[0], records(things[0])
    title = title_of(things)
    text = f"### {title.removeprefix('torch.')} {{ #{title} }}\n\n"
    text += ", ".join(f"`{name}`" for name in names) + ". " + prose(sentence(thing.__doc__)) + ".\n\n"
    blocks: dict[str, list[str]] = {}
    for op in ops:
        block = _derivative(op)
        if block and not op.nondiff:
            blocks.setdefault(block, []).append(op.name)
    shown = [
        (f"of `{'`, `'.join(inner)}`:\n\n" if len(blocks) > 1 else "") + block
        for block, inner in blocks.items()
    ]
    if all(op.nondiff for op in ops) and ops and not shown:
        shown = ["The result is not differentiable.\n"]
    parts = dict.fromkeys(_short(part) for part in _called(thing) if id(part) in public_names())
    own = any(isinstance(t, Op) or isinstance(getattr(t, "__wrapped__", None), Op) for t in things)
    if not own and not any(op.__name__ == thing.__name__ for op in ops):
        among = f", among them `{'`, `'.join(parts)}`" if parts else ""
        if parts or not blocks:
            shown.insert(0, f"A function of other ops{among}{', and of this' if blocks else ''}.\n")
    return text + ("\n".join(shown) or "It has no derivative.\n")


def title_of(things: list[Any]) -> str:
    """The name that a function is shown under: its own in `torch` if it has that, else its first one."""
    names = [name for thing in things for name in public_names()[id(thing)]]
    own = f"torch.{things[0].__name__}"
    return own if own in names else names[0]


def _short(part: Any) -> str:
    names = public_names().get(id(part))
    return title_of([part]).removeprefix("torch.") if names else part.name


def prose(text: str) -> str:
    """A docstring's line as Markdown: what stands outside of code is text as it is."""
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(p if p.startswith("`") else re.sub(r"([*_<\[\]|])", r"\\\1", p) for p in parts)


def markdown(doc: str | None) -> str:
    """A docstring as Markdown: paragraphs and lists as they are, examples and indented lines as code."""
    blocks: list[str] = []
    for block in re.split(r"\n\s*\n", inspect.cleandoc(doc or "")):
        if block.lstrip().startswith(">>> "):
            blocks.append("```pycon\n" + textwrap.dedent(block) + "\n```")
        elif block.startswith("    "):
            blocks.append("```text\n" + textwrap.dedent(block) + "\n```")
        elif "\n>>> " in block:
            head, _, tail = block.partition("\n>>> ")
            blocks += [prose(head), "```pycon\n>>> " + tail + "\n```"]
        else:
            blocks.append(prose(block))
    return "\n\n".join(blocks)


# ---------------------------------------------------------------------------- helpers that rules name


def _globals(rule: Any) -> dict[str, Any]:
    return {**vars(pullback.ops), **getattr(rule, "__globals__", {})}


def helpers(shown: list[tuple[Any, str]]) -> dict[str, str]:
    """What the rules shown call and users do not: name -> its formula or source, helpers of helpers too."""
    found: dict[str, str] = {}
    waiting = list(shown)
    while waiting:
        rule, text = waiting.pop(0)
        space = _globals(rule)
        try:
            words = [n.id for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Name)]
        except SyntaxError:
            continue
        for word in dict.fromkeys(words):
            value = space.get(word)
            if word in found or id(value) in public_names() or word == "times":
                continue
            value = REGISTRY.get(word) if value is None else value
            function = value.kernel or value if isinstance(value, Op) else value
            if isinstance(value, Op) and not isinstance(function, FunctionType):
                found[word] = _loop(word, value)
                waiting += [(rule, told(rule)) for _, rule in rules(value) if not isinstance(rule, str)]
            elif isinstance(function, FunctionType) and function.__module__.startswith("pullback.ops"):
                body = written(function)
                if body is None or len(body.splitlines()) > LINES // 2:
                    found[word] = f"# {word}: {sentence(function.__doc__) or 'a kernel of its own'}"
                elif not isinstance(value, Op):
                    found[word] = bare(body)
                    waiting.append((function, found[word]))
                else:
                    found[word] = body
    return found


def _loop(name: str, op: Op) -> str:
    """An op that is a compiled loop: what it is, and its own derivative."""
    lines = [f"# {name}({', '.join(op.params)}): {sentence(op.__doc__) or 'a compiled loop'}"]
    return "\n".join([*lines, *(_line(f"{name}.{given}", rule) for given, rule in rules(op))])


# ----------------------------------------------------------------------------------------- the pages


def home(thing: Any) -> str:
    """The module under `pullback.ops` that a public function is declared in, "" for one elsewhere."""
    kernels = [getattr(op, "kernel", None) for op in records(thing)]
    written_in = [rule for op in records(thing) for _, rule in rules(op)]
    inner = getattr(thing, "__wrapped__", None)
    for candidate in [inner, thing, *kernels, *written_in]:
        module = candidate.__module__ if isinstance(candidate, FunctionType) else ""
        if module.startswith("pullback.ops.") and ".shared." not in module:
            return module
    for name in sorted(name for name in sys.modules if name.startswith("pullback.ops.")):
        if any(value is thing for value in vars(sys.modules[name]).values()):
            return name
    return ""


def families() -> dict[str, dict[str, list[list[Any]]]]:
    """The public functions by folder and file, those together that are one: folder -> module -> functions."""
    complete()
    found: dict[str, dict[str, dict[Any, list[Any]]]] = {}
    things = {id(_read(f)): _read(f) for functions in SURFACE.values() for f in functions.values()}
    for key in public_names():
        thing = things[key]
        module = home(thing) if callable(thing) and not isinstance(thing, type) else ""
        if module:
            family = module.removeprefix("pullback.ops.").partition(".")[0]
            same = (thing.__name__, sentence(thing.__doc__))
            found.setdefault(family, {}).setdefault(module, {}).setdefault(same, []).append(thing)
    return {f: {m: list(t.values()) for m, t in modules.items()} for f, modules in found.items()}


def pages() -> dict[str, str]:
    """All pages by their path below docs/."""
    made: dict[str, str] = {}
    rows = []
    for family, modules in sorted(families().items()):
        package = sys.modules[f"pullback.ops.{family}"]
        title = family.replace("_", " ")
        text = HEAD.format(title=title, doc=prose(paragraph(package.__doc__)), how=HOW)
        for name, groups in sorted(modules.items()):
            inside = sys.modules[name]
            if inside is not package:
                heading = name.rpartition(".")[2].replace("_", " ")
                text += f"\n## {heading}\n\n{markdown(inside.__doc__)}\n"
            for things in sorted(groups, key=title_of):
                text += "\n" + entry(things)
            ops = {op for things in groups for op in records(things[0]) if not op.nondiff}
            shown = [rule for op in sorted(ops, key=lambda op: op.name) for _, rule in rules(op)]
            where = helpers([(rule, told(rule)) for rule in shown if not isinstance(rule, str)])
            if where:
                text += "\n**where**\n\n```python\n" + "\n\n".join(where.values()) + "\n```\n"
        made[f"derivatives/{family}.md"] = text
        count = sum(len(groups) for groups in modules.values())
        rows.append(f"| [{title}]({family}.md) | {prose(sentence(package.__doc__))} | {count} |")
    made["derivatives/index.md"] = INDEX.format(rows="\n".join(rows))
    return made


def paragraph(doc: str | None) -> str:
    """The first paragraph of a docstring, on one line."""
    return " ".join((doc or "").strip().partition("\n\n")[0].split())


def main(names: list[str]) -> int:
    """Print the entries of the ops that are named, under any of their public names."""
    wanted = {name.removeprefix("torch.") for name in names}
    for modules in families().values():
        for things in (group for groups in modules.values() for group in groups):
            known = [name for thing in things for name in public_names()[id(thing)]]
            if wanted & ({n.rpartition(".")[2] for n in known} | {n.removeprefix("torch.") for n in known}):
                print(entry(things))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
