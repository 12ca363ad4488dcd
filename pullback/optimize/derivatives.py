"""A function of a tensor as SciPy sees it: of a flat float64 array, with derivatives from the graph.

`Problem` evaluates the function once a point and keeps the graph, so that a solver that asks for the
value, the gradient and ten Hessian-vector products of one point pays for one forward pass.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from pullback import ops
from pullback.autograd.passes import grad
from pullback.core import _engine
from pullback.core._engine import Tensor
from pullback.core.modes import enable_grad
from pullback.core.types import Array
from pullback.func.rows import products


class Problem:
    """f(x, *args) around the shape and dtype of x0; everything else flat and in float64."""

    def __init__(self, f: Callable[..., Any], x0: Any, args: tuple[Any, ...]) -> None:
        if not isinstance(x0, Tensor) or not x0.dtype.is_floating_point:
            given = f"a tensor of {x0.dtype}" if isinstance(x0, Tensor) else type(x0).__name__
            raise TypeError(f"x0 must be a tensor of real floating-point numbers, not {given}")
        self.f, self.x0 = f, x0
        self.args = tuple(a.detach() if isinstance(a, Tensor) else a for a in args)
        self.dtype = x0.detach().numpy().dtype
        self.key: bytes | None = None
        self.slope: Any = None

    @property
    def start(self) -> Array:
        """x0, flat."""
        return self.x0.detach().numpy().ravel().astype(np.float64)

    def tensor(self, flat: Any) -> Tensor:
        """A flat array in the shape and dtype of x."""
        return _engine.from_array(np.array(flat, self.dtype).reshape(self.x0.shape))

    def at(self, flat: Array) -> Any:
        """f at a point, with its graph; the last point's is kept."""
        key = np.ascontiguousarray(flat).tobytes()
        if key != self.key:
            with enable_grad():
                self.x = self.tensor(flat).requires_grad_()
                self.y = self.f(self.x, *self.args)
            if not isinstance(self.y, Tensor):
                raise TypeError(f"the function must return a tensor, but returned {type(self.y).__name__}")
            if self.y.dtype.is_complex:
                raise TypeError("the function must return real numbers: torch.view_as_real makes two of one")
            self.key, self.slope = key, None
        return self.y

    def check_unknowns(self, name: str) -> None:
        """ValueError if there are none: most of SciPy's methods fail in words of their own."""
        if not self.x0.numel():
            raise ValueError(f"{name}: x0 has no elements")

    @staticmethod
    def wanted(args: tuple[Any, ...]) -> bool:
        """Whether an argument asks for derivatives of the solution."""
        return any(isinstance(a, Tensor) and a.requires_grad for a in args)

    # ----------------------------------------------------------------------- of scalar functions

    def value(self, flat: Array) -> float:
        """f(x), one number."""
        y = self.at(flat)
        if y.numel() != 1:
            raise ValueError(f"the function must return one number, but returned the shape {list(y.shape)}")
        return float(y.item())

    def gradient(self, flat: Array) -> Array:
        """f'(x), flat."""
        self.value(flat)
        return self._slope(False).detach().numpy().ravel().astype(np.float64)

    def _slope(self, again: bool) -> Any:
        """The gradient at the last point; recorded if it is to be differentiated."""
        if self.slope is None or (again and not self.slope[1]):
            if self.y.requires_grad:
                (g,) = grad(
                    self.y,
                    self.x,
                    ops.ones_like(self.y),
                    create_graph=again,
                    retain_graph=True,
                    materialize_grads=True,
                )
            else:
                g = ops.zeros_like(self.x)
            self.slope = g, again
        return self.slope[0]

    def hessian_product(self, flat: Array, p: Array) -> Array:
        """f''(x) p."""
        self.value(flat)
        slope = self._slope(True)
        if not slope.requires_grad:
            return np.zeros(len(p))
        (product,) = grad(slope, self.x, self.tensor(p), retain_graph=True, materialize_grads=True)
        return product.numpy().ravel().astype(np.float64)

    def hessian(self, flat: Array) -> Array:
        """f''(x), a matrix."""
        self.value(flat)
        return _rows(self._slope(True), self.x)

    # ----------------------------------------------------------------------- of vector functions

    def values(self, flat: Array) -> Array:
        """f(x), flat."""
        return self.at(flat).detach().numpy().ravel().astype(np.float64)

    def jacobian(self, flat: Array) -> Array:
        """The matrix of a row for each value."""
        return _rows(self.at(flat), self.x)

    def weighted_hessian(self, flat: Array, weights: Array) -> Array:
        """The Hessian of the sum of the values with these weights."""
        y = self.at(flat)
        if not y.requires_grad:
            return np.zeros((len(flat),) * 2)
        given = _engine.from_array(np.array(weights, y.detach().numpy().dtype).reshape(y.shape))
        (slope,) = grad(y, self.x, given, create_graph=True, retain_graph=True, materialize_grads=True)
        return _rows(slope, self.x)


def _rows(y: Tensor, x: Tensor) -> Array:
    """dy/dx, by one batched backward pass."""
    return products(y, x, np.eye(y.numel())).astype(np.float64)


@contextlib.contextmanager
def progressing(wanted: bool, what: str, show: Callable[[], dict[str, str]]) -> Iterator[Callable[[], None]]:
    """Within, each call of what this gives moves a progress bar on, if one is wanted."""
    if not wanted:
        yield lambda: None
        return
    from tqdm import tqdm

    with tqdm(desc=what, unit="it") as bar:

        def step() -> None:
            bar.set_postfix(show(), refresh=False)
            bar.update()

        yield step
