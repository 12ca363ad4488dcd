"""What `inspect.signature` says of every public function: names, defaults and kinds of its parameters."""

import inspect
from inspect import Parameter

import pytest
from library import ON_TORCH, torch

if ON_TORCH:
    pytest.skip("the signatures are Pullback's", allow_module_level=True)

from pullback import ops
from pullback.core.op import SURFACE

TRULY_ANY = {
    "Tensor.to": "a dtype, a device, both, or a tensor, and options",
    "Tensor.uniform_": "one of its names is a keyword of Python, `from`",
    "Tensor.random_": "as uniform_",
    "random.fork_rng": "options for accelerators, which are not looked at",
    "masked._input_mask": "what the reduction takes that is asked about",
    "masked._output_mask": "as _input_mask",
}
"""Functions that take any keywords, and why."""

ops.load_later()
PUBLIC = {
    f"{space}.{name}": function
    for space, functions in SURFACE.items()
    for name, function in functions.items()
    if callable(function) and not isinstance(function, type)
}


@pytest.mark.parametrize("name", PUBLIC)
def test_parameters_have_names(name):
    parameters = inspect.signature(PUBLIC[name]).parameters
    if name in TRULY_ANY:
        return
    assert not [p for p in parameters.values() if p.kind is Parameter.VAR_KEYWORD]
    several = [p.name for p in parameters.values() if p.kind is Parameter.VAR_POSITIONAL]
    assert not set(several) & {"args", "rest"}


def shown(function):
    return str(inspect.signature(function)).replace("'", "")


def test_an_op():
    assert shown(torch.mul) == (
        "(input: Tensor | Number, other: Tensor | Number, *, out: Tensor | None = None) -> Tensor"
    )
    assert shown(torch.cumsum) == (
        "(input: Tensor, dim: int, dtype: Dtype | None = None, *, out: Tensor | None = None) -> Tensor"
    )


def test_a_view_takes_no_out():
    assert list(inspect.signature(torch.unsqueeze).parameters) == ["input", "dim"]


def test_an_in_place_method():
    assert list(inspect.signature(torch.Tensor.mul_).parameters) == ["input", "other"]


def test_a_bound_method():
    assert list(inspect.signature(torch.ones(2).mul).parameters) == ["other", "out"]
    assert list(inspect.signature(torch.ones(2).squeeze_).parameters) == ["dim"]


def test_options_by_their_names():
    kinds = {p.name: p.kind for p in inspect.signature(torch.linspace).parameters.values()}
    assert kinds["steps"] is Parameter.POSITIONAL_OR_KEYWORD
    assert kinds["dtype"] is kinds["requires_grad"] is Parameter.KEYWORD_ONLY


def test_a_function_of_several_forms_shows_the_fullest():
    assert list(inspect.signature(torch.arange).parameters)[:3] == ["start", "end", "step"]


def forms(function):
    from pullback.ops.shared.forms import _shown_by, forms_of

    while getattr(function, "forms", None) is None:
        function = function.__wrapped__
    return [form.text for form in forms_of(*_shown_by(function, function.forms))]


@pytest.mark.parametrize("name", ["torch.fmod", "torch.eq", "torch.copysign"])
def test_a_tensor_or_a_number_makes_two_forms(name):
    assert forms(PUBLIC[name]) == [
        "(Tensor input, Tensor other, *, Tensor out = None)",
        "(Tensor input, Number other, *, Tensor out = None)",
    ]


@pytest.mark.parametrize("name", ["torch.xlogy", "special.zeta", "special.xlog1py"])
def test_two_of_them_make_three(name):
    assert forms(PUBLIC[name]) == [
        "(Tensor input, Tensor other, *, Tensor out = None)",
        "(Number self, Tensor other, *, Tensor out = None)",
        "(Tensor input, Number other, *, Tensor out = None)",
    ]


def test_a_form_of_its_own():
    assert forms(torch.special.chebyshev_polynomial_t) == [
        "(Tensor x, Tensor n, *, Tensor out = None)",
        "(Number x, Tensor n, *, Tensor out = None)",
        "(Tensor x, Number n, *, Tensor out = None)",
    ]
    assert list(inspect.signature(torch.special.chebyshev_polynomial_t).parameters) == ["x", "n", "out"]
