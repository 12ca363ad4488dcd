"""Modules that PyTorch has and that here stand together in files by kind."""

from __future__ import annotations

import sys

from pullback.face.absent import shown, torch_names


def name_homes(package: str) -> None:
    """Lets each module that PyTorch has below a package, and that is no file here, be the one with its names.

    `torch.distributions.normal` has Normal, so it becomes another name of the module in which the package's
    Normal is defined. Call it at the end of the package's file.
    """
    top = sys.modules[package]
    for space, names in torch_names().items():
        above, _, last = space.rpartition(".")
        full = f"{package}.{last}"
        if above == shown(package) and full not in sys.modules:
            own = next((vars(top)[name] for name in names.split() if name in vars(top)), None)
            if own is not None:
                sys.modules[full] = vars(top)[last] = sys.modules[own.__module__]
