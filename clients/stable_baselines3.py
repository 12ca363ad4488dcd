"""Reinforcement learning of CartPole by A2C and PPO, saved and loaded."""

import tempfile
from pathlib import Path

import stable_baselines3 as sb3
import torch

REQUIRES = (
    "stable_baselines3==2.9.2 gymnasium==1.4.0 farama-notifications==0.0.6 cloudpickle==3.1.3 "
    "typing_extensions==4.16.0 pandas==3.1.1 python-dateutil==4.0.0 matplotlib==3.11.2 pyparsing==3.3.3 "
    "cycler==0.12.1 kiwisolver==1.5.1 fonttools==4.68.0 contourpy==1.3.3 packaging==26.4 pillow==13.0.0"
)
TOLERANCE = 1e-4

for kind, options in ((sb3.A2C, {}), (sb3.PPO, {"n_steps": 64, "n_epochs": 3})):
    model = kind("MlpPolicy", "CartPole-v1", seed=0, device="cpu", verbose=0, **options)
    model.learn(192)
    print(kind.__name__, *(p.abs().sum().item() for p in model.policy.parameters()))
    with tempfile.TemporaryDirectory() as folder:
        model.save(Path(folder) / "agent")
        other = kind.load(Path(folder) / "agent", device="cpu")
    observation = torch.zeros(4).numpy()
    print(
        "same",
        int(model.predict(observation, deterministic=True)[0]),
        int(other.predict(observation, deterministic=True)[0]),
    )
