"""Vectors as entries of code books: straight gradients, residuals, finite scalars, books that learn."""

import torch
from vector_quantize_pytorch import (
    FSQ,
    LFQ,
    ResidualVQ,
    SimVQ,
    VectorQuantize,
)

for kind, options in (
    (VectorQuantize, {"dim": 8, "codebook_size": 16, "decay": 0.8}),
    (VectorQuantize, {"dim": 8, "codebook_size": 16, "use_cosine_sim": True, "codebook_dim": 4}),
    (VectorQuantize, {"dim": 8, "codebook_size": 16, "kmeans_init": True, "threshold_ema_dead_code": 2}),
    (ResidualVQ, {"dim": 8, "codebook_size": 16, "num_quantizers": 3}),
    (FSQ, {"levels": [4, 3, 3], "dim": 8}),
    (LFQ, {"codebook_size": 16, "dim": 8, "entropy_loss_weight": 0.1}),
    (SimVQ, {"dim": 8, "codebook_size": 16}),
):
    torch.manual_seed(0)
    layer = kind(**options)
    x = torch.randn(2, 10, 8, requires_grad=True)
    out, indices, *rest = layer(x)
    loss = out.square().sum() + sum(r.sum() for r in rest if r.requires_grad)
    loss.backward()
    print(kind.__name__, out.sum().item(), indices.sum().item(), loss.item(), x.grad.abs().sum().item())
    print("again", layer(x)[0].sum().item())
torch.manual_seed(0)

REQUIRES = (
    "vector-quantize-pytorch==1.32.0 einops==0.8.2 einx==0.4.3 sympy==1.14.0 mpmath==1.3.0 "
    "frozendict==2.5.1 loguru==0.7.3 torch-einops-utils==0.2.0"
)
