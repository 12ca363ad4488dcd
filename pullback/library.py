"""`torch.library`: ops of a program's own, with kernels, derivatives and rules for `vmap`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pullback import _ops
from pullback._library.custom_ops import (
    CustomOpDef,
    Definition,
    DeviceTypes,
    _add_kernel,
    _decorating,
    custom_op,
    waiting,
)
from pullback._library.opcheck import opcheck
from pullback._library.schema import infer_schema, parse
from pullback.face.absent import getter

__all__ = [
    "CustomOpDef",
    "Library",
    "custom_op",
    "define",
    "fallthrough_kernel",
    "get_ctx",
    "impl",
    "impl_abstract",
    "infer_schema",
    "opcheck",
    "register_autocast",
    "register_autograd",
    "register_fake",
    "register_kernel",
    "register_torch_dispatch",
    "register_vmap",
    "triton_op",
    "wrap_triton",
]

_RESERVED = ("aten", "prim", "prims")


def fallthrough_kernel() -> None:
    """A mark: nothing is done for a dispatch key."""
    raise NotImplementedError("fallthrough_kernel() should never be called.")


class Library:
    """Ops of a namespace: `define` declares one, `impl` gives it a function for a dispatch key.

    `kind` is "DEF", "FRAGMENT" for more ops of the same namespace, or "IMPL" for functions alone.

    >>> import pullback as torch
    >>> library = torch.library.Library("doclib", "DEF")
    >>> library.define("twice(Tensor x) -> Tensor")
    'twice'
    >>> library.impl("twice", lambda x: 2 * x, "CPU")
    >>> torch.ops.doclib.twice(torch.ones(2))
    tensor([2., 2.])
    """

    def __init__(self, ns: str, kind: str, dispatch_key: str = "") -> None:
        if kind not in ("IMPL", "DEF", "FRAGMENT"):
            raise ValueError(f"Unsupported kind: {kind}")
        if ns in _RESERVED and kind == "DEF":
            raise ValueError(
                f"{ns} is a reserved namespace. Please try creating a library with another name."
            )
        self.ns, self.kind, self.dispatch_key = ns, kind, dispatch_key
        self._made: list[Any] = []

    def __repr__(self) -> str:
        return f"Library(kind={self.kind}, ns={self.ns}, dispatch_key={self.dispatch_key})>"

    def define(self, schema: str, alias_analysis: str = "", *, tags: Any = ()) -> str:
        """Declares an op by its schema, `name(Tensor x) -> Tensor`; returns its name."""
        if self.kind == "IMPL":
            raise RuntimeError("define() cannot be called on a library of kind IMPL")
        made = Definition(self.ns, parse(f"{self.ns}::{schema}"))
        self._made.append(made.declare())
        return schema.partition("(")[0].strip()

    def impl(
        self,
        op_name: Any,
        fn: Callable[..., Any],
        dispatch_key: str = "",
        with_keyset: bool = False,
        *,
        allow_override: bool = False,
    ) -> None:
        """Gives an op a function for a dispatch key, as "CPU", "Meta", "Autograd"."""
        if not callable(fn):
            raise TypeError(f"Input function is required to be a callable but found type {type(fn)}")
        name = op_name if isinstance(op_name, str) else op_name.name()
        name = name if "::" in name else f"{self.ns}::{name}"
        if self.ns in _RESERVED:
            if not (dispatch_key or self.dispatch_key).startswith("Sparse"):
                raise NotImplementedError(f"Pullback's own ops cannot be given other kernels: {name}")
            return
        if fn is not fallthrough_kernel:
            key = dispatch_key or self.dispatch_key
            _tell(name, lambda definition: _register(definition, key, fn))

    def _register_fake(self, op_name: str, fn: Any, _stacklevel: int = 1, **options: Any) -> None:
        _tell(f"{self.ns}::{op_name}", lambda definition: setattr(definition, "fake", fn))

    def fallback(self, fn: Any, dispatch_key: str = "", *, with_keyset: bool = False) -> None:
        """Accepted: each op has functions of its own."""

    def _destroy(self) -> None:
        """Takes the ops that it declared out of their namespace."""
        for overload in self._made:
            packet = overload.overloadpacket
            packet._overloads.pop(overload._overloadname, None)
            if not packet._overloads:
                vars(_ops.namespace(self.ns)).pop(packet.__name__, None)
        self._made.clear()


def _register(definition: Definition, key: str, fn: Callable[..., Any]) -> None:
    if key == "Meta":
        definition.fake = fn
    elif key == "CompositeImplicitAutograd":
        definition.composite = fn
    elif key.startswith("Autograd"):
        definition.autograd = fn
    elif key in ("", "CompositeExplicitAutograd", "CompositeExplicitAutogradNonFunctional", "BackendSelect"):
        _add_kernel(definition, None, fn)
    else:
        _add_kernel(definition, key.lower(), fn)


def _definition(op: Any) -> Definition | None:
    """What is declared under a name, `mylib::op`, or is behind an op; None where nothing is."""
    if isinstance(op, CustomOpDef):
        return op._definition
    if isinstance(op, _ops.OpOverload):
        op = op.name()
    space, _, name = op.partition("::")
    name, _, overload = name.partition(".")
    packet = vars(_ops.namespace(space)).get(name)
    found = packet._overloads.get(overload or "default") if packet is not None else None
    return None if found is None else found._op


def _tell(op: Any, register: Callable[[Definition], None]) -> None:
    """Registers something for an op, at once or when it is declared."""
    definition = _definition(op)
    if definition is not None:
        register(definition)
    else:
        name = op.name() if isinstance(op, _ops.OpOverload) else op
        waiting.setdefault(name, []).append(register)


def define(qualname: str, schema: str, *, lib: Library | None = None, tags: Any = ()) -> None:
    """Declares an op by its name, `mylib::op`, and its schema, `(Tensor x) -> Tensor`."""
    space, _, name = qualname.partition("::")
    if not name:
        raise ValueError(
            f"torch.library.define(qualname, schema): expected `qualname` to be of form 'namespace::name', "
            f"got {qualname}"
        )
    Definition(space, parse(f"{space}::{name}{schema}")).declare()


def impl(qualname: Any, types: Any, func: Any = None, *, lib: Library | None = None) -> Any:
    """Gives an op a function for devices, `"cpu"`, or `"default"` for all: a decorator without `func`."""
    if isinstance(qualname, Library):  # an older form: impl(library, name, dispatch_key)
        return _decorating(lambda given: qualname.impl(types, given, func or ""), None)
    return register_kernel(qualname, types, func)


def register_kernel(op: Any, device_types: DeviceTypes, func: Any = None, /, *, lib: Any = None) -> Any:
    """Gives an op a function for devices; None for all."""
    return _decorating(
        lambda given: _tell(op, lambda definition: _add_kernel(definition, device_types, given)), func
    )


def register_fake(
    op: Any, func: Any = None, /, *, lib: Any = None, _stacklevel: int = 1, allow_override: bool = False
) -> Any:
    """Gives an op a function for tensors without numbers, on the device "meta"."""
    return _decorating(lambda given: _tell(op, lambda definition: setattr(definition, "fake", given)), func)


impl_abstract = register_fake


def register_autograd(op: Any, backward: Any, /, *, setup_context: Any = None, lib: Any = None) -> None:
    """Gives an op a derivative: see `CustomOpDef.register_autograd`."""

    def register(definition: Definition) -> None:
        definition.backward, definition.setup_context = backward, setup_context

    _tell(op, register)


def register_vmap(op: Any, func: Any = None, /, *, lib: Any = None) -> Any:
    """Gives an op a rule for `vmap`: `func(info, in_dims, *args)`, which returns results and their dims."""
    return _decorating(
        lambda given: _tell(op, lambda definition: setattr(definition, "batched", given)), func
    )


def register_autocast(op: Any, device_type: str, cast_inputs: Any, /, *, lib: Any = None) -> None:
    """Has an op's inputs cast within `torch.autocast`."""
    _tell(op, lambda definition: definition.casts.update({device_type: cast_inputs}))


def register_torch_dispatch(
    op: Any, torch_dispatch_class: Any, func: Any = None, /, *, lib: Any = None
) -> Any:
    """Accepted."""
    return _decorating(lambda given: None, func)


def get_ctx() -> None:
    """What a function for tensors without numbers may ask for sizes: nothing."""


def triton_op(name: str, fn: Any = None, /, *, mutates_args: Any, schema: str | None = None) -> Any:
    """`custom_op`: there are no kernels of Triton."""
    return custom_op(name, fn, mutates_args=mutates_args, schema=schema)


def wrap_triton(triton_kernel: Any, /) -> Any:
    """RuntimeError: there are no kernels of Triton."""
    raise RuntimeError("torch.library.wrap_triton: Pullback runs no kernels of Triton")


__getattr__ = getter(__name__)
