"""Resampling and filters of sound, with gradients."""

import julius
import torch

REQUIRES = "julius==0.2.8"
QUICK = True

torch.manual_seed(0)
x = torch.randn(2, 4000, requires_grad=True)
resampled = julius.resample_frac(x, 4410, 1600)
low = julius.lowpass_filter(x, 0.1)
bands = julius.split_bands(x, 16000, n_bands=4)
convolved = julius.fft_conv1d(x[:, None], torch.randn(1, 1, 300))
print("shapes", *resampled.shape, *low.shape, *bands.shape, *convolved.shape)
print("powers", *(t.square().mean().item() for t in (resampled, low, bands, convolved)))
(resampled.square().sum() + bands[1].square().sum()).backward()
print("gradient", x.grad.abs().sum().item())
