"""Stochastic gradient descent, with momentum."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from pullback import ops
from pullback.core._engine import Tensor
from pullback.face.absent import getter
from pullback.ops.shared.programs import formula, plus_scaled
from pullback.optim.optimizer import (
    Group,
    Optimizer,
    ParamsT,
    _device_dtype_check_for_fused,
    _use_grad_for_differentiable,
    alike,
    check,
    check_fused,
    check_rate,
    is_sparse,
    unscaled,
)

__all__ = ["SGD", "sgd"]


class SGD(Optimizer):
    """Stochastic gradient descent: `param - lr * grad`.

    With `weight_decay` the gradient of `weight_decay * |param|**2 / 2` is added; with `momentum` a buffer,
    `momentum * buffer + (1 - dampening) * grad`, at first the gradient itself, takes the gradient's place,
    and with `nesterov` `grad + momentum * buffer`.

    >>> import pullback as torch
    >>> x = torch.tensor([1.0], requires_grad=True)
    >>> optimizer = torch.optim.SGD([x], lr=0.25, momentum=0.5)
    >>> for _ in range(2):
    ...     optimizer.zero_grad()
    ...     (x * x).sum().backward()
    ...     optimizer.step()
    >>> x
    tensor([0.], requires_grad=True)
    """

    _state_names = ("momentum_buffer",)
    _takes_sparse = True
    _later: ClassVar[dict[str, Any]] = {
        "nesterov": False,
        "maximize": False,
        "foreach": None,
        "differentiable": False,
        "fused": False,
    }

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float | Tensor = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        check_rate(lr)
        check(momentum >= 0.0, f"Invalid momentum value: {momentum}")
        check(weight_decay >= 0.0, f"Invalid weight_decay value: {weight_decay}")
        check(
            not nesterov or (momentum > 0 and dampening == 0),
            "Nesterov momentum requires a momentum and zero dampening",
        )
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
            "maximize": maximize,
            "foreach": foreach,
            "differentiable": differentiable,
            "fused": fused,
        }
        super().__init__(params, defaults)
        check_fused(self, fused, foreach, differentiable)

    def _names(self, group: Group) -> tuple[str, ...]:
        return self._state_names if group["momentum"] else ()

    def _new_state(self, p: Any, group: Group) -> dict[str, Any]:
        return {}  # the first gradient makes the buffer

    @_use_grad_for_differentiable
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step; `closure` computes the loss anew, which is returned."""
        loss = self._loss(closure)
        for group in self.param_groups:
            params, grads, *rest = self._gather(group)
            buffers = rest[0] if rest else [None] * len(params)
            fresh = [i for i, buffer in enumerate(buffers) if buffer is None] if rest else []
            if group["fused"]:
                for p in params:
                    _device_dtype_check_for_fused(p)
            sgd(
                params,
                grads,
                buffers,
                fused=group["fused"],
                grad_scale=getattr(self, "grad_scale", None),
                found_inf=getattr(self, "found_inf", None),
                weight_decay=group["weight_decay"],
                momentum=group["momentum"],
                lr=group["lr"],
                dampening=group["dampening"],
                nesterov=group["nesterov"],
                maximize=group["maximize"],
            )
            for i in fresh:
                if buffers[i] is not None:
                    self.state[params[i]]["momentum_buffer"] = buffers[i]
        return loss


@formula
def _sgd(
    param: Any,
    grad: Any,
    *buffer: Any,
    descent: Any,
    weight_decay: Any,
    momentum: Any,
    damping: Any,
    decays: bool,
    maximize: bool,
    first: bool,
    damped: bool,
    nesterov: bool,
) -> Any:
    if maximize:
        grad = -grad
    if decays:
        grad = plus_scaled(grad, param, weight_decay)
    if not buffer:
        return plus_scaled(param, grad, descent), None
    mean = grad
    if not first:
        mean = buffer[0] * momentum
        mean = plus_scaled(mean, grad, damping) if damped else mean + grad
    step = plus_scaled(grad, mean, momentum) if nesterov else mean
    return plus_scaled(param, step, descent), None, mean


def sgd(
    params: list[Tensor],
    d_p_list: list[Tensor],
    momentum_buffer_list: list[Tensor | None],
    has_sparse_grad: bool = False,
    foreach: bool | None = None,
    fused: bool | None = None,
    grad_scale: Tensor | None = None,
    found_inf: Tensor | None = None,
    *,
    weight_decay: float,
    momentum: float,
    lr: float,
    dampening: float,
    nesterov: bool,
    maximize: bool,
) -> None:
    """The step of `SGD` on lists; buffers that are None are made, in their list."""
    grads = unscaled(d_p_list, grad_scale, found_inf)
    if grads is None or not params:
        return
    if any(map(is_sparse, grads)):
        for i, grad in enumerate(grads):
            rule = _sparse_sgd if is_sparse(grad) else _dense_sgd
            momentum_buffer_list[i] = rule(
                params[i], grad, momentum_buffer_list[i], weight_decay=weight_decay, momentum=momentum,
                lr=lr, dampening=dampening, nesterov=nesterov, maximize=maximize,
            )  # fmt: skip
        return
    numbers = {
        "descent": -lr,
        "weight_decay": weight_decay,
        "momentum": momentum,
        "damping": 1 - dampening,
    }
    flags = {
        "decays": not isinstance(weight_decay, (int, float)) or weight_decay != 0,
        "maximize": maximize,
    }
    if momentum == 0:
        _sgd([params, grads], numbers, **flags, first=False, damped=False, nesterov=False)
        return
    begins = [buffer is None for buffer in momentum_buffer_list]
    for i, grad in enumerate(grads):
        if begins[i]:
            momentum_buffer_list[i] = ops.empty_like(grad)
    lists: list[list[Any]] = [params, grads, momentum_buffer_list]
    for first, some in alike(lists, begins if any(begins) else False):
        _sgd(some, numbers, **flags, first=first, damped=dampening != 0, nesterov=nesterov)


def _dense_sgd(param: Any, grad: Any, buffer: Any, **options: Any) -> Any:
    """The step of one parameter; returns its buffer."""
    buffers = [buffer]
    sgd([param], [grad], buffers, **options)
    return buffers[0]


def _sparse_sgd(
    param: Any,
    grad: Any,
    buffer: Any,
    *,
    weight_decay: Any,
    momentum: float,
    lr: Any,
    dampening: float,
    nesterov: bool,
    maximize: bool,
) -> Any:
    """The step of one parameter whose gradient is sparse: the buffer is, too."""
    if maximize:
        grad = -grad
    if weight_decay:
        raise RuntimeError("add(sparse, dense) is not supported. Use add(dense, sparse) instead.")
    if momentum:
        buffer = (
            grad.detach().clone() if buffer is None else buffer.mul_(momentum).add_(grad, alpha=1 - dampening)
        )
        grad = grad.add(buffer, alpha=momentum) if nesterov else buffer
    param.add_(grad, alpha=-lr)
    return buffer


__getattr__ = getter(__name__)
