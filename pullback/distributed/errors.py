"""Errors of work between processes."""

from __future__ import annotations

__all__ = ["DistBackendError", "DistError", "DistNetworkError", "DistStoreError", "QueueEmptyError"]


class DistError(RuntimeError):
    """Something between processes has failed."""


class DistBackendError(DistError):
    """Ranks could not do something together: one has ended, or has not come in time."""


class DistNetworkError(DistError):
    """A connection could not be made, or was lost."""


class DistStoreError(DistError):
    """A store has not given what it was asked for in time."""


class QueueEmptyError(DistStoreError):
    """A queue of a store is empty."""
