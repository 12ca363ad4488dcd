"""Networks for images by their names: figures and gradients of a step."""

import timm.optim
import torch

REQUIRES = (
    "timm==1.0.31 torchvision==0.29.1 pillow==13.0.0 pyyaml==6.0.4 huggingface_hub==2.4.0 "
    "safetensors==0.8.0 filelock==4.3.1 fsspec==2026.9.0 packaging==26.4 requests==2.34.2 tqdm==4.70.1 "
    "typing_extensions==4.16.0 hf-xet==1.8.0 urllib3==2.8.0 idna==3.20 certifi==2026.10.19.post1 "
    "charset-normalizer==3.5.3 click==8.5.1 httpx2==2.16.2 httpcore2==2.16.2 h11==0.16.0 anyio==4.16.0 "
    "truststore==0.10.5"
)
TOLERANCE = 1e-4

for name in ("resnet10t", "vit_tiny_patch16_224", "mobilenetv3_small_050", "convnext_atto"):
    torch.manual_seed(0)
    options = {"img_size": 64} if name.startswith("vit") else {}
    net = timm.create_model(name, num_classes=3, **options).eval()
    x = torch.randn(1, 3, 64, 64)
    out = net(x)
    out.square().sum().backward()
    print(
        name,
        *out.flatten().tolist(),
        sum(p.grad.abs().sum() for p in net.parameters() if p.grad is not None).item(),
    )
optimizer = timm.optim.create_optimizer_v2(net, opt="adamw", lr=1e-3)
optimizer.step()
print("step", net(x).sum().item())
print("features", *(f.shape[1] for f in timm.create_model("resnet10t", features_only=True)(x)))
