"""For each cause of a missing, zero, broken or oddly sized gradient a program whose explanation names the op
and the line: the line that ends with `# here`."""

import gc
import inspect
import linecache
import math

import numpy as np
import pytest
from library import pullback_only, torch

pytestmark = pullback_only("it says what becomes of gradients")

PROGRAMS = []


def program(cause, op):
    """Registers a program that takes a leaf and gives a loss, or a tensor to explain and a loss."""

    def register(function):
        PROGRAMS.append(pytest.param(function, cause, op, id=function.__name__))
        return function

    return register


def weight():
    return torch.ones(2, requires_grad=True)


# ------------------------------------------------------------------------------------------ None


@program("cut", "detach")
def detached(x):
    y = x.detach() * 2  # here
    return (y * weight()).sum()


@program("cut", "detach")
def by_data(x):
    y = x.data * 2  # here
    return (y * weight()).sum()


@program("cut", "mul")
def under_no_grad(x):
    with torch.no_grad():
        y = x * 2  # here
    return (y * weight()).sum()


@program("cut", "exp")
def under_inference_mode(x):
    with torch.inference_mode():
        y = x.exp()  # here
    return (y.clone() * weight()).sum()


@program("cut", "detach")
@pytest.mark.filterwarnings("ignore:To copy construct")
def a_fresh_leaf(x):
    y = torch.tensor(x * 2, requires_grad=True)  # here
    return (y**2).sum()


@program("cut", "to_copy")
def cast_to_integers(x):
    y = x.long()  # here
    return (y * weight()).sum()


@program("cut", "argmax")
def an_index(x):
    y = x.argmax()  # here
    return (y * weight()).sum()


@program("cut", "gt")
def a_comparison(x):
    mask = x > 1  # here
    return (mask * weight()).sum()


@program("left", "numpy")
def by_numpy(x):
    y = torch.from_numpy(np.sin(x.detach().numpy()))  # here
    return (y * weight()).sum()


@program("left", "item")
def by_item(x):
    scale = (x * x).sum().item()  # here
    return (scale * weight()).sum()


@program("left", "tolist")
def by_tolist(x):
    y = torch.tensor(x.tolist())  # here
    return (y * weight()).sum()


@program("left", "item")
def by_float(x):
    scale = float(x.detach().sum())  # here
    return (scale * weight()).sum()


@program("unused", "mul")
def a_branch_that_nobody_uses(x):
    _ = x * 3  # here
    return weight().sum()


@program("unused", None)
def never_used(x):
    return weight().sum()


@program("cut", "detach")
def explained_behind_the_cut(x):
    y = (x * 2).detach()  # here
    return y * 3, (y * weight()).sum()


# ------------------------------------------------------------------------------------------ zero


@program("zero", "relu")
def dead_units(x):
    return (-x).relu().sum()  # here


@program("zero", "sigmoid")
def a_saturated_sigmoid(x):
    return (x * 1000).sigmoid().sum()  # here


@program("zero", "tanh")
def a_saturated_tanh(x):
    return torch.tanh(x * 1000).sum()  # here


@program("zero", "clamp")
def outside_of_bounds(x):
    return x.clamp(5, 6).sum()  # here


@program("zero", "round")
def rounded(x):
    y = x.round()  # here
    return (y * y).sum()


@program("zero", "sign")
def signs(x):
    return (torch.sign(x) * 3).sum()  # here


@program("zero", "masked_fill")
def masked(x):
    y = x.masked_fill(x > 0, 0.0)  # here
    return y.sum()


@program("zero", "mul")
def times_zero(x):
    y = x * torch.zeros(2)  # here
    return y.sum()


@program("zero", "where")
def not_chosen(x):
    y = torch.where(x > 100, x, torch.zeros(2))  # here
    return y.sum()


@program("zero", "softmax")
def a_saturated_softmax(x):
    p = torch.softmax(x * 1e4, 0)  # here
    return p[1]


@program("zero", "linalg_vector_norm")
def a_norm_at_zero(x):
    return (x - x).norm()  # here


@program("partly zero", "relu")
def half_dead(x):
    y = torch.relu(x - 1.5)  # here
    return y.sum()


@program("partly zero", "max")
def a_maximum(x):
    return x.max()  # here


# --------------------------------------------------------------------------------- NaN and infinity


@program("nan", "log")
def log_of_zero(x):
    y = torch.log(x * 0)  # here
    return y.sum()


@program("nan", "log")
def log_below_zero(x):
    y = torch.log(-x)  # here
    return (y * x).sum()


@program("nan", "sqrt")
def root_of_zero(x):
    y = (x - x).sqrt()  # here
    return y.sum()


@program("infinite", "exp")
def overflow(x):
    y = torch.exp(x * 1000)  # here
    return y.sum()


@program("nan", "div")
def zero_by_zero(x):
    y = (x - x) / (x - x)  # here
    return y.sum()


@program("infinite", "pow")
def a_pole_of_a_power(x):
    y = (x - x.detach()) ** 0.5  # here
    return y.sum()


@program("nan", "softmax")
def a_row_masked_out_whole(x):
    p = torch.softmax(x + torch.full((2,), -math.inf), 0)  # here
    return p[0]


@program("nan", "leaf")
def an_input_with_nan(x):
    return (x * torch.tensor([math.nan, 1.0])).sum()


@program("nan", "acos")
def beyond_the_domain(x):
    y = torch.acos(x + 0.5)  # here
    return y.sum()


# ------------------------------------------------------------------------------------------ size


@program("huge", "mul")
def exploding(x):
    for _ in range(20):
        x = x * 5  # here
    return x.sum()


@program("tiny", "mul")
def vanishing(x):
    for _ in range(12):
        x = x * 0.1  # here
    return x.sum()


@program("huge", "exp")
def steep(x):
    y = torch.exp(x * 10)  # here
    return y.sum()


@program("fine", None)
def nothing_wrong(x):
    return (x**2).sum()


@program("fine", None)
def written_in_place(x):
    y = torch.zeros(3)
    y[0] = x[0]
    y[1:] = x * 2
    return y.sum()


def marked_lines(function):
    lines, start = inspect.getsourcelines(function)
    return {start + k for k, line in enumerate(lines) if line.rstrip().endswith("# here")}


@pytest.mark.parametrize("function, cause, op", PROGRAMS)
@pytest.mark.filterwarnings("ignore:To copy construct")
def test_a_program(function, cause, op):
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    with torch.explaining():
        loss = function(x)
        target, loss = loss if isinstance(loss, tuple) else (x, loss)
        loss.backward()
    found = torch.explain(target)
    assert (found.cause, found.op) == (cause, op), found.text
    marked = marked_lines(function)
    if marked:
        assert found.line.number in marked, found.text
        assert linecache.getline(found.line.file, found.line.number).strip() == found.line.text
        assert str(found.line) in found.text
    assert x.explain(loss).text  # as a method, and with a loss given


@pytest.mark.parametrize(
    "function, cause, op", [p for p in PROGRAMS if p.values[1] not in ("cut", "left", "unused")]
)
def test_without_a_recording_the_graph_says_the_same(function, cause, op):
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    with torch.explaining():
        pass  # what was recorded before is forgotten
    found = torch.explain(x, function(x))
    if op == "leaf" or (cause == "nan" and op in ("log", "div", "acos", "softmax")):
        assert found.cause == "nan"  # the ranges of the forward pass are not known
    else:
        assert (found.cause, found.op) == (cause, op), found.text


def test_what_requires_no_gradient():
    assert torch.explain(torch.ones(2)).cause == "no gradient required"
    assert torch.explain(torch.arange(3)).cause == "integers"
    x = torch.ones(2, requires_grad=True)
    with torch.explaining():
        pass
    assert torch.explain(x).cause == "not computed"
    assert torch.explain(x, torch.ones(()).sum()).cause == "cut"
    with pytest.raises(TypeError, match="argument 'tensor' must be Tensor, not int"):
        torch.explain(3)
    with pytest.raises(TypeError, match="argument 'loss' must be Tensor, not str"):
        torch.explain(x, "loss")


def test_a_gradient_that_was_reset_and_one_of_no_leaf():
    x = torch.ones(2, requires_grad=True)
    with torch.explaining():
        y = x * 2
        (y * y).sum().backward()
    assert "no leaf" in torch.explain(y).text
    x.grad = None
    found = torch.explain(x)
    assert found.cause == "not computed" and "reset" in found.text


def test_before_the_pass_and_after_the_graph_was_freed():
    x = torch.ones(2, requires_grad=True)
    with torch.explaining():
        loss = (x * x).sum()
        assert torch.explain(x, loss).gradient.norm == pytest.approx(math.sqrt(8))
        assert x.grad is None
    with torch.explaining():
        pass
    loss.backward()
    assert torch.explain(x, loss).cause == "unknown"


def test_nothing_is_kept_of_tensors():
    """A step holds numbers about tensors, not the tensors."""
    import weakref

    with torch.explaining() as recording:
        x = torch.ones(1000, requires_grad=True)
        y = x * 2
        seen = weakref.ref(y)
        loss = y.sum()
        loss.backward()
        del y, loss
        assert seen() is None
        assert recording.last.name == "sum"


@pytest.mark.parametrize("name", ["SGD", "Adam", None])
def test_a_parameter_is_the_same_after_the_optimizer_s_step(name):
    net = torch.nn.Linear(3, 1)
    optimizer = getattr(torch.optim, name)(net.parameters(), lr=0.01) if name else None
    with torch.explaining() as recording:
        for _ in range(20):
            net.zero_grad()
            net(torch.ones(4, 3)).square().sum().backward()
            if optimizer is not None:
                optimizer.step()
            else:
                with torch.no_grad():
                    for p in net.parameters():
                        p -= 0.01 * p.grad
    found = torch.explain(net.weight)
    assert (found.cause, found.gradient.count) == ("fine", 3), found.text
    assert recording.step_of(net.weight).leaf


def test_modules_and_custom_functions_are_named():
    class Double(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return g * 0

    x = torch.ones(2, requires_grad=True)
    with torch.explaining():
        Double.apply(x).sum().backward()
    assert torch.explain(x).op == "Double"
    net = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Sequential(torch.nn.ReLU()))
    with torch.explaining():
        net(torch.ones(2)).sum().backward()
    found = torch.explain(net[0].weight)
    assert ("1: Sequential", "0: ReLU") in [step.module for step in found.path]


def test_recordings_go_with_transforms():
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    with torch.explaining():
        loss = torch.vmap(lambda t: (-t).relu())(x).sum()
        loss.backward()
    assert torch.explain(x).op == "relu"


def test_every_remedy_belongs_to_something_that_runs():
    from pullback.core import _engine
    from pullback.see.remedies import BREAKS, VANISHES

    assert torch.linalg.svd  # all ops are declared now
    ops = {op.__name__ for op in _engine.REGISTRY.values()}
    for name in {**BREAKS, **VANISHES}:
        assert name in ops or hasattr(torch, name), name


def test_a_whole_program_is_recorded_by_the_environment(monkeypatch, tmp_path):
    from library import run_python

    program = tmp_path / "program.py"
    program.write_text(
        "import pullback as torch\n"
        "x = torch.ones(2, requires_grad=True)\n"
        "w = torch.ones(2, requires_grad=True)\n"
        "(x.detach() * w).sum().backward()\n"
        "print(x.explain())\n"
    )
    monkeypatch.setenv("PULLBACK_EXPLAINING", "1")
    done = run_python(program)
    assert "program.py:4, `(x.detach() * w).sum().backward()`" in done.stdout, done.stderr


def steps_alive():
    from pullback.see.steps import Step

    gc.collect()
    return sum(isinstance(x, Step) for x in gc.get_objects())


def test_a_sum_that_is_kept_across_steps_does_not_keep_them_all(monkeypatch):
    """A running loss, the statistics of a norm, and printed numbers each lead back to the first step."""
    from pullback.see import recording

    monkeypatch.setattr(recording, "KEPT", 500)
    net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4), torch.nn.Linear(4, 1))
    total = torch.zeros(())
    counts = []
    with torch.explaining():
        for step in range(400):
            net.zero_grad()
            loss = net(torch.ones(4, 3)).square().mean()
            loss.backward()
            total = 0.9 * total + loss.detach()
            total.item()
            if step in (150, 399):
                counts.append(steps_alive())
    assert counts[1] < 1.3 * counts[0]
    assert torch.explain(net[0].weight).path


def test_anomaly_mode_and_explaining_know_each_other_s_lines():
    x = torch.tensor([1.0, -1.0], requires_grad=True)
    with torch.explaining():
        loss = x.sqrt().sum()  # here
    torch.autograd.set_detect_anomaly(True)
    try:
        with pytest.warns(UserWarning, match=r"x\.sqrt\(\)\.sum\(\)  # here"), pytest.raises(RuntimeError):
            loss.backward(retain_graph=True)
        with torch.explaining():
            pass
        x = torch.tensor([1.0], requires_grad=True)
        y = (-x).relu().sum()  # there
    finally:
        torch.autograd.set_detect_anomaly(False)
    found = torch.explain(x, y)
    assert found.op == "relu" and found.line.text == "y = (-x).relu().sum()  # there"
