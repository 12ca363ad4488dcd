"""Rows of the loading of data: an epoch by two worker processes, the time of a sample."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

Step = Callable[[], Any]


class Samples:
    """A data set whose samples are computed from rows of a tensor when they are asked for."""

    def __init__(self, rows: Any, count: int) -> None:
        self.rows, self.count = rows, count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> tuple[Any, int]:
        return self.rows[index % len(self.rows)] * 2 + 1, index % 10


def epoch(torch: Any, count: int, batch: int, shape: tuple[int, ...]) -> Step:
    """Goes through a DataLoader with two workers that live on."""
    samples = Samples(torch.rand(64, *shape), count)
    loader = torch.utils.data.DataLoader(samples, batch, shuffle=True, num_workers=2, persistent_workers=True)

    def step() -> None:
        for x, _ in loader:
            x.sum()

    step()
    return step


LOADERS = {
    "a sample of 8 numbers from a DataLoader with 2 workers": (
        6400,
        partial(epoch, count=6400, batch=64, shape=(8,)),
    ),
    "a sample of 3 x 224 x 224 from a DataLoader with 2 workers": (
        256,
        partial(epoch, count=256, batch=16, shape=(3, 224, 224)),
    ),
}
