"""What is said when the arguments of a function fit none of the ways to call it, its forms.

Such a function does not look at types. If a TypeError comes out, the call is matched against the forms,
and a call that is right pays nothing. The forms are signatures: that of the function itself, in which a
parameter `Tensor | Number` stands for two forms, or, where the ways to call it are too different, those
of empty functions that show them. Read `explained`, then `mismatch`; `Form` is one form.
"""

from __future__ import annotations

import functools
import itertools
import sys
from collections.abc import Callable, Container, Iterator
from inspect import CO_VARARGS, CO_VARKEYWORDS, Parameter, Signature
from typing import Any

from pullback.core._engine import IN_PLACE, Tensor, install_explain
from pullback.core.dtypes import dtype, number_dtype
from pullback.core.op import function as declare
from pullback.core.signatures import signature_of, without
from pullback.core.types import Number

# What stands for the forms of many functions of two operands; those of the others are beside them.


def two_tensors(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The form of a function of two tensors."""


def number_first(self: Number, other: Tensor) -> Tensor:
    """The form of a function of a number and a tensor."""


def number_second(input: Tensor, other: Number, *, out: Tensor | None = None) -> Tensor:
    """The form of a function of a tensor and a number."""


# ---------------------------------------------------------------------------- the text of a form

_KIND_OF = {
    "Ints": "tuple of ints",
    "Dims": "tuple of ints",
    "Size": "tuple of ints",
    "Sequence[int]": "tuple of ints",
    "int | Sequence[int]": "tuple of ints",
    "Sequence[float]": "tuple of floats",
    "Tensors": "tuple of Tensors",
    "Dtype": "torch.dtype",
    "layout": "torch.layout",
    "device | str | int": "torch.device",
}
"""What messages call a parameter, by its annotation; others by the annotation itself."""


def _kind_of(annotation: Any) -> str:
    if annotation is Parameter.empty:
        return "Any"
    text = str(annotation).removesuffix(" | None")
    return "tuple of Tensors" if text.startswith("tuple[Tensor") else _KIND_OF.get(text, text)


def _is_index(value: Any) -> bool:
    return not isinstance(value, (bool, Tensor, str)) and hasattr(value, "__index__")


def _is_ints(value: Any) -> bool:
    """Whether it is an int or several; None among them is a size that stays, where a function allows it."""
    several = isinstance(value, (tuple, list))
    return _is_index(value) or (several and all(item is None or _is_index(item) for item in value))


_TESTS: dict[str, Callable[[Any], bool]] = {
    "Tensor": lambda value: isinstance(value, Tensor),
    "Number": lambda value: number_dtype(value) is not None,
    "int": _is_index,
    "float": lambda value: isinstance(value, float) or _is_index(value),
    "bool": lambda value: isinstance(value, bool),
    "str": lambda value: isinstance(value, str),
    "tuple of ints": lambda value: value is None or _is_ints(value),
    "tuple of Tensors": lambda value: isinstance(value, (tuple, list)),
    "torch.dtype": lambda value: isinstance(value, dtype),
}
"""Whether an argument is of a kind; one of another kind than these is not looked at."""


def _is_of(kind: str, value: Any) -> bool:
    return kind not in _TESTS or _TESTS[kind](value)


class Form:
    """One way to call a function, with the text of PyTorch's: `(Tensor input, *, Tensor out = None)`."""

    def __init__(self, signature: Signature) -> None:
        self.parameters = list(signature.parameters.values())
        self.kinds = {p.name: _kind_of(p.annotation) for p in self.parameters}
        self.several = {p.name for p in self.parameters if str(p.annotation) == "Sequence[int]"}
        self.positional = sum(p.kind is not Parameter.KEYWORD_ONLY for p in self.parameters)
        self.required = sum(p.default is Parameter.empty for p in self.parameters)
        shown = [self._shown(p) for p in self.parameters]
        if self.positional < len(shown):
            shown.insert(self.positional, "*")
        self.text = f"({', '.join(shown)})"

    def _shown(self, parameter: Parameter) -> str:
        text = f"{self.kinds[parameter.name].removesuffix(' | Number')} {parameter.name}"
        if parameter.default is Parameter.empty:
            return text
        default = parameter.default
        if isinstance(default, tuple):
            return f"{text} = {{{','.join(map(str, default))}}}"
        return f'{text} = "{default}"' if isinstance(default, str) else f"{text} = {default}"

    def complaint(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str | None:
        """Why a call does not fit this form; None if it does."""
        if len(args) > self.positional:
            most = f"{self.positional} positional argument{'' if self.positional == 1 else 's'}"
            return f"{name}() takes {most} but {len(args)} were given"
        by_position = dict(zip(self.kinds, args, strict=False))
        by_name = {_known_as(key, self.kinds): value for key, value in kwargs.items()}
        missing: list[str] = []
        for position, parameter in enumerate(self.parameters, 1):
            if parameter.name in by_position:
                value, where = by_position[parameter.name], f" (position {position})"
            elif parameter.name in by_name and not missing:
                value, where = by_name.pop(parameter.name), ""
            else:  # from the first on that is missing all are named that must be given
                missing += [f'"{parameter.name}"'] if parameter.default is Parameter.empty else []
                continue
            kind, _, also = self.kinds[parameter.name].partition(" | ")
            if (parameter.name in self.several and _is_index(value)) or not (
                _is_of(kind, value)
                or (also and _is_of(also, value))
                or (value is None and parameter.default is None)
            ):
                return (
                    f"{name}(): argument '{parameter.name}'{where} must be {kind}, not {type(value).__name__}"
                )
        if missing:
            plural = "s" if len(missing) == 1 else ""  # so it is in PyTorch
            return (
                f"{name}() missing {len(missing)} required positional argument{plural}: {', '.join(missing)}"
            )
        if by_name:
            return f"{name}() got an unexpected keyword argument '{next(iter(by_name))}'"
        return None

    def wrong_type(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str | None:
        """Which argument is of a wrong type; None if none is. A tensor of one may stand for a number."""
        for position, (parameter, value) in enumerate(zip(self.parameters, args, strict=False), 1):
            if self._refuses(parameter, value):
                return self._refusal(name, parameter.name, f" (position {position})", value)
        for parameter in self.parameters:
            if parameter.name in kwargs and self._refuses(parameter, kwargs[parameter.name]):
                return self._refusal(name, parameter.name, "", kwargs[parameter.name])
        return None

    def _refuses(self, parameter: Parameter, value: Any) -> bool:
        kinds = self.kinds[parameter.name].split(" | ")
        if value is None and (parameter.default is None or str(parameter.annotation).endswith("| None")):
            return False
        if isinstance(value, Tensor) and "Tensor" not in kinds and value.numel() == 1:
            return False
        return not any(_is_of(kind, value) for kind in kinds)

    def _refusal(self, name: str, parameter: str, where: str, value: Any) -> str:
        kind = self.kinds[parameter].partition(" | ")[0]
        return f"{name}(): argument '{parameter}'{where} must be {kind}, not {type(value).__name__}"

    def difference(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
        """For a call of as many arguments, which of them are wrong: a line of the long message."""
        if self.positional < len(self.parameters) or len(args) + len(kwargs) != len(self.parameters):
            return ""  # PyTorch counts the star as one parameter more
        if wrong := [name for name in kwargs if name not in self.kinds]:
            listed = ", ".join(wrong)
            return f"      didn't match because some of the keywords were incorrect: {listed}\n"
        tested = [(value, kind) for value, kind in zip(args, self.kinds.values(), strict=False)]
        tested += [(value, self.kinds[name]) for name, value in kwargs.items()]
        types = [  # PyTorch counts no argument as a right Number here
            type(value).__name__ if kind != "Number" and _is_of(kind, value) else f"!{type(value).__name__}!"
            for value, kind in tested
        ]
        listed = ", ".join(types)
        return f"      didn't match because some of the arguments have invalid types: ({listed})\n"


_ALIASES = {"axis": "dim", "keepdims": "keepdim", "a": "input", "x": "input", "x1": "input", "x2": "other"}


def _known_as(name: str, known: Container[str]) -> str:
    """What a function calls an argument that a call gives by its own or another name."""
    return name if name in known else _ALIASES.get(name, name)


HIDDEN = "hidden"
"""In place of a form: one more that PyTorch still takes and does not show."""


@functools.cache
def forms_of(*functions: Any, method: bool = False) -> list[Form | None]:
    """The forms that these functions show, of methods without the input and `out`. None is a hidden one."""
    forms: list[Form | None] = []
    for function in functions:
        for signature in () if function is HIDDEN else _variants(signature_of(function)):
            if method:
                signature = without(signature, next(iter(signature.parameters)), "out")
            forms.append(Form(signature))
    return forms + [None] * functions.count(HIDDEN)


def _shown_by(function: Any, forms: tuple[Any, ...]) -> tuple[Any, ...]:
    """What shows the forms of a function: itself, if no other does."""
    return forms if set(forms) - {HIDDEN} else (function, *forms)


def _variants(signature: Signature) -> Iterator[Signature]:
    """One signature for each choice of tensors and numbers, the first parameter changing fastest.

    Not all may be numbers, unless the function makes tensors, that is takes a dtype. A first `input` that
    is a number is called `self`. A sum or difference, known by its `alpha`, takes numbers for tensors.
    """
    parameters = signature.parameters
    either = [name for name, p in parameters.items() if p.annotation == "Tensor | Number"]
    if "alpha" in parameters:
        either = []
    for kinds in itertools.product(("Tensor", "Number"), repeat=len(either)):
        chosen = dict(zip(reversed(either), kinds, strict=True))
        if (
            either
            and "dtype" not in parameters
            and all(chosen.get(name, p.annotation) != "Tensor" for name, p in parameters.items())
        ):
            continue
        yield signature.replace(
            parameters=[
                p.replace(
                    annotation=chosen.get(name, p.annotation),
                    name="self" if name == "input" and chosen.get(name) == "Number" else name,
                )
                for name, p in parameters.items()
            ]
        )


# ------------------------------------------------------------------------------------ the message


def mismatch(
    name: str, forms: list[Form | None], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> str | None:
    """The message for a call that fits none of the forms; None if one fits."""
    shown = [form for form in forms if form is not None]
    complaints = [form.complaint(name, args, kwargs) for form in shown]
    if None in complaints:
        return None
    count = len(args) + len(kwargs)
    plausible = [
        said
        for form, said in zip(shown, complaints, strict=True)
        if form.required <= count <= len(form.parameters)
    ]
    if len(plausible) == 1 or len(forms) == 1:
        return plausible[0] if plausible else complaints[0]
    start = f"{name}() received an invalid combination of arguments - got "
    if len(shown) == 1:  # the other is hidden
        listed = ", ".join(type(value).__name__ for value in (*args, *kwargs.values()))
        return f"{start}({listed}), but expected {shown[0].text}"
    got = [type(value).__name__ for value in args]
    got += [f"{key}={type(value).__name__}" for key, value in reversed(kwargs.items())]
    listed = ", ".join(got) + (", " if kwargs and not args else "")
    expected = "".join(f" * {form.text}\n{form.difference(args, kwargs)}" for form in shown)
    return f"{start}({listed}), but expected one of:\n{expected}"


def _explain(
    name: str, forms: list[Form | None], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> str | None:
    """The message, unless an argument of another kind takes part in the dispatch."""
    foreign = (value for value in args if not isinstance(value, Tensor))
    if any(hasattr(type(value), "__torch_function__") for value in foreign):
        return None
    return mismatch(name, forms, args, kwargs)


def _explain_first(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str | None:
    """What the engine asks of a function of `forms` where a call begins with no tensor."""
    return _explain(function.__name__, forms_of(*_shown_by(function, function.forms)), args, kwargs)


_OF_WRONG_TYPES = (AttributeError, RuntimeError, NotImplementedError, IndexError, KeyError)
"""What an argument of a wrong type may lead to, besides errors that are meant as they are."""


def _explain_types(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str | None:
    """What the engine asks after an error: which argument is of a type that PyTorch refuses first."""
    if sys.exc_info()[0] not in _OF_WRONG_TYPES:
        return None
    if any(hasattr(type(value), "__torch_function__") and not isinstance(value, Tensor) for value in args):
        return None
    kwargs = {name: value for name, value in kwargs.items() if value is not IN_PLACE}
    explain = getattr(function.rescue, "explain", None)
    if explain is not None:
        said: str | None = explain(args, kwargs)
        return said
    form = _form_of(function)
    return None if form is None else form.wrong_type(function.__name__, args, kwargs)


@functools.cache
def _form_of(function: Any) -> Form | None:
    """The form of a function that shows one by its own signature; None if it takes any arguments."""
    code = getattr(function.__wrapped__, "__code__", None)
    if code is not None and code.co_flags & (CO_VARARGS | CO_VARKEYWORDS):
        return None
    try:
        signature = signature_of(function)
    except (ValueError, TypeError):  # it has none
        return None
    return Form(signature)


install_explain(_explain_first, _explain_types)


# ------------------------------------------------------------------------------------ declaration


def _names_of(function: Callable[..., Any]) -> tuple[str, ...]:
    code = function.__code__
    return code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]


def _rescuer(
    name: str, function: Callable[..., Any], forms: tuple[Any, ...], method: bool
) -> Callable[..., Any]:
    """What `Function` asks after a TypeError: raises the explained one, or calls with our names."""

    def explain(args: tuple[Any, ...], kwargs: dict[str, Any]) -> str | None:
        found = forms_of(*_shown_by(function, forms), method=method)
        return _explain(name, found, args[method:], kwargs)

    def rescue(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        message = explain(args, kwargs)
        if message is not None:
            raise TypeError(message) from None
        own = _names_of(function)
        for form in (function, *forms):
            names = dict(zip(_names_of(form), own, strict=False)) | dict(zip(own, own, strict=True))
            ours = {names.get(_known_as(key, names), ""): value for key, value in kwargs.items()}
            if "" not in ours and len(ours) == len(kwargs) and ours.keys() != kwargs.keys():
                return function(*args, **ours)
        return NotImplemented

    rescue.forms, rescue.explain = forms, explain  # type: ignore[attr-defined]
    return rescue


def explained(
    function: Any,
    *forms: Any,
    name: str = "",
    places: str = "tm",
    aliases: tuple[str, ...] = (),
    quick: tuple[Any, ...] = (),
) -> Any:
    """Publishes an op or function whose refusals are explained by its forms; its method by theirs.

    The forms are functions with the signatures of calls, by default the function itself; `quick` is that of
    `core.op.function`.
    """
    name = name or function.__name__
    if "m" in places:
        declare(name=name, places="m", rescue=_rescuer(name, function, forms, True))(function)
    places = places.replace("m", "")
    rescue = _rescuer(name, function, forms, False)
    return declare(name=name, places=places, aliases=aliases, rescue=rescue, quick=quick)(function)


def public(*forms: Any, places: str = "", space: str = "nn.functional") -> Callable[..., Any]:
    """Publishes a function in a namespace, explained by these forms or its own. A decorator.

    Messages call that of another namespace than `nn.functional` by both names, as `linalg_norm`.
    """

    def publish(fn: Any) -> Any:
        short = fn.__name__.removeprefix(f"{space}_")
        there = (f"{space}.{short}",)
        if space == "nn.functional":
            return explained(fn, *forms, places=places, aliases=there)
        if places:
            explained(fn, *forms, name=short, places=places)
        return explained(fn, *forms, name=f"{space}_{short}", places="", aliases=there)

    return publish
