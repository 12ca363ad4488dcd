"""`Join`: ranks that have no more inputs go along with those that have."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from types import TracebackType
from typing import Any, NamedTuple

from pullback import ops
from pullback.distributed.collectives import all_reduce
from pullback.distributed.work import Work
from pullback.face.absent import getter

__all__ = ["Join", "JoinHook", "Joinable"]


class JoinHook:
    """What a `Joinable` does on a rank that has no more inputs."""

    def main_hook(self) -> None:
        """Goes along with one step of the others."""

    def post_hook(self, is_last_joiner: bool) -> None:
        """Does what is left when all have no more; the last ones know that they are."""


class _JoinConfig(NamedTuple):
    enable: bool
    throw_on_early_termination: bool
    is_first_joinable: bool


_NONE = _JoinConfig(False, False, False)


class Joinable:
    """Something that does collectives in each step, as a module of several ranks."""

    def __init__(self) -> None:
        self._join_config = _NONE

    def join_hook(self, **kwargs: Any) -> JoinHook:
        """What to do on a rank that has no more inputs."""
        raise NotImplementedError

    @property
    def join_device(self) -> Any:
        """The device of its collectives."""
        raise NotImplementedError

    @property
    def join_process_group(self) -> Any:
        """The group of its collectives."""
        raise NotImplementedError


class Join:
    """A context in which ranks may have different numbers of inputs.

    A rank that comes to the end calls the `main_hook` of each joinable for each step of the others, until all
    are there, then each `post_hook`. With `throw_on_early_termination` all raise a RuntimeError as soon as
    one is there.
    """

    def __init__(
        self,
        joinables: Sequence[Any],
        enable: bool = True,
        throw_on_early_termination: bool = False,
        **kwargs: Any,
    ) -> None:
        if not joinables:
            raise ValueError("The join context manager requires at least one joinable")
        self._joinables = list(joinables)
        self._hooks = [joinable.join_hook(**kwargs) for joinable in joinables]
        self._enable = enable
        self._throw = throw_on_early_termination
        groups = {id(joinable.join_process_group): joinable.join_process_group for joinable in joinables}
        if len(groups) > 1:
            raise ValueError("Using join context manager with multiple process groups")
        self._group = next(iter(groups.values()))

    def __enter__(self) -> None:
        if self._enable:
            for i, joinable in enumerate(self._joinables):
                joinable._join_config = _JoinConfig(True, self._throw, i == 0)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._enable or kind:
            self._leave()
            return
        last, steps = True, 0
        while True:
            left = _left(0.0, self._group)
            if left == 0:
                break
            if self._throw:
                _throw(1.0, self._group)
                raise RuntimeError(
                    "Detected at least one rank that exhausted inputs. Throwing across all ranks."
                )
            steps += 1
            last = False
            if steps == 1001:
                warnings.warn(
                    "Detected uneven input skew of greater than 1000. This means that rank "
                    f"{self._group.rank()} has at least 1000 fewer inputs than other currently-active ranks. "
                    "This level of skew could lead to performance degradation during training.",
                    stacklevel=2,
                )
            for hook in self._hooks:
                hook.main_hook()
        self._leave()
        for hook in self._hooks:
            hook.post_hook(last)

    def _leave(self) -> None:
        for joinable in self._joinables:
            joinable._join_config = _NONE

    @staticmethod
    def notify_join_context(joinable: Any) -> Work | None:
        """Tells ranks that have no more inputs of a step that begins; only the first joinable does."""
        config = getattr(joinable, "_join_config", _NONE)
        if not config.enable or not config.is_first_joinable:
            return None
        work = all_reduce(ops.ones(1), group=joinable.join_process_group, async_op=True)
        assert work is not None
        work.wait()
        if config.throw_on_early_termination and _throw(0.0, joinable.join_process_group):
            raise RuntimeError("Detected at least one rank that exhausted inputs. Throwing across all ranks.")
        return work


def _left(here: float, group: Any) -> int:
    """How many ranks still have inputs."""
    count = ops.tensor([here])
    all_reduce(count, group=group)
    return int(count.item())


def _throw(here: float, group: Any) -> bool:
    """Whether a rank has no more inputs."""
    flag = ops.tensor([here])
    all_reduce(flag, group=group)
    return bool(flag.item() > 0)


__getattr__ = getter(__name__)
