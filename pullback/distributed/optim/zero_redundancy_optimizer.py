"""`ZeroRedundancyOptimizer`: each rank keeps the states of a part of the parameters, and steps these."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from pullback import ops
from pullback.core._engine import Tensor
from pullback.core.modes import no_grad
from pullback.distributed.algorithms.join import Join, Joinable, JoinHook
from pullback.distributed.collectives import broadcast
from pullback.distributed.groups import ProcessGroup, members
from pullback.distributed.objects import gathered
from pullback.distributed.work import Work
from pullback.face.absent import getter
from pullback.optim.optimizer import Optimizer

__all__ = ["ZeroRedundancyOptimizer"]


class ZeroRedundancyOptimizer(Optimizer, Joinable):
    """An optimizer of several ranks, which all have the same parameters and gradients (as by DDP).

    The parameters are dealt out, the largest first to the rank with the fewest numbers. Each rank makes an
    `optimizer_class` of its own part with `defaults`, steps it, and sends what has become of it to all
    others. With `parameters_as_bucket_view` the parameters of a rank lie in one memory, which is sent as it
    is. `consolidate_state_dict` gathers the whole state on one rank, whose `state_dict` then returns it.

    >>> import pullback as torch
    >>> torch.distributed.init_process_group("gloo", rank=0, world_size=1)
    >>> w = torch.nn.Parameter(torch.ones(2))
    >>> optimizer = torch.distributed.optim.ZeroRedundancyOptimizer([w], torch.optim.SGD, lr=0.5)
    >>> w.sum().backward(); optimizer.step(); w
    Parameter containing:
    tensor([0.5000, 0.5000], requires_grad=True)
    >>> torch.distributed.destroy_process_group()
    """

    def __init__(
        self,
        params: Any,
        optimizer_class: type[Optimizer],
        process_group: ProcessGroup | None = None,
        parameters_as_bucket_view: bool = False,
        overlap_with_ddp: bool = False,
        **defaults: Any,
    ) -> None:
        Joinable.__init__(self)
        if overlap_with_ddp:
            raise NotImplementedError("overlap_with_ddp: step after the backward pass")
        found = members(process_group)
        if found is None:
            raise ValueError("this rank is not in the group of the optimizer")
        self.process_group = found
        self.world_size, self.rank = found.size(), found.rank()
        self.parameters_as_bucket_view = parameters_as_bucket_view
        self._optimizer_class = optimizer_class
        self._made = False
        self._all_states: list[Any] = []
        super().__init__(params, defaults)
        self._made = True
        self._deal()
        self.optim = optimizer_class(self._own_groups() or [{"params": []}], **defaults)
        for name, value in self.optim.defaults.items():
            self.defaults.setdefault(name, value)
        for group, own in zip(self.param_groups, self.optim.param_groups, strict=True):
            for name, value in own.items():
                if name != "params":
                    group.setdefault(name, value)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Adds a group of parameters, which are dealt out as the others were."""
        super().add_param_group(param_group)
        if self._made:
            self._deal()
            own = self._own_groups()[-1]
            self.optim.add_param_group(own)
            for name, value in self.optim.param_groups[-1].items():
                if name != "params":
                    self.param_groups[-1].setdefault(name, value)

    def _deal(self) -> None:
        """Says which rank has which parameter: `parts` by rank and group."""
        sizes = [0] * self.world_size
        self.parts: list[list[list[Tensor]]] = [[] for _ in range(self.world_size)]
        for group in self.param_groups:
            dealt: list[list[Tensor]] = [[] for _ in range(self.world_size)]
            for p in sorted(group["params"], key=lambda p: -p.numel()):
                rank = sizes.index(min(sizes))
                dealt[rank].append(p)
                sizes[rank] += p.numel()
            for rank, params in enumerate(dealt):
                self.parts[rank].append(params)
        self._flat: list[list[tuple[Tensor, list[Tensor]]]] = []
        for rank in range(self.world_size):
            kinds: dict[Any, list[Tensor]] = {}
            for params in self.parts[rank]:
                for p in params:
                    kinds.setdefault(p.dtype, []).append(p)
            self._flat.append([(self._bucket(params), params) for params in kinds.values()])

    def _bucket(self, params: list[Tensor]) -> Tensor:
        """Memory for the parameters of a rank; as bucket views they move into it."""
        if not self.parameters_as_bucket_view:
            return ops.empty(sum(p.numel() for p in params), dtype=params[0].dtype)
        flat = ops.cat([p.detach().reshape(-1) for p in params])
        for p, part in zip(params, flat.split([p.numel() for p in params]), strict=True):
            p.data = part.view(p.shape)
        return flat

    def _own_groups(self) -> list[dict[str, Any]]:
        return [
            {**{k: v for k, v in group.items() if k != "params"}, "params": params}
            for group, params in zip(self.param_groups, self.parts[self.rank], strict=True)
        ]

    @staticmethod
    def _sync_param_groups(source: list[dict[Any, Any]], target: list[dict[Any, Any]]) -> None:
        """Options of groups are those of other groups."""
        for one, other in zip(source, target, strict=True):
            other.update({name: one[name] for name in one if name != "params"})

    def step(self, closure: Callable[[], Any] | None = None, **kwargs: Any) -> Any:
        """Steps this rank's part, and exchanges the parameters; what `closure` returns."""
        Join.notify_join_context(self)
        self._sync_param_groups(self.param_groups, self.optim.param_groups)
        loss = self.optim.step(**kwargs) if closure is None else self.optim.step(closure=closure, **kwargs)
        self._exchange()
        self._sync_param_groups(self.optim.param_groups, self.param_groups)
        return loss

    @no_grad()
    def _exchange(self) -> None:
        """Every rank's part goes to all."""
        works: list[tuple[Work | None, int, Tensor, list[Tensor]]] = []
        for rank, flats in enumerate(self._flat):
            for flat, params in flats:
                if rank == self.rank and not self.parameters_as_bucket_view:
                    ops.cat([p.detach().reshape(-1) for p in params], out=flat)
                work = broadcast(flat, None, self.process_group, async_op=True, group_src=rank)
                works.append((work, rank, flat, params))
        for work, rank, flat, params in works:
            assert work is not None
            work.wait()
            if rank != self.rank and not self.parameters_as_bucket_view:
                for p, part in zip(params, flat.split([p.numel() for p in params]), strict=True):
                    p.copy_(part.view(p.shape))

    # ------------------------------------------------------------------------------------- state

    def consolidate_state_dict(self, to: int = 0) -> None:
        """Gathers the states of all ranks on one. All ranks call it."""
        states = gathered(self.optim.state_dict(), self.process_group)
        self._all_states = states if self.process_group.ranks[self.rank] == to else []

    def state_dict(self) -> dict[str, Any]:
        """The whole state, as one optimizer of all parameters would give it, on the rank that has gathered
        it.
        """
        if not self._all_states:
            raise RuntimeError(
                "Optimizer state has not been consolidated on this rank. Please call "
                f"`consolidate_state_dict(to={self.rank})` on all ranks beforehand if you meant to save the "
                "global state."
            )
        whole = super().state_dict()
        whole["state"] = {}
        numbers = {id(p): n for n, p in enumerate(p for group in self.param_groups for p in group["params"])}
        for rank, state in enumerate(self._all_states):
            params = [p for part in self.parts[rank] for p in part]
            for place, p in enumerate(params):
                if place in state["state"]:
                    whole["state"][numbers[id(p)]] = state["state"][place]
        whole["state"] = dict(sorted(whole["state"].items()))
        return whole

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes a whole state; each rank keeps its part."""
        numbers = {id(p): n for n, p in enumerate(p for group in self.param_groups for p in group["params"])}
        for group, loaded in zip(self.param_groups, state_dict["param_groups"], strict=True):
            group.update({name: value for name, value in loaded.items() if name != "params"})
        own = self.optim.state_dict()
        own["state"] = {}
        place = 0
        for part in self.parts[self.rank]:
            for p in part:
                if numbers[id(p)] in state_dict["state"]:
                    own["state"][place] = copy.deepcopy(state_dict["state"][numbers[id(p)]])
                place += 1
        self._sync_param_groups(self.param_groups, own["param_groups"])
        self.optim.load_state_dict(own)

    # ---------------------------------------------------------------------------- uneven inputs

    def join_hook(self, **kwargs: Any) -> JoinHook:
        """A rank without inputs steps along: its part goes to the others."""
        return _Along(self)

    @property
    def join_device(self) -> Any:
        """The device of the parameters."""
        return self.param_groups[0]["params"][0].device

    @property
    def join_process_group(self) -> ProcessGroup:
        """The group of the optimizer."""
        return self.process_group


class _Along(JoinHook):
    def __init__(self, optimizer: ZeroRedundancyOptimizer) -> None:
        self.optimizer = optimizer

    def main_hook(self) -> None:
        """One step of this rank's part."""
        self.optimizer.step()


__getattr__ = getter(__name__)
