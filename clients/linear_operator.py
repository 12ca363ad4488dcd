"""Solves, determinants and products of structured matrices that are never written out."""

import torch
from linear_operator import operators, settings, to_linear_operator

REQUIRES = "linear_operator==0.6.1 jaxtyping==0.3.11 wadler_lindig==0.1.8 mpmath==1.3.0"

torch.manual_seed(0)
torch.set_default_dtype(torch.float64)
root = torch.randn(12, 3, requires_grad=True)
d = (torch.rand(12) + 0.5).requires_grad_()
low = operators.LowRankRootLinearOperator(root).add_diagonal(d)
b = torch.randn(12, 2)
print("solve", *low.solve(b).sum(0).tolist(), low.logdet().item())
inv, logdet = low.inv_quad_logdet(b, logdet=True)
(inv + logdet).backward()
print("inv_quad", inv.item(), logdet.item(), root.grad.abs().sum().item(), d.grad.abs().sum().item())
a, c = (torch.randn(k, k) for k in (3, 4))
a, c = a @ a.T + torch.eye(3), c @ c.T + torch.eye(4)
product = operators.KroneckerProductLinearOperator(to_linear_operator(a), to_linear_operator(c))
print(
    "kronecker",
    (product @ torch.ones(12, 1)).sum().item(),
    product.logdet().item(),
    product.solve(b).abs().sum().item(),
)
toeplitz = operators.ToeplitzLinearOperator(0.5 ** torch.arange(12.0))
print("toeplitz", (toeplitz @ b).abs().sum().item(), toeplitz.cholesky().to_dense().sum().item())
with settings.max_cholesky_size(1), settings.cg_tolerance(1e-10):
    print("iterative", to_linear_operator(product.to_dense() + torch.eye(12)).solve(b).abs().sum().item())
block = operators.BlockDiagLinearOperator(to_linear_operator(torch.stack([a, 2 * a])))
print("block", block.logdet().item(), block.diagonal().sum().item(), *block.shape)
