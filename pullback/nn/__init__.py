"""Neural networks, as `torch.nn`: the functions, so far."""

from pullback.nn import functional

__all__ = ["functional"]
