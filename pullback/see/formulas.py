"""Ops and their derivatives as formulas: what a node computes, and the rules that a backward pass runs.

A rule's formula is read from its source: the body of a lambda, or what a function returns, with what it
computes on the way put in its place.
"""

from __future__ import annotations

import ast
import functools
import inspect
import re
from collections.abc import Sequence
from pathlib import Path
from types import FunctionType
from typing import Any

from pullback.core._engine import Op

WIDTH = 400
"""The longest formula that is put together from several lines."""


@functools.cache
def _source(path: str) -> tuple[str, list[Any]]:
    """The text of a source file, and its functions and lambdas."""
    text = Path(path).read_text()
    found = [n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Lambda | ast.FunctionDef)]
    return text, found


def source_of(rule: Any) -> tuple[str, Any]:
    """The file's text and the syntax tree of a function or lambda; None where it has no source."""
    code = getattr(rule, "__code__", None)
    path = inspect.getsourcefile(rule) if isinstance(rule, FunctionType) else None
    if code is None or path is None:
        return "", None
    text, nodes = _source(path)
    names = code.co_varnames[: code.co_argcount]
    for node in nodes:
        line = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))])
        if line != code.co_firstlineno or tuple(a.arg for a in node.args.args) != names:
            continue
        if isinstance(node, ast.FunctionDef):
            return text, node
        places = {(p[0], p[2]) for p in code.co_positions() if p[2] is not None}
        if (node.body.lineno, node.body.col_offset) in places:
            return text, node
    return text, None


class _Put(ast.NodeTransformer):
    """Puts expressions in the place of names."""

    def __init__(self, known: dict[str, ast.expr]) -> None:
        self.known = known

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self.known.get(node.id, node)


def _straight(body: list[ast.stmt], known: dict[str, ast.expr]) -> ast.expr | None:
    """What statements return, as one expression; None if they do more than name, choose and return."""
    for i, line in enumerate(body):
        if isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant):
            continue
        if isinstance(line, ast.Assign) and len(line.targets) == 1 and isinstance(line.targets[0], ast.Name):
            known = {**known, line.targets[0].id: _copy(line.value, known)}
        elif isinstance(line, ast.Return) and line.value is not None:
            return _copy(line.value, known)
        elif isinstance(line, ast.If):
            rest = line.orelse or body[i + 1 :]
            yes, no = _straight(line.body, known), _straight(rest, known)
            if yes is None or no is None:
                return None
            return ast.IfExp(_copy(line.test, known), yes, no)
        else:
            return None
    return None


def _copy(node: ast.expr, known: dict[str, ast.expr]) -> ast.expr:
    fresh = ast.parse(ast.unparse(node), mode="eval").body
    done: ast.expr = _Put(known).visit(fresh)
    return done


def _enclosed(rule: Any) -> dict[str, ast.expr]:
    """What a rule takes from the function around it: ops by their names, numbers and strings."""
    found: dict[str, ast.expr] = {}
    for name, cell in zip(rule.__code__.co_freevars, rule.__closure__ or (), strict=True):
        value = cell.cell_contents
        if isinstance(value, Op):
            found[name] = ast.Name(value.name)
        elif isinstance(value, FunctionType) and value.__name__ != "<lambda>":
            found[name] = ast.Name(value.__name__)
        elif isinstance(value, int | float | str | None):
            found[name] = ast.Constant(value)
    return found


def formula(rule: Any) -> str | None:
    """A rule as one expression, None where it is none or too long for one."""
    if rule == "g":
        return "g"
    _, node = source_of(rule)
    if node is None:
        return None
    known = _enclosed(rule)
    body = _copy(node.body, known) if isinstance(node, ast.Lambda) else _straight(node.body, known)
    if body is None:
        return None
    text = ast.unparse(body)
    return text if len(text) <= WIDTH else None


def bare(text: str) -> str:
    """Source in which ops stand by their names alone."""
    return re.sub(r"\bops\.(?=\w)", "", text)


# ------------------------------------------------------------------------------------ those of a node


def call_of(op: Op, names: Sequence[str | None]) -> str:
    """An op's call: "self * other", "exp(self)". `names` are those of its tensors, where they have some."""
    params = [name for name, kind in zip(op.params, op.kinds, strict=True) if kind in "TNOL"]
    shown = [name or param for name, param in zip([*names, *[None] * len(params)], params, strict=False)]
    if op.symbol and len(shown) == 2:
        return f"{shown[0]} {op.symbol} {shown[1]}"
    return f"{op.__name__}({', '.join(shown)})"


@functools.cache
def slopes_of(op: Op) -> list[tuple[str, str]]:
    """For each tensor of an op its name and the formula of its gradient, empty where the rule is none."""
    params = [name for name, kind in zip(op.params, op.kinds, strict=True) if kind in "TNOL"]
    found = []
    for name, rule in zip(params, op.rules, strict=True):
        written = None if rule is None else rule.written or "g"
        text = written if isinstance(written, str) else None if written is None else formula(written)
        found.append((name, bare(text or "")))
    return found
