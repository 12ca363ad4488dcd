"""Modules as functions of their parameters, as `torch.nn.utils.stateless`."""

from __future__ import annotations

import warnings
from typing import Any

from pullback import func
from pullback.core._engine import Tensor
from pullback.face.absent import getter

__all__ = ["functional_call"]


def functional_call(
    module: Any,
    parameters_and_buffers: dict[str, Tensor],
    args: Any = None,
    kwargs: dict[str, Any] | None = None,
    *,
    tie_weights: bool = True,
    strict: bool = False,
) -> Any:
    """The old name of `torch.func.functional_call`."""
    warnings.warn(
        "`torch.nn.utils.stateless.functional_call` is deprecated as of PyTorch 2.0 and will be removed in a "
        "future version of PyTorch. Please use `torch.func.functional_call` instead which is a drop-in "
        "replacement.",
        FutureWarning,
        stacklevel=2,
    )
    options: Any = {"tie_weights": tie_weights, "strict": strict}
    return func.functional_call(module, parameters_and_buffers, args, kwargs, **options)


__getattr__ = getter(__name__)
