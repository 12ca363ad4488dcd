"""`grad`, `grad_and_value`, `vjp`: a function's derivative by the backward pass.

These are no levels: they give the function leaves of their own, made from the arguments
(`transforms.leaves.leaf`), and run the engine's pass. If an outer differentiation is under way, or the
function uses other tensors that require a gradient, the pass is recorded, so derivatives nest.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pullback import ops
from pullback.core import _engine
from pullback.core._engine import Tensor
from pullback.func.arguments import (
    Argnums,
    Picked,
    any_requires_grad,
    check_differentiable,
    flat_outputs,
    split_aux,
    wraps,
)
from pullback.transforms.leaves import gradients, leaves
from pullback.transforms.stack import at_bottom
from pullback.utils._pytree import tree_flatten, tree_map_only, tree_unflatten


class Recorded:
    """A call whose backward pass can be run: its leaves and results.

    `tied` says that derivatives of its derivatives may be wanted: an argument requires a gradient, or the
    function used another tensor that does. If gradients are pulled `later`, that is not known from the grad
    mode of now, which says only whether the results are `shown` with their history.
    """

    __slots__ = ("aux", "leaves", "outs", "shown", "spec", "tied")

    def __init__(
        self,
        func: Callable[..., Any],
        picked: Picked,
        kwargs: Any,
        has_aux: bool,
        name: str,
        scalar: bool = False,
        later: bool = False,
    ) -> None:
        check_differentiable(picked.tensors)
        outer = _engine.set_grad_enabled(True)
        try:
            self.leaves = leaves(picked.tensors, outer or later)
            arguments = picked.arguments(self.leaves)
            _engine.go_deeper(1)
            try:
                result = func(*arguments, **kwargs)
            finally:
                _engine.go_deeper(-1)
        finally:
            _engine.set_grad_enabled(outer)
        self.aux = None
        if has_aux:
            result, self.aux = split_aux(result, name)
        if scalar:
            check_scalar(result, name)
        self.outs, self.spec = flat_outputs(result, name)
        self.tied = (outer or later) and (
            any_requires_grad(picked.tensors) or _engine.reaches_beyond(self.outs, self.leaves)
        )
        self.shown = self.tied and outer

    def free(self, x: Any) -> Any:
        """A result as the caller gets it: without the part of the graph that is ours."""
        return x if self.shown or not x.requires_grad else x.detach()

    def value(self) -> Any:
        """The results, nested as the function returned them."""
        values = [self.free(x) for x in self.outs]
        return values[0] if self.spec is None else tree_unflatten(values, self.spec)

    def auxiliary(self) -> Any:
        """What the function returned beside, of which every leaf must be a tensor."""
        for x in tree_flatten(self.aux)[0]:
            if not isinstance(x, Tensor):
                raise RuntimeError(f"Expected tensors, got unsupported type {type(x)}")
        return tree_map_only(Tensor, self.free, self.aux)

    def pull(self, grads: list[Any], keep: bool) -> list[Any]:
        """The gradients of the leaves from those of the results; zeros where there is none."""
        create = _engine.grad_enabled() and (self.tied or any_requires_grad(grads))
        roots, given = [], []
        for x, g in zip(self.outs, grads, strict=True):
            if x.requires_grad:
                roots.append(x)
                given.append(g)
        if not roots:
            return [ops.zeros_like(x) for x in self.leaves]
        found = gradients(roots, self.leaves, given, keep or create, create)
        for i, g in enumerate(found):
            if g is None:
                found[i] = ops.zeros_like(self.leaves[i])
        return found


def _gradient_and_call(
    func: Callable[..., Any], argnums: Argnums, args: tuple[Any, ...], kwargs: Any, has_aux: bool
) -> tuple[Any, Recorded]:
    """The gradient of a scalar function, nested as the arguments are, and the call."""
    picked = Picked(argnums, args)
    call = Recorded(func, picked, kwargs, has_aux, "grad_and_value(f)(*args)", scalar=True)
    return picked.nested(call.pull([at_bottom(call.outs[0], _engine.ones_of)], False)), call


def check_scalar(result: Any, name: str) -> None:
    """RuntimeError unless the result is a real tensor of 0 dims."""
    start = f"{name}: Expected f(*args) to return a"
    if not isinstance(result, Tensor):
        raise RuntimeError(f"{start} Tensor, got {type(result)}")
    if result.ndim:
        raise RuntimeError(
            f"{start} scalar Tensor, got tensor with {result.ndim} dims. Maybe you wanted to use the vjp or "
            "jacrev APIs instead?"
        )
    if result.dtype.is_complex:
        raise RuntimeError(
            f"grad can be implicitly created only for real scalar outputs but got {result.dtype}"
        )


def grad_and_value(
    func: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """A function that returns the gradient of `func`, a scalar function, and its value.

    As `grad`; with `has_aux` it returns `(gradient, (value, aux))`.

    >>> import pullback as torch
    >>> torch.func.grad_and_value(lambda x: x * x)(torch.tensor(3.0))
    (tensor(6.), tensor(9.))
    """

    @wraps(func)
    def run(*args: Any, **kwargs: Any) -> Any:
        found, call = _gradient_and_call(func, argnums, args, kwargs, has_aux)
        if has_aux:
            return found, (call.value(), call.auxiliary())
        return found, call.value()

    return run


def grad(func: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False) -> Callable[..., Any]:
    """A function that returns the gradient of `func`, which must return a real tensor of 0 dims.

    `argnums` says with respect to which arguments: a place, or a tuple of places for a tuple of
    gradients; an argument may be a nested container. With `has_aux`, `func` returns `(value, aux)`
    and the result is `(gradient, aux)`. RuntimeError for other results.

    >>> import pullback as torch
    >>> torch.func.grad(torch.sin)(torch.tensor(0.0))
    tensor(1.)
    >>> torch.func.grad(torch.func.grad(lambda x: x**3))(torch.tensor(2.0))
    tensor(12.)
    """

    @wraps(func)
    def run(*args: Any, **kwargs: Any) -> Any:
        found, call = _gradient_and_call(func, argnums, args, kwargs, has_aux)
        return (found, call.auxiliary()) if has_aux else found

    return run


def vjp(func: Callable[..., Any], *primals: Any, has_aux: bool = False) -> Any:
    """The value of `func(*primals)`, and a function that maps a cotangent of it to those of `primals`.

    The function may be called many times, also under `vmap`. It returns a tuple, or a single value for
    a single primal. With `has_aux` the result is `(value, vjp_fn, aux)`. RuntimeError for a cotangent
    that is not like the value.

    >>> import pullback as torch
    >>> value, vjp_fn = torch.func.vjp(torch.exp, torch.tensor([0.0, 1.0]))
    >>> vjp_fn(torch.tensor([1.0, 0.0]))
    (tensor([1., 0.]),)
    """
    picked = Picked(None, primals)
    call = Recorded(func, picked, {}, has_aux, "vjp(f, *primals)", later=True)

    def pull(cotangents: Any, retain_graph: bool = True, create_graph: Any = None) -> Any:
        given, spec = ([cotangents], None) if isinstance(cotangents, Tensor) else tree_flatten(cotangents)
        check_cotangents(call, given, spec)
        return picked.nested(call.pull(given, True))

    if has_aux:
        return call.value(), pull, call.auxiliary()
    return call.value(), pull


def check_cotangents(call: Recorded, given: list[Any], spec: Any) -> None:
    """RuntimeError unless cotangents are nested and shaped as the results."""
    if spec != call.spec:
        raise RuntimeError(
            "Expected pytree structure of cotangents to be the same as pytree structure of outputs to the "
            f"function. cotangents: {spec or tree_flatten(0)[1]}, primal output: "
            f"{call.spec or tree_flatten(0)[1]}"
        )
    for i, (x, g) in enumerate(zip(call.outs, given, strict=True)):
        if x.shape != g.shape:
            raise RuntimeError(
                f"Mismatch in shape: grad_output[{i}] has a shape of {g.shape} and output[{i}] has a shape "
                f"of {x.shape}."
            )
