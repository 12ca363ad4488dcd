"""`gradcheck` and `gradgradcheck`: derivatives against finite differences.

A Jacobian is a matrix with a row for each element of the input and a column for each of the output.
A complex output is looked at twice, as its real and as its imaginary part, so that every function
below has real outputs; the gradient with respect to a complex input is d/dx + i d/dy. Fast mode
compares `u' J v` for random u and v instead of whole Jacobians. Read `_compare` first.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from pullback import ops
from pullback.autograd.passes import grad
from pullback.core import _engine
from pullback.core._engine import Tensor, from_array
from pullback.core.dtypes import strided
from pullback.core.settings import warn
from pullback.face.absent import getter
from pullback.transforms.batching.interpreter import on_batch
from pullback.transforms.tangents import outputs_of

__all__ = ["GradcheckError", "gradcheck", "gradgradcheck"]

UNDEFINED = 'Please look at "Notes about undefined output gradients" in "tools/autograd/derivatives.yaml"'
BREAKING = (
    "Backwards compatibility: New undefined gradient support checking feature is enabled by "
    "default, but it may break existing callers of this function. If this is true for you, you "
    "can call this "
    'function with "check_undefined_grad=False" to disable the feature'
)


class GradcheckError(RuntimeError):
    """What `gradcheck` raises for a derivative that is wrong."""


def gradcheck(
    func: Callable[..., Any],
    inputs: Any,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False,
    check_batched_grad: bool = False,
    check_batched_forward_grad: bool = False,
    check_forward_ad: bool = False,
    check_backward_ad: bool = True,
    fast_mode: bool = False,
    masked: bool | None = None,
) -> bool:
    """Whether the gradients of `func` at `inputs` (double precision) agree with finite differences.

    True if they do; else GradcheckError, or False with `raise_exception=False`. Sparse inputs are
    changed in all their elements, with `masked` in those alone that they store.

    >>> import pullback as torch
    >>> x = torch.tensor([0.5, 2.0], dtype=torch.float64, requires_grad=True)
    >>> torch.autograd.gradcheck(torch.tanh, (x,))
    True
    """
    _need(
        check_forward_ad or check_backward_ad,
        "at least one of check_forward_ad or check_backward_ad",
    )
    _requires(check_batched_grad, "check_batched_grad", check_backward_ad, "check_backward_ad")
    _requires(
        check_batched_forward_grad,
        "check_batched_forward_grad",
        check_forward_ad,
        "check_forward_ad",
    )
    args = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
    func, args = _of_dense(func, args, masked)
    try:
        check = _Check(func, args, eps, atol, rtol, nondet_tol, fast_mode)
        if not check.outputs():
            check.no_outputs()
            return True
        if check_backward_ad:
            _compare(check, forward=False)
        if check_forward_ad:
            _compare(check, forward=True)
        if check_backward_ad and check_batched_grad:
            check.batched()
        if check_forward_ad and check_batched_forward_grad:
            check.batched_forward()
        if check_backward_ad and check_undefined_grad:
            check.undefined()
        if check_backward_ad and check_grad_dtypes:
            check.dtypes()
    except GradcheckError:
        if raise_exception:
            raise
        return False
    return True


def gradgradcheck(
    func: Callable[..., Any],
    inputs: Any,
    grad_outputs: Any = None,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    gen_non_contig_grad_outputs: bool = False,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False,
    check_batched_grad: bool = False,
    check_fwd_over_rev: bool = False,
    check_rev_over_rev: bool = True,
    fast_mode: bool = False,
    masked: bool = False,
) -> bool:
    """Whether the second derivatives of `func` agree with finite differences of its gradients.

    `grad_outputs` are the gradients to start from, random ones if None.

    >>> import pullback as torch
    >>> x = torch.tensor([0.5, 2.0], dtype=torch.float64, requires_grad=True)
    >>> torch.autograd.gradgradcheck(torch.tanh, (x,))
    True
    """
    _need(
        check_fwd_over_rev or check_rev_over_rev,
        "at least one of check_fwd_over_rev or check_rev_over_rev",
    )
    args = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
    func, args = _of_dense(func, args, masked)
    if grad_outputs is None:
        outs = _differentiable(func(*args))
        starts = tuple(_random_gradient(y, gen_non_contig_grad_outputs) for y in outs)
    else:
        starts = (grad_outputs,) if isinstance(grad_outputs, Tensor) else tuple(grad_outputs)

    def gradients(*given: Any) -> tuple[Tensor, ...]:
        xs, gs = given[: len(args)], given[len(args) :]
        sources = [x for x in xs if isinstance(x, Tensor) and x.requires_grad]
        found = grad(_differentiable(func(*xs)), sources, gs, create_graph=True, allow_unused=True)
        return tuple(g for g in found if g is not None)

    return gradcheck(
        gradients,
        args + starts,
        eps=eps,
        atol=atol,
        rtol=rtol,
        raise_exception=raise_exception,
        nondet_tol=nondet_tol,
        check_undefined_grad=check_undefined_grad,
        check_grad_dtypes=check_grad_dtypes,
        check_batched_grad=check_batched_grad,
        check_forward_ad=check_fwd_over_rev,
        check_backward_ad=check_rev_over_rev,
        fast_mode=fast_mode,
        masked=masked,
    )


def _of_dense(func: Callable[..., Any], args: Any, masked: bool | None) -> tuple[Callable[..., Any], Any]:
    """The same function of dense tensors, and its arguments, if one of them is sparse."""
    if not any(isinstance(x, Tensor) and x.layout is not strided for x in args):
        return func, args
    return ops.of_dense(func, args, bool(masked))


def _need(condition: bool, what: str) -> None:
    if not condition:
        raise AssertionError(f"Expected {what} to be True")


def _requires(option: bool, name: str, needed: bool, other: str) -> None:
    if option and not needed:
        raise AssertionError(f"Setting {name}=True requires {other} to be True")


def _random_gradient(y: Tensor, spread: bool) -> Tensor:
    """A random gradient for an output, from the seeded generator, with gaps in its memory if `spread`."""
    made = ops.empty((*y.shape, 2) if spread else tuple(y.shape), dtype=y.dtype)
    (ops.view_as_real(made) if y.dtype.is_complex else made).uniform_(-1, 1)
    return from_array(made._array[..., 0] if spread else made._array, True)


def _differentiable(result: Any) -> tuple[Tensor, ...]:
    """The results that take a gradient."""
    results = result if isinstance(result, (tuple, list)) else (result,)
    return tuple(y for y in results if y.requires_grad)


# ---------------------------------------------------------------------------------- one function


class _Check:
    """A function and its inputs, with all that is measured on them."""

    def __init__(
        self,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        eps: float,
        atol: float,
        rtol: float,
        nondet_tol: float,
        fast: bool,
    ) -> None:
        self.function, self.args = function, args
        self.eps, self.atol, self.rtol = eps, atol, rtol
        self.nondet_tol, self.fast = nondet_tol, fast
        self.sources = _checked_inputs(args)
        self.random = np.random.default_rng(0)

    def outputs(self) -> tuple[Tensor, ...]:
        """The differentiable outputs."""
        return _differentiable(self.function(*self.args))

    def values(self, part: str) -> list[np.ndarray]:
        """The values of the differentiable outputs, of complex ones their real or imaginary part."""
        return [np.array(getattr(y._array, part)) for y in self.outputs()]

    def along(self, x: Tensor, step: np.ndarray, part: str) -> list[np.ndarray]:
        """The derivative of all outputs as `x` moves along `step`, by central differences."""
        array, before = x._array, x._array.copy()
        try:
            array[...] = before + step * self.eps
            above = self.values(part)
            array[...] = before - step * self.eps
            below = self.values(part)
        finally:
            array[...] = before
        return [(a - b) / (2 * self.eps) for a, b in zip(above, below, strict=True)]

    def numerical(self, x: Tensor, part: str) -> list[np.ndarray]:
        """The Jacobian of each output with respect to `x` by differences."""
        rows = []
        for step in _units(x):
            columns = self.along(x, step, part)
            if x.dtype.is_complex:
                turned = self.along(x, step * 1j, part)
                columns = [a + 1j * b for a, b in zip(columns, turned, strict=True)]
            rows.append([column.ravel() for column in columns])
        if not rows:
            return [np.zeros((0, y.numel())) for y in self.outputs()]
        return [np.stack(column) for column in zip(*rows, strict=True)]

    def backward(self, y: Tensor, start: np.ndarray, part: str) -> list[Tensor | None]:
        """The gradients of all sources from one output, whose part gets the gradient `start`."""
        start = start * (1j if part == "imag" else 1)
        g = from_array(np.array(start, y._layout.dtype).reshape(tuple(y.shape)))
        return list(grad((y,), self.sources, (g,), retain_graph=True, allow_unused=True))

    def analytical(self, place: int, part: str) -> list[np.ndarray]:
        """The Jacobian of output `place` with respect to each source, by backward passes."""
        y = self.outputs()[place]
        jacobians = [np.zeros((x.numel(), y.numel()), x._layout.dtype) for x in self.sources]
        for column, unit in enumerate(_units(y)):
            found = self.backward(y, unit.real, part)
            again = self.backward(y, unit.real, part)
            for x, jacobian, g, h in zip(self.sources, jacobians, found, again, strict=True):
                _check_shape(x, g)
                self.check_same(g, h)
                if g is not None:
                    jacobian[:, column] = g._array.ravel()
        return jacobians

    def check_same(self, g: Tensor | None, h: Tensor | None) -> None:
        """Two runs of the same backward pass must agree."""
        a, b = (0 if x is None else x._array for x in (g, h))
        if np.any(np.abs(np.subtract(a, b)) > self.nondet_tol):
            raise GradcheckError(
                "Backward is not reentrant, i.e., running backward with same input and "
                "grad_output multiple times gives different values, although analytical gradient "
                "matches numerical gradient.The tolerance for nondeterminism was "
                f"{self.nondet_tol}.\n\n"
                "If that is expected of an op of yours, set `nondet_tol` to what it may differ "
                "by."
            )

    def forward(self, x: Tensor, tangent: np.ndarray, part: str) -> list[np.ndarray]:
        """The tangents of all outputs for a tangent of `x`."""
        from pullback.autograd import forward_ad

        with forward_ad.dual_level():
            dual = forward_ad.make_dual(x, from_array(np.array(tangent, x._layout.dtype)))
            results = self.function(*(dual if a is x else a for a in self.args))
            results = results if isinstance(results, (tuple, list)) else (results,)
            tangents = [(y, forward_ad.unpack_dual(y).tangent) for y in results if y.requires_grad]
        return [
            np.zeros(tuple(y.shape)) if t is None else np.array(getattr(t._array, part)) for y, t in tangents
        ]

    def forward_jacobian(self, x: Tensor, part: str) -> list[np.ndarray]:
        """The Jacobian of each output with respect to `x` by forward mode."""
        rows = []
        for step in _units(x):
            columns = self.forward(x, step, part)
            if x.dtype.is_complex:
                turned = self.forward(x, step * 1j, part)
                columns = [a + 1j * b for a, b in zip(columns, turned, strict=True)]
            rows.append([column.ravel() for column in columns])
        if not rows:
            return [np.zeros((0, y.numel())) for y in self.outputs()]
        return [np.stack(column) for column in zip(*rows, strict=True)]

    # ---- checks other than of values

    def no_outputs(self) -> None:
        """A function without a gradient must not depend on its inputs."""
        results = self.function(*self.args)
        results = results if isinstance(results, (tuple, list)) else (results,)
        self.outputs = lambda: tuple(  # type: ignore[method-assign]
            y for y in outputs_of(self.function(*self.args)) if y.dtype.kind in "fc"
        )
        for x in self.sources:
            for part in ("real", "imag"):
                if any(np.any(np.abs(j) > 1e-3) for j in self.numerical(x, part)):
                    raise GradcheckError("Numerical gradient for function expected to be zero")

    def batched(self) -> None:
        """A batch of gradients in one call must give what single calls give."""
        for y in self.outputs():
            shape = (2, *y.shape)
            starts = from_array(self.random.standard_normal(shape).astype(y._layout.dtype))
            options: dict[str, Any] = {"retain_graph": True, "allow_unused": True}
            single = [grad((y,), self.sources, (start,), **options) for start in starts]
            found = grad((y,), self.sources, (starts,), is_grads_batched=True, **options)
            for g, column in zip(found, zip(*single, strict=True), strict=True):
                if g is not None and not np.allclose(
                    g._array, np.stack([h._array for h in column]), self.rtol, self.atol
                ):
                    raise GradcheckError(
                        "gradcheck or gradgradcheck failed while testing batched gradient "
                        f"computation: a batch gave {g}, single gradients gave {list(column)}"
                    )

    def batched_forward(self) -> None:
        """A batch of tangents in one call must give what single tangents give."""
        from pullback.autograd import forward_ad

        for x in self.sources:

            def push(tangents: list[Any], x: Tensor = x) -> list[Any]:
                with forward_ad.dual_level():
                    dual = forward_ad.make_dual(x, tangents[0])
                    results = self.function(*(dual if a is x else a for a in self.args))
                    pushed = [forward_ad.unpack_dual(y).tangent for y in outputs_of(results)]
                    return [None if t is None else t + 0 for t in pushed]

            starts = from_array(self.random.standard_normal((2, *x.shape)).astype(x._array.dtype))
            single = [push([start]) for start in starts]
            for found, *alone in zip(on_batch(2, push, [starts]), *single, strict=True):
                if found is not None and not np.allclose(
                    found._array, np.stack([t._array for t in alone]), self.rtol, self.atol
                ):
                    raise GradcheckError(
                        "While computing batched gradients, got: the batch gave "
                        f"{found}, single tangents gave {alone}"
                    )

    def undefined(self) -> None:
        """Outputs without a gradient must count as outputs with a zero one."""
        count = len(self.outputs())
        choices = [set(range(count))] + ([{i} for i in range(count)] if count > 1 else [])
        for missing in choices:
            outs = [_behind_a_wall(y) if i in missing else y for i, y in enumerate(self.outputs())]
            zeros = [ops.zeros_like(y) for y in outs]
            try:
                found = grad(outs, self.sources, zeros, allow_unused=True)
            except RuntimeError as error:
                warn(BREAKING)
                raise GradcheckError(
                    f"Expected backward function to handle undefined output grads. {UNDEFINED}"
                ) from error
            if any(g is not None and np.any(g._array != 0) for g in found):
                warn(BREAKING)
                raise GradcheckError(
                    "Expected all input grads to be undefined or zero when all output grads are "
                    f"undefined or zero. {UNDEFINED}"
                )

    def dtypes(self) -> None:
        """Gradients must have the dtypes of their inputs."""
        for y in self.outputs():
            for x, g in zip(self.sources, self.backward(y, np.ones(y.shape), "real"), strict=True):
                if g is not None and g.dtype is not x.dtype:
                    raise GradcheckError("Gradient has dtype mismatch")


def _checked_inputs(args: tuple[Any, ...]) -> list[Tensor]:
    """The inputs that require a gradient, if they are fit for differences."""
    sources = [x for x in args if isinstance(x, Tensor) and x.requires_grad]
    if not sources:
        raise ValueError(
            "gradcheck expects at least one input tensor to require gradient, but none of them "
            "have requires_grad=True."
        )
    for i, x in enumerate(args):
        if not isinstance(x, Tensor) or not x.requires_grad:
            continue
        if x.dtype.name not in ("float64", "complex128"):
            warnings.warn(
                f"Input #{i} requires gradient and is not a double precision floating point or "
                "complex. This check will likely fail if all the inputs are not of double "
                "precision floating point or complex. ",
                stacklevel=4,
            )
        if any(n > 1 and step == 0 for n, step in zip(x.shape, x._layout.strides, strict=True)):
            raise RuntimeError(
                f"The {i}th input has a dimension with stride 0. gradcheck only supports inputs "
                "that are non-overlapping to be able to compute the numerical gradients "
                "correctly. You should call .contiguous on the input before passing it to "
                "gradcheck."
            )
        x.retain_grad()
    return sources


def _units(x: Tensor) -> Iterator[np.ndarray]:
    """Arrays in the shape of `x`, 1 at one element each and 0 elsewhere."""
    for place in range(x.numel()):
        unit = np.zeros(x.numel(), x._layout.dtype)
        unit[place] = 1
        yield unit.reshape(tuple(x.shape))


def _check_shape(x: Tensor, g: Tensor | None) -> None:
    if g is not None and g.shape != x.shape:
        raise GradcheckError("Analytical gradient has incorrect size")


def _behind_a_wall(y: Tensor) -> Tensor:
    """`y` behind a node that gives it no gradient at all."""
    other = _engine.alias(y)
    _engine.custom_node(lambda node, grads: (None,), "UndefinedGrad", (y,), (other,))
    return other


# --------------------------------------------------------------------------------- the comparison


def _compare(check: _Check, forward: bool) -> None:
    """Numbers against derivatives for every pair of output and input; GradcheckError where they
    differ.
    """
    complex_outputs = [y.dtype.is_complex for y in check.outputs()]
    for part in ("imag", "real"):
        if part == "imag" and not any(complex_outputs):
            continue
        places = [i for i, c in enumerate(complex_outputs) if c or part == "real"]
        compare = _compare_fast if check.fast else _compare_slow
        compare(check, part, places, complex_outputs, forward)


def _compare_slow(
    check: _Check, part: str, places: Sequence[int], is_complex: Sequence[bool], forward: bool
) -> None:
    numerical = [check.numerical(x, part) for x in check.sources]
    if forward:
        columns = [check.forward_jacobian(x, part) for x in check.sources]
    else:
        rows = {i: check.analytical(i, part) for i in places}
    for i, j in itertools.product(places, range(len(check.sources))):
        a = columns[j][i] if forward else rows[i][j]
        n = numerical[j][i]
        if not _close(check, a, n):
            prefix = _mismatch_message(part, is_complex[i], forward, i, j)
            raise GradcheckError(f"{prefix}numerical:{_printed(n)}\nanalytical:{_printed(a)}\n")


def _close(check: _Check, a: np.ndarray | float, n: np.ndarray | float, scale: float = 1.0) -> bool:
    return bool(np.allclose(a, n, check.rtol, check.atol * scale, equal_nan=True))


def _compare_fast(
    check: _Check, part: str, places: Sequence[int], is_complex: Sequence[bool], forward: bool
) -> None:
    outs = check.outputs()
    for j, x in enumerate(check.sources):
        u = _direction(check, x, x.dtype.is_complex)
        numerical = check.along(x, u, part)
        pushed = check.forward(x, u, part) if forward else []
        for i in places:
            v = _direction(check, outs[i], False)
            n = float((numerical[i] * v).sum())
            a = float((pushed[i] * v).sum()) if forward else _pulled(check, outs[i], v, part, j, u)
            if not _close(check, a, n, _error_weight(u) * _error_weight(v)):
                prefix = _mismatch_message(part, is_complex[i], forward, i, j)
                raise GradcheckError(f"{prefix}numerical:{n}\nanalytical:{a}\n{_slowly(check, part, i, j)}")


def _direction(check: _Check, x: Tensor, is_complex: bool) -> np.ndarray:
    """A random unit vector in the shape of `x`, complex for a complex input."""
    v = check.random.random(tuple(x.shape)) + 0.1
    v = v + 1j * (check.random.random(tuple(x.shape)) + 0.1) if is_complex else v
    return v / (np.sqrt((np.abs(v) ** 2).sum()) or 1.0)


def _error_weight(v: np.ndarray) -> float:
    """What a product with `v` makes of an error of 1 in each element."""
    return max(float(np.abs(v).sum()), 1.0)


def _pulled(check: _Check, y: Tensor, v: np.ndarray, part: str, j: int, u: np.ndarray) -> float:
    """`u' J v` by a backward pass."""
    g = check.backward(y, v, part)[j]
    h = check.backward(y, v, part)[j]
    _check_shape(check.sources[j], g)
    check.check_same(g, h)
    return 0.0 if g is None else float((np.conj(g._array) * u).sum().real)


def _slowly(check: _Check, part: str, i: int, j: int) -> str:
    """Both whole Jacobians, to be told where fast mode found a difference."""
    n = check.numerical(check.sources[j], part)[i]
    a = check.analytical(i, part)[j]
    worst = np.abs(n - a).max() if n.size else 0.0
    return (
        "\nThe above quantities relating the numerical and analytical jacobians are computed \n"
        "in fast mode. See: https://github.com/pytorch/pytorch/issues/53876 for more background \n"
        "about fast mode. Below, we recompute numerical and analytical jacobians in slow mode:\n\n"
        f"Numerical:\n {_printed(n)}\nAnalytical:\n{_printed(a)}\n\n"
        f"The max per-element difference (slow mode) is: {worst}.\n"
    )


def _mismatch_message(part: str, is_complex: bool, forward: bool, i: int, j: int) -> str:
    whole = "imaginary" if part == "imag" else "real"
    prefix = f"While considering the {whole} part of complex outputs only, " if is_complex else ""
    mode = "computed with forward mode " if forward else ""
    return f"{prefix}Jacobian {mode}mismatch for output {i} with respect to input {j},\n"


def _printed(a: np.ndarray) -> str:
    return str(from_array(np.ascontiguousarray(a)))


__getattr__ = getter(__name__)
