"""Functions that turn as their inputs do: spherical harmonics, tensor products, gates."""

import torch
from e3nn import nn, o3
from e3nn.math import soft_one_hot_linspace

torch.manual_seed(0)
torch.set_default_dtype(torch.float64)
x = torch.randn(5, 3, requires_grad=True)
harmonics = o3.spherical_harmonics([0, 1, 2, 3], x, normalize=True)
harmonics.square().sum(0)[1:5].sum().backward()
print("harmonics", harmonics.sum().item(), x.grad.abs().sum().item())
print("wigner", *(o3.wigner_3j(a, b, c).abs().sum().item() for a, b, c in ((1, 1, 2), (1, 2, 2), (2, 2, 2))))
irreps = o3.Irreps("4x0e + 3x1o + 2x2e")
product = o3.FullyConnectedTensorProduct(irreps, "1x0e + 1x1o", "3x0e + 2x1o")
linear = o3.Linear("3x0e + 2x1o", "2x0e + 1x1o")
a, b = irreps.randn(6, -1), o3.Irreps("1x0e + 1x1o").randn(6, -1)
out = linear(product(a, b))
out.square().sum().backward()
print(
    "product",
    product.weight_numel,
    out.sum().item(),
    *(p.grad.abs().sum().item() for p in product.parameters()),
)
turn = o3.rand_matrix()
turned = linear(product(a @ irreps.D_from_matrix(turn).T, b @ o3.Irreps("1x0e + 1x1o").D_from_matrix(turn).T))
print("turned", torch.allclose(turned, out @ linear.irreps_out.D_from_matrix(turn).T))
gate = nn.Gate("4x0e", [torch.tanh], "2x0e", [torch.sigmoid], "2x1o")
print("gate", gate(gate.irreps_in.randn(3, -1)).sum().item())
norm = nn.BatchNorm(irreps)
print("norm", norm(a).abs().sum().item())
print("basis", soft_one_hot_linspace(x.norm(dim=1), 0.0, 3.0, 5, "smooth_finite", cutoff=True).sum().item())
net = nn.FullyConnectedNet([5, 8, product.weight_numel], torch.nn.functional.silu)
print("net", net(torch.rand(2, 5)).sum().item())
reduced = o3.ReducedTensorProducts("ij=ji", i="1o")
print("reduced", reduced.irreps_out, reduced(x, x).sum().item())

REQUIRES = "e3nn==0.6.0 sympy==1.14.0 mpmath==1.3.0 opt-einsum-fx==0.1.4 opt_einsum==3.4.0 packaging==26.4"
