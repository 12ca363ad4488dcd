"""Gradients for each sample in the style of `backward`: `loss.backward()` leaves `p.grad_sample`.

`PerSample` is a `vmap` level whose function is the rest of the program. What is computed of parameters
alone is noted as a recipe. Where a parameter, or such a recipe, meets a tensor whose first dim is the
batch, it is replaced by one copy (a view) for each sample, a leaf of its own; each sample is taken as
a batch of one, and the result goes on as an ordinary tensor. So the gradient that arrives at that leaf
has a row a sample.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pullback import ops
from pullback.core._engine import Op, Tensor, apply_below, at_level_below
from pullback.transforms import stack
from pullback.transforms.batching.interpreter import Batching


class PerSample(Batching):
    """The level of one `per_sample_grad`."""

    __slots__ = ("copies", "params", "recipes", "replayed")

    def __init__(self, params: Iterable[Tensor], batch_size: int | None) -> None:
        super().__init__(batch_size or 0, "different", spreads=False)
        self.params = {id(p): p for p in params}
        self.copies: dict[int, Any] = {}  # parameters, one of each sample
        self.recipes: dict[int, tuple[Any, Op, tuple[Any, ...]]] = {}  # how a tensor was made of parameters
        self.replayed: dict[int, Any] = {}

    def process(self, op: Op, args: tuple[Any, ...], out: Any) -> Any:
        """An op: where parameters meet data, they stand for one of each sample."""
        tensors = _all_tensors(args)
        if not any(self._derived(x) for x in tensors):
            return apply_below(op, args, out)
        data = [x for x in tensors if not self._derived(x) and x.ndim]
        if data and not self.size:
            self.size = data[0].shape[0]
        if not any(x.shape[0] == self.size for x in data):
            result = apply_below(op, args, out)
            if isinstance(result, Tensor) and len(data) + sum(map(self._derived, tensors)) == len(tensors):
                self.recipes[id(result)] = result, op, args
            return result
        return self._joined(super().process(op, tuple([self._row(x) for x in args]), out))

    def _derived(self, x: Any) -> bool:
        return id(x) in self.params or id(x) in self.recipes

    def _row(self, x: Any) -> Any:
        """An argument for a batch of one: a sample, or a parameter's copy."""
        if type(x) in (list, tuple):
            return type(x)([self._row(item) for item in x])
        if not isinstance(x, Tensor):
            return x
        if self._derived(x):
            return self._of_each_sample(x)
        return self.lifted(ops.unsqueeze(x, 1)) if x.ndim and x.shape[0] == self.size else x

    def _of_each_sample(self, x: Any) -> Any:
        """A parameter, or what was made of parameters, as one of each sample."""
        if type(x) in (list, tuple):
            return type(x)([self._of_each_sample(item) for item in x])
        if id(x) in self.params:
            if id(x) not in self.copies:
                leaf = ops.expand(x.detach(), (self.size, *x.shape)).detach().requires_grad_()
                leaf.register_post_accumulate_grad_hook(lambda found: self._deliver(x, found))
                self.copies[id(x)] = self.lifted(leaf)
            return self.copies[id(x)]
        if id(x) not in self.recipes:
            return x
        if id(x) not in self.replayed:
            _, op, args = self.recipes[id(x)]
            args = tuple([self._of_each_sample(item) for item in args])
            self.replayed[id(x)] = super().process(op, args, None)
        return self.replayed[id(x)]

    def _deliver(self, p: Any, leaf: Any) -> None:
        """Gradients have arrived: the rows for the parameter, and their sum as before."""
        with stack.entered(_Cover()):
            rows, leaf.grad = leaf.grad, None
            before = getattr(p, "grad_sample", None)
            p.grad_sample = rows if before is None else before + rows
            total = ops.sum(rows.detach(), 0)
            p.grad = total if p.grad is None else p.grad + total

    def _joined(self, result: Any) -> Any:
        """Batches of one as a tensor of the whole batch."""
        if isinstance(result, tuple):
            return tuple([self._joined(x) for x in result])
        if not self.holds(result):
            return result
        p = result.physical
        if p.ndim > 1 and p.shape[1] == 1:
            return ops.squeeze(p, 1)
        raise RuntimeError(
            "per_sample_grad: an op joins parameters with the samples of a batch in one number; each sample "
            "must stand by itself until the loss"
        )


class _Cover(stack.Interpreter):
    """A level that does nothing, above a `PerSample` that is to see nothing."""

    def process(self, op: Op, args: tuple[Any, ...], out: Any) -> Any:
        """The op below the level that this one covers."""
        return at_level_below(apply_below, op, args, out)


def _all_tensors(values: Any) -> list[Any]:
    found = []
    for x in values:
        if isinstance(x, Tensor):
            found.append(x)
        elif type(x) in (list, tuple):
            found.extend(_all_tensors(x))
    return found


class per_sample_grad:
    """Within, a backward pass leaves in `p.grad_sample` the gradient of each sample, in a row each.

    `params` are leaves; the batch is the first dim of the data they meet, or `batch_size` says how
    large it is. The rows add up to what `p.grad` gets as well. A loss that is a mean gives rows with its
    factor in them, and what does not depend on the data (a penalty) counts in `p.grad` alone.

    >>> import pullback as torch
    >>> w = torch.ones(2, requires_grad=True)
    >>> x = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    >>> with torch.autograd.per_sample_grad([w]):
    ...     (x @ w).square().sum().backward()
    >>> w.grad_sample
    tensor([[ 6., 12.],
            [42., 56.]])
    """

    def __init__(self, params: Iterable[Tensor], batch_size: int | None = None) -> None:
        self._params, self._size = list(params), batch_size

    def __enter__(self) -> per_sample_grad:
        for p in self._params:
            if not (p.is_leaf and p.requires_grad):
                raise RuntimeError("per_sample_grad: parameters must be leaves that require a gradient")
            vars(p).pop("grad_sample", None)
        self._level = stack.entered(PerSample(self._params, self._size))
        self._level.__enter__()
        return self

    def __exit__(self, *exc: object) -> None:
        self._level.__exit__(*exc)
