"""Which ops of a checkpoint keep their results: selective activation checkpointing.

`create_selective_checkpoint_contexts` gives two contexts, for the first run and for the second. Each puts
an interpreter on the engine's stack. `_Keeping` asks the policy about each op and keeps results;
`_Using` hands them out in the same order, through a twin of the op: same rules, same graph, and a
kernel that returns what was kept.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Any

from pullback.core import _engine
from pullback.core._engine import Op
from pullback.transforms import stack

SAC_IGNORED_OPS: set[Any] = {"detach", "alias"}
"""Ops that no policy is asked about, by name; nor is it about any view."""


class CheckpointPolicy(enum.Enum):
    """What becomes of an op's result: kept, or computed again. PREFER leaves the choice to `compile`; here
    it is as good as MUST. What is to be offloaded to host memory is there already, and is kept."""

    MUST_SAVE = 0
    PREFER_SAVE = 1
    MUST_RECOMPUTE = 2
    PREFER_RECOMPUTE = 3
    MUST_CPU_OFFLOAD = 4
    PREFER_CPU_OFFLOAD = 5


_RECOMPUTED = (CheckpointPolicy.MUST_RECOMPUTE, CheckpointPolicy.PREFER_RECOMPUTE)


class SelectiveCheckpointContext:
    """What a policy is told: `op_output`, the op's result; `is_recompute` is always False."""

    def __init__(self, *, is_recompute: bool, op_output: Any = None) -> None:
        self.is_recompute = is_recompute
        self.op_output = op_output


def create_selective_checkpoint_contexts(
    policy_fn_or_list: Any, allow_cache_entry_mutation: bool = False
) -> tuple[Any, Any]:
    """Two contexts for the `context_fn` of `checkpoint`: results that the policy wants are kept.

    The policy is a function `policy(ctx, op, *args)` that returns a `CheckpointPolicy`, or a list of ops
    whose results are to be kept. An op is a record of the op table (`op.name`), such as `torch.mm`; a
    list may also have names. TypeError for anything else; ValueError for an item that is no op. It is a
    RuntimeError, in the backward pass, if a kept result was written to, unless
    `allow_cache_entry_mutation`.

    >>> import functools
    >>> import pullback as torch
    >>> from pullback.utils.checkpoint import checkpoint, create_selective_checkpoint_contexts
    >>> keep_products = functools.partial(create_selective_checkpoint_contexts, [torch.mm])
    >>> x = torch.eye(2, requires_grad=True)
    >>> y = checkpoint(lambda x: torch.mm(x, x).exp(), x, use_reentrant=False, context_fn=keep_products)
    >>> y.sum().backward(); x.grad.diagonal()
    tensor([5.4366, 5.4366])
    """
    if isinstance(policy_fn_or_list, list):
        policy = _policy_of_list(policy_fn_or_list)
    elif callable(policy_fn_or_list):
        policy = policy_fn_or_list
    else:
        raise TypeError("policy_fn_or_list must be either a function or a list of ops.")
    kept: dict[tuple[str, int], Any] = {}
    return _Keeping(policy, kept), _Using(kept, allow_cache_entry_mutation)


def _policy_of_list(chosen: list[Any]) -> Callable[..., Any]:
    """The policy of a list: keep these, compute the others again."""
    names = set()
    for item in chosen:
        name = item if isinstance(item, str) else getattr(item, "__name__", None)
        if name is None:
            raise ValueError(
                f"Expected op in `op_list` to be an op or its name but got: {item} of type {type(item)}."
            )
        names.add(name)

    def policy(ctx: Any, op: Op, *args: Any, **kwargs: Any) -> CheckpointPolicy:
        known = op.name in names or op.__name__ in names
        return CheckpointPolicy.MUST_SAVE if known else CheckpointPolicy.PREFER_RECOMPUTE

    return policy


class _Counting(stack.Interpreter):
    """An interpreter that is a context and counts how often each op was called. A custom Function is
    always computed again."""

    def __enter__(self) -> None:
        self.counts: dict[str, int] = {}
        self.entered = stack.entered(self)
        self.entered.__enter__()

    def __exit__(self, *exc: object) -> None:
        self.entered.__exit__(*exc)

    def place(self, op: Op) -> tuple[str, int]:
        """The name of an op and the number of this call."""
        number = self.counts[op.name] = self.counts.get(op.name, -1) + 1
        return op.name, number


def _ignored(op: Op, out: Any) -> bool:
    return out is not None or op.view or op.name in SAC_IGNORED_OPS


class _Keeping(_Counting):
    """Keeps the results that the policy wants."""

    def __init__(self, policy: Callable[..., Any], kept: dict[Any, Any]) -> None:
        self.policy, self.kept = policy, kept

    def process(self, op: Op, args: tuple[Any, ...], out: Any) -> Any:
        """Does the op, and asks the policy about its result."""
        result = _engine.apply_below(op, args, out)
        if _ignored(op, out):
            return result
        place = self.place(op)
        wish = self.policy(SelectiveCheckpointContext(is_recompute=False, op_output=result), op, *args)
        if wish not in _RECOMPUTED and wish is not False:
            outputs = result if isinstance(result, tuple) else (result,)
            self.kept[place] = [(x.detach(), x._version) for x in outputs], isinstance(result, tuple)
        return result


class _Using(_Counting):
    """Hands out what was kept."""

    def __init__(self, kept: dict[Any, Any], may_change: bool) -> None:
        self.kept, self.may_change = kept, may_change

    def process(self, op: Op, args: tuple[Any, ...], out: Any) -> Any:
        """The op, by its twin if its result was kept."""
        found = None if _ignored(op, out) else self.kept.get(self.place(op))
        if found is None:
            return _engine.apply_below(op, args, out)
        entries, several = found
        if not self.may_change and any(x._version != version for x, version in entries):
            raise RuntimeError("Tensor cached during selective activation checkpoint has been mutated")
        arrays = tuple(x._array for x, _ in entries)
        return _engine.apply_below(_twin(op, arrays if several else arrays[0]), args)


def _twin(op: Op, arrays: Any) -> Op:
    """An op with the rules of another, and a kernel that returns these arrays."""
    twin = Op(
        op.name,
        lambda *args: arrays,
        op.params,
        op.defaults,
        op.kinds,
        public_name=op.__name__,
        grad_name=op.grad_name,
        written_name=op.written_name,
        moves=True,
    )
    twin.variant = op.variant
    for rule, name in zip(
        op.rules, [p for p, k in zip(op.params, op.kinds, strict=True) if k in "TNOL"], strict=True
    ):
        if rule is not None:
            twin.vjp(**{name: rule.written})
    if op.joint is not None:
        twin.joint_vjp(op.joint.function)
    return twin
