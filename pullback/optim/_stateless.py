"""An optimizer with other parameters and states for a while."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pullback.core._engine import Tensor
from pullback.face.absent import getter
from pullback.optim.optimizer import Optimizer


@contextmanager
def swap_in_optimizer_params_and_state(
    optimizer: Optimizer, swapin_parameters: dict[str, Tensor], swapin_optim_state: dict[str, Any]
) -> Iterator[None]:
    """Within, the optimizer has these parameters and states, and afterwards its own again.

    The parameters, by name, come in the order of the optimizer's own; the states, with the options of the
    groups, in the form of `state_dict`. ValueError for another number of parameters or groups.

    >>> import pullback as torch
    >>> x, y = torch.ones(1, requires_grad=True), torch.ones(1, requires_grad=True)
    >>> optimizer = torch.optim.SGD([x], lr=0.5)
    >>> y.grad = torch.ones(1)
    >>> with torch.optim.swap_in_optimizer_params_and_state(optimizer, {"x": y}, optimizer.state_dict()):
    ...     optimizer.step()
    >>> x.item(), y.item()
    (1.0, 0.5)
    """
    groups, state = optimizer.param_groups, optimizer.state
    given, wanted = list(swapin_parameters.values()), sum(len(group["params"]) for group in groups)
    packed = swapin_optim_state["param_groups"]
    if len(given) != wanted or len(packed) != len(groups):
        raise ValueError(
            f"expected {wanted} parameters in {len(groups)} groups, got {len(given)} in {len(packed)}"
        )
    params = iter(given)
    number: dict[Any, Any] = {}
    swapped = []
    for group in packed:
        number.update((key, next(params)) for key in group["params"] if key not in number)
        swapped.append({**group, "params": [number[key] for key in group["params"]]})
    entries = swapin_optim_state["state"].items()
    optimizer.param_groups = swapped
    optimizer.state = defaultdict(dict, {number.get(key, key): dict(value) for key, value in entries})
    try:
        yield
    finally:
        optimizer.param_groups, optimizer.state = groups, state


__getattr__ = getter(__name__)
