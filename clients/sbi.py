"""Inference from simulations: posteriors by networks for densities and for ratios."""

import os
import tempfile

import torch
from sbi.inference import NLE, NPE, NRE
from sbi.utils import BoxUniform

os.chdir(tempfile.mkdtemp())  # it writes what it did to the folder that it runs in
prior = BoxUniform(-2 * torch.ones(2), 2 * torch.ones(2))


def simulator(theta):
    return theta + 0.3 * torch.randn_like(theta)


torch.manual_seed(0)
theta = prior.sample((200,))
x = simulator(theta)
for method in (NPE, NLE, NRE):
    torch.manual_seed(1)
    inference = method(prior, show_progress_bars=False)
    estimator = inference.append_simulations(theta, x).train(max_num_epochs=4, training_batch_size=50)
    print(method.__name__, sum(p.abs().sum().item() for p in estimator.parameters()))
    print("loss", *inference.summary["training_loss"])
    if method is NPE:
        posterior = inference.build_posterior(estimator)
        torch.manual_seed(2)
        samples = posterior.sample((20,), x=torch.tensor([0.5, -0.5]), show_progress_bars=False)
        print("samples", *samples.mean(0).tolist(), *samples.std(0).tolist())
        print("density", *posterior.log_prob(samples[:3], x=torch.tensor([0.5, -0.5])).tolist())

TOLERANCE = 1e-3
REQUIRES = (
    "sbi==0.27.0 joblib==1.6.0 cloudpickle==3.1.3 matplotlib==3.11.2 cycler==0.12.1 fonttools==4.68.0 "
    "kiwisolver==1.5.1 packaging==26.4 pillow==13.0.0 pyparsing==3.3.3 python-dateutil==4.0.0 "
    "nflows==0.14 tensorboard==2.21.0 absl-py==2.5.1 typing_extensions==4.16.0 protobuf==7.36.2 "
    "tqdm==4.70.1 scikit-learn==1.9.1 narwhals==2.29.0 threadpoolctl==3.8.0 zuko==1.6.0 "
    "contourpy==1.3.3"
)
