"""The dtype of results, over all pairs of dtypes and all categories, from golden/promotion.txt.

PyTorch knows three categories of operand: tensors with dims, 0-dim tensors, and Python numbers; a
lower one decides only by its kind (bool, integer, float, complex). A line of the golden file is
one left operand; its columns are the right operands in the order of `DTYPES`, then of `NUMBERS`.
A `!` is an error; at a `?`, where PyTorch has no kernel or gives complex32, nothing is required.
"""

import pytest
from library import GOLDEN, ON_TORCH, torch

DTYPES = {
    "b1": torch.bool,
    "u1": torch.uint8,
    "u2": torch.uint16,
    "u4": torch.uint32,
    "u8": torch.uint64,
    "i1": torch.int8,
    "i2": torch.int16,
    "i4": torch.int32,
    "i8": torch.int64,
    "f2": torch.float16,
    "bf": torch.bfloat16,
    "f4": torch.float32,
    "f8": torch.float64,
    "c8": torch.complex64,
    "c16": torch.complex128,
}
CODES = {dtype: code for code, dtype in DTYPES.items()}
NUMBERS = {"bool": True, "int": 1, "float": 1.0, "complex": 1j}
FUNCTIONS = {
    "result_type": torch.result_type,
    "add": lambda a, b: (a + b).dtype,
    "radd": lambda a, b: (b + a).dtype,
    "sub": lambda a, b: (a - b).dtype,
    "mul": lambda a, b: (a * b).dtype,
    "div": lambda a, b: (a / b).dtype,
    "floor_divide": lambda a, b: (a // b).dtype,
    "remainder": lambda a, b: (a % b).dtype,
    "pow": lambda a, b: (a**b).dtype,
    "rpow": lambda a, b: (b**a).dtype,
    "atan2": lambda a, b: torch.atan2(a, b).dtype,
    "eq": lambda a, b: (a == b).dtype,
    "lt": lambda a, b: (a < b).dtype,
    "and": lambda a, b: (a & b).dtype,
    "lshift": lambda a, b: (a << b).dtype,
    "logical_xor": lambda a, b: torch.logical_xor(a, b).dtype,
    "maximum": lambda a, b: torch.maximum(a, b).dtype,
    "where": lambda a, b: torch.where(torch.tensor([True]), a, b).dtype,
    "cat": lambda a, b: torch.cat([a, b]).dtype,
}
# The shapes of the left and of the right operand.
CATEGORIES = {"dim dim": ((2,), (2,)), "dim 0-d": ((2,), ()), "0-d 0-d": ((), ())}


def answer(function, left, right):
    """The code of the dtype that `function` gives, or of how it fails."""
    try:
        return CODES.get(FUNCTIONS[function](left, right), "?")
    except NotImplementedError:
        wide = (torch.uint16, torch.uint32, torch.uint64)
        operands = [one for one in (left, right) if isinstance(one, torch.Tensor)]
        return "?" if any(one.dtype in wide for one in operands) else "!"
    except (RuntimeError, TypeError):
        return "!"


def row(function, category, code):
    """All answers for one left operand, in the order of the columns."""
    left_shape, right_shape = CATEGORIES[category]
    left = torch.ones(left_shape, dtype=DTYPES[code])
    rights = [torch.ones(right_shape, dtype=dtype) for dtype in DTYPES.values()]
    return [answer(function, left, right) for right in [*rights, *NUMBERS.values()]]


def parse(text):
    """The golden table: (function, category, code of the left operand) to the row of answers."""
    table = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            key, answers = line.split(":")
            function, category, code = key.split(",")
            table[function, category, code.strip()] = answers.split()
    return table


TABLE = parse((GOLDEN / "promotion.txt").read_text())


# PyTorch finds a dtype for these and then has no kernel; Pullback has one.
BEYOND = {
    (function, "f2", column)
    for function in ("div", "pow", "rpow", "logical_xor")
    for column in ("c8", "c16", "complex")
}


@pytest.mark.filterwarnings("ignore:ComplexHalf")
@pytest.mark.parametrize("category", CATEGORIES)
@pytest.mark.parametrize("function", FUNCTIONS)
def test_promotion(function, category):
    columns = [*DTYPES, *NUMBERS]
    wrong = []
    for code in DTYPES:
        wanted = TABLE[function, category, code]
        for column, want, found in zip(columns, wanted, row(function, category, code), strict=True):
            beyond = not ON_TORCH and want == "!" and (function, code, column) in BEYOND
            if want not in ("?", found) and not beyond:
                wrong.append(f"{code} with {column}: expected {want}, found {found}")
    assert not wrong, "\n".join(wrong)


def test_the_table_is_whole():
    assert len(TABLE) == len(FUNCTIONS) * len(CATEGORIES) * len(DTYPES)
