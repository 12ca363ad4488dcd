"""`torch.utils.data.backward_compatibility`: what loaders do by themselves now."""

import warnings

from pullback.face.absent import getter


def worker_init_fn(worker_id: int) -> None:
    """Nothing: a DataLoader parts data pipes among its workers by itself."""
    warnings.warn(
        "Usage of backward_compatibility.worker_init_fn is deprecated as DataLoader automatically applies "
        "sharding in every worker",
        stacklevel=2,
    )


__getattr__ = getter(__name__)
