"""Batch normalisation, as `torch.nn.modules.batchnorm`."""

from __future__ import annotations

from typing import Any

from pullback import ops
from pullback.core import dtypes
from pullback.core._engine import Tensor
from pullback.face.absent import getter
from pullback.nn import functional as F
from pullback.nn import init
from pullback.nn.modules.lazy import LazyModuleMixin
from pullback.nn.modules.module import Module
from pullback.nn.parameter import Parameter, UninitializedBuffer, UninitializedParameter

__all__ = [
    "BatchNorm1d",
    "BatchNorm2d",
    "BatchNorm3d",
    "LazyBatchNorm1d",
    "LazyBatchNorm2d",
    "LazyBatchNorm3d",
    "SyncBatchNorm",
]


class _NormBase(Module):
    """What normalisations with running statistics hold: weight, bias, mean, variance, a count of batches."""

    _version = 2
    weight: Parameter | None
    bias: Parameter | None
    running_mean: Tensor | None
    running_var: Tensor | None
    num_batches_tracked: Tensor | None

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        where: Any = {"device": device, "dtype": dtype}
        for name, there in (("weight", affine), ("bias", affine and bias)):
            self.register_parameter(name, Parameter(ops.empty(num_features, **where)) if there else None)
        tracked = track_running_stats
        self.register_buffer("running_mean", ops.zeros(num_features, **where) if tracked else None)
        self.register_buffer("running_var", ops.ones(num_features, **where) if tracked else None)
        count = ops.tensor(0, dtype=dtypes.int64, device=device) if tracked else None
        self.register_buffer("num_batches_tracked", count)
        self.reset_parameters()

    def reset_running_stats(self) -> None:
        """Sets the running mean to 0, the variance to 1 and the count of batches to 0."""
        if self.track_running_stats:
            own: Any = self
            own.running_mean.zero_()
            own.running_var.fill_(1)
            own.num_batches_tracked.zero_()

    def reset_parameters(self) -> None:
        """Sets the weight to 1, the bias to 0, and the running statistics as `reset_running_stats` does."""
        self.reset_running_stats()
        if self.affine:
            if self.weight is not None:
                init.ones_(self.weight)
            if self.bias is not None:
                init.zeros_(self.bias)

    def _check_input_dim(self, input: Tensor) -> None:
        raise NotImplementedError

    def extra_repr(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"bias={self.bias is not None}, track_running_stats={self.track_running_stats}"
        )

    def _load_from_state_dict(self, state_dict: Any, prefix: str, local_metadata: Any, *rest: Any) -> None:
        version, key = local_metadata.get("version", None), prefix + "num_batches_tracked"
        if (version is None or version < 2) and self.track_running_stats and key not in state_dict:
            count = self.num_batches_tracked  # states of before version 2 do not hold it
            known = count is not None and not count.is_meta
            state_dict[key] = count if known else ops.tensor(0, dtype=dtypes.int64)
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *rest)


class _BatchNorm(_NormBase):
    """Batch norms: they normalise each channel over all samples and places."""

    def forward(self, input: Tensor) -> Tensor:
        self._check_input_dim(input)
        factor, training = self.momentum, self.training
        held: Any = self._buffers  # quicker than attributes
        mean, var, count = held["running_mean"], held["running_var"], held["num_batches_tracked"]
        if training and self.track_running_stats and count is not None:
            count.add_(1)
            if factor is None:  # the mean over all batches so far
                factor = 1.0 / float(count)
        by_batch = training or (mean is None and var is None)
        if training and not self.track_running_stats:
            mean = var = None
        own: Any = self._parameters
        if "weight" in own and "bias" in own:
            weight, bias = own["weight"], own["bias"]
        else:  # what is parametrized does not stand there
            weight, bias = self.weight, self.bias
        return F.batch_norm(input, mean, var, weight, bias, by_batch, factor or 0.0, self.eps)


class BatchNorm1d(_BatchNorm):
    """`(x - mean) / sqrt(var + eps) * weight + bias` for each channel of (N, C) or (N, C, L).

    In training mean and variance are those of the batch, and the running ones move towards them by
    `momentum` (with None, they are the average over all batches); in evaluation they are the running ones.
    The running variance is the unbiased one.

    >>> import pullback as torch
    >>> torch.nn.BatchNorm1d(2)(torch.tensor([[1.0, 2.0], [3.0, 6.0]])).detach()
    tensor([[-1.0000, -1.0000],
            [ 1.0000,  1.0000]])
    """

    def _check_input_dim(self, input: Tensor) -> None:
        if input.ndim not in (2, 3):
            raise ValueError(f"expected 2D or 3D input (got {input.ndim}D input)")


class BatchNorm2d(_BatchNorm):
    """Normalises each channel of images (N, C, H, W). See BatchNorm1d."""

    def _check_input_dim(self, input: Tensor) -> None:
        if input.ndim != 4:
            raise ValueError(f"expected 4D input (got {input.ndim}D input)")


class BatchNorm3d(_BatchNorm):
    """Normalises each channel of volumes (N, C, D, H, W). See BatchNorm1d."""

    def _check_input_dim(self, input: Tensor) -> None:
        if input.ndim != 5:
            raise ValueError(f"expected 5D input (got {input.ndim}D input)")


class SyncBatchNorm(_BatchNorm):
    """Batch norm over the batches of several processes; here there is one, so it is that of (N, C, ...)."""

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        process_group: Any = None,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias=bias)
        self.process_group = process_group

    def _check_input_dim(self, input: Tensor) -> None:
        if input.ndim < 2:
            raise ValueError(f"expected at least 2D input (got {input.ndim}D input)")

    @classmethod
    def convert_sync_batchnorm(cls, module: Module, process_group: Any = None) -> Module:
        """The module with SyncBatchNorm in the place of every BatchNorm below it, their state kept."""
        made = module
        if isinstance(module, _BatchNorm):
            made = SyncBatchNorm(
                module.num_features,
                module.eps,
                module.momentum,
                module.affine,
                module.track_running_stats,
                process_group,
                bias=module.bias is not None or not module.affine,
            )
            for name in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked", "training"):
                setattr(made, name, getattr(module, name))
        for name, child in module.named_children():
            made.add_module(name, cls.convert_sync_batchnorm(child, process_group))
        return made


class _LazyNormBase(LazyModuleMixin):
    """A normalisation that takes `num_features` from the first input it sees."""

    def __init__(
        self,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(0, eps, momentum, False, False, device, dtype)
        own: Any = self
        own.affine, own.track_running_stats = affine, track_running_stats
        where: Any = {"device": device, "dtype": dtype}
        if affine:
            own.weight = UninitializedParameter(**where)
            if bias:
                own.bias = UninitializedParameter(**where)
        if track_running_stats:
            own.running_mean = UninitializedBuffer(**where)
            own.running_var = UninitializedBuffer(**where)
            own.num_batches_tracked = ops.tensor(0, dtype=dtypes.int64, device=device)

    def reset_parameters(self) -> None:
        own: Any = self
        if not self.has_uninitialized_params() and own.num_features != 0:
            super().reset_parameters()  # type: ignore[misc]

    def initialize_parameters(self, input: Tensor) -> None:
        """Gives parameters and statistics their shapes."""
        own: Any = self
        if self.has_uninitialized_params():
            own.num_features = self._features(input)
            for x in (own.weight, own.bias, own.running_mean, own.running_var):
                if x is not None:
                    x.materialize((own.num_features,))
            self.reset_parameters()

    def _features(self, input: Tensor) -> int:
        return int(input.shape[1])


class LazyBatchNorm1d(_LazyNormBase, BatchNorm1d):
    """A BatchNorm1d that takes `num_features` from its first input."""

    cls_to_become = BatchNorm1d


class LazyBatchNorm2d(_LazyNormBase, BatchNorm2d):
    """A BatchNorm2d that takes `num_features` from its first input."""

    cls_to_become = BatchNorm2d


class LazyBatchNorm3d(_LazyNormBase, BatchNorm3d):
    """A BatchNorm3d that takes `num_features` from its first input."""

    cls_to_become = BatchNorm3d


__getattr__ = getter(__name__)
