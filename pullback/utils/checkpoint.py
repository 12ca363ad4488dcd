"""`torch.utils.checkpoint`: trade arithmetic for memory.

`checkpoint(f, x)` runs f without keeping what its backward pass needs, and runs it again when that is
asked for. Without reentrance, a pack hook leaves a `_Place` in the graph for each tensor that would have
been saved; the first one to be unpacked in a backward pass has `_Frame` run f again, with another hook
that fills the places in the same order. The graph is the real one, so `autograd.grad`, captured tensors,
second derivatives and nesting need nothing of their own. The reentrant variant is a Function whose
backward runs a backward pass. Which ops keep their results is in `selective`.
"""

from __future__ import annotations

import contextlib
import os
import sys
import traceback
import warnings
import weakref
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from pullback import ops
from pullback.autograd.function import Function
from pullback.autograd.graph import saved_tensors_hooks
from pullback.autograd.passes import backward
from pullback.core import _engine
from pullback.core._engine import Tensor
from pullback.core.modes import enable_grad, no_grad
from pullback.face.absent import getter
from pullback.transforms import stack
from pullback.utils.selective import (
    SAC_IGNORED_OPS,
    CheckpointPolicy,
    SelectiveCheckpointContext,
    create_selective_checkpoint_contexts,
)

__all__ = [
    "SAC_IGNORED_OPS",
    "CheckpointError",
    "CheckpointFunction",
    "CheckpointPolicy",
    "DefaultDeviceType",
    "GraphExecGroup",
    "SelectiveCheckpointContext",
    "check_backward_validity",
    "checkpoint",
    "checkpoint_sequential",
    "create_selective_checkpoint_contexts",
    "detach_variable",
    "get_device_states",
    "noop_context_fn",
    "set_checkpoint_debug_enabled",
    "set_checkpoint_early_stop",
    "set_device_states",
]


class CheckpointError(RuntimeError):
    """The function did something else when it was run again."""


class _Enough(BaseException):
    """Ends a recomputation: all places are filled."""

    def __init__(self, frame: _Frame) -> None:
        self.frame = frame


class _Settings:
    """What the contexts below set."""

    debug: bool | None = None
    early_stop = True
    group: GraphExecGroup | None = None


@contextlib.contextmanager
def set_checkpoint_debug_enabled(enabled: bool | None) -> Iterator[None]:
    """Within, `checkpoint` behaves as if it had been given this value of `debug`; None for its own."""
    before, _Settings.debug = _Settings.debug, enabled
    try:
        yield
    finally:
        _Settings.debug = before


@contextlib.contextmanager
def set_checkpoint_early_stop(enable: bool) -> Iterator[None]:
    """Within, checkpoints are made that stop, or do not stop, once all that is needed is recomputed."""
    before, _Settings.early_stop = _Settings.early_stop, enable
    try:
        yield
    finally:
        _Settings.early_stop = before


def noop_context_fn() -> tuple[Any, Any]:
    """Two contexts that do nothing."""
    return contextlib.nullcontext(), contextlib.nullcontext()


class GraphExecGroup:
    """Within, several backward passes count as one: each checkpoint is recomputed once for all."""

    def __enter__(self) -> GraphExecGroup:
        if _Settings.group is not None:
            raise RuntimeError(
                f"GraphExecGroup contexts cannot be nested. Already inside group {_Settings.group}"
            )
        _Settings.group = self
        return self

    def __exit__(self, *exc: object) -> None:
        _Settings.group = None


# ------------------------------------------------------------------------------------- entrances


def checkpoint(
    function: Callable[..., Any],
    *args: Any,
    use_reentrant: bool | None = None,
    context_fn: Callable[[], tuple[Any, Any]] = noop_context_fn,
    determinism_check: str = "default",
    debug: bool = False,
    early_stop: bool = True,
    **kwargs: Any,
) -> Any:
    """`function(*args)`, whose intermediate values are computed again in the backward pass, not kept.

    With `use_reentrant=False` gradients flow as without a checkpoint, to captured tensors too;
    `context_fn` gives a context for each of the two runs, `determinism_check="none"` skips the comparison
    of shapes and dtypes, `early_stop` ends the second run when it has all, `debug` says in an error what
    both runs did. `preserve_rng_state=False` lets random numbers differ. With `use_reentrant=True` at
    least one argument must require grad, and `autograd.grad` does not work. ValueError for unknown
    options; CheckpointError, in the backward pass, if the second run differs from the first.

    >>> import pullback as torch
    >>> from pullback.utils.checkpoint import checkpoint
    >>> x = torch.tensor([1.0, 2.0], requires_grad=True)
    >>> checkpoint(lambda x: x.exp().sin(), x, use_reentrant=False).sum().backward()
    >>> x.grad
    tensor([-2.4783,  3.3129])
    """
    if use_reentrant is None:
        warnings.warn(
            "torch.utils.checkpoint: the use_reentrant parameter should be passed explicitly. Starting "
            "in PyTorch 2.9, calling checkpoint without use_reentrant will raise an exception. "
            "use_reentrant=False is recommended, but if you need to preserve the current default "
            "behavior, you can pass use_reentrant=True. Refer to docs for more details on the "
            "differences between the two variants.",
            stacklevel=2,
        )
        use_reentrant = True
    preserve = kwargs.pop("preserve_rng_state", True)
    if not use_reentrant:
        debug = debug if _Settings.debug is None else _Settings.debug
        run = _Run(function, kwargs, preserve, context_fn, debug)
        return _without_reentrance(run, args, determinism_check, early_stop and _Settings.early_stop)
    if kwargs:
        raise ValueError("Unexpected keyword arguments: " + ",".join(kwargs))
    if context_fn is not noop_context_fn or debug is not False:
        raise ValueError("Passing `context_fn` or `debug` is only supported when use_reentrant=False.")
    return CheckpointFunction.apply(function, preserve, *args)


def checkpoint_sequential(
    functions: Any, segments: int, input: Any, use_reentrant: bool | None = None, **kwargs: Any
) -> Any:
    """The functions one after the other, in `segments` parts of which all but the last are checkpoints.

    `functions` is a list or an `nn.Sequential`; each takes and returns one value.

    >>> import pullback as torch
    >>> from pullback.utils.checkpoint import checkpoint_sequential
    >>> x = torch.tensor(0.5, requires_grad=True)
    >>> checkpoint_sequential([torch.sin, torch.exp, torch.sin], 2, x, use_reentrant=False).backward()
    >>> x.grad
    tensor(-0.0628)
    """
    if use_reentrant is None:
        warnings.warn(
            "torch.utils.checkpoint.checkpoint_sequential: the use_reentrant parameter should be passed "
            "explicitly. In version 2.9 we will raise an exception if use_reentrant is not passed. "
            "use_reentrant=False is recommended, but if you need to preserve the current default "
            "behavior, you can pass use_reentrant=True. Refer to docs for more details on the "
            "differences between the two variants.",
            stacklevel=2,
        )
        use_reentrant = True
    preserve = kwargs.pop("preserve_rng_state", True)
    if kwargs:
        raise ValueError("Unexpected keyword arguments: " + ",".join(kwargs))
    steps = list(functions.children()) if hasattr(functions, "children") else list(functions)
    size = len(steps) // segments

    def part(chosen: list[Any]) -> Callable[[Any], Any]:
        def run(x: Any) -> Any:
            for step in chosen:
                x = step(x)
            return x

        return run

    end = 0
    for start in range(0, size * (segments - 1), size):
        end = start + size
        input = checkpoint(
            part(steps[start:end]), input, use_reentrant=use_reentrant, preserve_rng_state=preserve
        )
    return part(steps[end:])(input)


# ------------------------------------------------------------------------------ without reentrance


class _Run:
    """A function with the surroundings in which it runs, the first time and again."""

    def __init__(self, function: Any, kwargs: Any, preserve: bool, context_fn: Any, debug: bool) -> None:
        self.function, self.kwargs, self.preserve = function, kwargs, preserve
        self.first, self.again = context_fn()
        self.logs: tuple[list[str], list[str]] | None = ([], []) if debug else None
        self.state = ops.get_rng_state() if preserve else None

    def once(self, args: tuple[Any, ...]) -> Any:
        """The first run."""
        with _logged(self.logs and self.logs[0]), self.first:
            return self.function(*args, **self.kwargs)

    def repeat(self, args: tuple[Any, ...]) -> None:
        """Another run, from the random state of the first."""
        with contextlib.ExitStack() as contexts:
            if self.preserve:
                contexts.callback(ops.set_rng_state, ops.get_rng_state())
                ops.set_rng_state(self.state)
            if self.logs:
                self.logs[1].clear()
            contexts.enter_context(_logged(self.logs and self.logs[1]))
            contexts.enter_context(self.again)
            self.function(*args, **self.kwargs)


class _Place:
    """Stands in the graph for a saved tensor."""

    __slots__ = ("__weakref__", "frame", "number", "values")

    def __init__(self, frame: _Frame, number: int) -> None:
        self.frame, self.number = frame, number
        self.values: dict[Any, Tensor] = {}


class _Inputs(Function):
    """Keeps the arguments as saved tensors, so that an outer checkpoint need not keep them."""

    @staticmethod
    def forward(ctx: Any, anchor: Tensor, *tensors: Tensor) -> Tensor:
        ctx.save_for_backward(*tensors)
        return ops.clone(anchor)

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Tensor:
        return ops.zeros(0)


class _Frame:
    """One checkpointed call: what it saved, by place, and how to compute that again."""

    def __init__(self, run: _Run, args: tuple[Any, ...], early_stop: bool) -> None:
        self.run, self.early_stop = run, early_stop
        self.places: list[Any] = []
        self.looks: list[dict[str, Any]] | None = []
        self.complete = False
        self.levels = stack.active()
        anchor = ops.empty((0,), requires_grad=True)
        self.tensors = [i for i, x in enumerate(args) if isinstance(x, Tensor) and stack.owner(x) is None]
        self.rest = [None if i in self.tensors else x for i, x in enumerate(args)]
        self.kept = _Inputs.apply(anchor, *(args[i] for i in self.tensors))

    def args(self) -> tuple[Any, ...]:
        """The arguments of the call."""
        found = list(self.rest)
        for i, x in zip(self.tensors, self.kept.grad_fn.saved_tensors, strict=True):
            found[i] = x
        return tuple(found)

    # ------------------------------------------------------- the first run

    def pack(self, x: Tensor) -> _Place:
        """Leaves a place instead of the tensor."""
        place = _Place(self, len(self.places))
        self.places.append(weakref.ref(place))
        if self.looks is not None:
            self.looks.append(_description(x))
        return place

    def unpack(self, place: _Place) -> Tensor:
        """The tensor of a place, recomputed once in each backward pass."""
        key: Any = _Settings.group or _engine.current_pass()
        if key not in place.values:
            found = self.recompute(key)
            if key == -1:
                return found[place.number]
        return place.values[key]

    # ----------------------------------------------------------- once more

    def recompute(self, key: Any) -> dict[int, Tensor]:
        """Runs the function again and fills the places that are still in use."""
        for reference in self.places:
            place = reference()
            if place is not None:
                place.values.clear()
        found: dict[int, Tensor] = {}
        count, args = 0, self.args()
        constants = {id(x) for x in args if isinstance(x, Tensor) and not x.requires_grad}

        def pack(x: Tensor) -> Tensor:
            nonlocal count
            number, count = count, count + 1
            value = x if id(x) in constants else x.detach()
            if number >= len(self.places):
                if not self.complete:  # a backward pass within the function, of what it did so far
                    return value
                raise CheckpointError(
                    "torch.utils.checkpoint: trying to save more tensors during recomputation than "
                    f"during the original forward pass.\n{_TIP}"
                )
            place = self.places[number]()
            if place is not None:
                found[number] = value
                if key != -1:
                    place.values[key] = value
            if self.early_stop and count == len(self.places):
                raise _Enough(self)
            return value

        try:
            with stack.within(self.levels), saved_tensors_hooks(pack, lambda x: x), enable_grad():
                self.run.repeat(args)
        except _Enough as stop:
            if stop.frame is not self:
                raise
        self.check(found, count)
        return found

    def check(self, found: dict[int, Tensor], count: int) -> None:
        """CheckpointError if the runs differ in what they saved."""
        message = ""
        if count != len(self.places) and self.complete:
            message = (
                "torch.utils.checkpoint: A different number of tensors was saved during the original "
                f"forward and recomputation.\nNumber of tensors saved during forward: {len(self.places)}\n"
                f"Number of tensors saved during recomputation: {count}.\n"
            )
        elif self.looks is not None:
            pairs = [(i, self.looks[i], _description(x)) for i, x in sorted(found.items())]
            lines = [
                f"tensor at position {i}:\nsaved metadata: {was}\nrecomputed metadata: {is_now}\n"
                for i, was, is_now in pairs
                if was != is_now
            ]
            if lines:
                message = (
                    "torch.utils.checkpoint: Recomputed values for the following tensors have different "
                    f"metadata than during the forward pass.\n{''.join(lines)}.\n"
                )
        if message:
            raise CheckpointError(message + (_compared(self.run.logs) if self.run.logs else _TIP))


def _description(x: Tensor) -> dict[str, Any]:
    return {"shape": x.shape, "dtype": x.dtype, "device": x.device}


_TIP = (
    "\nTip: To see a more detailed error message, either pass `debug=True` "
    "to\n`torch.utils.checkpoint.checkpoint(...)` or wrap the code block\nwith `with "
    "torch.utils.checkpoint.set_checkpoint_debug_enabled(True):` to\nenable checkpoint-debug mode globally.\n"
)


def _without_reentrance(run: _Run, args: tuple[Any, ...], determinism: str, early_stop: bool) -> Any:
    """A checkpoint by hooks on saved tensors."""
    if determinism not in ("default", "none"):
        raise ValueError(f"determinism_check should be one of ['default', 'none'], but got {determinism}")
    if not _engine.grad_enabled():
        return run.function(*args, **run.kwargs)
    frame = _Frame(run, args, early_stop)
    if determinism == "none":
        frame.looks = None
    with saved_tensors_hooks(frame.pack, lambda place: place.frame.unpack(place)):
        result = run.once(args)
    frame.complete = True
    return result


# ---------------------------------------------------------------------------------------- debugging


class _Log(stack.Interpreter):
    """An interpreter that writes down each op."""

    def __init__(self, lines: list[str]) -> None:
        self.lines = lines

    def process(self, op: Any, args: tuple[Any, ...], out: Any) -> Any:
        """Does the op, and notes its name, its shapes and the line that called it."""
        result = _engine.apply_below(op, args, out)
        given = ", ".join(_brief(x) for x in args)
        self.lines.append(f"{_brief(result)} = {op.name}({given})   at {_caller()}")
        return result

    def process_function(self, cls: Any, args: tuple[Any, ...]) -> Any:
        """The same for a custom Function."""
        self.lines.append(f"{cls.__name__}   at {_caller()}")
        return cls.apply(*args)


_HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


def _caller() -> str:
    """The innermost line outside of Pullback."""
    for frame, line in traceback.walk_stack(sys._getframe(1)):
        if not os.path.abspath(frame.f_code.co_filename).startswith(_HERE):
            return f"{frame.f_code.co_filename}:{line}"
    return "?"


def _brief(x: Any) -> str:
    if isinstance(x, Tensor):
        return f"{x.dtype}{list(x.shape)}"
    if isinstance(x, (tuple, list)):
        return f"({', '.join(map(_brief, x))})"
    return repr(x)


@contextlib.contextmanager
def _logged(lines: list[str] | None) -> Iterator[None]:
    """Within, each op adds a line; nothing happens for None."""
    if lines is None:
        yield
        return
    with stack.entered(_Log(lines)):
        yield


def _compared(logs: tuple[list[str], list[str]]) -> str:
    """Both runs side by side, for an error message."""
    parts = [
        f"\nThe {which} ran {len(lines)} ops:\n"
        + "".join(f"  {i + 1}. {line}\n" for i, line in enumerate(lines))
        for which, lines in zip(("original forward", "recomputation"), logs, strict=True)
    ]
    return "".join(parts)


# --------------------------------------------------------------------------------- with reentrance


class CheckpointFunction(Function):
    """The checkpoint whose backward runs a backward pass of its own."""

    @classmethod
    def apply(cls, function: Any, preserve: bool, *args: Any) -> Any:
        """`function(*args)` as a checkpoint."""
        check_backward_validity(args)
        wanted = any(isinstance(x, Tensor) and x.requires_grad for x in args)
        return super().apply(function, preserve, ops.empty((0,), requires_grad=wanted), *args)

    @staticmethod
    def forward(ctx: Any, function: Any, preserve: bool, witness: Tensor, *args: Any) -> Any:
        ctx.function, ctx.witness = function, witness
        ctx.state = ops.get_rng_state() if preserve else None
        ctx.rest = [None if isinstance(x, Tensor) else x for x in args]
        ctx.tensors = [i for i, x in enumerate(args) if isinstance(x, Tensor)]
        ctx.save_for_backward(*(args[i] for i in ctx.tensors))
        return function(*args)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        # A pass for all leaves also visits the witness; one for chosen inputs does not.
        node, _ = _engine.gradient_edge(ctx.witness) or (None, 0)
        if node is None or not _engine.will_run(node):
            raise RuntimeError(
                "When use_reentrant=True, torch.utils.checkpoint is incompatible with .grad() or passing "
                "an `inputs` parameter to .backward(). To resolve this error, you can either set "
                "use_reentrant=False, or call .backward() without passing the `inputs` argument."
            )
        args = list(ctx.rest)
        for i, x in zip(ctx.tensors, ctx.saved_tensors, strict=True):
            args[i] = x
        fresh = detach_variable(tuple(args))
        with ops.fork_rng(enabled=ctx.state is not None):
            if ctx.state is not None:
                ops.set_rng_state(ctx.state)
            with enable_grad():
                outputs = ctx.function(*fresh)
        outputs = (outputs,) if isinstance(outputs, Tensor) else outputs
        pairs = [
            (y, g) for y, g in zip(outputs, grads, strict=True) if isinstance(y, Tensor) and y.requires_grad
        ]
        if not pairs:
            raise RuntimeError("none of output has requires_grad=True, this checkpoint() is not necessary")
        backward([y for y, _ in pairs], [g for _, g in pairs])
        return None, None, None, *(x.grad if isinstance(x, Tensor) else None for x in fresh)


def detach_variable(inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    """The same arguments, each tensor as a leaf that requires grad if it did."""
    if not isinstance(inputs, tuple):
        raise RuntimeError(
            f"Only tuple of tensors is supported. Got Unsupported input type: {type(inputs).__name__}"
        )
    return tuple(x.detach().requires_grad_(x.requires_grad) if isinstance(x, Tensor) else x for x in inputs)


def check_backward_validity(inputs: Iterable[Any]) -> None:
    """Warns if no tensor among the inputs requires grad."""
    if not any(x.requires_grad for x in inputs if isinstance(x, Tensor)):
        warnings.warn("None of the inputs have requires_grad=True. Gradients will be None", stacklevel=2)


# ---------------------------------------------------------------------------------------- devices


class DefaultDeviceType:
    """The device whose random state is kept where the arguments do not say. There is the host alone,
    whose state is always kept: the name is remembered and changes nothing."""

    _name = "cuda"

    @staticmethod
    def set_device_type(device: str = "cuda") -> None:
        """Sets the name."""
        DefaultDeviceType._name = device

    @staticmethod
    def get_device_type() -> str:
        """The name."""
        return DefaultDeviceType._name


def get_device_states(*args: Any) -> tuple[list[int], list[Tensor]]:
    """Devices besides the host that hold arguments, and their random states: none."""
    return [], []


@no_grad()
def set_device_states(devices: list[int], states: list[Tensor], *, device_type: str | None = None) -> None:
    """Sets the random states of devices besides the host, of which there are none.

    RuntimeError if some are given.
    """
    if devices or states:
        raise RuntimeError(f"no such devices: {devices}")


__getattr__ = getter(__name__)
