"""Image processing with gradients: filters, geometry, colours, features, morphology and augmentations."""

import kornia
import torch

torch.manual_seed(0)
image = torch.rand(1, 3, 16, 20, requires_grad=True)
for name, change in {
    "blur": lambda x: kornia.filters.gaussian_blur2d(x, (5, 5), (1.2, 1.2)),
    "sobel": kornia.filters.sobel,
    "median": lambda x: kornia.filters.median_blur(x, (3, 3)),
    "hsv": kornia.color.rgb_to_hsv,
    "lab": kornia.color.rgb_to_lab,
    "rotate": lambda x: kornia.geometry.rotate(x, torch.tensor([30.0])),
    "scale": lambda x: kornia.geometry.rescale(x, 1.5),
    "dilation": lambda x: kornia.morphology.dilation(x, torch.ones(3, 3)),
    "harris": lambda x: kornia.feature.harris_response(kornia.color.rgb_to_grayscale(x)),
    "equalize": lambda x: kornia.enhance.equalize_clahe(x, 2.0, (2, 2)),
    "gamma": lambda x: kornia.enhance.adjust_gamma(x, 1.3),
}.items():
    out = change(image)
    print(name, *out.shape, out.sum().item())
    if out.requires_grad:
        print("slope", torch.autograd.grad(out.sum(), image)[0].abs().sum().item())
points = torch.tensor([[[0.0, 0.0], [19.0, 0.0], [19.0, 15.0], [0.0, 15.0]]])
target = points + torch.tensor([[[1.0, 2.0], [-2.0, 1.0], [-1.0, -2.0], [2.0, -1.0]]])
matrix = kornia.geometry.get_perspective_transform(points, target)
print("matrix", *matrix.flatten().tolist())
print("warped", kornia.geometry.warp_perspective(image, matrix, (16, 20)).sum().item())
rotation = kornia.geometry.axis_angle_to_rotation_matrix(torch.tensor([[0.1, 0.2, 0.3]]))
print(
    "rotation",
    *rotation.flatten().tolist(),
    *kornia.geometry.rotation_matrix_to_quaternion(rotation)[0].tolist(),
)
print("edges", kornia.filters.canny(image.detach())[1].sum().item())
print(
    "ssim",
    kornia.losses.ssim_loss(image, image.flip(-1), 5).item(),
    kornia.metrics.psnr(image, image * 0.9, 1.0).item(),
)
torch.manual_seed(1)
augment = kornia.augmentation.AugmentationSequential(
    kornia.augmentation.RandomHorizontalFlip(p=1.0),
    kornia.augmentation.RandomAffine(20.0, p=1.0),
    kornia.augmentation.ColorJiggle(0.1, 0.1, 0.1, 0.1, p=1.0),
    data_keys=["input", "keypoints"],
)
out, moved = augment(image, torch.tensor([[[3.0, 4.0], [10.0, 7.0]]]))
print("augmented", out.sum().item(), *moved.flatten().tolist())

TOLERANCE = 1e-4
REQUIRES = "kornia==0.9.0 kornia_rs==0.2.0"
