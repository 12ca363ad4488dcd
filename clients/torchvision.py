"""Networks for images, forward and backward, and transforms of images."""

import torch
import torchvision
from torchvision.transforms import v2

REQUIRES = "torchvision==0.29.1 pillow==13.0.0"
TOLERANCE = 1e-4

for name in ("resnet18", "mobilenet_v3_small", "efficientnet_b0"):
    torch.manual_seed(0)
    net = getattr(torchvision.models, name)(num_classes=4).eval()
    x = torch.randn(1, 3, 64, 64, requires_grad=True)
    out = net(x)
    out.square().sum().backward()
    print(name, *out.flatten().tolist(), x.grad.abs().sum().item(), sum(p.numel() for p in net.parameters()))
torch.manual_seed(0)
image = torch.randint(256, (3, 40, 50), dtype=torch.uint8)
change = v2.Compose(
    [
        v2.ToDtype(torch.float32, scale=True),
        v2.Resize(32, antialias=True),
        v2.CenterCrop(24),
        v2.Normalize([0.5] * 3, [0.25] * 3),
    ]
)
print("transform", change(image).sum().item())
print(
    "flip",
    v2.functional.horizontal_flip(image)[0, 0, :3].tolist()[0],
    v2.functional.adjust_brightness(image, 1.3).sum().item(),
)
boxes = torch.tensor([[0.0, 0, 10, 10], [1, 1, 11, 11], [20, 20, 30, 30]])
print(
    "boxes",
    torchvision.ops.box_iou(boxes, boxes).sum().item(),
    torchvision.ops.generalized_box_iou(boxes, boxes).sum().item(),
)
