"""An unpickler that runs no code of the file, for `torch.load(weights_only=True)`.

It is an interpreter of its own for the opcodes that files of weights have. Names are looked up in a list,
never imported; only what is on the list can be called, and each entry of the list checks what it is called
with. Nothing is recursive, and no size that a file claims is believed: a string is a part of what was read,
a container grows one opcode at a time. What a program has allowed with `add_safe_globals` is called as
pickle would.
"""

from __future__ import annotations

import struct
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING  # of protocols before 3
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable
from pickle import UnpicklingError
from typing import Any

from pullback import _utils
from pullback._tensor import _rebuild_from_type_v2
from pullback.core._engine import Tensor
from pullback.core.dtypes import ALIASES, DTYPES, Size, device
from pullback.core.dtypes import dtype as Dtype
from pullback.face.legacy import TENSOR_TYPES
from pullback.face.storage import STORAGE_TYPES, TypedStorage, UntypedStorage
from pullback.nn.parameter import Buffer, Parameter
from pullback.ops.nested.tensors import NestedTensor, _DimRange, _rebuild_njt
from pullback.serialization.names import place_of
from pullback.serialization.pickling import _get_layout

BLOCKED = {"sys", "os", "posix", "nt"}
KEYS = (str, bytes, int, float, complex, type(None), type, Dtype, device, _DimRange)
KEY_PARTS = 1000  # of a tuple that is a key: its hash takes a step for each

# ------------------------------------------------------------------------------ what may be called


def _check_key(key: Any) -> None:
    """TypeError unless a key's hash is quick: files could make tuples that take for ever."""
    todo, seen = [key], 0
    while todo:
        part = todo.pop()
        seen += 1
        if type(part) is tuple:
            todo.extend(part)
        elif not (isinstance(part, KEYS) or _is_users(type(part))):
            raise TypeError(f"unhashable type: '{type(part).__name__}'")
        if seen > KEY_PARTS or len(todo) > KEY_PARTS:
            raise TypeError("a key has too many parts")


def _only(kind: type | tuple[type, ...], values: tuple[Any, ...], count: tuple[int, ...]) -> None:
    """TypeError unless the arguments are of a kind; it shows types alone, as values may be endless."""
    if len(values) not in count or not all(isinstance(value, kind) for value in values):
        kinds = ", ".join(type(value).__name__ for value in values[:5])
        raise TypeError(f"arguments ({kinds}) are not allowed here")


def _ordered_dict(*args: Any) -> Any:
    _only((list, tuple), args, (0, 1))
    for pair in args[0] if args else ():
        _only(object, tuple(pair), (2,))
        _check_key(pair[0])
    return OrderedDict(*args)


def _counter(*args: Any) -> Any:
    _only(dict, args, (0, 1))
    return Counter(*args)


def _set(*args: Any) -> Any:
    _only((list, tuple), args, (0, 1))
    for element in args[0] if args else ():
        _check_key(element)
    return set(*args)


def _bytearray(*args: Any) -> Any:
    if len(args) == 2 and args[1] == "latin-1":
        args = (_encode(*args),)
    _only(bytes, args, (0, 1))
    return bytearray(*args)


def _encode(*args: Any) -> bytes:
    _only(str, args, (2,))
    if args[1] not in ("latin1", "latin-1"):
        raise TypeError(f"bytes in {args[1][:30]!r} are not allowed here")
    return args[0].encode("latin-1")


def _complex(*args: Any) -> complex:
    _only((int, float), args, (1, 2))
    return complex(*args)


def _size(*args: Any) -> Size:
    _only((tuple, list), args, (1,))
    _only(int, tuple(args[0]), (len(args[0]),))
    return Size(*args)


def _device(*args: Any) -> device:
    _only((str, int, type(None)), args, (1, 2))
    return device(*args)


_LAYOUTS = [
    f"torch.{name}"
    for name in ("strided", "sparse_coo", "sparse_csr", "sparse_csc", "sparse_bsr", "sparse_bsc")
]


def _layout(*args: Any) -> Any:
    _only(str, args, (1,))
    if args[0] not in _LAYOUTS:
        raise TypeError(f"unknown layout {args[0][:30]!r}")
    return _get_layout(*args)


def _from_type(*args: Any) -> Any:
    """A tensor of a subclass that is allowed, made by a function that is."""
    _only(object, args, (4,))
    function, kind, arguments, _ = args
    kinds = (Tensor, Parameter, Buffer, NestedTensor, *_users.values())
    if not (_is_in(function, TENSORS.values()) and isinstance(kind, type) and _is_in(kind, kinds)):
        raise TypeError("only tensors of classes that are allowed can be made")
    _only(tuple, (arguments,), (1,))
    return _rebuild_from_type_v2(*args)


TENSORS: dict[str, Callable[..., Any]] = {
    f"torch._utils.{name}": getattr(_utils, name)
    for name in (
        "_rebuild_tensor",
        "_rebuild_tensor_v2",
        "_rebuild_tensor_v3",
        "_rebuild_parameter",
        "_rebuild_parameter_with_state",
        "_rebuild_meta_tensor_no_storage",
        "_rebuild_nested_tensor",
        "_rebuild_sparse_tensor",
    )
}
TENSORS["torch.nested._internal.nested_tensor._rebuild_njt"] = _rebuild_njt

CALLED: dict[str, tuple[Any, Callable[..., Any]]] = {
    "collections.OrderedDict": (OrderedDict, _ordered_dict),
    "collections.Counter": (Counter, _counter),
    "builtins.set": (set, _set),
    "builtins.bytearray": (bytearray, _bytearray),
    "builtins.complex": (complex, _complex),
    "_codecs.encode": (_encode, _encode),
    "torch.Size": (Size, _size),
    "torch.device": (device, _device),
    "torch.serialization._get_layout": (_get_layout, _layout),
    "torch._tensor._rebuild_from_type_v2": (_from_type, _from_type),
    "torch._dynamo.decorators._DimRange": (_DimRange, _DimRange),
    **{name: (function, function) for name, function in TENSORS.items()},
}
"""What a file may call: what stands for it, and the function that checks the arguments and calls."""

NAMED: dict[str, Any] = {
    **{name: thing for name, (thing, _) in CALLED.items()},
    **{f"torch.{kind.name}": kind for kind in DTYPES},
    **{f"torch.{name}": kind for name, kind in (*ALIASES.items(), *STORAGE_TYPES.items())},
    **{f"torch.{name}": kind for name, kind in TENSOR_TYPES.items()},
    "torch.Tensor": Tensor,
    "torch._tensor.Tensor": Tensor,
    "torch.nested._internal.nested_tensor.NestedTensor": NestedTensor,
    "torch.nn.parameter.Parameter": Parameter,
    "torch.nn.parameter.Buffer": Buffer,
    **{
        f"torch{space}.{kind.__name__}": kind
        for kind in (UntypedStorage, TypedStorage)
        for space in ("", ".storage")
    },
}
"""What a file may name."""

_CALLS = {id(thing): call for thing, call in CALLED.values()}

# ------------------------------------------------------------------- what programs allow besides

_users: dict[str, Any] = {}
_listed: list[Any] = []


def _is_in(thing: Any, things: Iterable[Any]) -> bool:
    return any(thing is known for known in things)


def _is_users(kind: Any) -> bool:
    return _is_in(kind, _users.values())


def _full_name(thing: Any) -> str:
    """By which name a file refers to a class or function."""
    if isinstance(thing, tuple):
        return thing[1]
    module, name = place_of(thing) or (thing.__module__, thing.__qualname__)
    return f"{module}.{name}"


def _relist() -> None:
    _users.clear()
    for thing in _listed:
        if isinstance(thing, tuple) and (len(thing) != 2 or not isinstance(thing[1], str)):
            raise ValueError(f"Expected tuple of 2 items, got tuple of {len(thing)} items")
        _users[_full_name(thing)] = thing[0] if isinstance(thing, tuple) else thing


def add_safe_globals(safe_globals: list[Any]) -> None:
    """Allows classes and functions in files that are loaded with `weights_only=True`.

    A pair of one and a name says by which name files refer to it. They are called as the file says: allow
    only what does no harm with any arguments.

    >>> import pullback as torch
    >>> torch.serialization.add_safe_globals([range])
    >>> torch.serialization.get_safe_globals()
    [<class 'range'>]
    >>> torch.serialization.clear_safe_globals()
    """
    _listed.extend(thing for thing in safe_globals if not _is_in(thing, _listed))
    _relist()


def get_safe_globals() -> list[Any]:
    """What `add_safe_globals` has allowed."""
    return list(_listed)


def clear_safe_globals() -> None:
    """Allows nothing any more but what is always allowed."""
    _listed.clear()
    _users.clear()


class safe_globals:
    """A context in which some classes and functions are allowed, as by `add_safe_globals`."""

    def __init__(self, safe_globals: list[Any]) -> None:
        self.safe_globals = safe_globals

    def __enter__(self) -> None:
        self._before = list(_listed)
        add_safe_globals(self.safe_globals)

    def __exit__(self, *exc: object) -> None:
        _listed[:] = self._before
        _relist()


# ------------------------------------------------------------------------------- the interpreter


class WeightsUnpickler:
    """Reads one pickle from `data`, beginning at `place`, which is then behind it.

    `persistent_load` gives the storages. UnpicklingError for what is not allowed or broken.
    """

    def __init__(self, data: bytes | bytearray | memoryview, place: int, persistent_load: Any) -> None:
        self.data, self.place = memoryview(data), place
        self.persistent_load = persistent_load
        self.names: list[str] | None = None  # where a list, names are collected and nothing is made

    def load(self) -> Any:
        """The object that the pickle describes."""
        self.stack: list[Any] = []
        self.marks: list[list[Any]] = []
        self.memo: dict[int, Any] = {}
        table = OPCODES
        try:
            while True:
                code = self.data[self.place]
                self.place += 1
                if code == STOP:
                    return self.stack.pop()
                step = table.get(code)
                if step is None:
                    raise UnpicklingError(f"Unsupported operand {code}")
                step(self)
        except (IndexError, struct.error):
            raise UnpicklingError("the pickle is broken or ends too early") from None
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, RecursionError) as error:
            raise UnpicklingError(f"the pickle is broken: {type(error).__name__}") from error

    @staticmethod
    def is_allowed(name: str) -> bool:
        """Whether a file may use a name."""
        return name in NAMED or name in _users

    # ---- parts of the data

    def take(self, size: int) -> memoryview:
        """The next bytes."""
        part = self.data[self.place : self.place + size]
        if size < 0 or len(part) != size:
            raise UnpicklingError("the pickle is broken or ends too early")
        self.place += size
        return part

    def number(self, form: struct.Struct) -> int:
        """The next number of a form."""
        return form.unpack(self.take(form.size))[0]

    def line(self) -> str:
        """What comes before the next end of a line."""
        rest = bytes(self.data[self.place : self.place + 4096])
        end = rest.find(b"\n")
        if end < 0:
            raise UnpicklingError("the pickle is broken or ends too early")
        self.place += end + 1
        return rest[:end].decode()

    def text(self, size: int) -> str:
        """The next bytes as text."""
        return str(self.take(size), "utf-8", "surrogatepass")

    def since_mark(self) -> list[Any]:
        """What was put on the stack since the last mark, taken off it."""
        items = self.stack
        self.stack = self.marks.pop()
        return items

    # ---- names and calls

    def find(self, module: str, name: str) -> None:
        """Puts what a name stands for on the stack."""
        module, name = NAME_MAPPING.get((module, name)) or (IMPORT_MAPPING.get(module, module), name)
        full = f"{module}.{name}"
        if self.names is not None:
            if full not in NAMED:
                self.names.append(full)
            self.stack.append(_Name(full))
            return
        if module.partition(".")[0] in BLOCKED:
            raise UnpicklingError(
                f"Trying to load unsupported GLOBAL {full} whose module {module} is blocked."
            )
        if full in _users:
            self.stack.append(_users[full])
        elif full in NAMED:
            self.stack.append(NAMED[full])
        else:
            shown = full.removeprefix("builtins.")
            raise UnpicklingError(
                f"Unsupported global: GLOBAL {shown} was not an allowed global by default. Please use "
                f"`torch.serialization.add_safe_globals([{shown}])` or the "
                f"`torch.serialization.safe_globals([{shown}])` context manager to allowlist this global if "
                "you trust this class/function."
            )

    def call(self, function: Any, args: Any) -> Any:
        """What a function that is allowed gives for arguments."""
        if self.names is not None:
            return _Name("")
        if not isinstance(args, tuple):
            raise UnpicklingError(f"arguments must be a tuple, not {type(args).__name__}")
        check = _CALLS.get(id(function))
        if check is None and not _is_users(function):
            raise UnpicklingError(
                "Trying to call reduce for unrecognized function "
                f"{getattr(function, '__name__', type(function).__name__)}"
            )
        try:
            return function(*args) if check is None else check(*args)
        except Exception as error:
            raise UnpicklingError(f"{type(error).__name__}: {error}") from error

    def new(self, kind: Any, args: Any) -> Any:
        """A new instance of a class that is allowed."""
        if self.names is not None:
            return _Name("")
        if kind is Parameter or kind is Tensor or id(kind) in _CALLS:
            return self.call(kind, args)
        if not (isinstance(kind, type) and _is_users(kind)):
            raise UnpicklingError("Can only create new objects of classes that are allowed")
        try:
            return kind.__new__(kind, *args)
        except Exception as error:
            raise UnpicklingError(f"{type(error).__name__}: {error}") from error

    def build(self) -> None:
        """Gives the object on the stack its state."""
        state = self.stack.pop()
        made = self.stack[-1]
        if self.names is not None:
            return
        if type(made) is OrderedDict and isinstance(state, dict):
            if any(not isinstance(name, str) or hasattr(OrderedDict, name) for name in state):
                raise UnpicklingError("an OrderedDict cannot have this state")
            made.__dict__.update(state)
        elif type(made) is _DimRange or _is_users(type(made)):
            try:
                _set_state(made, state)
            except Exception as error:
                raise UnpicklingError(f"{type(error).__name__}: {error}") from error
        else:
            raise UnpicklingError(
                f"Can only build Tensor, Parameter, OrderedDict or types allowlisted via `add_safe_globals`, "
                f"but got {type(made)}"
            )

    def put_items(self, items: list[Any]) -> None:
        """Puts keys and values, one after another, into the dict on the stack."""
        target = self.stack[-1]
        if isinstance(target, _Name):
            return
        if type(target) not in (dict, OrderedDict, Counter) and not _is_users(type(target)):
            raise UnpicklingError(f"cannot set items of {type(target).__name__}")
        if len(items) % 2:
            raise UnpicklingError("the pickle is broken: a key without a value")
        for key, value in zip(items[::2], items[1::2], strict=True):
            if type(key) is not str:
                _checked_key(key)
            target[key] = value

    def append_all(self, items: list[Any]) -> None:
        """Appends to the list on the stack."""
        target = self.stack[-1]
        if isinstance(target, _Name):
            return
        if type(target) is not list and not _is_users(type(target)):
            raise UnpicklingError(f"cannot append to {type(target).__name__}")
        target.extend(items)

    def add_all(self, items: list[Any]) -> None:
        """Adds to the set on the stack."""
        target = self.stack[-1]
        if isinstance(target, _Name):
            return
        if type(target) is not set:
            raise UnpicklingError(f"cannot add to {type(target).__name__}")
        for item in items:
            _checked_key(item)
            target.add(item)

    def persistent(self) -> None:
        """A storage in the place of its id."""
        pid = self.stack.pop()
        if self.names is not None and type(pid) is tuple:
            pid = tuple([NAMED.get(part.name) if isinstance(part, _Name) else part for part in pid])
        self.stack.append(self.persistent_load(pid))


class _Name:
    """What stands for an object while names are collected."""

    def __init__(self, name: str) -> None:
        self.name = name


def _checked_key(key: Any) -> None:
    try:
        _check_key(key)
    except TypeError as error:
        raise UnpicklingError(str(error)) from None


def _set_state(made: Any, state: Any) -> None:
    """Gives an object its state as pickle does."""
    if hasattr(made, "__setstate__"):
        made.__setstate__(state)
        return
    slots = None
    if isinstance(state, tuple) and len(state) == 2:
        state, slots = state
    if state:
        made.__dict__.update(state)
    for name, value in (slots or {}).items():
        setattr(made, name, value)


# -------------------------------------------------------------------------------------- opcodes

STOP = ord(".")
U1, U2, I4, U4, U8, F8 = map(struct.Struct, ("<B", "<H", "<i", "<I", "<Q", ">d"))

Step = Callable[[WeightsUnpickler], None]
OPCODES: dict[int, Step] = {}


def _constant(code: bytes, make: Callable[[], Any]) -> None:
    OPCODES[code[0]] = lambda self: self.stack.append(make())


def _value(code: bytes, read: Callable[[WeightsUnpickler], Any]) -> None:
    OPCODES[code[0]] = lambda self: self.stack.append(read(self))


def _step(code: bytes) -> Callable[[Step], Step]:
    def add(step: Step) -> Step:
        OPCODES[code[0]] = step
        return step

    return add


for _code, _made in ((b"N", None), (b"\x88", True), (b"\x89", False), (b")", ())):
    _constant(_code, lambda made=_made: made)  # type: ignore[misc]
for _code, _kind in ((b"]", list), (b"}", dict), (b"\x8f", set)):
    _constant(_code, _kind)

_value(b"J", lambda self: self.number(I4))
_value(b"K", lambda self: self.number(U1))
_value(b"M", lambda self: self.number(U2))
_value(b"G", lambda self: self.number(F8))
_value(b"\x8a", lambda self: int.from_bytes(self.take(self.number(U1)), "little", signed=True))
_value(b"\x8b", lambda self: int.from_bytes(self.take(self.number(I4)), "little", signed=True))
_value(b"X", lambda self: self.text(self.number(U4)))
_value(b"\x8c", lambda self: self.text(self.number(U1)))
_value(b"\x8d", lambda self: self.text(self.number(U8)))
_value(b"B", lambda self: bytes(self.take(self.number(U4))))
_value(b"C", lambda self: bytes(self.take(self.number(U1))))
_value(b"\x8e", lambda self: bytes(self.take(self.number(U8))))
_value(b"\x96", lambda self: bytearray(self.take(self.number(U8))))
_value(b"T", lambda self: self.text(self.number(I4)))
_value(b"U", lambda self: self.text(self.number(U1)))
_value(b"h", lambda self: self.memo[self.number(U1)])
_value(b"j", lambda self: self.memo[self.number(U4)])
_value(b"2", lambda self: self.stack[-1])


@_step(b"\x80")
def _protocol(self: WeightsUnpickler) -> None:
    protocol = self.number(U1)
    if protocol > 5:
        raise UnpicklingError(f"unsupported pickle protocol: {protocol}")


@_step(b"\x95")
def _frame(self: WeightsUnpickler) -> None:
    self.number(U8)


@_step(b"c")
def _global(self: WeightsUnpickler) -> None:
    module = self.line()
    self.find(module, self.line())


@_step(b"\x93")
def _stack_global(self: WeightsUnpickler) -> None:
    name, module = self.stack.pop(), self.stack.pop()
    if type(name) is not str or type(module) is not str:
        raise UnpicklingError("STACK_GLOBAL requires str")
    self.find(module, name)


@_step(b"R")
def _reduce(self: WeightsUnpickler) -> None:
    args = self.stack.pop()
    self.stack.append(self.call(self.stack.pop(), args))


@_step(b"\x81")
def _new(self: WeightsUnpickler) -> None:
    args = self.stack.pop()
    self.stack.append(self.new(self.stack.pop(), args))


OPCODES[ord("b")] = WeightsUnpickler.build
OPCODES[ord("Q")] = WeightsUnpickler.persistent


@_step(b"(")
def _mark(self: WeightsUnpickler) -> None:
    self.marks.append(self.stack)
    self.stack = []


@_step(b"t")
def _tuple_of_marked(self: WeightsUnpickler) -> None:
    items = tuple(self.since_mark())
    self.stack.append(items)


@_step(b"0")
def _pop(self: WeightsUnpickler) -> None:
    if self.stack:
        self.stack.pop()
    else:
        self.since_mark()


@_step(b"1")
def _pop_mark(self: WeightsUnpickler) -> None:
    self.since_mark()


for _code, _count in ((b"\x85", 1), (b"\x86", 2), (b"\x87", 3)):

    def _tuple(self: WeightsUnpickler, count: int = _count) -> None:
        items = tuple(self.stack[-count:])
        if len(items) != count:
            raise UnpicklingError("the pickle is broken or ends too early")
        self.stack[-count:] = [items]

    OPCODES[_code[0]] = _tuple


@_step(b"a")
def _append(self: WeightsUnpickler) -> None:
    item = self.stack.pop()
    self.append_all([item])


@_step(b"e")
def _appends(self: WeightsUnpickler) -> None:
    self.append_all(self.since_mark())


@_step(b"s")
def _set_item(self: WeightsUnpickler) -> None:
    value, key = self.stack.pop(), self.stack.pop()
    self.put_items([key, value])


@_step(b"u")
def _set_items(self: WeightsUnpickler) -> None:
    self.put_items(self.since_mark())


@_step(b"\x90")
def _add_items(self: WeightsUnpickler) -> None:
    self.add_all(self.since_mark())


@_step(b"q")
def _put(self: WeightsUnpickler) -> None:
    self.memo[self.number(U1)] = self.stack[-1]


@_step(b"r")
def _long_put(self: WeightsUnpickler) -> None:
    self.memo[self.number(U4)] = self.stack[-1]


@_step(b"\x94")
def _memoize(self: WeightsUnpickler) -> None:
    self.memo[len(self.memo)] = self.stack[-1]
