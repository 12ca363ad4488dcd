"""Probabilistic programs: variational inference and Hamiltonian Monte Carlo."""

import pyro
import pyro.distributions as dist
import torch
from pyro.infer import MCMC, NUTS, SVI, Predictive, Trace_ELBO
from pyro.infer.autoguide import AutoMultivariateNormal, AutoNormal

REQUIRES = "pyro-ppl==1.9.2 pyro-api==0.1.2 opt_einsum==3.4.0 tqdm==4.70.1"

torch.set_default_dtype(torch.float64)
pyro.set_rng_seed(0)
x = torch.linspace(-1, 1, 20)
y = 2.0 * x + 0.5 + 0.2 * torch.randn(20)


def model(x, y=None):
    w = pyro.sample("w", dist.Normal(0.0, 2.0))
    b = pyro.sample("b", dist.Normal(0.0, 2.0))
    s = pyro.sample("s", dist.LogNormal(-1.0, 0.5))
    with pyro.plate("points", 20):
        return pyro.sample("y", dist.Normal(w * x + b, s), obs=y)


for kind in (AutoNormal, AutoMultivariateNormal):
    pyro.clear_param_store()
    pyro.set_rng_seed(1)
    guide = kind(model)
    svi = SVI(model, guide, pyro.optim.Adam({"lr": 0.03}), Trace_ELBO())
    losses = [svi.step(x, y) for _ in range(60)]
    print(kind.__name__, losses[0], losses[-1], *(v.item() for v in guide.median(x).values()))
print("predicted", Predictive(model, guide=guide, num_samples=5)(x)["y"].mean(0)[:3].sum().item())
pyro.set_rng_seed(2)
chain = MCMC(NUTS(model, jit_compile=False), num_samples=15, warmup_steps=15, disable_progbar=True)
chain.run(x, y)
print("nuts", *(v.mean().item() for _, v in sorted(chain.get_samples().items())))


def coin(flips):
    p = pyro.sample("p", dist.Beta(10.0, 10.0))
    with pyro.plate("flips", len(flips)):
        pyro.sample("flip", dist.Bernoulli(p), obs=flips)


def belief(flips):
    a = pyro.param("a", torch.tensor(15.0), constraint=dist.constraints.positive)
    b = pyro.param("b", torch.tensor(15.0), constraint=dist.constraints.positive)
    pyro.sample("p", dist.Beta(a, b))


pyro.clear_param_store()
pyro.set_rng_seed(3)
svi = SVI(coin, belief, pyro.optim.Adam({"lr": 0.02}), Trace_ELBO())
for _ in range(50):
    loss = svi.step(torch.tensor([1.0] * 6 + [0.0] * 4))
print("coin", loss, pyro.param("a").item(), pyro.param("b").item())
