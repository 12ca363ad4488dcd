"""Rearrangements, reductions and EinMix layers, with gradients."""

import torch
from einops import einsum, pack, rearrange, reduce, repeat, unpack
from einops.layers.torch import EinMix, Rearrange, Reduce

REQUIRES = "einops==0.8.2"
QUICK = True

torch.manual_seed(0)
x = torch.randn(2, 3, 8, 8, requires_grad=True)
patches = rearrange(x, "b c (h p) (w q) -> b (h w) (p q c)", p=4, q=4)
pooled = reduce(x, "b c (h 2) (w 2) -> b c h w", "max")
wide = repeat(pooled, "b c h w -> b c (h k) w", k=3)
print("sums", *(t.square().sum().item() for t in (patches, pooled, wide)))
model = torch.nn.Sequential(
    Rearrange("b c (h p) (w q) -> b (h w) (p q c)", p=4, q=4),
    EinMix("b n d -> b n e", weight_shape="d e", bias_shape="e", d=48, e=6),
    torch.nn.GELU(),
    Reduce("b n e -> b e", "mean"),
)
loss = model(x).square().sum() + wide.sum()
loss.backward()
print("loss", loss.item(), x.grad.abs().sum().item())
print("parameters", *(p.grad.abs().sum().item() for p in model.parameters()))
packed, shapes = pack([x.detach(), pooled.detach()], "b c *")
print("packed", *packed.shape, *(tuple(t.shape)[-1] for t in unpack(packed, shapes, "b c *")))
print("einsum", einsum(patches, patches, "b n d, b m d -> b n m").sum().item())
