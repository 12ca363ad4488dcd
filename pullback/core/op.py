"""Declaring ops: one block holds all that is known of an op.

An op with a kernel of its own is a function on arrays. Its signature is the op's, each `Array` a tensor:

    @op(linear=True)
    def roll(self: Array, shifts: Ints, dim: Ints = ()) -> Array:
        "Docstring for the user."
        return np.roll(...)

    roll.vjp(self=lambda g, shifts, dim: roll(g, [-s for s in shifts], dim))

An elementwise op is a name and a loop: `tanh = elementwise("tanh", np.tanh, ...)`. The parameters of a
rule say what the node saves: a parameter of the op, `<input>_shape`, `<input>_dtype`, `result`, and `g`,
the gradient of the result (`g0`, `g1`, ..., `grads` where there are several). A rule may return its
gradient in the broadcast shape and the promoted dtype: the engine sums and casts it back.

`function` declares a composite: a plain function of ops. Both enter their names into SURFACE, from which
`pullback`, `Tensor` and the namespaces are filled.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pullback.core._engine import REGISTRY, REQUIRED, Function, Op

SURFACE: dict[str, dict[str, Any]] = {"torch": {}, "Tensor": {}}
"""What users see: namespace -> name -> function."""

AROUND: dict[str, Callable[..., Any]] = {}
"""By the name of a composite, what calls go to while there are levels: it is given the function, the
arguments and the keywords, and may return NotImplemented. See `surround`."""

FOREACH: list[str] = []
"""The ops of one tensor that `torch._foreach_NAME` applies to lists."""

_KIND_LETTERS = {
    "Array": "T",
    "Spec": "T",
    "Array | Number": "N",
    "Array | None": "O",
    "Array | Number | None": "N",
    "Arrays": "L",
    "Size": "S",
}


def _signature(kernel: Callable[..., Any]) -> tuple[tuple[str, ...], tuple[Any, ...], str]:
    """Names, defaults and kinds of a kernel's parameters, read off its signature."""
    code = kernel.__code__
    names = code.co_varnames[: code.co_argcount]
    values = kernel.__defaults__ or ()
    defaults = (REQUIRED,) * (len(names) - len(values)) + tuple(values)
    notes = {k: str(v).strip("'\"") for k, v in kernel.__annotations__.items()}
    return names, defaults, "".join(_KIND_LETTERS.get(notes.get(name, ""), ".") for name in names)


def surround(around: dict[str, Callable[..., Any]]) -> None:
    """Puts functions around composites, those too that are declared later: by namespace and name."""
    AROUND.update(around)
    for space, functions in SURFACE.items():
        for name, function in functions.items():
            _surround(function, space, name)


def _surround(function: Any, space: str, name: str) -> None:
    around = AROUND.get(f"{space}.{name}")
    if around is not None and isinstance(function, Function):
        function.around = around


def _publish(function: Any, name: str, places: str, aliases: tuple[str, ...]) -> None:
    """Enters a function and its aliases.

    Letters of `places`: `t` into torch, `m` as a method, `i` as an in-place method, `f` that as a function
    too (`torch.exp_`), `e` for each tensor of a list (`torch._foreach_exp`).
    """
    targets = list(aliases)
    if "t" in places:
        targets.append(f"torch.{name}")
    if "m" in places:
        targets.append(f"Tensor.{name}")
    for target in targets:
        space, _, short = target.rpartition(".")
        SURFACE.setdefault(space, {})[short] = function
        _surround(function, space, short)
    if "i" in places:
        for short in (name, *(a.rpartition(".")[2] for a in aliases if a.startswith("Tensor."))):
            method = SURFACE["Tensor"][f"{short}_"] = _inplace_method(function, short)
            if "f" in places:
                SURFACE["torch"][f"{short}_"] = method
    if "e" in places:
        FOREACH.append(name)


def _inplace_method(function: Any, name: str) -> Function:
    """The method that writes the result of `function` into its tensor."""
    doc = f"`{name}` with the result written into this tensor, which is returned."
    return Function(function, f"{name}_", in_place=True, doc=doc)


def op(
    *,
    name: str | None = None,
    places: str = "tm",
    aliases: tuple[str, ...] = (),
    **flags: Any,
) -> Callable[[Callable[..., Any]], Op]:
    """Declares an op by its kernel on arrays. A decorator; the flags are those of `Op`.

    `name` is the op's own where it differs from the kernel's (two ops behind one public function).
    """

    def declare(kernel: Callable[..., Any]) -> Op:
        own = name or kernel.__name__
        params, defaults, kinds = _signature(kernel)
        record = Op(own, kernel, params, defaults, kinds, doc=kernel.__doc__, **flags)
        REGISTRY[own] = record
        _publish(record, record.__name__, places, aliases)
        return record

    return declare


def elementwise(
    name: str,
    loop: Any = None,
    *,
    inputs: tuple[str, ...] = ("self",),
    kinds: str | None = None,
    kernel: Callable[..., Any] | None = None,
    vjp: dict[str, Any] | None = None,
    places: str = "tmi",
    aliases: tuple[str, ...] = (),
    doc: str = "",
    forms: tuple[Any, ...] | None = None,
    number_names: dict[str, str] | None = None,
    **flags: Any,
) -> Op:
    """Declares an elementwise op by its loop: a NumPy ufunc, or the name "module:ufunc" of another.

    `kernel` is a function on promoted, not yet broadcast arrays where no ufunc does (all) the work.
    `forms` has a first argument that is no tensor refused in the words of ops/shared/forms.py: functions with
    the signatures of the calls, or none for the op's own.
    `promote` is "same" (arithmetic) or "float" (integers to the default dtype); `allowed` lists the kinds
    it takes (b, i, f, c), and `refuse` gives the message for the others. `kinds` has a letter for each
    input: T a tensor, N a tensor or a number; a single input is a tensor, several may be numbers.
    `number_names` says what a node is called where an input was given as a number.
    """
    kinds = kinds or ("T" if len(inputs) == 1 else "N" * len(inputs))
    record = Op(
        name, kernel, inputs, (REQUIRED,) * len(inputs), kinds, loop=loop, elementwise=True, doc=doc, **flags
    )
    record.forms, record.number_first = forms, kinds[0] == "N"
    if number_names:
        record.variant = lambda saved: (
            number_names[saved["numbers"][0]] if saved["numbers"] else record.grad_name
        )
    REGISTRY[name] = record
    if vjp:
        record.vjp(**vjp)
    _publish(record, record.__name__, places, aliases)
    return record


def _named_by_numbers(names: dict[str, str], otherwise: str) -> Callable[[dict[str, Any]], str]:
    return lambda saved: names[saved["numbers"][0]] if saved["numbers"] else otherwise


def function(
    *,
    name: str | None = None,
    places: str = "tm",
    aliases: tuple[str, ...] = (),
    rescue: Any = None,
    forms: tuple[Any, ...] | None = None,
    converts: bool = False,
    keywords: dict[str, str] | None = None,
    signatures: tuple[Callable[..., Any], ...] = (),
    quick: tuple[Any, ...] = (),
) -> Callable[[Any], Any]:
    """Declares a composite: a public function of ops without rules of its own. A decorator.

    With `i` in `places` the function must take `out` and hand it to its last op. One that `converts` takes
    tensors of other libraries as data, and does not ask their `__torch_function__`. `rescue(args, kwargs)`
    is asked after a TypeError: it raises a better one, or returns what the call should have, or
    NotImplemented. `keywords` are other names of arguments that PyTorch takes. `forms` are those of
    `elementwise`. `signatures` are functions with the signatures of its calls, the fullest last, where the
    function's own is `*args, **kwargs`. `quick` is the engine's way for plain arguments, which is tried first
    (core/engine/quick.pxi): its name, and what it
    fills a new tensor with.
    """

    def declare(fn: Any) -> Any:
        own = name or fn.__name__
        public = fn  # a class or an object is published as it is
        known = rescue or (_by_other_names(fn, keywords) if keywords else None)
        if isinstance(fn, Op) or hasattr(fn, "__code__"):
            fn.__name__ = own
            if signatures:
                vars(fn).update(signatures=signatures, __wrapped__=signatures[-1])
            public = Function(fn, own, rescue=known)
            public.converts = converts
            if quick:
                public.quickly(*quick)
            if forms is not None:
                public.forms, public.number_first = forms, _takes_number_first((fn, *forms))
        _publish(public, own, places, aliases)
        return public

    return declare


def _by_other_names(fn: Callable[..., Any], names: dict[str, str]) -> Callable[..., Any]:
    """What is asked after a TypeError of a function whose arguments have other names, too."""

    def rescue(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        renamed = {names.get(name, name): value for name, value in kwargs.items()}
        if not names.keys() & kwargs.keys() or len(renamed) < len(kwargs):
            return NotImplemented
        return fn(*args, **renamed)

    return rescue


def _takes_number_first(forms: tuple[Any, ...]) -> bool:
    return any("Number" in next(iter(form.__annotations__.values())) for form in forms)
