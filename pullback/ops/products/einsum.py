"""`einsum`: sums of products by the names of dims.

The equation is read into `Operand`s, a tensor and a label for each of its dims. Pairs of operands
are contracted, the cheapest first, by transposing and reshaping both for one matrix product
(`_pair_product`); so gradients of any order are those of matmul, permute and sum. Dims of size one that
stand for larger ones are dropped first: what does not vary needs no label. Labels are letters, and
integers for what an ellipsis covers.
"""

from __future__ import annotations

import functools
import math
import string
import sys
from collections.abc import Sequence
from itertools import combinations
from typing import Any

from pullback import ops
from pullback.core._engine import Tensor
from pullback.core.op import function
from pullback.ops.products.contraction import contraction, fuses

Labels = list[Any]
_LETTERS = string.ascii_uppercase + string.ascii_lowercase
_NOTHING = (
    "einsum(): must specify the equation string and at least one operand, or at least one operand and its "
    "subscripts list"
)


class Operand:
    """A tensor and the labels of its dims."""

    def __init__(self, tensor: Tensor, labels: Labels) -> None:
        self.tensor, self.labels = tensor, labels

    def arranged(self, order: Labels) -> Tensor:
        """The tensor with its dims in the order of these labels."""
        if self.labels == order:
            return self.tensor
        return ops.permute(self.tensor, [self.labels.index(label) for label in order])

    def summed(self, labels: Labels) -> Operand:
        """Without these labels, summed over them."""
        if not labels:
            return self
        dims = [self.labels.index(label) for label in labels]
        return Operand(ops.sum(self.tensor, dims), [x for x in self.labels if x not in labels])


# ---------------------------------------------------------------------------- reading the equation


def _read_term(text: str, start: int, operand: int | None) -> list[str]:
    """The labels of one term, "..." for an ellipsis; RuntimeError at what is none."""
    labels: list[str] = []
    where = "the output" if operand is None else f"operand {operand}"
    position = 0
    while position < len(text):
        char = text[position]
        if char == ".":
            if text[position : position + 3] != "...":
                raise RuntimeError(f"einsum(): found '.' for {where} that is not part of any ellipsis")
            if "..." in labels:
                raise RuntimeError(f"einsum(): found '.' for {where} for which an ellipsis was already found")
            labels.append("...")
            position += 3
            continue
        if char != " ":
            if char not in _LETTERS:
                raise RuntimeError(
                    f"einsum(): invalid subscript given at index {start + position} in the equation string, "
                    "subscripts must be in [a-zA-Z]"
                )
            labels.append(char)
        position += 1
    return labels


@functools.lru_cache(1024)
def _read_equation(equation: str) -> tuple[list[list[str]], list[str] | None]:
    """The labels of each operand, and of the output if the equation names it."""
    left, arrow, right = equation.partition("->")
    terms, start = [], 0
    for operand, text in enumerate(left.split(",")):
        terms.append(_read_term(text, start, operand))
        start += len(text) + 1
    return terms, _read_term(right, len(left) + 2, None) if arrow else None


def _read_sublists(
    arguments: Sequence[Any],
) -> tuple[list[Tensor], list[list[str]], list[str] | None]:
    """`einsum(a, [0, 1], b, [1, 2], [0, 2])`: operands, their labels, those of the output."""

    def letters(sublist: Sequence[Any]) -> list[str]:
        result = []
        for subscript in sublist:
            if subscript is not Ellipsis and not 0 <= subscript < 52:
                raise ValueError(
                    "einsum(): subscript in subscript list is not within the valid range [0, 52)"
                )
            result.append("..." if subscript is Ellipsis else _LETTERS[subscript])
        return result

    pairs = len(arguments) // 2
    operands = [arguments[2 * i] for i in range(pairs)]
    terms = [letters(arguments[2 * i + 1]) for i in range(pairs)]
    return operands, terms, letters(arguments[-1]) if len(arguments) % 2 else None


def _expanded(labels: list[str], ndim: int, operand: int) -> Labels:
    """The labels of an operand with integers, counted from the last, for what its ellipsis covers."""
    named = len(labels) - ("..." in labels)
    if "..." not in labels and named != ndim:
        raise RuntimeError(
            f"einsum(): the number of subscripts in the equation ({named}) does not match the number of "
            f"dimensions ({ndim}) for operand {operand} and no ellipsis was given"
        )
    if named > ndim:
        raise RuntimeError(
            f"einsum(): the number of subscripts in the equation ({named}) is more than the number of "
            f"dimensions ({ndim}) for operand {operand}"
        )
    if "..." not in labels:
        return list(labels)
    at = labels.index("...")
    return [*labels[:at], *range(named - ndim, 0), *labels[at + 1 :]]


def _output_labels(output: Sequence[str] | None, terms: list[Labels]) -> Labels:
    """The output's labels: as given, or the ellipsis and what appears once, in the order of
    letters.
    """
    present = [label for labels in terms for label in labels]
    covered = sorted({label for label in present if isinstance(label, int)})
    if output is None:
        return covered + sorted(x for x in set(present) if isinstance(x, str) and present.count(x) == 1)
    result: Labels = []
    for label in output:
        if label == "...":
            result += covered
        elif label in result:
            raise RuntimeError(f"einsum(): output subscript {label} appears more than once in the output")
        elif label not in present:
            raise RuntimeError(
                f"einsum(): output subscript {label} does not appear in the equation for any input operand"
            )
        else:
            result.append(label)
    return result


def _diagonals(tensor: Tensor, labels: Labels, number: int) -> Operand:
    """An operand whose labels are all different: a repeated one stands for the diagonal."""
    for label in dict.fromkeys(labels):
        while labels.count(label) > 1:
            first = labels.index(label)
            second = labels.index(label, first + 1)
            n, m = tensor.shape[first], tensor.shape[second]
            if n != m:
                raise RuntimeError(
                    f"einsum(): subscript {label} is repeated for operand {number} but the sizes don't "
                    f"match, {m} != {n}"
                )
            tensor = ops.diagonal(tensor, 0, first, second)
            labels = [x for i, x in enumerate(labels) if i not in (first, second)] + [label]
    return Operand(tensor, labels)


def _sizes(operands: list[Operand]) -> dict[Any, int]:
    """The size of each label; RuntimeError where two sizes do not broadcast."""
    sizes: dict[Any, int] = {}
    for number, operand in enumerate(operands):
        for label, n in zip(operand.labels, operand.tensor.shape, strict=True):
            seen = sizes.get(label, 1)
            if n != seen and 1 not in (n, seen):
                raise RuntimeError(
                    f"einsum(): subscript {label} has size {n} for operand {number} which does not broadcast "
                    f"with previously seen size {seen}"
                )
            sizes[label] = max(n, seen) if 0 not in (n, seen) else 0
    return sizes


# ------------------------------------------------------------------------------------ contraction


def _without_ones(operand: Operand, sizes: dict[Any, int]) -> Operand:
    """Without the dims of one that stand for larger ones."""
    ones = [
        dim
        for dim, (label, n) in enumerate(zip(operand.labels, operand.tensor.shape, strict=True))
        if n == 1 != sizes[label]
    ]
    if not ones:
        return operand
    labels = [x for dim, x in enumerate(operand.labels) if dim not in ones]
    return Operand(ops.squeeze(operand.tensor, tuple(ones)), labels)


def _outer(a: Operand, b: Operand, labels: Labels, wanted: Labels) -> Operand:
    """The product of two operands without a sum, its dims in the order of the output."""
    order = [x for x in wanted if x in labels] + [x for x in labels if x not in wanted]
    factors = []
    for operand in (a, b):
        t = operand.arranged([x for x in order if x in operand.labels])
        for dim, label in enumerate(order):
            t = t if label in operand.labels else ops.unsqueeze(t, dim)
        factors.append(t)
    return Operand(factors[0] * factors[1], order)


def _pair_product(a: Operand, b: Operand, kept: set[Any], wanted: Labels) -> Operand:
    """The product of two operands, summed over the labels that are not kept."""
    given = len(a.labels) + len(b.labels)
    a = a.summed([x for x in a.labels if x not in kept and x not in b.labels])
    b = b.summed([x for x in b.labels if x not in kept and x not in a.labels])
    both = [x for x in a.labels if x in b.labels]
    batch, inner = [x for x in both if x in kept], [x for x in both if x not in kept]
    rows = [x for x in a.labels if x not in both]
    columns = [x for x in b.labels if x not in both]
    labels = batch + rows + columns
    if not inner and len(a.labels) + len(b.labels) == given:
        return _outer(a, b, labels, wanted)
    if fuses() and a.tensor.dtype is b.tensor.dtype and a.tensor.dtype.kind != "b" and len(labels) < 48:
        equation = _spelled(tuple(a.labels), tuple(b.labels), tuple(labels))
        return Operand(contraction(a.tensor, b.tensor, equation, "ViewBackward0"), labels)
    left, right = a.arranged(batch + rows + inner), b.arranged(batch + inner + columns)
    if left.dtype.kind == "b":
        raise NotImplementedError("\"bmm\" not implemented for 'Bool'")
    shape = left.shape[: len(batch) + len(rows)] + right.shape[len(both) :]
    count = math.prod(right.shape[len(batch) : len(both)])
    stack = (math.prod(shape[: len(batch)]),) if batch else ()
    height = math.prod(shape[len(batch) : len(batch) + len(rows)])
    left = _shaped(left, (*stack, height, count))
    right = _shaped(right, (*stack, count, math.prod(shape[len(batch) + len(rows) :])))
    product = ops.bmm(left, right) if batch else ops.mm(left, right)
    return Operand(ops.reshape(product, shape), labels)


@functools.lru_cache(1024)
def _spelled(*labels: tuple[Any, ...]) -> str:
    """The labels of two factors and of their product, as a contraction takes them."""
    letters: dict[Any, str] = {}
    for label in [x for some in labels for x in some]:
        letters.setdefault(label, _LETTERS[len(letters)])
    a, b, result = ("".join([letters[x] for x in some]) for some in labels)
    return sys.intern(f"{a},{b}->{result}")


def _shaped(t: Tensor, shape: tuple[int, ...]) -> Tensor:
    return t if t.shape == shape else ops.reshape(t, shape)


def _cheapest(operands: list[Operand], sizes: dict[Any, int]) -> tuple[int, int]:
    """The pair of operands whose product takes the fewest multiplications."""

    def cost(pair: tuple[int, int]) -> int:
        i, j = pair
        return math.prod(sizes[x] for x in {*operands[i].labels, *operands[j].labels})

    return min(combinations(range(len(operands)), 2), key=cost)


def _leads(a: Operand, b: Operand, wanted: Labels) -> bool:
    """Whether the dims of `a` come before those of `b` in the output."""
    own = (x for x in wanted if (x in a.labels) != (x in b.labels))
    return next(own, None) in a.labels


def _by_equation(equation: str, *operands: Tensor) -> Tensor:
    """The first form of `einsum`; the other has each operand's labels as a list behind it."""


@function(places="t", signatures=(_by_equation,))
def einsum(*args: Any) -> Tensor:
    """Sums of products of tensors by the names of their dims: `einsum("ij,jk->ik", a, b)`.

    A label that the output does not name is summed over; without `->` the output has the labels
    that appear once, sorted. A repeated label takes the diagonal, "..." stands for dims that
    broadcast. `einsum(a, [0, 1], b, [1, 2], [0, 2])` says the same. RuntimeError for sizes that do
    not fit.

    >>> import pullback as torch
    >>> torch.einsum("ij,jk->ik", torch.ones(2, 3), torch.ones(3, 4)).shape
    torch.Size([2, 4])
    """
    if len(args) < 2:
        raise ValueError(_NOTHING)
    if len(args) == 3 and type(args[0]) is str and type(args[1]) is Tensor and type(args[2]) is Tensor:
        _, a, b = args
        found = _at_once(args[0], a.shape, b.shape)
        if found and a.dtype is b.dtype and a.dtype.kind != "b" and fuses():
            return contraction(a, b, found, "ViewBackward0")
    if isinstance(args[0], str):
        tensors = list(args[1]) if isinstance(args[1], (list, tuple)) else list(args[1:])
        terms, output = _read_equation(args[0])
    else:
        tensors, terms, output = _read_sublists(args)
    if len(tensors) != len(terms):
        few = "fewer" if len(tensors) < len(terms) else "more"
        raise RuntimeError(f"einsum(): {few} operands were provided than specified in the equation")
    for number, t in enumerate(tensors):
        if not isinstance(t, Tensor):
            raise TypeError(f"expected Tensor as element {number} in argument 1, but got {type(t).__name__}")
    labels, wanted = _labels_of_dims(_frozen(terms), _frozen(output), tuple([t.ndim for t in tensors]))
    operands = [_diagonals(t, x, i) for i, (x, t) in enumerate(zip(labels, tensors, strict=True))]
    return _contract(operands, wanted)


@functools.lru_cache(1024)
def _at_once(equation: str, *shapes: tuple[int, ...]) -> str | None:
    """The labels of a contraction that is all of this equation; None for what takes more, or is wrong."""
    terms, output = _read_equation(equation)
    if len(terms) != 2 or any(
        "..." in labels or len(labels) != len(set(labels)) or len(labels) != len(shape)
        for labels, shape in zip(terms, shapes, strict=True)
    ):
        return None
    a, b = terms
    wanted = _output_labels(output, terms)
    summed = {*a, *b} - {*wanted}
    sizes = dict(zip(a, shapes[0], strict=True))
    if (
        not summed
        or not summed <= {*a} & {*b}
        or any(sizes.get(x, n) != n for x, n in zip(b, shapes[1], strict=True))
    ):
        return None
    both = [x for x in a if x in b and x in wanted]
    rows, columns = [x for x in a if x not in b], [x for x in b if x not in a]
    natural = (both + rows + columns, both + columns + rows)
    return _spelled(tuple(a), tuple(b), tuple(wanted)) if wanted in natural else None


def _frozen(labels: Any) -> Any:
    """Lists as tuples, so that a cache can go by them."""
    return tuple(map(_frozen, labels)) if isinstance(labels, list) else labels


@functools.lru_cache(1024)
def _labels_of_dims(terms: Any, output: Any, ndims: tuple[int, ...]) -> tuple[list[Labels], Labels]:
    """The labels of the operands and of the output, for operands with that many dims."""
    labels = [_expanded(list(x), ndim, i) for i, (x, ndim) in enumerate(zip(terms, ndims, strict=True))]
    return labels, _output_labels(output, labels)


def _contract(operands: list[Operand], wanted: Labels) -> Tensor:
    """The product of all operands, with the dims that are wanted."""
    sizes = _sizes(operands)
    if len(operands) == 1:
        (only,) = operands
        rest = [x for x in only.labels if x not in wanted]
        order = wanted + rest
        tensor = ops.permute(only.tensor, [only.labels.index(x) for x in order])
        return ops.sum(tensor, list(range(len(wanted), len(order)))) if rest else tensor
    operands = [_without_ones(operand, sizes) for operand in operands]
    while len(operands) > 1:
        i, j = (0, 1) if len(operands) == 2 else _cheapest(operands, sizes)
        rest = [operand for number, operand in enumerate(operands) if number not in (i, j)]
        kept = {*wanted, *(x for operand in rest for x in operand.labels)}
        if _leads(operands[j], operands[i], wanted):
            i, j = j, i
        operands = [*rest, _pair_product(operands[i], operands[j], kept, wanted)]
    (only,) = operands
    return only.arranged(wanted)
