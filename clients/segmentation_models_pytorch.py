"""Networks that label each pixel: decoders on encoders by their names, losses, metrics."""

import segmentation_models_pytorch as smp
import torch

for name in ("Unet", "FPN", "DeepLabV3Plus", "PSPNet", "Linknet"):
    torch.manual_seed(0)
    net = getattr(smp, name)("resnet18", encoder_weights=None, classes=2).eval()
    x = torch.randn(1, 3, 64, 64)
    out = net(x)
    mask = (x[:, :1] > 0).long()
    loss = smp.losses.DiceLoss("multiclass")(out, mask[:, 0]) + smp.losses.FocalLoss("multiclass")(
        out, mask[:, 0]
    )
    loss.backward()
    print(name, out.sum().item(), loss.item(), net.segmentation_head[0].weight.grad.abs().sum().item())
counts = smp.metrics.get_stats(out.argmax(1), mask[:, 0], mode="multiclass", num_classes=2)
print("counts", *(c.sum().item() for c in counts), smp.metrics.iou_score(*counts, reduction="micro").item())

TOLERANCE = 1e-4
REQUIRES = (
    "segmentation_models_pytorch==0.6.0 huggingface_hub==2.4.0 filelock==4.3.1 httpx2==2.16.2 "
    "anyio==4.16.0 idna==3.20 typing_extensions==4.16.0 httpcore2==2.16.2 h11==0.16.0 "
    "truststore==0.10.5 packaging==26.4 PyYAML==6.0.4 tqdm==4.70.1 pillow==13.0.0 safetensors==0.8.0 "
    "timm==1.0.31 torchvision==0.29.1"
)
