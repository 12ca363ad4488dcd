"""Structural similarity of images on one and several scales, as a loss."""

import torch
from pytorch_msssim import MS_SSIM, SSIM, ms_ssim, ssim

REQUIRES = "pytorch-msssim==1.0.0"
QUICK = True
# Variances are differences of means: the gradient of PyTorch in float32 is 1e-5 off its own in float64.
TOLERANCE = 1e-4

torch.manual_seed(0)
x = torch.rand(2, 3, 176, 176)
y = (x + 0.1 * torch.randn_like(x)).clamp(0, 1).requires_grad_()
print("ssim", *ssim(x, y, data_range=1.0, size_average=False).tolist())
print("ms_ssim", *ms_ssim(x, y, data_range=1.0, size_average=False).tolist())
loss = 2 - SSIM(data_range=1.0, channel=3)(x, y) - MS_SSIM(data_range=1.0, channel=3)(x, y)
loss.backward()
print("loss", loss.item(), y.grad.abs().sum().item())
