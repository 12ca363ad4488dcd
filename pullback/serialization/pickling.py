"""What a file says of objects: a pickle in which storages stand for themselves by persistent ids.

`pickler` makes a Pickler that writes tensors and names as PyTorch does, and calls `persistent_id` for each
storage; `unpickler` makes an Unpickler that knows those names.
"""

from __future__ import annotations

import pickle
from collections import OrderedDict
from collections.abc import Callable
from types import FunctionType
from typing import Any, ClassVar

import numpy as np

from pullback import _utils
from pullback._tensor import _rebuild_from_type_v2
from pullback.core._engine import Function, Op, Tensor
from pullback.core.dtypes import dtype, layout
from pullback.core.strides import preserved_strides, strided_array, strides_of
from pullback.core.types import Array
from pullback.face.storage import STORAGE_TYPES, TypedStorage, UntypedStorage, address, memory
from pullback.nn.parameter import Parameter
from pullback.serialization.names import place_of, resolve

MIXED = "Cannot save multiple tensors or storages that view the same data as different types"


def _get_layout(name: str) -> Any:
    """The layout of a name, as `torch.strided`."""
    return resolve("torch", name.removeprefix("torch."))


_get_layout.__module__ = "pullback.serialization"  # files name it so


def where_it_lies(a: Array) -> tuple[Array, int, Array]:
    """The memory of an array, the place of its first element there, and the array: a copy where the memory
    has gaps or does not begin at a whole element."""
    owner = memory(a)
    offset, rest = divmod(address(a) - address(owner), a.itemsize) if owner is not a else (0, 0)
    if not owner.flags.forc or rest or owner.nbytes % a.itemsize:
        fresh = strided_array(a.shape, preserved_strides(a), a.dtype)
        np.copyto(fresh, a)
        return memory(fresh), 0, fresh
    return owner, offset, a


def described(t: Tensor) -> tuple[Any, tuple[Any, ...]]:
    """The function and the arguments that make a tensor again."""
    made = _plain(t)
    state = dict(t.__dict__)
    if isinstance(t, Parameter):
        data = t.detach() if type(t) is Parameter else t
        if type(t) is Parameter:
            if state:
                return _utils._rebuild_parameter_with_state, (data, t.requires_grad, OrderedDict(), state)
            return _utils._rebuild_parameter, (data, t.requires_grad, OrderedDict())
    if type(t) is Tensor and not state:
        return made
    return _rebuild_from_type_v2, (made[0], type(t), made[1], state)


def _plain(t: Tensor) -> tuple[Any, tuple[Any, ...]]:
    """The same for the tensor as one of class Tensor."""
    kind, a = t.dtype, t._array
    if t.is_meta:
        return _utils._rebuild_meta_tensor_no_storage, (kind, tuple(t.shape), strides_of(a), t.requires_grad)
    owner, offset, a = where_it_lies(a)
    storage = UntypedStorage.of(owner)
    where: tuple[Any, ...] = offset, tuple(a.shape), strides_of(a), t.requires_grad, OrderedDict()
    if f"{kind.type_name}Storage" not in STORAGE_TYPES:
        return _utils._rebuild_tensor_v3, (storage, *where, kind)
    return _utils._rebuild_tensor_v2, (TypedStorage(wrap_storage=storage, dtype=kind), *where)


class Storages:
    """The storages that a pickle refers to, in the order of their keys.

    A storage has one dtype in a file: RuntimeError if tensors of several share it.
    """

    def __init__(self) -> None:
        self.arrays: dict[str, Array] = {}
        self.dtypes: dict[str, Any] = {}  # None for an UntypedStorage
        self._keys: dict[int, str] = {}

    def persistent_id(self, thing: Any) -> Any:
        """The tuple that stands for a storage; None for anything else."""
        if not isinstance(thing, (UntypedStorage, TypedStorage)):
            return None
        kind = thing.dtype if isinstance(thing, TypedStorage) else None
        storage = thing.untyped() if isinstance(thing, TypedStorage) else thing
        array = storage._array
        key = self._keys.setdefault(id(array), str(len(self._keys)))
        known = self.dtypes.setdefault(key, kind)
        if known is not kind and None not in (known, kind):
            raise RuntimeError(MIXED)
        self.arrays[key] = array  # kept until all is written, so that no other can have its id
        if kind is None:
            return "storage", UntypedStorage, key, "cpu", storage.nbytes()
        size = storage.nbytes() // kind.itemsize
        return "storage", STORAGE_TYPES[f"{kind.type_name}Storage"], key, "cpu", size


_QUICK = (Tensor, Parameter)
_OURS = (Tensor, dtype, layout, Op, Function)


def pickler(module: Any, file: Any, protocol: int, persistent_id: Callable[[Any], Any]) -> Any:
    """A Pickler of `pickle`, or of a module that is used like it."""
    base: Any = pickle._Pickler if module is pickle else module.Pickler
    inherited = getattr(base, "reducer_override", None)

    class TensorPickler(base):
        write: Any

        def __init__(self) -> None:
            super().__init__(file, protocol=protocol)
            self.repeated: dict[tuple[Any, ...], bytes] = {}

        def save(self, thing: Any, save_persistent_id: bool = True) -> None:
            if type(thing) in _QUICK and self.proto >= 2 and id(thing) not in self.memo:
                self.save_tensor(thing)
            else:
                super().save(thing, save_persistent_id)

        def save_tensor(self, t: Tensor) -> None:
            """Writes the call that makes a tensor as its opcodes, which is what `save_reduce` comes to.

            What it is made of is known, so nothing is asked of it, and what nobody else refers to has no
            place in the memo.
            """
            function, args = described(t)
            if type(args[0]) is TypedStorage:
                word, kind, key, *rest = persistent_id(args[0])
                self.repeat((function, pickle.MARK + pickle.MARK, word, kind))
                self.push(key)
                called = OrderedDict, pickle.EMPTY_TUPLE + pickle.REDUCE + pickle.TUPLE + pickle.REDUCE
                self.repeat((*rest, pickle.TUPLE + pickle.BINPERSID, *args[1:-1], *called))
            else:
                self.push(function)
                self.write(pickle.MARK)
                for value in args:
                    self.push(value)
                self.write(pickle.TUPLE + pickle.REDUCE)
            self.memoize(t)

        def repeat(self, parts: tuple[Any, ...]) -> None:
            """Writes opcodes (bytes) and values; what puts nothing into the memo is copied the next time."""
            known = self.repeated.get(parts)
            if known is not None:
                self.write(known)
                return
            written: list[bytes] = []
            count, write = len(self.memo), self.write

            def note(data: bytes) -> None:
                written.append(data)
                write(data)

            self.write = note
            for part in parts:
                if type(part) is bytes:
                    note(part)
                else:
                    self.push(part)
            self.write = write
            if len(self.memo) == count:
                self.repeated[parts] = b"".join(written)

        def push(self, value: Any) -> None:
            kind, known = type(value), self.memo.get(id(value))
            if known is not None:
                self.write(self.get(known[0]))
            elif kind is int and 0 <= value < 256:
                self.write(pickle.BININT1 + value.to_bytes())
            elif kind is bool:
                self.write(pickle.NEWTRUE if value else pickle.NEWFALSE)
            elif kind is tuple:
                self.write(pickle.MARK)
                for item in value:
                    self.push(item)
                self.write(pickle.TUPLE)
            elif kind is TypedStorage or kind is UntypedStorage:
                self.push(persistent_id(value))
                self.write(pickle.BINPERSID)
            elif kind is OrderedDict and not value:
                self.push(OrderedDict)
                self.write(pickle.EMPTY_TUPLE + pickle.REDUCE)
            else:
                self.save(value)

        def persistent_id(self, thing: Any) -> Any:
            return persistent_id(thing)

        def reducer_override(self, thing: Any) -> Any:
            if not isinstance(thing, _OURS):
                return NotImplemented if inherited is None else inherited(self, thing)
            if isinstance(thing, Tensor):
                own = type(thing).__reduce_ex__
                plain = own in (Tensor.__reduce_ex__, Parameter.__reduce_ex__)
                return described(thing) if plain else NotImplemented
            if isinstance(thing, dtype):
                return thing.name
            if isinstance(thing, layout):
                return _get_layout, (str(thing),)
            if isinstance(thing, _OURS) and place_of(thing) is not None:
                return thing.__name__
            return NotImplemented if inherited is None else inherited(self, thing)

        def save_global(self, thing: Any, name: str | None = None) -> None:
            found = ("torch", thing.name) if isinstance(thing, dtype) else place_of(thing)
            if found is None:
                super().save_global(thing, name)
                return
            place, own_name = found
            if self.proto >= 4:
                self.save(place)
                self.save(own_name)
                self.write(pickle.STACK_GLOBAL)
            else:
                self.write(pickle.GLOBAL + f"{place}\n{own_name}\n".encode())
            self.memoize(thing)

        dispatch: ClassVar[Any] = {**getattr(base, "dispatch", {}), FunctionType: save_global}

    return TensorPickler()


def unpickler(module: Any, file: Any, persistent_load: Callable[[Any], Any], **options: Any) -> Any:
    """An Unpickler of `pickle`, or of a module that is used like it. It runs what the file says."""
    base: Any = module.Unpickler

    class TensorUnpickler(base):
        def persistent_load(self, pid: Any) -> Any:
            return persistent_load(pid)

        def find_class(self, place: str, name: str) -> Any:
            if place.partition(".")[0] in ("torch", "pullback"):
                return resolve(place, name)
            return super().find_class(place, name)

    return TensorUnpickler(file, **options)
