"""Bayesian optimisation: a fitted Gaussian process, acquisition functions and their maxima."""

import torch
from botorch.acquisition import LogExpectedImprovement, UpperConfidenceBound, qExpectedImprovement
from botorch.fit import fit_gpytorch_mll
from botorch.models import SingleTaskGP
from botorch.optim import optimize_acqf
from botorch.sampling import SobolQMCNormalSampler
from gpytorch.mlls import ExactMarginalLogLikelihood

REQUIRES = (
    "botorch==0.18.1 gpytorch==1.15.2 linear_operator==0.6.1 jaxtyping==0.3.11 wadler_lindig==0.1.8 "
    "mpmath==1.3.0 pyro-ppl==1.9.2 pyro-api==0.1.2 opt_einsum==3.4.0 tqdm==4.70.1 "
    "pyre-extensions==0.0.32 typing-inspect==0.9.0 multipledispatch==1.0.0 mypy_extensions==1.2.0 "
    "typing_extensions==4.16.0 scikit-learn==1.9.1 joblib==1.6.0 threadpoolctl==3.8.0 narwhals==2.29.0"
)
TOLERANCE = 1e-3

torch.manual_seed(0)
torch.set_default_dtype(torch.float64)
x = torch.rand(12, 2)
y = 1 - (x - 0.4).square().sum(-1, keepdim=True)
model = SingleTaskGP(x, y)
fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
posterior = model.posterior(torch.tensor([[0.3, 0.3], [0.9, 0.1]]))
print("posterior", *posterior.mean.flatten().tolist())
bounds = torch.tensor([[0.0, 0.0], [1.0, 1.0]])
for function in (UpperConfidenceBound(model, beta=0.1), LogExpectedImprovement(model, best_f=y.max())):
    torch.manual_seed(1)
    point, value = optimize_acqf(function, bounds=bounds, q=1, num_restarts=3, raw_samples=16)
    print(type(function).__name__, value.item())
sampler = SobolQMCNormalSampler(sample_shape=torch.Size([64]), seed=5)
function = qExpectedImprovement(model, best_f=0.9, sampler=sampler)
print("batch", function(torch.tensor([[0.4, 0.4], [0.6, 0.2]])).item())
