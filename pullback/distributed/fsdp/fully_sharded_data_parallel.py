"""`FullyShardedDataParallel`: modules whose parameters, gradients and optimizer's states are parted over
ranks.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from pullback import ops
from pullback.autograd.graph import saved_tensors_hooks
from pullback.core._engine import Tensor, grad_enabled
from pullback.core.modes import no_grad
from pullback.distributed.collectives import all_reduce, broadcast
from pullback.distributed.fsdp import optim_state
from pullback.distributed.fsdp.api import (
    BackwardPrefetch,
    CPUOffload,
    FullOptimStateDictConfig,
    FullStateDictConfig,
    MixedPrecision,
    OptimStateDictConfig,
    ShardingStrategy,
    StateDictConfig,
    StateDictSettings,
    StateDictType,
)
from pullback.distributed.fsdp.flat import FlatParameters
from pullback.distributed.fsdp.wrap import wrap_children
from pullback.distributed.groups import ProcessGroup, get_global_rank, members
from pullback.distributed.reduce_ops import ReduceOp
from pullback.distributed.sharded import ShardedTensor
from pullback.face.absent import getter
from pullback.nn.modules.module import Module
from pullback.utils._pytree import tree_map

__all__ = ["FullyShardedDataParallel"]

WRAPPED = "_fsdp_wrapped_module"
FLAT = "_flat_param"


class FullyShardedDataParallel(Module):
    """A module whose parameters are parted over the ranks of a group, and gathered around its passes.

    All parameters that are in no such module within are flat in one vector; `parameters()` are this rank's
    part of it. A forward pass gathers the whole and lets it go (`SHARD_GRAD_OP` keeps it for the backward
    pass), a backward pass gathers it again and scatters the averages of the gradients. `auto_wrap_policy`
    says which modules within are wrapped first. `state_dict` has whole parameters by the module's own names
    unless `set_state_dict_type` says otherwise. With `mixed_precision` it computes in another dtype than the
    parts are kept in.

    >>> import pullback as torch
    >>> from pullback.distributed.fsdp import FullyShardedDataParallel
    >>> torch.distributed.init_process_group("gloo", rank=0, world_size=1)
    >>> model = FullyShardedDataParallel(torch.nn.Linear(2, 1))
    >>> model(torch.ones(3, 2)).sum().backward()
    >>> [p.grad for p in model.parameters()]
    [tensor([3., 3., 3.])]
    >>> torch.distributed.destroy_process_group()
    """

    def __init__(
        self,
        module: Module,
        process_group: Any = None,
        sharding_strategy: ShardingStrategy | None = None,
        cpu_offload: CPUOffload | None = None,
        auto_wrap_policy: Callable[..., Any] | None = None,
        backward_prefetch: BackwardPrefetch | None = BackwardPrefetch.BACKWARD_PRE,
        mixed_precision: MixedPrecision | None = None,
        ignored_modules: Iterable[Module] | None = None,
        param_init_fn: Callable[[Module], None] | None = None,
        device_id: Any = None,
        sync_module_states: bool = False,
        forward_prefetch: bool = False,
        limit_all_gathers: bool = True,
        use_orig_params: bool = False,
        ignored_states: Iterable[Any] | None = None,
        device_mesh: Any = None,
    ) -> None:
        super().__init__()
        if device_mesh is not None and process_group is None:
            process_group = device_mesh.get_group()
        group = members(process_group[0] if isinstance(process_group, tuple) else process_group)
        if group is None:
            raise ValueError("this rank is not in the group of the module")
        self.process_group: ProcessGroup = group
        self.sharding_strategy = sharding_strategy or ShardingStrategy.FULL_SHARD
        self.mixed_precision = mixed_precision or MixedPrecision()
        self._settings = StateDictSettings()
        self._running: list[FlatParameters] = []
        ignored = _ignored(ignored_modules, ignored_states)
        if param_init_fn is not None:
            for part in module.modules():
                if any(p.is_meta for p in part.parameters(recurse=False)):
                    param_init_fn(part)
        if auto_wrap_policy is not None:
            keywords = {
                "process_group": group,
                "sharding_strategy": sharding_strategy,
                "mixed_precision": mixed_precision,
                "sync_module_states": sync_module_states,
                "ignored_modules": ignored_modules,
                "ignored_states": ignored_states,
            }

            def make(child: Module, **own: Any) -> Module:
                return FullyShardedDataParallel(child, **{**keywords, **own})

            wrap_children(module, auto_wrap_policy, ignored, make)
        if sync_module_states:
            root = get_global_rank(group, 0)
            for x in [*(p.detach() for p in _own_parameters(module, ignored)), *module.buffers()]:
                broadcast(x, root, group)
        buffers = self.mixed_precision.buffer_dtype
        if buffers is not None:
            for part in module.modules():
                for name, b in part._buffers.items():
                    if b is not None and b.is_floating_point():
                        part._buffers[name] = b.to(buffers)
        self._flats = _flats(module, ignored, group, self.sharding_strategy is not ShardingStrategy.NO_SHARD)
        for flat in self._flats:
            flat.keep_whole = self.sharding_strategy in (
                ShardingStrategy.SHARD_GRAD_OP,
                ShardingStrategy._HYBRID_SHARD_ZERO2,
            )
            flat.compute_dtype = self.mixed_precision.param_dtype
            flat.reduce_dtype = self.mixed_precision.reduce_dtype
        self._register_flats()
        self._modules[WRAPPED] = module
        self.register_state_dict_pre_hook(_before_state)
        self._register_state_dict_hook(_after_state)
        self._register_load_state_dict_pre_hook(_before_load, with_module=True)
        self.register_load_state_dict_post_hook(_after_load)

    @property
    def module(self) -> Module:
        """The module that is wrapped."""
        found = self._modules[WRAPPED]
        assert found is not None
        return found

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            if WRAPPED not in self.__dict__.get("_modules", ()):
                raise
            return getattr(self.module, name)

    def __getitem__(self, key: Any) -> Any:
        return self.module[key]  # type: ignore[index]

    def _register_flats(self) -> None:
        for i, flat in enumerate(self._flats):
            self._parameters[FLAT + (f"_{i}" if i else "")] = flat.shard

    @property
    def _has_params(self) -> bool:
        return bool(self._flats)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the module gives."""
        dtype = self.mixed_precision.param_dtype
        if dtype is not None and self.mixed_precision.cast_forward_inputs:
            args, kwargs = tree_map(lambda x: _cast(x, dtype), (args, kwargs))
        with contextlib.ExitStack() as stack:
            for flat in self._flats:
                flat.unshard()
                stack.callback(flat.leave)
            if self._flats and grad_enabled():
                stack.enter_context(saved_tensors_hooks(self._pack, self._unpack))
            result = self.module(*args, **kwargs)
        for flat in self._flats:
            if not flat.keep_whole or not grad_enabled():
                flat.free()
        return result

    def _pack(self, x: Tensor) -> Any:
        for i, flat in enumerate(self._flats):
            found = flat.pack(x)
            if found is not x:
                return i, found
        return x

    def _unpack(self, saved: Any) -> Tensor:
        return self._flats[saved[0]].unpack(saved[1]) if isinstance(saved, tuple) else saved

    # ------------------------------------------------------------------------------ what programs ask

    @staticmethod
    def fsdp_modules(module: Module, root_only: bool = False) -> list[FullyShardedDataParallel]:
        """The wrapped modules in a module; with `root_only` those that are in no other."""
        found = [m for m in module.modules() if isinstance(m, FullyShardedDataParallel)]
        if root_only:
            within = {id(n) for m in found for n in m.modules() if n is not m}
            found = [m for m in found if id(m) not in within]
        return found

    def check_is_root(self) -> bool:
        """Whether it was called last by none of its kind: True for the outermost."""
        return True

    @contextlib.contextmanager
    def no_sync(self) -> Iterator[None]:
        """Within, gradients are added up on each rank, whole; the first pass afterwards reduces the sums."""
        flats = [flat for m in self.fsdp_modules(self) for flat in m._flats]
        for flat in flats:
            flat.sync = False
        try:
            yield
        finally:
            for flat in flats:
                flat.sync = True

    @no_grad()
    def clip_grad_norm_(self, max_norm: float, norm_type: float = 2.0) -> Tensor:
        """Scales the gradients of all ranks so that their norm is no more than `max_norm`; the norm."""
        parted = [f for m in self.fsdp_modules(self) for f in m._flats if f.parted]
        here = {id(f.shard) for f in parted}
        grads = [f.shard.grad for f in parted if f.shard.grad is not None]
        others = [p.grad for p in self.parameters() if id(p) not in here and p.grad is not None]
        power = float(norm_type)
        if power == float("inf"):
            total = max([g.abs().max() for g in grads] + [ops.zeros(())], key=float)
            all_reduce(total, ReduceOp.MAX, self.process_group)
            total = max([total, *(g.abs().max() for g in others)], key=float)
        else:
            total = sum((g.abs().pow(power).sum() for g in grads), ops.zeros(()))
            all_reduce(total, ReduceOp.SUM, self.process_group)
            total = (total + sum(g.abs().pow(power).sum() for g in others)).pow(1 / power)
        scale = (max_norm / (total + 1e-6)).clamp(max=1.0)
        for g in grads + others:
            g.mul_(scale.to(g.dtype))
        return total

    def apply(self, fn: Callable[[Module], None]) -> Any:
        """Calls a function with each module, while all have whole parameters."""
        with self.summon_full_params(self):
            return super().apply(fn)

    @staticmethod
    @contextlib.contextmanager
    def summon_full_params(
        module: Module,
        recurse: bool = True,
        writeback: bool = True,
        rank0_only: bool = False,
        offload_to_cpu: bool = False,
        with_grads: bool = False,
    ) -> Iterator[None]:
        """Within, modules have whole parameters; with `writeback` what is written to them is kept."""
        found = FullyShardedDataParallel.fsdp_modules(module)
        found = found if recurse else found[:1]
        flats = [flat for m in found for flat in m._flats]
        for m in found:
            m._parameters.clear()  # the whole parameters are those of the modules within
        for flat in flats:
            flat.summon()
            if with_grads and flat.shard.grad is not None:
                whole = flat.spread(flat.shard.grad)
                for place in flat.places:
                    holder, name = place.holders[0]
                    p = holder._parameters[name]
                    assert p is not None
                    p.grad = whole[place.start : place.end].view(place.shape)
        try:
            yield
        finally:
            for flat in flats:
                flat.dismiss(writeback)
            for m in found:
                m._register_flats()

    def named_parameters(self, *args: Any, **kwargs: Any) -> Iterator[tuple[str, Any]]:
        """The parameters and their names, which within `summon_full_params` are the wrapped module's own."""
        for name, p in super().named_parameters(*args, **kwargs):
            yield name.replace(f"{WRAPPED}.", "") if not self._parameters else name, p

    def register_comm_hook(self, state: object, hook: Callable[..., Any]) -> None:
        """Has `hook(state, flat)` see the whole flat gradients before they are reduced."""
        for m in self.fsdp_modules(self):
            for flat in m._flats:
                flat.hook = lambda x: hook(state, x)

    # ------------------------------------------------------------------------------------- states

    @staticmethod
    def set_state_dict_type(
        module: Module,
        state_dict_type: StateDictType,
        state_dict_config: StateDictConfig | None = None,
        optim_state_dict_config: OptimStateDictConfig | None = None,
    ) -> StateDictSettings:
        """Says what the states of all wrapped modules in a module have; what they had before."""
        before = FullyShardedDataParallel.get_state_dict_type(module)
        for m in FullyShardedDataParallel.fsdp_modules(module):
            m._settings = StateDictSettings(
                state_dict_type,
                state_dict_config or FullStateDictConfig(),
                optim_state_dict_config or FullOptimStateDictConfig(),
            )
        return before

    @staticmethod
    def get_state_dict_type(module: Module) -> StateDictSettings:
        """What the states of the wrapped modules in a module have."""
        found = FullyShardedDataParallel.fsdp_modules(module)
        return found[0]._settings if found else StateDictSettings()

    @staticmethod
    @contextlib.contextmanager
    def state_dict_type(
        module: Module,
        state_dict_type: StateDictType,
        state_dict_config: StateDictConfig | None = None,
        optim_state_dict_config: OptimStateDictConfig | None = None,
    ) -> Iterator[None]:
        """Within, the states have what is said."""
        found = FullyShardedDataParallel.set_state_dict_type(
            module, state_dict_type, state_dict_config, optim_state_dict_config
        )
        try:
            yield
        finally:
            FullyShardedDataParallel.set_state_dict_type(
                module, found.state_dict_type, found.state_dict_config, found.optim_state_dict_config
            )

    @staticmethod
    def optim_state_dict(
        model: Module, optim: Any, optim_state_dict: Any = None, group: Any = None
    ) -> dict[str, Any]:
        """An optimizer's state by the names of the parameters: whole, or parts as `set_state_dict_type`
        says.
        """
        settings = FullyShardedDataParallel.get_state_dict_type(model)
        return optim_state.by_names(model, optim, optim_state_dict, settings)

    full_optim_state_dict = staticmethod(
        lambda model, optim, *_, **__: optim_state.by_names(model, optim, None, None)
    )

    @staticmethod
    def optim_state_dict_to_load(
        model: Module,
        optim: Any,
        optim_state_dict: dict[str, Any],
        is_named_optimizer: bool = False,
        load_directly: bool = False,
        group: Any = None,
    ) -> dict[str, Any]:
        """A state by names as this rank's optimizer loads it."""
        made = optim_state.to_load(model, optim, optim_state_dict)
        if load_directly:
            optim.load_state_dict(made)
        return made


def _ignored(modules: Iterable[Module] | None, states: Iterable[Any] | None) -> set[int]:
    found: set[int] = set()
    for x in [*(modules or ()), *(states or ())]:
        for m in x.modules() if isinstance(x, Module) else ():
            found.update([id(m), *(id(p) for p in m.parameters(recurse=False))])
        found.add(id(x))
    return found


def _cast(x: Any, dtype: Any) -> Any:
    return x.to(dtype) if isinstance(x, Tensor) and x.is_floating_point() else x


def _own_parameters(module: Module, ignored: set[int]) -> list[Tensor]:
    return [p for _, p, _ in _named(module, ignored)]


def _named(module: Module, ignored: set[int]) -> list[tuple[str, Tensor, list[tuple[Module, str]]]]:
    """The parameters that are in no wrapped module within: name, tensor, and all places that hold it."""
    found: dict[int, tuple[str, Tensor, list[tuple[Module, str]]]] = {}
    left: list[tuple[str, Module]] = [("", module)]
    while left:
        prefix, part = left.pop()
        if isinstance(part, FullyShardedDataParallel) or id(part) in ignored:
            continue
        for name, p in part._parameters.items():
            if p is not None and id(p) not in ignored:
                found.setdefault(id(p), (prefix + name, p, []))[2].append((part, name))
        left += [(f"{prefix}{name}.", child) for name, child in reversed(list(part.named_children()))]
    return list(found.values())


def _flats(module: Module, ignored: set[int], group: ProcessGroup, parted: bool) -> list[FlatParameters]:
    """Flat vectors of a module's parameters, one for each dtype and for those that are not trained."""
    kinds: dict[Any, list[Any]] = {}
    for entry in _named(module, ignored):
        kinds.setdefault((entry[1].dtype, entry[1].requires_grad), []).append(entry)
    return [FlatParameters(named, group, parted) for named in kinds.values()]


# ------------------------------------------------------------- hooks of state_dict and load_state_dict


def _before_state(module: Any, prefix: str, keep_vars: bool) -> None:
    if module._settings.state_dict_type is StateDictType.FULL_STATE_DICT:
        for flat in module._flats:
            flat.summon()


def _after_state(module: Any, state: Any, prefix: str, metadata: Any) -> None:
    """Gives what is in the state the names of the module that is wrapped."""
    settings = module._settings
    kind = settings.state_dict_type
    inner = f"{prefix}{WRAPPED}."
    if kind is not StateDictType.LOCAL_STATE_DICT:
        for i in range(len(module._flats)):
            state.pop(prefix + FLAT + (f"_{i}" if i else ""), None)
    empty = getattr(settings.state_dict_config, "rank0_only", False) and module.process_group.rank() > 0
    for key in [k for k in state if k.startswith(inner)]:
        value = state.pop(key)
        if not empty:
            state[prefix + key.removeprefix(inner)] = value
    if kind is StateDictType.FULL_STATE_DICT:
        for flat in module._flats:
            for place in flat.places:
                if not empty:
                    key = prefix + place.name
                    state[key] = state[key].clone()
            flat.dismiss(writeback=False)
    elif kind is StateDictType.SHARDED_STATE_DICT:
        for flat in module._flats:
            for place in flat.places:
                state[prefix + place.name] = ShardedTensor(
                    place.shape, *flat.local(flat.shard.detach(), place)
                )


def _before_load(module: Any, state: Any, prefix: str, *rest: Any) -> None:
    """Gives what is in the state the names that the parts of the module go by."""
    kind = module._settings.state_dict_type
    if kind is StateDictType.SHARDED_STATE_DICT:
        with no_grad():
            for flat in module._flats:
                for place in flat.places:
                    given = state.pop(prefix + place.name, None)
                    if given is not None:
                        flat.local(flat.shard.detach(), place)[0].copy_(given.local)
    flats = [prefix + FLAT + (f"_{i}" if i else "") for i in range(len(module._flats))]
    for key in [k for k in state if k.startswith(prefix) and k not in flats]:
        if not key.startswith(f"{prefix}{WRAPPED}."):
            state[f"{prefix}{WRAPPED}.{key.removeprefix(prefix)}"] = state.pop(key)
    if kind is StateDictType.FULL_STATE_DICT:
        for flat in module._flats:
            flat.summon()
    if kind is not StateDictType.LOCAL_STATE_DICT:
        for key, flat in zip(flats, module._flats, strict=True):
            state[key] = flat.shard.detach()


def _after_load(module: Any, incompatible: Any) -> None:
    if module._settings.state_dict_type is StateDictType.FULL_STATE_DICT:
        for flat in module._flats:
            if flat.whole is not None:
                flat.dismiss(writeback=True)


__getattr__ = getter(__name__)
