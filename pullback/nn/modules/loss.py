"""Losses, as `torch.nn.modules.loss`. Each is a function of the same subject in `nn.functional`.

`reduction` is "mean", "sum" or "none", the losses as they are. `size_average` and `reduce` are an older way
to say so.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

from pullback.core._engine import Tensor
from pullback.face.absent import getter
from pullback.nn import _reduction
from pullback.nn import functional as F
from pullback.nn.modules._declared import Layer
from pullback.nn.modules.distance import PairwiseDistance
from pullback.nn.modules.linear import Linear
from pullback.nn.modules.module import Module

__all__ = [
    "BCELoss",
    "BCEWithLogitsLoss",
    "CTCLoss",
    "CosineEmbeddingLoss",
    "CrossEntropyLoss",
    "GaussianNLLLoss",
    "HingeEmbeddingLoss",
    "HuberLoss",
    "KLDivLoss",
    "L1Loss",
    "LinearCrossEntropyLoss",
    "MSELoss",
    "MarginRankingLoss",
    "MultiLabelMarginLoss",
    "MultiLabelSoftMarginLoss",
    "MultiMarginLoss",
    "NLLLoss",
    "NLLLoss2d",
    "PoissonNLLLoss",
    "SmoothL1Loss",
    "SoftMarginLoss",
    "TripletMarginLoss",
    "TripletMarginWithDistanceLoss",
]

_PAIR = "input: Tensor, target: Tensor"


class _Loss(Layer):
    """What losses have in common: how they are reduced."""

    def __init__(
        self, size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean"
    ) -> None:
        Module.__init__(self)
        if size_average is not None or reduce is not None:
            reduction = _reduction.legacy_get_string(size_average, reduce)
        self.reduction: str = reduction

    def extra_repr(self) -> str:
        return ""


class _WeightedLoss(_Loss):
    """A loss with a weight for each class, which is a buffer."""

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.register_buffer("weight", weight)


class L1Loss(_Loss, of="l1_loss", takes=_PAIR):
    """`|x - y|`, its mean by default.

    >>> import pullback as torch
    >>> torch.nn.L1Loss()(torch.tensor([1.0, 4.0]), torch.tensor([1.0, 1.0]))
    tensor(1.5000)
    """

    size_average: bool | None = None
    reduce: bool | None = None
    reduction: str = "mean"


class NLLLoss(_WeightedLoss, of="nll_loss", takes=_PAIR):
    """`-weight[y] * x[y]` for log-probabilities x of classes, (N, C, ...), and classes y, (N, ...).

    The mean is over the sum of the weights. Targets that are `ignore_index` do not count.
    """

    weight: Tensor | None = None
    size_average: bool | None = None
    ignore_index: int = -100
    reduce: bool | None = None
    reduction: str = "mean"


class PoissonNLLLoss(_Loss, of="poisson_nll_loss", takes="log_input: Tensor, target: Tensor"):
    """The negative log-likelihood of counts y: `exp(x) - y x`, or `x - y log(x + eps)` without `log_input`.

    With `full` it adds Stirling's approximation of `log(y!)`.
    """

    log_input: bool = True
    full: bool = False
    size_average: bool | None = None
    eps: float = 1e-8
    reduce: bool | None = None
    reduction: str = "mean"


class GaussianNLLLoss(_Loss):
    """`(log(max(var, eps)) + (x - y)**2 / max(var, eps)) / 2`; with `full` plus `log(2 pi) / 2`."""

    def __init__(self, *, full: bool = False, eps: float = 1e-6, reduction: str = "mean") -> None:
        super().__init__(None, None, reduction)
        self.full, self.eps = full, eps

    def forward(self, input: Tensor, target: Tensor, var: Tensor | float) -> Tensor:
        return F.gaussian_nll_loss(input, target, var, self.full, self.eps, self.reduction)


class KLDivLoss(_Loss, of="kl_div", takes=_PAIR):
    """`y (log(y) - x)` for log-probabilities x and probabilities y, log-probabilities with `log_target`.

    "mean" is over all elements, "batchmean" over the samples, as the divergence is defined.
    """

    size_average: bool | None = None
    reduce: bool | None = None
    reduction: str = "mean"
    log_target: bool = False


class MSELoss(_Loss, of="mse_loss", takes=_PAIR):
    """`(x - y)**2`, its mean by default.

    >>> import pullback as torch
    >>> torch.nn.MSELoss()(torch.tensor([1.0, 3.0]), torch.tensor([1.0, 1.0]))
    tensor(2.)
    """

    size_average: bool | None = None
    reduce: bool | None = None
    reduction: str = "mean"


class BCELoss(_WeightedLoss, of="binary_cross_entropy", takes=_PAIR):
    """`-(y log(x) + (1 - y) log(1 - x))` times `weight`, for probabilities x; a log is at least -100."""

    weight: Tensor | None = None
    size_average: bool | None = None
    reduce: bool | None = None
    reduction: str = "mean"


class BCEWithLogitsLoss(_Loss, of="binary_cross_entropy_with_logits", takes=_PAIR):
    """BCELoss of `sigmoid(x)`, without overflow; `pos_weight` is a factor of the positive part."""

    weight: Tensor | None = None
    size_average: bool | None = None
    reduce: bool | None = None
    reduction: str = "mean"
    pos_weight: Tensor | None = None


class HingeEmbeddingLoss(_Loss, of="hinge_embedding_loss", takes=_PAIR):
    """x where y is 1, `max(0, margin - x)` where it is -1."""

    margin: float = 1.0
    size_average: bool | None = None
    reduce: bool | None = None
    reduction: str = "mean"


class MultiLabelMarginLoss(_Loss, of="multilabel_margin_loss", takes=_PAIR):
    """`sum max(0, 1 - (x[y] - x[i])) / C` over the classes y of a sample and the others, i."""

    size_average: bool | None = None
    reduce: bool | None = None
    reduction: str = "mean"


class SmoothL1Loss(_Loss, of="smooth_l1_loss", takes=_PAIR):
    """`(x - y)**2 / (2 beta)` where `|x - y| < beta`, elsewhere `|x - y| - beta / 2`."""

    size_average: bool | None = None
    reduce: bool | None = None
    reduction: str = "mean"
    beta: float = 1.0


class HuberLoss(_Loss, of="huber_loss", takes=_PAIR):
    """`(x - y)**2 / 2` where `|x - y| < delta`, elsewhere `delta (|x - y| - delta / 2)`."""

    reduction: str = "mean"
    delta: float = 1.0


class SoftMarginLoss(_Loss, of="soft_margin_loss", takes=_PAIR):
    """`log(1 + exp(-y x))` for y of 1 and -1."""

    size_average: bool | None = None
    reduce: bool | None = None
    reduction: str = "mean"


class CrossEntropyLoss(_WeightedLoss, of="cross_entropy", takes=_PAIR):
    """`-weight[y] * log(softmax(x))[y]` for scores x of classes, (N, C, ...), and classes y, (N, ...).

    The target may also be probabilities in the shape of x. `label_smoothing` gives that share of the target
    to all classes alike. Targets that are `ignore_index` do not count.

    >>> import pullback as torch
    >>> torch.nn.CrossEntropyLoss()(torch.zeros(2, 3), torch.tensor([0, 2]))
    tensor(1.0986)
    """

    weight: Tensor | None = None
    size_average: bool | None = None
    ignore_index: int = -100
    reduce: bool | None = None
    reduction: str = "mean"
    label_smoothing: float = 0.0


class MultiLabelSoftMarginLoss(_WeightedLoss, of="multilabel_soft_margin_loss", takes=_PAIR):
    """The mean over the classes of `-(y log(sigmoid(x)) + (1 - y) log(sigmoid(-x)))`, times `weight`."""

    weight: Tensor | None = None
    size_average: bool | None = None
    reduce: bool | None = None
    reduction: str = "mean"


_TWO = "input1: Tensor, input2: Tensor, target: Tensor"


class CosineEmbeddingLoss(_Loss, of="cosine_embedding_loss", takes=_TWO):
    """`1 - cos(x1, x2)` where y is 1, `max(0, cos(x1, x2) - margin)` where it is -1."""

    margin: float = 0.0
    size_average: bool | None = None
    reduce: bool | None = None
    reduction: str = "mean"


class MarginRankingLoss(_Loss, of="margin_ranking_loss", takes=_TWO):
    """`max(0, -y (x1 - x2) + margin)`: x1 shall be the larger where y is 1, the smaller where it is -1."""

    margin: float = 0.0
    size_average: bool | None = None
    reduce: bool | None = None
    reduction: str = "mean"


class MultiMarginLoss(_WeightedLoss):
    """`sum max(0, margin - x[y] + x[i])**p / C` over the classes i that are not y. p is 1 or 2."""

    def __init__(
        self,
        p: int = 1,
        margin: float = 1.0,
        weight: Tensor | None = None,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(weight, size_average, reduce, reduction)
        if p not in (1, 2):
            raise ValueError("only p == 1 and p == 2 supported")
        if weight is not None and weight.ndim != 1:
            raise ValueError(
                f"MultiMarginLoss: expected weight to be None or 1D tensor, got {weight.ndim}D instead"
            )
        self.p, self.margin = p, margin

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.multi_margin_loss(
            input, target, p=self.p, margin=self.margin, weight=self.weight, reduction=self.reduction
        )


class TripletMarginLoss(_Loss):
    """`max(0, |a - p| - |a - n| + margin)` in the norm p; with `swap` `|p - n|` where that is smaller."""

    def __init__(
        self,
        margin: float = 1.0,
        p: float = 2.0,
        eps: float = 1e-6,
        swap: bool = False,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        if margin <= 0:
            raise ValueError(f"TripletMarginLoss: expected margin to be greater than 0, got {margin} instead")
        self.margin, self.p, self.eps, self.swap = margin, p, eps, swap

    def forward(self, anchor: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
        return F.triplet_margin_loss(
            anchor,
            positive,
            negative,
            margin=self.margin,
            p=self.p,
            eps=self.eps,
            swap=self.swap,
            reduction=self.reduction,
        )


class TripletMarginWithDistanceLoss(_Loss):
    """TripletMarginLoss with a distance of one's own, by default `pairwise_distance`."""

    def __init__(
        self,
        *,
        distance_function: Callable[[Tensor, Tensor], Tensor] | None = None,
        margin: float = 1.0,
        swap: bool = False,
        reduction: str = "mean",
    ) -> None:
        super().__init__(None, None, reduction)
        if margin <= 0:
            raise ValueError(
                f"TripletMarginWithDistanceLoss: expected margin to be greater than 0, got {margin} instead"
            )
        self.distance_function: Any = distance_function or PairwiseDistance()
        self.margin, self.swap = margin, swap

    def forward(self, anchor: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
        return F.triplet_margin_with_distance_loss(
            anchor,
            positive,
            negative,
            distance_function=self.distance_function,
            margin=self.margin,
            swap=self.swap,
            reduction=self.reduction,
        )


class CTCLoss(_Loss):
    """The negative log-likelihood of label sequences under log-probabilities (T, N, C), over all alignments.

    `forward(log_probs, targets, input_lengths, target_lengths)`. The mean is over the lengths of the targets
    first. With `zero_infinity` losses of targets that don't fit are zero.
    """

    def __init__(self, blank: int = 0, reduction: str = "mean", zero_infinity: bool = False) -> None:
        super().__init__(None, None, reduction)
        self.blank, self.zero_infinity = blank, zero_infinity

    def forward(self, log_probs: Tensor, targets: Tensor, input_lengths: Any, target_lengths: Any) -> Tensor:
        lengths = input_lengths, target_lengths
        return F.ctc_loss(log_probs, targets, *lengths, self.blank, self.reduction, self.zero_infinity)


class LinearCrossEntropyLoss(_WeightedLoss):
    """CrossEntropyLoss of the scores of a Linear layer, which is its `linear`.

    Inputs are (N, in_features); with `out_features` the scores are (N, num_classes, *out_features).
    """

    def __init__(
        self,
        in_features: int,
        num_classes: int,
        *,
        out_features: tuple[int, ...] = (),
        bias: bool = False,
        device: Any = None,
        dtype: Any = None,
        reduction: str = "mean",
        weight: Tensor | None = None,
        ignore_index: int | None = None,
        label_smoothing: float = 0.0,
        options: Any = None,
    ) -> None:
        super().__init__(weight, None, None, reduction)
        self.num_classes, self.out_features, self.ignore_index = num_classes, out_features, ignore_index
        self.label_smoothing, self.options = label_smoothing, options
        count = num_classes * math.prod(out_features)
        self.linear = Linear(in_features, count, bias=bias, device=device, dtype=dtype)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        shape = (self.num_classes, *self.out_features)
        weight, bias = self.linear.weight, self.linear.bias
        return F.linear_cross_entropy(
            input,
            weight.reshape(*shape, weight.shape[-1]),
            target,
            linear_bias=None if bias is None else bias.reshape(shape),
            weight=self.weight,
            reduction=self.reduction,
            ignore_index=self.ignore_index,
            label_smoothing=self.label_smoothing,
            options=self.options,
        )

    def extra_repr(self) -> str:
        names = ("out_features", "reduction", "ignore_index", "label_smoothing", "options")
        out, *rest = (f"{name}={getattr(self, name)}" for name in names)
        has_bias = self.linear.bias is not None
        head = (
            f"in_features={self.linear.in_features}, num_classes={self.num_classes}, {out}, bias={has_bias}"
        )
        return ", ".join([head, *rest])


class NLLLoss2d(NLLLoss):
    """The old name of NLLLoss."""

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: bool | None = None,
        ignore_index: int = -100,
        reduce: bool | None = None,
        reduction: str = "mean",
    ) -> None:
        warnings.warn(
            "`NLLLoss2d` has been deprecated. Please use `NLLLoss` instead as a drop-in replacement and see "
            "https://pytorch.org/docs/main/nn.html#torch.nn.NLLLoss for more details.",
            FutureWarning,
            stacklevel=2,
        )
        super().__init__(weight, size_average, ignore_index, reduce, reduction)


__getattr__ = getter(__name__)
