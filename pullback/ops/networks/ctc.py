"""ctc_loss: how likely a sequence of labels is, whatever its alignment to the time steps.

The kernels are in `kernels/ctc.pyx`. Three ops follow one another as derivatives: `_ctc_loss`, `_ctc_slope`,
`_ctc_bend`. As in PyTorch the gradient is `exp(x) - posterior`: that of the input of a log_softmax, to
which the gradient of the log-probabilities themselves, minus the posterior, is equal after it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from pullback import ops
from pullback.core._engine import Op, Tensor
from pullback.core.dtype_names import type_name
from pullback.core.dtypes import int64
from pullback.core.meta import meta_array
from pullback.core.op import function, op
from pullback.core.types import Array
from pullback.kernels.ctc import losses, posteriors
from pullback.ops.networks.reduction import MEAN, reduced, reduction_of
from pullback.ops.shared.batches import channels, unchannelled
from pullback.ops.shared.refusals import without_derivative


def _arrays(x: Any, targets: Any, steps: Any, counts: Any) -> tuple[Array, Array, Array, Array]:
    """What the kernels take: contiguous, the targets as a matrix."""
    lengths = np.array(counts, np.int64)
    width = int(lengths.max(initial=0))
    if targets.ndim == 1:
        labels = np.zeros((len(counts), width), np.int64)
        labels[np.arange(width) < lengths[:, None]] = targets
    else:
        labels = np.ascontiguousarray(targets[:, :width], np.int64)
    return np.ascontiguousarray(x), labels, np.array(steps, np.int64), lengths


def _used(x: Any, steps: Any) -> Any:
    """The steps of each sample that count."""
    return (np.arange(len(x))[:, None] < steps)[:, :, None]


@op(name="ctc_loss", places="", takes_half=True)
def _ctc_loss(
    self: Array, targets: Array, steps: Array, counts: Array, blank: int, zero_infinity: bool
) -> Any:
    if self.dtype not in (np.float32, np.float64):
        raise NotImplementedError(f"\"ctc_loss_cpu\" not implemented for '{type_name(self)}'")
    _check_ctc(targets, steps.tolist(), counts.tolist(), len(self))
    x, labels, times, lengths = _arrays(self, targets, steps, counts)
    return losses(x, labels, times, lengths, blank)


@op(name="ctc_slope", places="")
def _ctc_slope(
    self: Array,
    log_probs: Array,
    targets: Array,
    steps: Array,
    counts: Array,
    blank: int,
    zero_infinity: bool,
) -> Any:
    """The gradient of the log-probabilities for that of the losses."""
    x, labels, times, lengths = _arrays(log_probs, targets, steps, counts)
    share = posteriors(x, None, labels, times, lengths, blank)
    slope = np.where(_used(x, steps), np.exp(x) - share, x.dtype.type(0))
    return np.where(np.isnan(share) & zero_infinity, x.dtype.type(0), slope * self[:, None])


@op(name="ctc_bend", places="")
def _ctc_bend(
    self: Array,
    log_probs: Array,
    targets: Array,
    steps: Array,
    counts: Array,
    blank: int,
    zero_infinity: bool,
) -> Any:
    """The derivative of `exp(x) - posterior` along `self`, which is its own adjoint."""
    x, labels, times, lengths = _arrays(log_probs, targets, steps, counts)
    along = np.ascontiguousarray(self)
    moved = posteriors(x, along, labels, times, lengths, blank)
    bend = np.where(_used(x, steps), np.exp(x) * along - moved, x.dtype.type(0))
    return np.where(np.isnan(moved) & zero_infinity, x.dtype.type(0), bend)


_ctc_loss.meta(lambda self, *rest: meta_array(self.shape[1:2], self.dtype))
_ctc_slope.meta(lambda self, log_probs, *rest: meta_array(log_probs.shape, log_probs.dtype))
_ctc_bend.meta(lambda self, log_probs, *rest: meta_array(log_probs.shape, log_probs.dtype))
_ctc_loss.vjp(
    self=lambda g, self, targets, steps, counts, blank, zero_infinity: _ctc_slope(
        g, self, targets, steps, counts, blank, zero_infinity
    )
)


def _ctc_slope_vjp(
    g: Tensor,
    self: Tensor,
    log_probs: Tensor,
    targets: Tensor,
    steps: Tensor,
    counts: Tensor,
    blank: int,
    zero_infinity: bool,
    needs: tuple[bool, ...],
) -> tuple[Tensor | None, ...]:
    rest = log_probs, targets, steps, counts, blank, zero_infinity
    own = ops.sum(_ctc_slope(ops.ones_like(self), *rest) * g, (0, 2)) if needs[0] else None
    return own, _ctc_bend(g * ops.unsqueeze(self, -1), *rest) if needs[1] else None, None, None, None


_ctc_slope.joint_vjp(_ctc_slope_vjp)
_ctc_bend.vjp(
    self=lambda g, log_probs, targets, steps, counts, blank, zero_infinity: _ctc_bend(
        g, log_probs, targets, steps, counts, blank, zero_infinity
    ),
    log_probs=without_derivative("_ctc_loss_backward"),
)


def _ctc_batch(level: Any, op: Op, *args: Any) -> Any:
    """The samples of all batches are those of one; time comes first, the targets may be one row."""

    def joined(x: Any) -> Tensor:
        if x.ndim == 3:
            return channels(level, x)
        p = level.front(x)
        return ops.reshape(p, (-1, *p.shape[2:]))

    result = op(*[joined(x) if isinstance(x, Tensor) else x for x in args])
    return unchannelled(level, result)


for _record in (_ctc_loss, _ctc_slope, _ctc_bend):
    _record.batch(_ctc_batch)


# ------------------------------------------------------------------------------ the public function


def _lengths(name: str, given: Any, x: Tensor) -> Tensor:
    """Tensor, given as a tensor, a sequence or a number, as a vector with one for each sample of `x`."""
    if not isinstance(given, Tensor):
        given = ops.tensor(given, dtype=int64, device=x.device)
    elif given.dtype.kind not in "iu":
        raise RuntimeError(f"{name} must be integral")
    lengths = given if given.ndim else ops.unsqueeze(given, 0)
    if lengths.shape[0] != x.shape[1]:
        raise RuntimeError(f"{name} must be of size batch_size")
    return lengths


def _ctc(
    log_probs: Tensor,
    targets: Tensor,
    input_lengths: Any,
    target_lengths: Any,
    blank: int,
    code: int,
    zero_infinity: bool,
) -> Tensor:
    if not log_probs.numel():
        raise RuntimeError("log_probs tensor must not be empty")
    batched = log_probs.ndim == 3
    x = log_probs if batched else ops.unsqueeze(log_probs, 1)
    if not 0 <= blank < x.shape[2]:
        raise RuntimeError("blank must be in label range")
    steps = _lengths("input_lengths", input_lengths, x)
    counts = _lengths("target_lengths", target_lengths, x)
    losses = _ctc_loss(x, targets, steps, counts, blank, zero_infinity)
    if zero_infinity:
        losses = ops.where(losses == math.inf, 0, losses)
    if code == MEAN:
        return ops.mean(losses / ops.clamp_min(counts, 1).to(losses.dtype))
    return reduced(losses if batched or code else ops.squeeze(losses, 0), code)


@function(places="", aliases=("nn.functional.ctc_loss",))
def ctc_loss(
    log_probs: Tensor,
    targets: Tensor,
    input_lengths: Tensor | Sequence[int],
    target_lengths: Tensor | Sequence[int],
    blank: int = 0,
    reduction: str = "mean",
    zero_infinity: bool = False,
) -> Tensor:
    """-log of the likelihood of label sequences, summed over all alignments with blanks in between.

    `log_probs` is (T, N, C) or (T, C), `targets` (N, S) or all labels one after another; the lengths
    are tensors or sequences of N ints. The mean is over the losses divided by their target lengths.
    `zero_infinity` makes infinite losses, of targets that do not fit, and their gradients zero.
    RuntimeError for lengths or sizes that do not fit, IndexError for a label that is no class.

    >>> import pullback as torch
    >>> x = torch.zeros(2, 1, 2).log_softmax(2)
    >>> torch.nn.functional.ctc_loss(x, torch.tensor([[1]]), (2,), (1,))
    tensor(0.2877)
    """
    code = reduction_of(reduction)
    return _ctc(log_probs, targets, input_lengths, target_lengths, blank, code, zero_infinity)


@function(name="ctc_loss", places="t")
def _torch_ctc_loss(
    log_probs: Tensor,
    targets: Tensor,
    input_lengths: Tensor | Sequence[int],
    target_lengths: Tensor | Sequence[int],
    blank: int = 0,
    reduction: int = MEAN,
    zero_infinity: bool = False,
) -> Tensor:
    """`torch.nn.functional.ctc_loss`, with the reduction as 0, 1 (mean) or 2 (sum)."""
    return _ctc(log_probs, targets, input_lengths, target_lengths, blank, reduction, zero_infinity)


# ---------------------------------------------------------------------------------- what is refused


_WHERE = "(while checking arguments for ctc_loss_allocate_outputs)"


def _check_ctc(targets: Any, steps: list[int], counts: list[int], longest: int) -> None:
    """Refuses lengths out of range and targets of other sizes."""
    for name, lengths in (("target_lengths", counts), ("input_lengths", steps)):
        for n in lengths:
            if n < 0:
                raise RuntimeError(f"Expected {name} to have value at least 0, but got value {n} {_WHERE}")
    size = (
        "Expected tensor to have size {} at dimension {}, but got size {} for argument #2 'targets' " + _WHERE
    )
    if targets.ndim == 1:
        if targets.shape[0] != sum(counts):
            raise RuntimeError(size.format(sum(counts), 0, targets.shape[0]))
    else:
        if targets.shape[0] != len(counts):
            raise RuntimeError(size.format(len(counts), 0, targets.shape[0]))
        if targets.shape[1] < max(counts):
            raise RuntimeError(size.format(f"at least {max(counts)}", 1, targets.shape[1]))
    for n in steps:
        if n > longest:
            raise RuntimeError(
                f"Expected input_lengths to have value at most {longest}, but got value {n} {_WHERE}"
            )
