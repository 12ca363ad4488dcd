"""One loop in LLVM's language for some loops of a chain, over operands that lie in rows or are single.

It has the arguments of NumPy's inner loops. Elements are done some at a time, as vectors, then one by one, by
the same lines for another type. A new op is a line in `OPS`: a function of the values of its operands.
"""

from __future__ import annotations

import importlib
import struct
from collections.abc import Callable
from typing import Any

from pullback.core.dtypes import DTYPES

__all__ = ["OPS", "compiled", "known"]

WIDTH = 16
"""Elements of a vector."""
KINDS = {"float32": "float", "float64": "double"}
BYTES = {"float": 4, "double": 8, "bool": 1}


class Lines:
    """The lines of a function, for vectors of some width or for single elements."""

    def __init__(self, width: int, count: int = 0) -> None:
        self.width, self.count = width, count
        self.lines: list[str] = []
        self.called: set[str] = set()
        self.kind = "float"

    def type(self, kind: str) -> str:
        """A kind of number as LLVM has it."""
        kind = "i1" if kind == "bool" else kind
        return f"<{self.width} x {kind}>" if self.width > 1 else kind

    def new(self, text: str) -> str:
        """The name of what a line gives."""
        self.count += 1
        self.lines.append(f"  %v{self.count} = {text}")
        return f"%v{self.count}"

    def number(self, x: float, kind: str | None = None) -> str:
        """A constant, for all elements."""
        kind = self.kind if kind is None else kind
        text = "0x" + struct.pack(">d", x).hex()
        return "<" + ", ".join([f"{kind} {text}"] * self.width) + ">" if self.width > 1 else text

    def do(self, what: str, *operands: str) -> str:
        """An instruction on numbers."""
        return self.new(f"{what} {self.type(self.kind)} {', '.join(operands)}")

    def bits(self, what: str, *operands: str) -> str:
        """An instruction on truth values."""
        return self.new(f"{what} {self.type('bool')} {', '.join(operands)}")

    def call(self, name: str, *operands: str) -> str:
        """A function of LLVM's own."""
        short = {"float": "f32", "double": "f64"}[self.kind]
        full = f"llvm.{name}.{f'v{self.width}' if self.width > 1 else ''}{short}"
        kind = self.type(self.kind)
        self.called.add(f"declare {kind} @{full}({', '.join([kind] * len(operands))})")
        return self.new(f"call {kind} @{full}({', '.join(f'{kind} {x}' for x in operands)})")

    def compare(self, how: str, x: str, y: str) -> str:
        """A comparison."""
        return self.new(f"fcmp {how} {self.type(self.kind)} {x}, {y}")

    def choose(self, where: str, x: str, y: str) -> str:
        """The first where something is true, else the second."""
        kind = self.type(self.kind)
        return self.new(f"select {self.type('bool')} {where}, {kind} {x}, {kind} {y}")

    def is_zero(self, x: str) -> str:
        return self.compare("oeq", x, self.number(0))

    def is_nan(self, x: str) -> str:
        return self.compare("uno", x, x)

    def zero_where(self, zero: str, r: str) -> str:
        """A product or quotient, but zero where it is NaN and an operand zero: kernels/slopes.pyx."""
        return self.choose(self.bits("and", zero, self.is_nan(r)), self.number(0), r)


Emit = Callable[..., str]


def plain(what: str) -> Emit:
    return lambda c, *xs: c.do(what, *xs)


def called(name: str) -> Emit:
    return lambda c, *xs: c.call(name, *xs)


def compared(how: str) -> Emit:
    return lambda c, x, y: c.compare(how, x, y)


def times(c: Lines, x: str, y: str) -> str:
    return c.zero_where(c.is_zero(x), c.do("fmul", x, y))


def over(c: Lines, x: str, y: str) -> str:
    return c.zero_where(c.is_zero(x), c.do("fdiv", x, y))


def product(c: Lines, x: str, y: str) -> str:
    return c.zero_where(c.bits("or", c.is_zero(x), c.is_zero(y)), c.do("fmul", x, y))


def greatest(how: str) -> Emit:
    """The greater or the less of two, NaN if one is; of two zeros the second, as NumPy's vectors have it."""

    def emit(c: Lines, x: str, y: str) -> str:
        return c.choose(c.is_nan(x), x, c.choose(c.compare(how, x, y), x, y))

    return emit


def bounded(c: Lines, x: str, low: str, high: str) -> str:
    above = c.choose(c.is_nan(low), low, c.choose(c.compare("olt", x, low), low, x))
    return c.choose(c.is_nan(high), high, c.choose(c.compare("ogt", above, high), high, above))


def between(c: Lines, x: str, low: str, high: str) -> str:
    y = c.choose(c.compare("olt", x, low), low, x)
    return c.choose(c.compare("ogt", y, high), high, y)


def within(c: Lines, x: str, low: str, high: str) -> str:
    outside = c.bits("or", c.compare("ole", x, low), c.compare("oge", x, high))
    return c.choose(outside, c.number(0), c.number(1))


def lerp(c: Lines, x: str, end: str, weight: str) -> str:
    gap = c.do("fsub", end, x)
    near = c.do("fadd", x, c.do("fmul", weight, gap))
    far = c.do("fsub", end, c.do("fmul", gap, c.do("fsub", c.number(1), weight)))
    return c.choose(c.compare("olt", c.call("fabs", weight), c.number(0.5)), near, far)


OPS: dict[str, Emit] = {
    "add": plain("fadd"),
    "subtract": plain("fsub"),
    "multiply": plain("fmul"),
    "divide": plain("fdiv"),
    "negative": plain("fneg"),
    "absolute": called("fabs"),
    "sqrt": called("sqrt"),
    "floor": called("floor"),
    "ceil": called("ceil"),
    "trunc": called("trunc"),
    "rint": called("rint"),
    "copysign": called("copysign"),
    "square": lambda c, x: c.do("fmul", x, x),
    "reciprocal": lambda c, x: c.do("fdiv", c.number(1), x),
    "rsqrt": lambda c, x: c.do("fdiv", c.number(1), c.call("sqrt", x)),
    "frac": lambda c, x: c.do("fsub", x, c.call("trunc", x)),
    "times": times,
    "over": over,
    "product": product,
    "maximum": greatest("ogt"),
    "minimum": greatest("olt"),
    "clamp": bounded,
    "hardtanh": between,
    "within": within,
    "lerp": lerp,
    "addcmul": lambda c, x, a, b, value: c.do("fadd", x, c.do("fmul", c.do("fmul", value, a), b)),
    "addcdiv": lambda c, x, a, b, value: c.do("fadd", x, c.do("fdiv", c.do("fmul", value, a), b)),
    "relu": lambda c, x: c.choose(c.compare("olt", x, c.number(0)), c.number(0), x),
    "threshold": lambda c, x, limit, value: c.choose(c.compare("ole", x, limit), value, x),
    "leaky_relu": lambda c, x, slope: c.choose(c.compare("ogt", x, c.number(0)), x, c.do("fmul", x, slope)),
    "leaky_relu_slope": lambda c, x, slope: c.choose(c.compare("ogt", x, c.number(0)), c.number(1), slope),
    "where": lambda c, which, x, y: c.choose(which, x, y),
    "greater": compared("ogt"),
    "greater_equal": compared("oge"),
    "less": compared("olt"),
    "less_equal": compared("ole"),
    "equal": compared("oeq"),
    "not_equal": compared("une"),
}
"""By the name of a loop's ufunc: what it does to an element, to the bit."""

POWERS: dict[float, Emit] = {
    2: lambda c, x: c.do("fmul", x, x),
    3: lambda c, x: c.do("fmul", c.do("fmul", x, x), x),
    -1: lambda c, x: c.do("fdiv", c.number(1), x),
    -2: lambda c, x: c.do("fdiv", c.number(1), c.do("fmul", x, x)),
    0.5: called("sqrt"),
    -0.5: lambda c, x: c.do("fdiv", c.number(1), c.call("sqrt", x)),
}
"""Powers of one number that are done by simpler operations."""
TRUTHS = {"logical_and": "and", "logical_or": "or", "logical_xor": "xor", "bitwise_and": "and", "bitwise_or":
"or",
          "bitwise_xor": "xor"}  # fmt: skip
"""Those of truth values."""


def known(item: tuple[Any, ...]) -> bool:
    """Whether an item of a chain can be a part of such a loop."""
    if item[0] != "loop":
        return False
    name, kind = item[1].ufunc.__name__, DTYPES[item[2]].name
    if kind == "bool":
        return name in TRUTHS
    if kind not in KINDS:
        return False
    if name == "power":
        return type(item[3][1]) is bytes and number_of(item[3][1], KINDS[kind]) in POWERS
    return name in OPS


def number_of(x: bytes, kind: str) -> float:
    """The number that an operand is."""
    return float(struct.unpack("<f" if kind == "float" else "<d", x[: BYTES[kind]])[0])


def compiled(
    group: list[tuple[Any, ...]], is_read: Callable[[int], bool], is_single: Callable[[int], bool]
) -> tuple[int, Any, tuple[Any, ...]]:
    """The address of the code for some loops, what owns it, and the operands that it is to be called with.

    `is_read(slot)` says whether later items ask for what is left in a slot, `is_single(value)` whether all
    elements of a value are one.
    """
    loaded: dict[Any, str] = {}  # the kinds of what is read before it is written, and of what is written
    stored: dict[Any, str] = {}
    for item in group:
        kind, result = kinds_of(item)
        for i, x in enumerate(item[3]):
            if type(x) is not bytes and key(x) not in stored:
                first = item[1].ufunc.__name__ == "where" and i == 0
                loaded.setdefault(key(x), "bool" if first else kind)
        stored[key(item[4])] = result
    kept = {x: kind for x, kind in stored.items() if type(x) is not tuple or is_read(x[0])}
    asked = list({**loaded, **kept})
    text = function(group, loaded, kept, {x: i for i, x in enumerate(asked)}, is_single)
    owner = machine_code(text)
    whole = {key(x): x for item in group for x in (*item[3], item[4]) if type(x) is not bytes}
    return owner.get_function_address("f"), owner, tuple(whole[x] for x in asked)


def kinds_of(item: tuple[Any, ...]) -> tuple[str, str]:
    """The kinds of the numbers that a loop takes and gives."""
    name = DTYPES[item[2]].name
    if name == "bool":
        return "bool", "bool"
    return KINDS[name], "bool" if item[1].ufunc.__name__ in COMPARISONS else KINDS[name]


COMPARISONS = ("greater", "greater_equal", "less", "less_equal", "equal", "not_equal")


def key(x: Any) -> Any:
    """What tells an operand in memory from others: a slot, or a value."""
    return (x[0],) if type(x) is tuple else x


def function(
    group: list[tuple[Any, ...]],
    loaded: dict[Any, str],
    kept: dict[Any, str],
    places: dict[Any, int],
    is_single: Callable[[int], bool],
) -> str:
    """The text of a module with the function `f`."""
    head = [
        "define void @f(ptr %at, ptr %size, ptr %steps, ptr %data) {",
        "entry:",
        "  %n = load i64, ptr %size",
    ]
    for i in places.values():
        head.append(f"  %a{i} = getelementptr ptr, ptr %at, i64 {i}")
        head.append(f"  %p{i} = load ptr, ptr %a{i}")
    single = {x: f"%s{places[x]}" for x in loaded if type(x) is not tuple and is_single(x)}
    for x, name in single.items():
        head.append(f"  {name} = load {memory_kind(loaded[x])}, ptr %p{places[x]}")
    wide, narrow = Lines(WIDTH), Lines(1, 100000)
    for lines in (wide, narrow):
        body(lines, group, loaded, kept, places, single)
    head += [
        f"  %whole = and i64 %n, {-WIDTH}",
        "  %some = icmp ugt i64 %whole, 0",
        "  br i1 %some, label %many, label %rest",
        "many:",
        "  %i = phi i64 [0, %entry], [%i.next, %many]",
        *wide.lines,
        f"  %i.next = add i64 %i, {WIDTH}",
        "  %more = icmp ult i64 %i.next, %whole",
        "  br i1 %more, label %many, label %rest",
        "rest:",
        "  %left = icmp ult i64 %whole, %n",
        "  br i1 %left, label %one, label %end",
        "one:",
        "  %j = phi i64 [%whole, %rest], [%j.next, %one]",
        *narrow.lines,
        "  %j.next = add i64 %j, 1",
        "  %again = icmp ult i64 %j.next, %n",
        "  br i1 %again, label %one, label %end",
        "end:",
        "  ret void",
        "}",
        *sorted(wide.called | narrow.called),
    ]
    return "\n".join(head)


def memory_kind(kind: str) -> str:
    """A kind of number as it lies in memory."""
    return "i8" if kind == "bool" else kind


def body(
    c: Lines,
    group: list[tuple[Any, ...]],
    loaded: dict[Any, str],
    kept: dict[Any, str],
    places: dict[Any, int],
    single: dict[Any, str],
) -> None:
    """The lines that do all items to the elements from one on."""
    at = "%i" if c.width > 1 else "%j"
    now: dict[Any, str] = {}
    for x, number in loaded.items():
        kind = memory_kind(number)
        if x in single:
            now[x] = spread(c, kind, single[x])
        else:
            where = c.new(f"getelementptr {kind}, ptr %p{places[x]}, i64 {at}")
            vector = f"<{c.width} x {kind}>" if c.width > 1 else kind
            now[x] = c.new(f"load {vector}, ptr {where}, align {BYTES[number]}")
        if kind == "i8":
            now[x] = c.new(
                f"trunc {f'<{c.width} x i8>' if c.width > 1 else 'i8'} {now[x]} to {c.type('bool')}"
            )
    for item in group:
        kind, _ = kinds_of(item)
        name = item[1].ufunc.__name__
        values = [constant(c, x, kind) if type(x) is bytes else now[key(x)] for x in item[3]]
        if kind == "bool":
            made = c.bits(TRUTHS[name], *values)
        else:
            c.kind = kind
            emit = POWERS[number_of(item[3][1], kind)] if name == "power" else OPS[name]
            made = emit(c, *(values[:1] if name == "power" else values))
        now[key(item[4])] = made
    for x, number in kept.items():
        kind, made = memory_kind(number), now[x]
        vector = f"<{c.width} x {kind}>" if c.width > 1 else kind
        if kind == "i8":
            made = c.new(f"zext {c.type('bool')} {made} to {vector}")
        where = c.new(f"getelementptr {kind}, ptr %p{places[x]}, i64 {at}")
        c.lines.append(f"  store {vector} {made}, ptr {where}, align {BYTES[number]}")


def constant(c: Lines, x: bytes, kind: str) -> str:
    """An operand that is a number."""
    if kind == "bool":
        text = str(bool(x[0])).lower()
        return "<" + ", ".join([f"i1 {text}"] * c.width) + ">" if c.width > 1 else text
    return c.number(number_of(x, kind), kind)


def spread(c: Lines, kind: str, name: str) -> str:
    """A single element as a vector of it."""
    if c.width == 1:
        return name
    vector = f"<{c.width} x {kind}>"
    first = c.new(f"insertelement {vector} poison, {kind} {name}, i64 0")
    return c.new(f"shufflevector {vector} {first}, {vector} poison, <{c.width} x i32> zeroinitializer")


_machine: list[Any] = []


def machine_code(text: str) -> Any:
    """The engine that has the code of a module."""
    llvm: Any = importlib.import_module("llvmlite.binding")
    if not _machine:
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        _machine.append(llvm.Target.from_default_triple())
    features = llvm.get_host_cpu_features().flatten()
    made = _machine[0].create_target_machine(cpu=llvm.get_host_cpu_name(), features=features, opt=3)
    module = llvm.parse_assembly(text)
    module.verify()
    builder = llvm.create_pass_builder(made, llvm.create_pipeline_tuning_options(speed_level=3))
    builder.getModulePassManager().run(module, builder)
    engine = llvm.create_mcjit_compiler(module, made)
    engine.finalize_object()
    return engine
