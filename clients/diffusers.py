"""Models of noise: a small network over images, schedules of noise, and samples."""

import torch
from diffusers import (
    AutoencoderKL,
    DDIMPipeline,
    DDIMScheduler,
    DDPMScheduler,
    DPMSolverMultistepScheduler,
    EulerDiscreteScheduler,
    UNet2DConditionModel,
    UNet2DModel,
)


def network(kind, channels, heads, down, up, **options):
    """A network over images of 8 by 8 with one layer a block."""
    return kind(
        sample_size=8,
        in_channels=channels,
        out_channels=channels,
        block_out_channels=(8, 16),
        layers_per_block=1,
        norm_num_groups=4,
        attention_head_dim=heads,
        down_block_types=down,
        up_block_types=up,
        **options,
    )


torch.manual_seed(0)
net = network(UNet2DModel, 1, 8, ("DownBlock2D", "AttnDownBlock2D"), ("AttnUpBlock2D", "UpBlock2D"))
images, noise, times = torch.rand(4, 1, 8, 8), torch.randn(4, 1, 8, 8), torch.tensor([3, 50, 200, 700])
schedule = DDPMScheduler(num_train_timesteps=1000)
optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3)
for _ in range(3):
    loss = (net(schedule.add_noise(images, noise, times), times).sample - noise).square().mean()
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    print("loss", loss.item())
with torch.no_grad():
    for kind in (DDPMScheduler, DDIMScheduler, DPMSolverMultistepScheduler, EulerDiscreteScheduler):
        schedule = kind(num_train_timesteps=1000)
        schedule.set_timesteps(4)
        x = noise * schedule.init_noise_sigma
        torch.manual_seed(1)
        for t in schedule.timesteps:
            x = schedule.step(net(schedule.scale_model_input(x, t), t).sample, t, x).prev_sample
        print(kind.__name__, x.sum().item(), x.abs().sum().item())
pipe = DDIMPipeline(net, DDIMScheduler())
pipe.set_progress_bar_config(disable=True)
made = pipe(
    batch_size=1, generator=torch.Generator().manual_seed(0), num_inference_steps=2, output_type="np"
).images
print("made", *made.shape, float(made.sum()))
torch.manual_seed(2)
blocks = ("CrossAttnDownBlock2D", "DownBlock2D"), ("UpBlock2D", "CrossAttnUpBlock2D")
guided = network(UNet2DConditionModel, 2, 4, *blocks, cross_attention_dim=6)
out = guided(torch.randn(2, 2, 8, 8), 10, torch.randn(2, 3, 6)).sample
out.sum().backward()
print("guided", out.sum().item(), sum(p.grad.abs().sum().item() for p in guided.parameters()))
auto = AutoencoderKL(
    1, 1, ("DownEncoderBlock2D",), ("UpDecoderBlock2D",), (8,), norm_num_groups=4, sample_size=8
)
codes = auto.encode(images).latent_dist
print("codes", codes.kl().sum().item(), auto.decode(codes.mode()).sample.sum().item())

TOLERANCE = 1e-4
REQUIRES = (
    "diffusers==0.42.1 filelock==4.3.1 huggingface_hub==2.4.0 fsspec==2026.9.0 httpx2==2.16.2 "
    "anyio==4.16.0 idna==3.20 typing_extensions==4.16.0 httpcore2==2.16.2 h11==0.16.0 "
    "truststore==0.10.5 packaging==26.4 PyYAML==6.0.4 tqdm==4.70.1 regex==2026.11.19 requests==2.34.2 "
    "charset-normalizer==3.5.3 urllib3==2.8.0 certifi==2026.10.19.post1 safetensors==0.8.0 "
    "pillow==13.0.0"
)
