"""The name of the node that each op makes, from golden/grad_fn_names.txt.

A line there is an expression and the names PyTorch gave, of all results that require grad; `none`
where no result does. The names in the expressions are those of `operands` below.
"""

import pytest
from library import GOLDEN, fn_name, torch


def operands():
    """Tensors for the expressions: x and y matrices, v a vector, s a scalar, z complex."""
    data = torch.tensor([[0.5, 0.2, 0.7], [0.3, 0.9, 0.1], [0.8, 0.4, 0.6]])
    return {
        "torch": torch,
        "x": data.clone().requires_grad_(),
        "y": data.flip(0).requires_grad_(),
        "v": data[1].clone().requires_grad_(),
        "s": torch.tensor(0.5, requires_grad=True),
        "b": torch.stack([data, data]).requires_grad_(),
        "z": torch.complex(data, data).requires_grad_(),
        "i": torch.tensor([0, 2]),
        "j": torch.tensor([[0, 2, 1]]),
        "m": data > 0.45,
        "n": data.clone(),
        "d": slope,
    }


def slope(y, x):
    """The gradient of `x`, recorded, for a gradient of `y` that requires one itself."""
    return torch.autograd.grad(y, x, torch.ones_like(y).requires_grad_(), create_graph=True)[0]


def parse(text):
    """The pairs of expression and names in a golden file, headings and all."""
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [tuple(part.strip() for part in line.rsplit("=>", 1)) for line in lines]


def names_of(expression):
    """The `grad_fn` names of what the expression gives."""
    result = eval(expression, operands())
    results = result if isinstance(result, (tuple, list)) else [result]
    found = [fn_name(one) or "leaf" for one in results if one.requires_grad]
    return " ".join(dict.fromkeys(found)) or "none"


CASES = parse((GOLDEN / "grad_fn_names.txt").read_text())


@pytest.mark.filterwarnings("ignore")  # a few old spellings warn; test_messages.py holds that
@pytest.mark.parametrize(("expression", "expected"), CASES, ids=[case[0] for case in CASES])
def test_grad_fn_name(expression, expected):
    assert names_of(expression) == expected
