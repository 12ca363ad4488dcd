"""`jvp` and `linearize`: a function's derivative along a direction, by forward mode."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pullback import ops
from pullback.core import _engine
from pullback.core._engine import Tensor
from pullback.func.arguments import Picked, flat_outputs, split_aux
from pullback.func.reverse import Recorded
from pullback.transforms.leaves import gradients
from pullback.transforms.stack import entered
from pullback.transforms.tangents import Tangents
from pullback.utils._pytree import tree_flatten, tree_unflatten


class Pushed:
    """A call with tangents: its results, flat, and theirs."""

    __slots__ = ("aux", "outs", "spec", "tangents")

    def __init__(
        self,
        func: Callable[..., Any],
        picked: Picked,
        tangents: list[Any],
        kwargs: Any,
        has_aux: bool,
        name: str,
    ) -> None:
        level = Tangents()
        duals = []
        for x, t in zip(picked.tensors, tangents, strict=True):
            duals.append(level.dual(x, t))
        with entered(level):
            result = func(*picked.arguments(duals), **kwargs)
        self.aux = None
        if has_aux:
            result, self.aux = split_aux(result, name)
        self.outs, self.spec = flat_outputs(result, name)
        self.tangents = []
        for y in self.outs:
            self.tangents.append(level.tangent(y))
        for y in self.outs if not has_aux else (*self.outs, *tree_flatten(self.aux)[0]):
            level.forget(y)

    def nested(self, values: list[Any]) -> Any:
        """Values nested as the results are."""
        return values[0] if self.spec is None else tree_unflatten(values, self.spec)


def jvp(
    func: Callable[..., Any], primals: Any, tangents: Any, *, strict: bool = False, has_aux: bool = False
) -> Any:
    """The value of `func(*primals)` and its derivative along `tangents`, both nested alike.

    `primals` and `tangents` are tuples of the same shapes. With `has_aux` the result is
    `(value, tangent, aux)`. With `strict`, a result that does not depend on the primals is a
    RuntimeError, else its tangent is zero.

    >>> import pullback as torch
    >>> torch.func.jvp(torch.sin, (torch.tensor(0.0),), (torch.tensor(2.0),))
    (tensor(0.), tensor(2.))
    """
    name = "jvp(f, primals, tangents)"
    picked, given = _paired(primals, tangents, name)
    call = Pushed(func, picked, given, {}, has_aux, name)
    found = []
    for x, t in zip(call.outs, call.tangents, strict=True):
        if t is None and strict:
            raise RuntimeError(
                "jvp(f, primals, tangents, strict=True): The output of f is independent of the inputs. This "
                "is not allowed with strict=True."
            )
        found.append(ops.zeros_like(x) if t is None else t)
    values, directions = call.nested(call.outs), call.nested(found)
    if has_aux:
        for x in tree_flatten(call.aux)[0]:
            if not isinstance(x, Tensor):
                raise RuntimeError(f"Expected tensors, got unsupported type {type(x)}")
        return values, directions, call.aux
    return values, directions


def _paired(primals: Any, tangents: Any, name: str) -> tuple[Picked, list[Any]]:
    """Primals and tangents that belong together."""
    if not isinstance(primals, tuple):
        raise RuntimeError(
            f"{name}: Expected primals to be a tuple. E.g. it should be valid to call f(*primals)."
        )
    flat_primals, spec = tree_flatten(primals)
    flat_tangents, other = tree_flatten(tangents)
    if spec != other:
        raise RuntimeError(
            f"{name}: Expected primals and tangents to have the same python structure. For example, if "
            "primals is a tuple of 3 tensors, tangents also must be. Got primals with structure "
            f"{spec} and tangents with structure {other}"
        )
    for what, values in (("primals", flat_primals), ("tangents", flat_tangents)):
        if not values:
            raise RuntimeError(f"{name}: Expected {what} to be a non-empty tuple")
        for x in values:
            if not isinstance(x, Tensor):
                raise RuntimeError(f"{name}: Expected {what} to contain only tensors, got {type(x)}")
    for x, t in zip(flat_primals, flat_tangents, strict=True):
        if x.shape != t.shape:
            raise RuntimeError(
                "Trying to set a forward gradient that has a different size than that of the original "
                f"Tensor, this is not supported. Tensor is of size {list(x.shape)} while the given forward "
                f"gradient is of size {list(t.shape)}."
            )
    for what, values in (("primal", flat_primals), ("tangent", flat_tangents)):
        for x in values:
            if x.dtype.kind not in "fc":
                raise ValueError(f"Expected {what} to be floating point or complex, but got: {x.dtype}")
    return Picked(None, primals), flat_tangents


def linearize(func: Callable[..., Any], *primals: Any) -> tuple[Any, Callable[..., Any]]:
    """The value of `func(*primals)`, and its derivative there, a linear function of tangents.

    The function is recorded once; each product then costs two backward passes of it and does not run
    it again. Results and tangents are nested as those of `func` and `primals` are.

    >>> import pullback as torch
    >>> value, push = torch.func.linearize(torch.sin, torch.tensor(0.0))
    >>> push(torch.tensor(2.0))
    tensor(2.)
    """
    picked = Picked(None, primals)
    call = Recorded(func, picked, {}, False, "linearize(f, *primals)")
    before = _engine.set_grad_enabled(True)
    try:
        starts = [ops.zeros_like(x.detach()).requires_grad_() for x in call.outs]
        roots = [(x, u) for x, u in zip(call.outs, starts, strict=True) if x.requires_grad]
        back = (
            gradients([x for x, _ in roots], call.leaves, [u for _, u in roots], True, True)
            if roots
            else [None] * len(call.leaves)
        )
    finally:
        _engine.set_grad_enabled(before)

    def push(*tangents: Any) -> Any:
        given, spec = tree_flatten(tangents)
        if spec != tree_flatten(primals)[1]:
            raise RuntimeError(
                "Expected the tangents to have the same structure as the primals: "
                f"{tree_flatten(primals)[1]}, got {spec}"
            )
        for x, t in zip(picked.tensors, given, strict=True):
            if x.shape != t.shape or x.dtype is not t.dtype:
                raise RuntimeError(
                    f"Expected a tangent of shape {x.shape} and dtype {x.dtype}, got {t.shape} and {t.dtype}"
                )
        pairs = [(g, t) for g, t in zip(back, given, strict=True) if g is not None and g.requires_grad]
        found: list[Any] = [None] * len(starts)
        if pairs:
            create = _engine.grad_enabled() and (call.tied or any(t.requires_grad for t in given))
            found = gradients([g for g, _ in pairs], starts, [t for _, t in pairs], True, create)
        values = [ops.zeros_like(x) if t is None else t for x, t in zip(starts, found, strict=True)]
        values = [x.detach() if x.requires_grad and not call.tied else x for x in values]
        return values[0] if call.spec is None else tree_unflatten(values, call.spec)

    return call.value(), push
