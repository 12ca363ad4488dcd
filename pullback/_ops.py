"""`torch.ops`: ops by namespace and overload, as `torch.ops.aten.add.Tensor`, and those of `torch.library`.

A namespace holds packets, a packet the overloads of one op. `aten` has the ops of Pullback under their names;
other namespaces have what `torch.library` declares in them.
"""

from __future__ import annotations

import functools
from typing import Any, NoReturn

from pullback import ops
from pullback._library.schema import Schema
from pullback.core._engine import Op as CoreOp
from pullback.core.op import SURFACE
from pullback.face.absent import getter, torch_has

__all__ = ["OpOverload", "OpOverloadPacket"]

_namespaces: dict[str, _OpNamespace] = {}


class OpOverload:
    """One overload of an op: called, it runs."""

    def __init__(self, overloadpacket: OpOverloadPacket, overload: str, function: Any, schema: Any) -> None:
        self._overloadpacket, self._overloadname, self._op = overloadpacket, overload, function
        self._schema = schema
        self.namespace = overloadpacket._namespace
        self.__name__ = f"{overloadpacket.__name__}.{overload}"
        self.__qualname__ = self.__name__
        self.__module__ = f"torch._ops.{self.namespace}"

    @property
    def overloadpacket(self) -> OpOverloadPacket:
        """The packet that it stands in."""
        return self._overloadpacket

    def name(self) -> str:
        """The name with its namespace, and its overload unless that is `default`."""
        overload = "" if self._overloadname == "default" else f".{self._overloadname}"
        return f"{self._overloadpacket._qualified_op_name}{overload}"

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        return self._op(*args, **kwargs)

    def __str__(self) -> str:
        return f"{self.namespace}.{self.__name__}"

    def __repr__(self) -> str:
        packet = self._overloadpacket
        return f"<OpOverload(op='{self.namespace}.{packet.__name__}', overload='{self._overloadname}')>"

    def __deepcopy__(self, memo: Any) -> OpOverload:
        return self

    def __reduce__(self) -> Any:
        return _overload_by_name, (self.namespace, self._overloadpacket.__name__, self._overloadname)


class OpOverloadPacket:
    """The overloads of an op: called, it runs; each is an attribute, `default` among them."""

    def __init__(self, namespace: str, name: str, function: Any) -> None:
        self._namespace, self.__name__, self._op = namespace, name, function
        self._qualified_op_name = f"{namespace}::{name}"
        self.__module__ = f"torch.ops.{namespace}"
        self._overloads: dict[str, OpOverload] = {}

    def overloads(self) -> list[str]:
        """The names of the overloads that are known."""
        return list(self._overloads) or ["default"]

    def _add(self, overload: str, function: Any, schema: Schema) -> OpOverload:
        made = self._overloads[overload] = OpOverload(self, overload, function, schema)
        return made

    def __getattr__(self, name: str) -> Any:
        known = self.__dict__.get("_overloads", {})
        if name not in known:
            if name.startswith("_") or self._namespace != "aten":  # ours are not apart by overload
                raise AttributeError(
                    f"The underlying op of '{self._qualified_op_name}' has no overload name '{name}'"
                )
            known[name] = OpOverload(self, name, self._op, None)
        return known[name]

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        return self._op(*args, **kwargs)

    def __str__(self) -> str:
        return f"{self._namespace}.{self.__name__}"

    def __repr__(self) -> str:
        return f"<OpOverloadPacket(op='{self}')>"

    def __deepcopy__(self, memo: Any) -> OpOverloadPacket:
        return self

    def __reduce__(self) -> Any:
        return _packet_by_name, (self._namespace, self.__name__)


class _OpNamespace:
    """The ops of a namespace, each a packet."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.__doc__ = f"The ops of the namespace {name}."

    def __getattr__(self, name: str) -> Any:
        found = _aten(name) if self.__dict__.get("name") == "aten" else None
        if found is None:
            raise AttributeError(
                f"'_OpNamespace' '{self.__dict__.get('name')}' object has no attribute '{name}'"
            )
        made = self.__dict__[name] = OpOverloadPacket("aten", name, found)
        return made

    def __call__(self, /, *args: Any, **kwargs: Any) -> NoReturn:
        """AttributeError: a rule has called an op that there is not."""
        raise AttributeError(f"Pullback has no op '{self.name}'")

    def __repr__(self) -> str:
        return f"<module 'torch.ops.{self.name}'>"


def _aten(name: str) -> Any:
    """What an op of PyTorch's own does, None if there is no such op."""
    if name.startswith("__"):
        return None
    ops.load_later()
    family, _, stem = name.partition("_")
    places = [("torch", name), ("nn.functional", name), ("Tensor", name), (family, stem)]
    for space, known in places:
        found = SURFACE.get(space, {}).get(known)
        if callable(found):
            return found
    return functools.partial(_refuse, name) if torch_has(f"torch.ops.aten.{name}") else None


def _refuse(name: str, *args: Any, **kwargs: Any) -> NoReturn:
    raise NotImplementedError(f"Pullback has no op aten::{name}")


def namespace(name: str) -> _OpNamespace:
    """The ops of a namespace; an empty one where nothing is declared yet."""
    if name not in _namespaces:
        _namespaces[name] = _OpNamespace(name)
    return _namespaces[name]


def packet(space: str, name: str) -> OpOverloadPacket | None:
    """The packet of an op, None if there is none."""
    found: OpOverloadPacket | None = getattr(namespace(space), name, None)
    return found


def _packet_by_name(space: str, name: str) -> Any:
    return getattr(namespace(space), name)


def _overload_by_name(space: str, name: str, overload: str) -> Any:
    return getattr(getattr(namespace(space), name), overload)


def overload_of(func: Any) -> Any:
    """An op of Pullback's table as `torch.ops.aten` has it; other functions as they are."""
    if isinstance(func, CoreOp):
        found = packet("aten", func.name)
        return func if found is None else found.default
    return func


__getattr__ = getter(__name__)
