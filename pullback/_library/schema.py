"""Schemas of ops: `mylib::scale(Tensor x, float k=2., *, int[] dims) -> Tensor`, read and inferred."""

from __future__ import annotations

import ast
import inspect
import re
import typing
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Any, Union

from pullback.core._engine import Tensor
from pullback.core.dtypes import device as Device
from pullback.core.dtypes import dtype as Dtype

_PARAMETER = re.compile(
    r"(?P<type>[\w\[\]?]+(?:\((?P<alias>[^)]*)\)\S*)?)\s+(?P<name>\w+)(?:\s*=\s*(?P<default>.+))?$"
)
_CONSTANTS = {"None": None, "True": True, "False": False}

BASIC: dict[Any, str] = {
    Tensor: "Tensor",
    int: "SymInt",
    float: "float",
    bool: "bool",
    str: "str",
    Dtype: "ScalarType",
    Device: "Device",
}


@dataclass(frozen=True)
class Argument:
    """A parameter: its type in the schema's words, and whether it is written to or given by name alone."""

    name: str
    type: str
    default: Any = inspect.Parameter.empty
    is_write: bool = False
    kwarg_only: bool = False

    @property
    def holds_tensors(self) -> bool:
        """Whether it is a tensor or a list of them."""
        return self.type.startswith("Tensor")


@dataclass(frozen=True)
class Schema:
    """The name of an op, its parameters, and the types of its results."""

    name: str
    overload_name: str
    arguments: tuple[Argument, ...]
    returns: tuple[str, ...]
    text: str

    def __str__(self) -> str:
        return self.text

    __repr__ = __str__

    def bound(self, args: Sequence[Any], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments by position, with defaults, and those given by name alone."""
        positional = [a for a in self.arguments if not a.kwarg_only]
        if len(args) > len(positional):
            raise RuntimeError(
                f"{self.name}() expected at most {len(positional)} argument(s) but received {len(args)} "
                f"argument(s). Declaration: {self}"
            )
        names = [a.name for a in self.arguments]
        given = dict(zip(names, args, strict=False))
        for name, value in kwargs.items():
            if name not in names or name in given:
                raise RuntimeError(
                    f"Unknown keyword argument '{name}' for operator '{self.name}'. Schema: {self}"
                )
            given[name] = value
        for place, argument in enumerate(self.arguments):
            if argument.name not in given:
                if argument.default is inspect.Parameter.empty:
                    raise RuntimeError(
                        f"{self.name}() is missing value for argument '{argument.name}'. Declaration: {self}"
                    )
                given[argument.name] = argument.default
            elif argument.type == "Tensor" and not isinstance(given[argument.name], Tensor):
                value = given[argument.name]
                raise RuntimeError(
                    f"{self.name}() Expected a value of type 'Tensor' for argument '{argument.name}' but "
                    f"instead found type '{type(value).__name__}'.\nPosition: {place}\nValue: "
                    f"{value}\nDeclaration: {self}\nCast error details: Unable to cast {value} to Tensor"
                )
        return (
            tuple(given[a.name] for a in positional),
            {a.name: given[a.name] for a in self.arguments if a.kwarg_only},
        )


def parse(text: str) -> Schema:
    """The schema that a text says. RuntimeError where it cannot be read."""
    head, found, tail = text.partition("(")
    inside, arrow, results = tail.rpartition("->")
    inside = inside.strip()
    if not found or not arrow or not inside.endswith(")"):
        raise RuntimeError(f"cannot read the schema '{text}'")
    name, _, overload = head.strip().partition(".")
    arguments = []
    by_name = False
    for part in _parts(inside[:-1]):
        if part == "*":
            by_name = True
        else:
            arguments.append(_argument(part, by_name, text))
    results = results.strip()
    returns = _parts(results[1:-1]) if results.startswith("(") else [results]
    return Schema(name, overload, tuple(arguments), tuple(returns), text)


def _parts(text: str) -> list[str]:
    """What stands between commas, outside brackets and quotes."""
    parts, depth, quoted, start = [], 0, "", 0
    for place, letter in enumerate(text):
        if quoted:
            quoted = "" if letter == quoted else quoted
        elif letter in "'\"":
            quoted = letter
        elif letter in "([":
            depth += 1
        elif letter in ")]":
            depth -= 1
        elif letter == "," and depth == 0:
            parts.append(text[start:place])
            start = place + 1
    return [part.strip() for part in (*parts, text[start:]) if part.strip()]


def _argument(part: str, by_name: bool, text: str) -> Argument:
    found = _PARAMETER.match(part)
    if found is None:
        raise RuntimeError(f"cannot read the argument '{part}' of the schema '{text}'")
    alias = found["alias"]
    kind = found["type"] if alias is None else found["type"].replace(f"({alias})", "")
    default: Any = inspect.Parameter.empty
    if found["default"] is not None:
        word = found["default"].strip()
        try:
            default = _CONSTANTS[word] if word in _CONSTANTS else ast.literal_eval(word)
        except (ValueError, SyntaxError):
            default = word  # a constant of the language of schemas, such as Mean
    return Argument(found["name"], kind, default, alias is not None and "!" in alias, by_name)


def infer_schema(
    prototype_function: Callable[..., Any],
    /,
    *,
    mutates_args: str | Iterable[str],
    op_name: str | None = None,
) -> str:
    """The schema of a function, by its annotations: `(Tensor x, float k=2.) -> Tensor`."""
    signature = inspect.signature(prototype_function)
    hints = typing.get_type_hints(prototype_function)
    written = set() if mutates_args == "unknown" or isinstance(mutates_args, str) else set(mutates_args)

    def refuse(what: str) -> ValueError:
        return ValueError(f"infer_schema(func): {what} Got func with signature {signature})")

    if isinstance(mutates_args, str) and mutates_args != "unknown":
        raise ValueError(
            "mutates_args must either be a sequence of the names of the arguments that are mutated or the "
            "string 'unknown'. "
        )
    unknown = written - set(signature.parameters)
    if unknown:
        raise refuse(f"{unknown} in mutates_args were not found in the list of parameters")
    parts, by_name = [], False
    for place, (name, parameter) in enumerate(signature.parameters.items()):
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
            raise refuse("We do not support positional-only args, varargs, or varkwargs.")
        if parameter.kind is parameter.KEYWORD_ONLY and not by_name:
            parts.append("*")
            by_name = True
        if name not in hints:
            raise refuse(f"Parameter {name} must have a type annotation.")
        kind = _type_text(hints[name])
        if kind is None:
            raise refuse(f"Parameter {name} has unsupported type {hints[name]}.")
        if name in written or (mutates_args == "unknown" and kind.startswith("Tensor")):
            if not kind.startswith("Tensor"):
                raise refuse(
                    f"Parameter {name} is in mutable_args but only Tensors or collections of Tensors can "
                    "be mutated"
                )
            kind = kind.replace("Tensor", f"Tensor(a{place}!)", 1)
        default = "" if parameter.default is parameter.empty else f"={_default_text(parameter.default)}"
        parts.append(f"{kind} {name}{default}")
    if "return" not in hints:
        raise refuse("No return type annotation was provided. Please add one.")
    return f"{op_name or ''}({', '.join(parts)}) -> {_return_text(hints['return'], refuse)}"


def _default_text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}" + ("." if value == int(value) and abs(value) < 1e16 else "")
    if isinstance(value, str):
        return f'"{value}"'
    return str(value).removeprefix("torch.")


def _type_text(kind: Any) -> str | None:
    """A type in the schema's words, None where it has none."""
    if kind in BASIC:
        return BASIC[kind]
    origin, parts = typing.get_origin(kind), typing.get_args(kind)
    if origin in (Union, UnionType):
        others = [part for part in parts if part is not NoneType]
        optional = "?" if len(others) < len(parts) else ""
        if set(others) == {int, float, bool}:
            return f"Scalar{optional}"
        text = _type_text(others[0]) if len(others) == 1 else None
        return None if text is None else text + optional
    if isinstance(origin, type) and issubclass(origin, Sequence) and origin is not tuple and len(parts) == 1:
        text = _type_text(parts[0])
        return None if text is None else f"{text}[]"
    return None


def _return_text(kind: Any, refuse: Callable[[str], ValueError]) -> str:
    if kind is None or kind is NoneType:
        return "()"
    if typing.get_origin(kind) is tuple:
        found = [_type_text(part) for part in typing.get_args(kind)]
        if None not in found:
            return f"({', '.join(map(str, found))})"
    else:
        text = _type_text(kind)
        if text is not None:
            return text
    raise refuse(f"Return has unsupported type {kind}.")
