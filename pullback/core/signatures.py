"""The signatures of public functions, as `inspect.signature` and help() show them.

An op's is read off its record, a composite's off its Python function. Nothing here is imported before
someone asks: `__signature__` of an op or function calls `signature_of`.
"""

from __future__ import annotations

import inspect
from inspect import Parameter, Signature
from typing import Any

from pullback.core._engine import REQUIRED, Function, Op

_BY_KIND = {
    "T": "Tensor",
    "N": "Tensor | Number",
    "O": "Tensor | None",
    "L": "Tensors",
    "S": "Size",
    ".": "Any",
}

OUT = Parameter("out", Parameter.KEYWORD_ONLY, default=None, annotation="Tensor | None")
"""What ops and many functions take at the end."""


def signature_of(function: Any) -> Signature:
    """Names, defaults, kinds and annotations (as text) of a call by users."""
    if isinstance(function, Function):
        signature = signature_of(function.__wrapped__)
        return without(signature, "out") if function.in_place else signature
    if isinstance(function, Op):
        forms = function.forms or ()
        return signature_of(forms[0]) if len(forms) == 1 else _of_op(function)
    if not hasattr(function, "__signature__") and hasattr(function, "__wrapped__"):
        return signature_of(function.__wrapped__)
    signature = inspect.signature(function)
    *most, last = signature.parameters.values() or [None]
    if last is not None and last.kind is Parameter.VAR_KEYWORD:
        options = _named_options(function, str(last.annotation))
        return signature.replace(parameters=[*most, *(options or [last])])
    return signature


def without(signature: Signature, *names: str) -> Signature:
    """The signature less some parameters."""
    return signature.replace(parameters=[p for p in signature.parameters.values() if p.name not in names])


def _of_op(op: Op) -> Signature:
    """That of the kernel, `self` being called `input`, and `out`."""
    notes = {} if op.elementwise else op.kernel.__annotations__
    parameters = [
        Parameter(
            "input" if name == "self" else name,
            Parameter.POSITIONAL_OR_KEYWORD,
            default=Parameter.empty if default is REQUIRED else default,
            annotation=_of_users(notes.get(name, _BY_KIND[kind])),
        )
        for name, default, kind in zip(op.params, op.defaults, op.kinds, strict=True)
    ]
    result = "tuple[Tensor, ...]" if op.multi_view else "Tensor"
    result = _of_users(notes.get("return", result))
    if op.view:
        return Signature(parameters, return_annotation=result)
    out = OUT.replace(annotation=f"{result} | None") if result.startswith("tuple") else OUT
    return Signature([*parameters, out], return_annotation=result)


def _of_users(note: Any) -> str:
    """An annotation of a kernel as the op's: its arrays, or specs, are the users' tensors."""
    return str(note).replace("Array", "Tensor").replace("Spec", "Tensor")


def _named_options(function: Any, annotation: str) -> list[Parameter]:
    """The keywords of `**options: Unpack[Options]`, each by its name; none if they have no names."""
    name = annotation.removeprefix("Unpack[").removesuffix("]")
    named = function.__globals__.get(name) if name != annotation else None
    return [
        Parameter(
            key,
            Parameter.KEYWORD_ONLY,
            default=None if _allows_none(note) else False,
            annotation=_text(note),
        )
        for key, note in getattr(named, "__annotations__", {}).items()
    ]


def _text(note: Any) -> str:
    """An annotation of a TypedDict, which wraps the text that stands there."""
    return str(getattr(note, "__forward_arg__", note))


def _allows_none(note: Any) -> bool:
    return _text(note).endswith("| None")
