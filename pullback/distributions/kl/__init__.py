"""Kullback-Leibler divergences, as `torch.distributions.kl`: the means of log p - log q under p."""

from pullback.distributions.kl import crossed, same  # noqa: F401  (they register their pairs)
from pullback.distributions.kl.registry import (
    _KL_MEMOIZE,
    _KL_REGISTRY,
    _dispatch_kl,
    kl_divergence,
    register_kl,
)
from pullback.face.absent import getter

__all__ = ["_KL_MEMOIZE", "_KL_REGISTRY", "_dispatch_kl", "kl_divergence", "register_kl"]

__getattr__ = getter(__name__)
