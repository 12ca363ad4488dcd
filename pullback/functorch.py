"""`functorch`, which comes with PyTorch: the names of `torch.func` under their first home.

`make_functional` stands here alone. `torch.func.functional_call` took its place in PyTorch.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from pullback import nn, ops
from pullback.core._engine import Tensor
from pullback.face.absent import getter
from pullback.func import functional_call, grad, grad_and_value, hessian, jacfwd, jacrev, jvp, vjp, vmap

__all__ = [
    "FunctionalModule",
    "FunctionalModuleWithBuffers",
    "combine_state_for_ensemble",
    "grad",
    "grad_and_value",
    "hessian",
    "jacfwd",
    "jacrev",
    "jvp",
    "make_functional",
    "make_functional_with_buffers",
    "vjp",
    "vmap",
]


class FunctionalModule:
    """A module as a function of its parameters and its inputs: see `make_functional`."""

    def __init__(self, stateless_model: nn.Module) -> None:
        self.stateless_model = stateless_model
        self.param_names = tuple(name for name, _ in stateless_model.named_parameters())
        self.buffer_names = tuple(name for name, _ in stateless_model.named_buffers())

    def __call__(self, params: Sequence[Tensor], *args: Any, **kwargs: Any) -> Any:
        state = dict(zip(self.param_names, params, strict=True))
        return functional_call(self.stateless_model, state, args, kwargs)


class FunctionalModuleWithBuffers(FunctionalModule):
    """A module as a function of its parameters, its buffers and its inputs."""

    def __call__(self, params: Sequence[Tensor], buffers: Sequence[Tensor], *args: Any, **kwargs: Any) -> Any:
        state = dict(zip(self.param_names + self.buffer_names, (*params, *buffers), strict=True))
        return functional_call(self.stateless_model, state, args, kwargs)


def _values(found: Iterable[Tensor], detached: bool) -> tuple[Tensor, ...]:
    return tuple(t.detach() if detached else t for t in found)


def make_functional(
    model: nn.Module, disable_autograd_tracking: bool = False
) -> tuple[Callable[..., Any], tuple[Tensor, ...]]:
    """A function `f(params, *args)` that does what a module without buffers does, and its parameters.

    >>> import pullback as torch
    >>> from pullback.functorch import make_functional
    >>> f, params = make_functional(torch.nn.Linear(2, 1))
    >>> f([torch.ones(1, 2), torch.zeros(1)], torch.tensor([3.0, 4.0]))
    tensor([7.])
    """
    if any(True for _ in model.buffers()):
        raise RuntimeError(
            "make_functional(model): `model` has buffers. Please use make_functional_with_buffers(model) "
            "instead."
        )
    made = FunctionalModule(copy.deepcopy(model))
    return made, _values(model.parameters(), disable_autograd_tracking)


def make_functional_with_buffers(
    model: nn.Module, disable_autograd_tracking: bool = False
) -> tuple[Callable[..., Any], tuple[Tensor, ...], tuple[Tensor, ...]]:
    """A function `f(params, buffers, *args)` that does what a module does, its parameters, its buffers."""
    made = FunctionalModuleWithBuffers(copy.deepcopy(model))
    return made, _values(model.parameters(), disable_autograd_tracking), tuple(model.buffers())


def combine_state_for_ensemble(
    models: Sequence[nn.Module],
) -> tuple[Callable[..., Any], tuple[Tensor, ...], tuple[Tensor, ...]]:
    """Models of one class as one function, and their parameters and buffers stacked: for `vmap`."""
    if len(models) == 0:
        raise RuntimeError("combine_state_for_ensemble: Expected at least one model, got 0.")
    if len({model.training for model in models}) > 1:
        raise RuntimeError(
            "combine_state_for_ensemble: Expected all models to have the same training/eval mode."
        )
    if len({type(model) for model in models}) > 1:
        raise RuntimeError("combine_state_for_ensemble: Expected all models to be of the same class.")
    functions, params, buffers = zip(*map(make_functional_with_buffers, models), strict=True)
    stacked = tuple(ops.stack(same).detach().requires_grad_() for same in zip(*params, strict=True))
    return functions[0], stacked, tuple(ops.stack(same) for same in zip(*buffers, strict=True))


__getattr__ = getter(__name__)
