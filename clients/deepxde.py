"""A boundary value problem by a network that fits the equation and the boundary."""

import contextlib
import io
import os

os.environ["DDE_BACKEND"] = "pytorch"

import deepxde as dde
import numpy as np
import torch

dde.config.set_default_float("float64")
dde.config.set_random_seed(0)


def equation(x, y):
    return dde.grad.hessian(y, x) - torch.sin(3 * x)


interval = dde.geometry.Interval(-1, 1)
edge = dde.icbc.DirichletBC(interval, lambda x: 0, lambda x, on: on)
data = dde.data.PDE(interval, equation, edge, num_domain=20, num_boundary=2, train_distribution="uniform")
model = dde.Model(data, dde.nn.FNN([1] + [16] * 2 + [1], "tanh", "Glorot normal"))
with contextlib.redirect_stdout(io.StringIO()):  # it tells the time
    model.compile("adam", lr=1e-2)
history, _ = model.train(iterations=60, display_every=20, verbose=0)
for losses in history.loss_train:
    print("losses", *map(float, losses))
with contextlib.redirect_stdout(io.StringIO()):
    model.compile("L-BFGS")
dde.optimizers.set_LBFGS_options(maxiter=20)
history, state = model.train(display_every=1000, verbose=0)
print("solution", *model.predict(np.linspace(-1, 1, 5)[:, None])[:, 0].tolist())

REQUIRES = (
    "DeepXDE==1.15.0 matplotlib==3.11.2 cycler==0.12.1 fonttools==4.68.0 kiwisolver==1.5.1 "
    "packaging==26.4 pillow==13.0.0 pyparsing==3.3.3 python-dateutil==4.0.0 scikit-learn==1.9.1 "
    "joblib==1.6.0 cloudpickle==3.1.3 narwhals==2.29.0 threadpoolctl==3.8.0 scikit-optimize==0.10.2 "
    "pyyaml==6.0.4 contourpy==1.3.3 pyaml==26.7.0"
)
