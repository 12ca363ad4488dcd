"""Rotary embeddings of queries and keys, in one and two dimensions."""

import torch
from rotary_embedding_torch import RotaryEmbedding, apply_rotary_emb

REQUIRES = "rotary-embedding-torch==0.9.1 einops==0.8.2"

torch.manual_seed(0)
q, k = torch.randn(1, 2, 16, 32), torch.randn(1, 2, 16, 32, requires_grad=True)
rotary = RotaryEmbedding(dim=16)
a, b = rotary.rotate_queries_or_keys(q), rotary.rotate_queries_or_keys(k)
(a @ b.mT).square().sum().backward()
print("rotated", a.abs().sum().item(), (a * b).sum().item(), k.grad.abs().sum().item())
scaled = RotaryEmbedding(dim=16, use_xpos=True)
a, b = scaled.rotate_queries_and_keys(q, k)
print("xpos", (a @ b.mT).sum().item())
axial = RotaryEmbedding(dim=8, freqs_for="pixel", max_freq=10)
freqs = axial.get_axial_freqs(4, 4)
print("axial", apply_rotary_emb(freqs, torch.randn(1, 4, 4, 16)).square().sum().item(), *freqs.shape)
