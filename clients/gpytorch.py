"""An exact Gaussian process trained on 20 points, and a sparse variational one."""

import gpytorch
import torch

REQUIRES = (
    "gpytorch==1.15.2 linear_operator==0.6.1 jaxtyping==0.3.11 wadler_lindig==0.1.8 mpmath==1.3.0 "
    "scikit-learn==1.9.1 joblib==1.6.0 threadpoolctl==3.8.0 narwhals==2.29.0"
)

torch.manual_seed(0)
torch.set_default_dtype(torch.float64)
x = torch.linspace(0, 1, 20)
y = torch.sin(6 * x) + 0.1 * torch.randn(20)


class Exact(gpytorch.models.ExactGP):
    def __init__(self, x, y, likelihood):
        super().__init__(x, y, likelihood)
        self.mean_module = gpytorch.means.ConstantMean()
        self.covar_module = gpytorch.kernels.ScaleKernel(gpytorch.kernels.RBFKernel())

    def forward(self, x):
        return gpytorch.distributions.MultivariateNormal(self.mean_module(x), self.covar_module(x))


likelihood = gpytorch.likelihoods.GaussianLikelihood()
model = Exact(x, y, likelihood)
objective = gpytorch.mlls.ExactMarginalLogLikelihood(likelihood, model)
optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
for _ in range(30):
    optimizer.zero_grad()
    loss = -objective(model(x), y)
    loss.backward()
    optimizer.step()
print("exact", loss.item(), model.covar_module.base_kernel.lengthscale.item(), likelihood.noise.item())
model.eval(), likelihood.eval()
with torch.no_grad():
    found = likelihood(model(torch.tensor([0.25, 0.77])))
    print("predictions", *found.mean.tolist(), *found.variance.tolist())


class Sparse(gpytorch.models.ApproximateGP):
    def __init__(self, points):
        distribution = gpytorch.variational.CholeskyVariationalDistribution(points.size(0))
        super().__init__(gpytorch.variational.VariationalStrategy(self, points, distribution))
        self.mean_module = gpytorch.means.LinearMean(1)
        self.covar_module = gpytorch.kernels.ScaleKernel(gpytorch.kernels.MaternKernel(nu=2.5))

    def forward(self, x):
        return gpytorch.distributions.MultivariateNormal(self.mean_module(x), self.covar_module(x))


model, likelihood = Sparse(x[::3, None].clone()), gpytorch.likelihoods.GaussianLikelihood()
objective = gpytorch.mlls.VariationalELBO(likelihood, model, num_data=20)
optimizer = torch.optim.Adam([*model.parameters(), *likelihood.parameters()], lr=0.05)
for _ in range(20):
    optimizer.zero_grad()
    loss = -objective(model(x[:, None]), y)
    loss.backward()
    optimizer.step()
print("sparse", loss.item(), likelihood.noise.item())
