"""Distances of vectors, as `torch.nn.modules.distance`."""

from __future__ import annotations

from pullback.core._engine import Tensor
from pullback.face.absent import getter
from pullback.nn import functional as F
from pullback.nn.modules._declared import Layer
from pullback.nn.modules.module import Module

__all__ = ["CosineSimilarity", "PairwiseDistance"]


class PairwiseDistance(Module):
    """`|x1 - x2 + eps|` in the norm p, over the last dim: (N, D) or (D) to (N) or ()."""

    def __init__(self, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> None:
        super().__init__()
        self.norm, self.eps, self.keepdim = p, eps, keepdim

    def forward(self, x1: Tensor, x2: Tensor) -> Tensor:
        return F.pairwise_distance(x1, x2, self.norm, self.eps, self.keepdim)


class CosineSimilarity(Layer, of="cosine_similarity", takes="x1: Tensor, x2: Tensor", shows=""):
    """`x1 . x2 / max(|x1| |x2|, eps)` along `dim`.

    >>> import pullback as torch
    >>> torch.nn.CosineSimilarity(dim=0)(torch.ones(4), torch.ones(4))
    tensor(1.)
    """

    dim: int = 1
    eps: float = 1e-8


__getattr__ = getter(__name__)
