"""What is said when the arguments of an overloaded function fit none of its forms.

Such a function is written for one form of call and does not look at types. If a TypeError comes out,
the call is matched against the forms, written as PyTorch's messages show them: a call that is right
pays nothing. Read `overloaded`, then `mismatch`; `Form` is one form.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from pullback.core._engine import Tensor, install_explain
from pullback.core.dtypes import dtype, number_dtype
from pullback.core.op import function as declare


def pair(first: str = "input", second: str = "other", number: str = "") -> tuple[str, ...]:
    """The forms of a function of two tensors, or of a tensor and a number.

    `number` is the form that begins with a number: "out" if it takes `out`, "plain" if not, "" if none.
    """
    out = ", *, Tensor out = None)"
    forms = [f"(Tensor {first}, Tensor {second}{out}", f"(Tensor {first}, Number {second}{out}"]
    if number:
        named = "self" if first == "input" else first
        forms.insert(1, f"(Number {named}, Tensor {second}{out if number == 'out' else ')'}")
    return tuple(forms)


_ALIASES = {"axis": "dim", "keepdims": "keepdim"}
_PARAMETER = re.compile(r"(tuple of ints|tuple of Tensors|torch\.dtype|\w+) (\w+)(?: = (\w+))?")


def _is_int(value: Any) -> bool:
    return not isinstance(value, (bool, Tensor, str)) and hasattr(value, "__index__")


def _is_ints(value: Any) -> bool:
    return _is_int(value) or (isinstance(value, (tuple, list)) and all(map(_is_int, value)))


_TESTS: dict[str, Callable[[Any], bool]] = {
    "Tensor": lambda value: isinstance(value, Tensor),
    "Number": lambda value: number_dtype(value) is not None,
    "int": _is_int,
    "float": lambda value: isinstance(value, float) or _is_int(value),
    "bool": lambda value: isinstance(value, bool),
    "str": lambda value: isinstance(value, str),
    "tuple of ints": lambda value: value is None or _is_ints(value),
    "tuple of Tensors": lambda value: isinstance(value, (tuple, list)),
    "Any": lambda value: True,
    "torch.dtype": lambda value: isinstance(value, dtype),
    "layout": lambda value: True,
    "device": lambda value: True,
}


class Form:
    """One way to call a function, as `(int dim, bool keepdim = False, *, Tensor out = None)`."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.parameters = _PARAMETER.findall(text)
        before = text.partition("*")[0]
        self.positional = len(_PARAMETER.findall(before))
        self.required = sum(not default for _, _, default in self.parameters)

    def complaint(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str | None:
        """Why a call does not fit this form; None if it does."""
        if not self.text:
            return "not shown"
        if len(args) > self.positional:
            most = f"{self.positional} positional argument{'' if self.positional == 1 else 's'}"
            return f"{name}() takes {most} but {len(args)} were given"
        given = dict(zip((p for _, p, _ in self.parameters), args, strict=False))
        rest = {_ALIASES.get(key, key): value for key, value in kwargs.items()}
        missing = []
        for place, (kind, parameter, default) in enumerate(self.parameters):
            if parameter in given:
                value, where = given[parameter], f" (position {place + 1})"
            elif parameter in rest:
                value, where = rest.pop(parameter), ""
            else:
                missing += [] if default else [f'"{parameter}"']
                continue
            if "Number alpha" in self.text and number_dtype(value) is not None and place:
                continue  # sums and differences take a number for a tensor
            if not (_TESTS[kind](value) or (value is None and default == "None")):
                shown = type(value).__name__
                return f"{name}(): argument '{parameter}'{where} must be {kind}, not {shown}"
        if missing:
            listed = ", ".join(missing)
            return f"{name}() missing {len(missing)} required positional arguments: {listed}"
        if rest:
            return f"{name}() got an unexpected keyword argument '{next(iter(rest))}'"
        return None

    def difference(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
        """For a call of as many arguments, which of them are wrong: a line of the long message."""
        if "*" in self.text or len(args) + len(kwargs) != len(self.parameters):
            return ""  # PyTorch counts the star as one parameter more
        kinds = {name: kind for kind, name, _ in self.parameters}
        if wrong := [name for name in kwargs if name not in kinds]:
            listed = ", ".join(wrong)
            return f"      didn't match because some of the keywords were incorrect: {listed}\n"
        tested = [(value, kind) for value, kind in zip(args, kinds.values(), strict=False)]
        tested += [(value, kinds[name]) for name, value in kwargs.items()]
        types = [  # PyTorch counts no argument as a right Number here
            type(value).__name__ if kind != "Number" and _TESTS[kind](value) else f"!{type(value).__name__}!"
            for value, kind in tested
        ]
        listed = ", ".join(types)
        return f"      didn't match because some of the arguments have invalid types: ({listed})\n"


def mismatch(name: str, forms: list[Form], args: tuple[Any, ...], kwargs: dict[str, Any]) -> str | None:
    """The message for a call that fits none of the forms; None if one fits."""
    complaints = [form.complaint(name, args, kwargs) for form in forms]
    if None in complaints:
        return None
    count = len(args) + len(kwargs)
    plausible = [
        said
        for form, said in zip(forms, complaints, strict=True)
        if form.required <= count <= len(form.parameters)
    ]
    if len(plausible) == 1 or len(forms) == 1:
        return plausible[0] if plausible else complaints[0]
    if len(shown := [form.text for form in forms if form.text]) == 1:  # the other is one that is not shown
        listed = ", ".join(type(value).__name__ for value in (*args, *kwargs.values()))
        return (
            f"{name}() received an invalid combination of arguments - got ({listed}), but expected {shown[0]}"
        )
    got = [type(value).__name__ for value in args]
    got += [f"{key}={type(value).__name__}" for key, value in kwargs.items()]
    listed = ", ".join(got) + (", " if kwargs else "")
    expected = "".join(f" * {form.text}\n{form.difference(args, kwargs)}" for form in forms)
    return (
        f"{name}() received an invalid combination of arguments - got ({listed}), "
        f"but expected one of:\n{expected}"
    )


def _rescuer(function: Callable[..., Any], texts: tuple[str, ...], method: bool) -> Callable[..., Any]:
    """What `Function` asks after a TypeError: raises the explained one, or calls with our names."""
    forms: list[Form] = []

    def rescue(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if not forms:
            forms.extend(Form(_method_text(text) if method else text) for text in texts)
        message = _explain(function.__name__, forms, args[method:], kwargs)
        if message is not None:
            raise TypeError(message) from None
        if not _ALIASES.keys() & kwargs.keys():
            return NotImplemented
        return function(*args, **{_ALIASES.get(key, key): kwargs[key] for key in kwargs})

    return rescue


def _explain(name: str, forms: list[Form], args: tuple[Any, ...], kwargs: dict[str, Any]) -> str | None:
    """The message, unless an argument of another kind takes part in the dispatch."""
    foreign = (value for value in args if not isinstance(value, Tensor))
    if any(hasattr(type(value), "__torch_function__") for value in foreign):
        return None
    return mismatch(name, forms, args, kwargs)


def _explain_first(
    texts: tuple[str, ...], name: str, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> str | None:
    """What the engine asks where a call begins with no tensor."""
    return _explain(name, [Form(text) for text in texts], args, kwargs)


install_explain(_explain_first)


def _method_text(text: str) -> str:
    """The form of the method: neither the input nor `out`."""
    text = re.sub(r", (Tensor|tuple of Tensors) out = None\)", ")", text).replace(", *)", ")")
    return text.replace("(Tensor input, ", "(").replace("(Tensor input)", "()")


def overloaded(
    function: Any, *texts: str, name: str = "", places: str = "tm", aliases: tuple[str, ...] = ()
) -> Any:
    """Publishes an op or function whose calls are explained by these forms; its method by theirs.

    An empty form is one that PyTorch still takes and does not show.
    """
    name = name or function.__name__
    if "m" in places:
        declare(name=name, places="m", rescue=_rescuer(function, texts, True))(function)
    places = places.replace("m", "")
    return declare(name=name, places=places, aliases=aliases, rescue=_rescuer(function, texts, False))(
        function
    )


def public(*forms: str, places: str = "", space: str = "nn.functional") -> Callable[..., Any]:
    """Publishes a function in a namespace; its calls are explained by these forms. A decorator."""
    return lambda fn: overloaded(fn, *forms, places=places, aliases=(f"{space}.{fn.__name__}",))


def refuse(
    name: str, tensor: Tensor, *, kinds: str = "f", also: tuple[str, ...] = (), half: bool = True
) -> None:
    """NotImplementedError for a dtype that is not of these kinds, and not among some others."""
    given = tensor.dtype
    if (given.kind not in kinds and given.name not in also) or (given.itemsize == 2 and not half):
        raise NotImplementedError(f"\"{name}\" not implemented for '{given.type_name}'")


def check_tensors(name: str, **arguments: Any) -> None:
    """TypeError for an argument that is no tensor."""
    for place, (parameter, value) in enumerate(arguments.items(), 1):
        if not isinstance(value, Tensor):
            kind = type(value).__name__
            raise TypeError(f"{name}(): argument '{parameter}' (position {place}) must be Tensor, not {kind}")
