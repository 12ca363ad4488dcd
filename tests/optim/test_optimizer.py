"""Optimizer: groups, states, hooks, saving, refusals; steps that are recorded."""

import copy
import pickle
import re
import warnings
from importlib import import_module

import numpy as np
import pytest
from library import ON_TORCH, pullback_only, run_python, torch
from optimizer_table import ELEMENTWISE, assert_alike, numbers, start, steps

base = import_module(f"{torch.__name__}.optim.optimizer")
NAMES = [name for name in torch.optim.__all__ if name[0].isupper() and name != "Optimizer"]


def leaf(*shape):
    return torch.ones(*shape or (2,), requires_grad=True)


def sgd(*params, **options):
    return torch.optim.SGD(list(params) or [leaf()], **{"lr": 0.5, **options})


def test_the_module_holds_its_classes():
    held = vars(torch.optim)
    for name in torch.optim.__all__:
        assert name in held
    for name in NAMES:
        assert isinstance(held[name], type)
        assert issubclass(held[name], torch.optim.Optimizer)
        assert held[name].__doc__
    assert type(torch.optim.Optimizer) is type


@pullback_only("PyTorch imports its optimizers at once")
def test_the_optimizers_are_imported_when_they_are_named():
    done = run_python("-c", "import sys, pullback; print('pullback.optim' in sys.modules)")
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize("name", [n for n in NAMES if n not in ("Muon", "SparseAdam", "LBFGS")])
def test_a_closure_is_called_with_grad_mode_on(name):
    p = leaf()
    optimizer = getattr(torch.optim, name)([p])

    def closure():
        optimizer.zero_grad()
        loss = (p * p).sum()
        loss.backward()
        return loss

    assert optimizer.step(closure).item() == 2
    assert p.tolist() != [1, 1]


@pytest.mark.parametrize("name", [n for n in NAMES if n != "LBFGS"])
def test_without_gradients_nothing_happens(name):
    p = leaf(2, 2)
    optimizer = getattr(torch.optim, name)([p])
    assert optimizer.step() is None
    assert p.tolist() == [[1, 1], [1, 1]]
    if name != "Adagrad":
        assert optimizer.state_dict()["state"] == {}


def test_a_parameter_that_comes_later_counts_its_own_steps():
    first, second = leaf(), leaf()
    optimizer = torch.optim.Adam([first, second], lr=0.1)
    for _ in range(3):
        first.grad = torch.ones(2)
        optimizer.step()
    second.grad = torch.ones(2)
    optimizer.step()
    assert [optimizer.state[p]["step"].item() for p in (first, second)] == [4, 1]
    alone = leaf()
    other = torch.optim.Adam([alone], lr=0.1)
    alone.grad = torch.ones(2)
    other.step()
    torch.testing.assert_close(second, alone)


def test_groups_have_options_of_their_own():
    first, second = leaf(), leaf()
    optimizer = torch.optim.SGD([{"params": first, "lr": 0.25}], lr=0.5)
    optimizer.add_param_group({"params": [second]})
    for p in (first, second):
        p.grad = torch.ones(2)
    optimizer.step()
    assert [first.tolist(), second.tolist()] == [[0.75, 0.75], [0.5, 0.5]]
    assert [group["lr"] for group in optimizer.param_groups] == [0.25, 0.5]


def test_repr():
    optimizer = torch.optim.Rprop([{"params": [leaf()], "lr": 3}, {"params": [leaf()]}])
    assert repr(optimizer) == "\n".join(
        [
            "Rprop (",
            "Parameter Group 0",
            "    capturable: False",
            "    differentiable: False",
            "    etas: (0.5, 1.2)",
            "    foreach: None",
            "    lr: 3",
            "    maximize: False",
            "    step_sizes: (1e-06, 50)",
            "",
            "Parameter Group 1",
            "    capturable: False",
            "    differentiable: False",
            "    etas: (0.5, 1.2)",
            "    foreach: None",
            "    lr: 0.01",
            "    maximize: False",
            "    step_sizes: (1e-06, 50)",
            ")",
        ]
    )


def test_names_of_parameters():
    optimizer = sgd(("a", leaf()), ("b", leaf()))
    assert optimizer.param_groups[0]["param_names"] == ["a", "b"]
    assert optimizer.state_dict()["param_groups"][0]["param_names"] == ["a", "b"]
    other = sgd(("c", leaf()), ("d", leaf()))
    other.load_state_dict(optimizer.state_dict())
    assert other.param_groups[0]["param_names"] == ["a", "b"]
    other = sgd(("c", leaf()), ("d", leaf()))
    other.load_state_dict(sgd(leaf(), leaf()).state_dict())
    assert other.param_groups[0]["param_names"] == ["c", "d"]


REFUSED = {
    "tensor": (
        lambda: torch.optim.SGD(leaf()),
        TypeError,
        "params argument given to the optimizer",
    ),
    "none": (lambda: torch.optim.SGD([]), ValueError, "optimizer got an empty parameter list"),
    "set": (
        lambda: sgd().add_param_group({"params": {leaf()}}),
        TypeError,
        "need to be organized in",
    ),
    "no dict": (
        lambda: sgd().add_param_group([leaf()]),
        TypeError,
        "param_group must be a dict, but got",
    ),
    "int": (lambda: sgd(1), TypeError, "optimizer can only optimize Tensors, but one of the params is int"),
    "non-leaf": (lambda: sgd(leaf() * 2), ValueError, "can't optimize a non-leaf Tensor"),
    "required": (
        lambda: torch.optim.Optimizer([leaf()], {"lr": base.required}),
        ValueError,
        "parameter group didn't specify a value of required optimization parameter lr",
    ),
    "twice": (
        lambda: (lambda p: sgd({"params": [p]}, {"params": [p]}))(leaf()),
        ValueError,
        "some parameters appear in more than one parameter group",
    ),
    "some names": (
        lambda: sgd(("a", leaf()), leaf()),
        ValueError,
        "Some param names are missing",
    ),
    "names later": (
        lambda: sgd({"params": [("a", leaf())]}, {"params": [leaf()]}),
        ValueError,
        "cannot add param group without names to the optimizer",
    ),
    "groups": (
        lambda: sgd().load_state_dict(sgd({"params": [leaf()]}, {"params": [leaf()]}).state_dict()),
        ValueError,
        "loaded state dict has a different number of parameter groups",
    ),
    "sizes": (
        lambda: sgd().load_state_dict(sgd(leaf(), leaf()).state_dict()),
        ValueError,
        "loaded state dict contains a parameter group that doesn't match the size of optimizer's group",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusals(name):
    make, kind, words = REFUSED[name]
    with pytest.raises(kind, match=re.escape(words)):
        make()


def test_the_base_has_no_step():
    with pytest.raises(NotImplementedError):
        torch.optim.Optimizer([leaf()], {}).step()


OPTIONS = [
    ("SGD", {"lr": -1}, "Invalid learning rate: -1"),
    ("SGD", {"momentum": -1}, "Invalid momentum value: -1"),
    ("SGD", {"nesterov": True}, "Nesterov momentum requires a momentum and zero dampening"),
    ("SGD", {"lr": torch.ones(2)}, "Tensor lr must be 1-element"),
    ("Adam", {"eps": -1}, "Invalid epsilon value: -1"),
    ("Adam", {"betas": (1.0, 0.5)}, "Invalid beta parameter at index 0: 1.0"),
    ("Adam", {"weight_decay": -1}, "Invalid weight_decay value: -1"),
    (
        "Adam",
        {"lr": torch.tensor(1.0), "foreach": True},
        "lr as a Tensor is not supported for",
    ),
    ("Adam", {"betas": (torch.tensor(0.9), 0.99)}, "betas must be either both floats or both Tensors"),
    ("NAdam", {"momentum_decay": -1}, "Invalid momentum_decay value: -1"),
    ("Adagrad", {"lr_decay": -1}, "Invalid lr_decay value: -1"),
    ("Adagrad", {"initial_accumulator_value": -1}, "Invalid initial_accumulator_value value: -1"),
    ("Adadelta", {"rho": 2}, "Invalid rho value: 2"),
    ("RMSprop", {"alpha": -1}, "Invalid alpha value: -1"),
    ("Rprop", {"etas": (2, 3)}, "Invalid eta values: 2, 3"),
    ("LBFGS", {"lr": -1}, "Invalid learning rate: -1"),
    ("Adafactor", {"lr": -1}, "Learning rate should be >= 0 but is: -1"),
    ("Adafactor", {"beta2_decay": 1}, "beta2_decay should be <= 0 but is: 1"),
    ("Adafactor", {"eps": (-1, 1)}, "epsilon1 should be >= 0 but is: -1"),
    ("Adafactor", {"d": 0.5}, "Clipping threshold d should be >= 1 but is: 0.5"),
    ("Muon", {}, "Muon only supports 2D parameters whereas we found a parameter with size: torch.Size([2])"),
    ("Muon", {"adjust_lr_fn": "x"}, "Adjust learning rate function x is not supported"),
]


@pytest.mark.parametrize(("name", "options", "words"), OPTIONS)
def test_options_that_are_refused(name, options, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        getattr(torch.optim, name)([leaf()], **options)


def test_combinations_that_are_refused():
    with pytest.raises(RuntimeError, match="`fused` does not support `differentiable`"):
        torch.optim.Adam([leaf()], fused=True, differentiable=True)
    with pytest.raises(RuntimeError, match="`fused` and `foreach` cannot be `True` together"):
        sgd(fused=True, foreach=True)
    p = leaf()
    p.grad = torch.ones(2)
    with pytest.raises(AssertionError, match="If capturable=True, params and state_steps must be on"):
        torch.optim.Adam([p], capturable=True).step()
    with pytest.raises(RuntimeError, match="SparseAdam does not support dense gradients"):
        torch.optim.SparseAdam([p]).step()
    p = torch.ones(2, dtype=torch.complex64, requires_grad=True)
    p.grad = torch.ones(2, dtype=torch.complex64)
    with pytest.raises(RuntimeError, match="`fused=True` requires all the params to be floating"):
        torch.optim.Adam([p], fused=True).step()


def test_a_parameter_named_twice_is_warned_of():
    p = leaf()
    with pytest.warns(UserWarning, match="optimizer contains a parameter group with duplicate parameters"):
        sgd(p, p)


def test_hooks_of_a_step():
    p = leaf()
    optimizer, log = sgd(p), []
    p.grad = torch.ones(2)
    handles = [
        optimizer.register_step_pre_hook(lambda *given: log.append(("before", *given))),
        optimizer.register_step_post_hook(lambda *given: log.append(("after", *given))),
        base.register_optimizer_step_pre_hook(lambda *given: log.append(("before all", *given))),
        base.register_optimizer_step_post_hook(lambda *given: log.append(("after all", *given))),
    ]
    optimizer.step()
    assert log == [
        (when, optimizer, (optimizer,), {}) for when in ("before all", "before", "after", "after all")
    ]
    for handle in handles:
        handle.remove()
    optimizer.step()
    assert len(log) == 4


def test_a_hook_may_change_the_arguments_of_a_step():
    optimizer = sgd()
    with optimizer.register_step_pre_hook(lambda it, args, kwargs: (args, {"closure": lambda: 7})):
        assert optimizer.step() == 7
    with (
        optimizer.register_step_pre_hook(lambda *given: 5),
        pytest.raises(RuntimeError, match=r"return None or a tuple of \(new_args, new_kwargs\), but got 5"),
    ):
        optimizer.step()


def test_hooks_of_saving_and_loading():
    optimizer, log = sgd(), []
    optimizer.register_state_dict_pre_hook(lambda it: log.append("saving"))
    optimizer.register_state_dict_post_hook(lambda it, state: {**state, "more": 1})
    optimizer.register_state_dict_post_hook(lambda it, state: log.append(len(state)), prepend=True)
    optimizer.register_load_state_dict_pre_hook(lambda it, state: log.append(state["more"]))
    optimizer.register_load_state_dict_post_hook(lambda it: log.append("loaded"))
    state = optimizer.state_dict()
    assert state["more"] == 1
    optimizer.load_state_dict(state)
    assert log == ["saving", 2, 1, "loaded"]


def test_a_step_of_ones_own_has_the_hooks_too():
    class Own(torch.optim.Optimizer):
        def __init__(self, params):
            super().__init__(params, {"lr": 0.25})

        @torch.no_grad()
        def step(self, closure=None):
            for group in self.param_groups:
                for p in group["params"]:
                    p.sub_(p.grad, alpha=group["lr"])
                    self.state[p]["count"] = self.state[p].get("count", 0) + 1

    p, log = leaf(), []
    optimizer = Own([p])
    optimizer.register_step_post_hook(lambda *given: log.append(1))
    p.grad = torch.ones(2)
    optimizer.step()
    assert (p.tolist(), log) == ([0.75, 0.75], [1])
    assert optimizer.state_dict()["state"] == {0: {"count": 1}}
    assert Own.step.hooked


def test_zero_grad():
    p, q = leaf(), leaf()
    optimizer = sgd(p, q)
    p.grad = grad = torch.ones(2)
    optimizer.zero_grad(set_to_none=False)
    assert p.grad is grad
    assert grad.tolist() == [0, 0]
    optimizer.zero_grad()
    assert p.grad is None
    (g,) = torch.autograd.grad((p * p).sum(), p, create_graph=True)
    p.grad = g
    optimizer.zero_grad(set_to_none=False)
    assert p.grad.grad_fn is None
    assert p.grad.tolist() == [0, 0]


def test_a_loaded_state_has_the_dtype_of_its_parameter():
    begun, params = start(torch, "Adam", {})
    steps(torch, begun, params, range(2))
    halves = [p.detach().float().requires_grad_() for p in params]
    other = torch.optim.Adam(halves)
    other.load_state_dict(begun.state_dict())
    state = other.state[halves[0]]
    assert state["exp_avg"].dtype == torch.float32
    assert state["step"] is begun.state[params[0]]["step"]
    same = torch.optim.Adam(params)
    same.load_state_dict(begun.state_dict())
    assert same.state[params[0]]["exp_avg"] is begun.state[params[0]]["exp_avg"]


@pytest.mark.parametrize("again", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_copies_go_on_alike(again):
    optimizer, params = start(torch, "Adam", {"lr": 0.1})
    steps(torch, optimizer, params, range(3))
    other = again(optimizer)
    copies = other.param_groups[0]["params"]
    assert all(p is not q for p, q in zip(params, copies, strict=True))
    steps(torch, optimizer, params, range(3, 6))
    steps(torch, other, copies, range(3, 6))
    assert_alike(numbers(copies), numbers(params), 1e-12)


def test_older_states_are_brought_up_to_date():
    optimizer, params = start(torch, "Adam", {})
    steps(torch, optimizer, params, range(2))
    state = optimizer.state_dict()
    for kept in state["state"].values():
        kept["step"] = int(kept["step"])
    for group in state["param_groups"]:
        for name in ("maximize", "fused", "differentiable", "amsgrad"):
            del group[name]
    optimizer.load_state_dict(state)
    assert optimizer.state[params[0]]["step"].item() == 2
    assert optimizer.param_groups[0]["maximize"] is False
    steps(torch, optimizer, params, [2])


def test_the_functions_of_optimizers_take_lists():
    adam = import_module(f"{torch.__name__}.optim.adam").adam
    param, grad, mean, square, step = (
        torch.ones(2),
        torch.ones(2),
        torch.zeros(2),
        torch.zeros(2),
        torch.tensor(0.0),
    )
    options = {
        "amsgrad": False,
        "beta1": 0.9,
        "beta2": 0.99,
        "lr": 0.5,
        "weight_decay": 0,
        "eps": 0,
        "maximize": False,
    }
    with torch.no_grad():
        adam([param], [grad], [mean], [square], [], [step], **options)
    assert param.tolist() == pytest.approx([0.5, 0.5])
    assert step.item() == 1
    with pytest.raises(RuntimeError, match="`state_steps` argument must contain a list of singleton tensors"):
        adam([param], [grad], [mean], [square], [], [1], **options)


@pytest.mark.parametrize("lr", [0.1, torch.tensor(0.1, dtype=torch.float64)])
def test_rates_and_betas_may_be_tensors(lr):
    betas = (torch.tensor(0.8, dtype=torch.float64), torch.tensor(0.9, dtype=torch.float64))
    found, params = start(torch, "Adam", {"lr": lr, "betas": betas})
    wanted, others = start(torch, "Adam", {"lr": 0.1, "betas": (0.8, 0.9)})
    for optimizer, some in ((found, params), (wanted, others)):
        steps(torch, optimizer, some, range(3))
    assert_alike(numbers(params), numbers(others), 1e-9)


@pullback_only("PyTorch counts steps in float32 and takes the rate for a constant")
@pytest.mark.parametrize(("name", "options"), ELEMENTWISE)
def test_a_recorded_step_has_gradients(name, options):
    """The parameters after three steps, as functions of parameter, gradients, and rate if it may be one."""
    rate_is_input = name in (
        "SGD",
        "Adam",
        "AdamW",
        "Adamax",
        "RMSprop",
        "Adagrad",
        "Adadelta",
        "RAdam",
        "NAdam",
    )
    draw = np.random.default_rng(3)
    begin, *grads = (torch.tensor(0.5 + np.abs(draw.standard_normal(3))).requires_grad_() for _ in range(4))
    lr = torch.tensor(0.125, dtype=torch.float64, requires_grad=True)

    def trained(begin, lr, *grads):
        param = begin.clone()
        given = {**options, "lr": lr} if rate_is_input else options
        optimizer = getattr(torch.optim, name)([param], differentiable=True, **given)
        for grad in grads:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                param.grad = grad
            optimizer.step()
        return param

    assert torch.autograd.gradcheck(trained, (begin, lr, *grads), eps=1e-6, atol=1e-5)


@pytest.mark.parametrize(("name", "options"), ELEMENTWISE)
def test_a_recorded_step_gives_what_others_give(name, options):
    plain, params = start(torch, name, options, shapes=((3,), (2, 2)))
    steps(torch, plain, params, range(3))
    begins = start(torch, name, options, shapes=((3,), (2, 2)))[1]
    recorded = [p.clone() for p in begins]
    optimizer = getattr(torch.optim, name)(recorded, differentiable=True, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        steps(torch, optimizer, recorded, range(3))
    assert_alike(numbers(recorded), numbers(params), 1e-4 if ON_TORCH else 1e-12, 1e-14)
    assert recorded[0].grad_fn is not None


def test_a_leaf_cannot_be_stepped_recorded():
    p = leaf()
    p.grad = torch.ones(2)
    with pytest.raises(RuntimeError, match="a leaf Variable that requires grad is being used in an in-place"):
        sgd(p, differentiable=True).step()


def test_a_scaled_gradient_and_a_step_that_is_left_out():
    p = leaf()
    optimizer = torch.optim.SGD([p], lr=0.5, fused=True)
    optimizer.grad_scale, optimizer.found_inf = torch.tensor(4.0), torch.tensor(0.0)
    p.grad = torch.full((2,), 4.0)
    optimizer.step()
    assert p.tolist() == [0.5, 0.5]
    optimizer.found_inf = torch.tensor(1.0)
    optimizer.step()
    assert p.tolist() == [0.5, 0.5]
