"""Ops that programs declare: what `torch.library` registers for one, and how a call of it runs.

A call goes to the function for the composite, if there is one; else to the rule for autograd, where a
gradient is wanted or a transform is around; at last to the kernel of the tensors' device.
"""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from pullback import _ops, ops
from pullback._library.schema import Schema, infer_schema, parse
from pullback.autograd.function import Function
from pullback.core._engine import Tensor, levels
from pullback.core.modes import is_grad_enabled

DeviceTypes = str | Sequence[str] | None


class _Below(threading.local):
    """Which definitions a thread is below the autograd rule of."""

    depth = 0


_below = _Below()


@contextlib.contextmanager
def below_autograd() -> Iterator[None]:
    """Within, ops go to their kernels, past their autograd rules."""
    _below.depth += 1
    try:
        yield
    finally:
        _below.depth -= 1


waiting: dict[str, list[Callable[[Definition], None]]] = {}
"""What was registered for ops that are not declared yet, by their names."""


class Definition:
    """A declared op: its schema, and the functions that are registered for it."""

    def __init__(self, space: str, schema: Schema, owner: str | None = None) -> None:
        self.space, self.schema = space, schema
        self.name = schema.name.rpartition("::")[2]
        self.owner = owner  # the place of the function of a `custom_op`, whose results are checked
        self.kernels: dict[str, Callable[..., Any]] = {}
        self.fake: Callable[..., Any] | None = None
        self.composite: Callable[..., Any] | None = None
        self.autograd: Callable[..., Any] | None = None
        self.backward: Callable[..., Any] | None = None
        self.setup_context: Callable[..., Any] | None = None
        self.batched: Callable[..., Any] | None = None
        self.casts: dict[str, Any] = {}
        self.lists = [
            place
            for place, a in enumerate(a for a in schema.arguments if not a.kwarg_only)
            if a.holds_tensors and "[]" in a.type
        ]
        self.overload: Any = None

    def declare(self) -> Any:
        """Puts the op into its namespace. RuntimeError where it stands there already."""
        space = _ops.namespace(self.space)
        found = vars(space).get(self.name)
        if found is None:
            found = vars(space)[self.name] = _ops.OpOverloadPacket(self.space, self.name, self)
        overload = self.schema.overload_name or "default"
        if overload in found._overloads:
            raise RuntimeError(
                f"Tried to register an operator ({self.schema}) with the same name and overload name "
                "multiple times. Each overload's schema should only be registered with a single call to "
                "def()."
            )
        self.overload = found._add(overload, self, self.schema)
        for register in waiting.pop(self.overload.name(), ()):
            register(self)
        return self.overload

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        values, named = self.schema.bound(args, kwargs)
        if self.composite is not None:
            return self.composite(*values, **named)
        tensors = list(self._tensors(values, named))
        wanted = is_grad_enabled() and any(t.requires_grad for t in tensors)
        if self.autograd is not None and not _below.depth:
            return self.autograd(*values, **named)
        known = self.owner is not None or self.backward is not None or self.batched is not None
        if known and (wanted or levels()) and not _below.depth:
            return self._recorded(values, named)
        return self.run(values, named)

    def _tensors(self, values: Sequence[Any], named: dict[str, Any]) -> Iterator[Tensor]:
        for value in (*values, *named.values()):
            for item in value if isinstance(value, (list, tuple)) else (value,):
                if isinstance(item, Tensor):
                    yield item

    def run(self, values: Sequence[Any], named: dict[str, Any]) -> Any:
        """What the kernel for the tensors' device gives."""
        tensors = list(self._tensors(values, named))
        device = next((t.device.type for t in tensors), "cpu")
        if any(t.is_meta for t in tensors):
            return self.run_fake(values, named)
        kernel = self.kernels.get(device) or self.kernels.get("")
        if kernel is None:
            raise NotImplementedError(
                f"Could not run '{self.schema.name}' with arguments from the '{device.upper()}' backend. "
                "This could be because the operator doesn't exist for this backend"
            )
        result = kernel(*values, **named)
        if self.owner is not None:
            self._check(result, tensors)
        return result

    def run_fake(self, values: Sequence[Any], named: dict[str, Any]) -> Any:
        """What the function for tensors without numbers gives."""
        if self.fake is None:
            if not self.schema.returns or self.schema.returns == ("",):
                return None
            shown = f"<CustomOpDef({self.schema.name})>" if self.owner is not None else self.schema.name
            raise RuntimeError(
                f"There was no fake impl registered for {shown}. This is necessary for "
                f"torch.compile/export/fx tracing to work. Please use `{self.name}.register_fake` to add an "
                "fake impl."
            )
        return self.fake(*values, **named)

    def _check(self, result: Any, tensors: list[Tensor]) -> None:
        memory = {t.untyped_storage().data_ptr() for t in tensors if t.numel()}
        for made in result if isinstance(result, (list, tuple)) else (result,):
            if isinstance(made, Tensor) and (
                any(made is t for t in tensors)
                or (made.numel() and made.untyped_storage().data_ptr() in memory)
            ):
                raise RuntimeError(
                    f"{self.name} (with implementation in {self.owner}): The output of this custom operator "
                    "(1) must not also be an input to this custom operator and (2) may not alias any inputs "
                    "to this custom operator or other returns. The most common way to trigger this error is "
                    "if we have y = custom_op(x) and y and x are the same Tensor. Please instead return a "
                    "clone of the offending output tensor(s) (e.g. return x.clone()) or refactor the custom "
                    "operator to not return y."
                )
            if isinstance(made, Tensor) and made.numel():
                memory.add(made.untyped_storage().data_ptr())

    def _recorded(self, values: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """The results as a Function's, whose backward is the registered one. Lists are taken apart for it."""
        lengths = {place: len(values[place]) for place in self.lists if values[place] is not None}
        flat = [
            item for place, value in enumerate(values) for item in (value if place in lengths else (value,))
        ]
        whole = functools.partial(_whole, count=len(values), lengths=lengths)
        owner = self

        def forward(*given: Any) -> Any:
            return owner.run(whole(given), named)

        def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
            if owner.setup_context is not None:
                extra = (named,) if named else ()
                if extra:
                    owner.setup_context(ctx, whole(inputs), *extra, output)
                else:
                    owner.setup_context(ctx, whole(inputs), output)

        def backward(ctx: Any, *grads: Any) -> Any:
            if owner.backward is None:
                raise RuntimeError(
                    f"Trying to backward through {owner.overload} but no autograd formula was registered. "
                    "Please use register_autograd to add one."
                )
            given = owner.backward(ctx, *grads)
            if not lengths:
                return given
            found: list[Any] = []
            for place, grad in enumerate(given if isinstance(given, (list, tuple)) else (given,)):
                count = lengths.get(place)
                found += [grad] if count is None else [None] * count if grad is None else list(grad)
            return tuple(found)

        body: dict[str, Any] = {
            "forward": staticmethod(forward),
            "setup_context": staticmethod(setup_context),
            "backward": staticmethod(backward),
        }
        if levels():
            body["vmap"] = staticmethod(self.batched or functools.partial(_by_samples, owner, whole, named))
        name = f"GeneratedBackwardFor_{self.space}_{self.name}_{self.schema.overload_name or 'default'}"
        made: Any = type(name, (Function,), body)
        return made.apply(*flat)


def _by_samples(owner: Definition, whole: Any, named: Any, info: Any, in_dims: Any, *flat: Any) -> Any:
    """The rule for `vmap` of an op without one: its results for each sample, stacked."""
    results = []
    for place in range(info.batch_size):
        given = [x if d is None else ops.select(x, d, place) for x, d in zip(flat, in_dims, strict=True)]
        results.append(owner(*whole(given), **named))
    if not isinstance(results[0], (tuple, list)):
        return ops.stack(results), 0
    return tuple(map(ops.stack, zip(*results, strict=True))), (0,) * len(results[0])


def _whole(flat: Sequence[Any], count: int, lengths: dict[int, int]) -> tuple[Any, ...]:
    """The arguments, with the lists among them put together again."""
    items, found = iter(flat), []
    for place in range(count):
        found.append([next(items) for _ in range(lengths[place])] if place in lengths else next(items))
    return tuple(found)


class CustomOpDef:
    """What `torch.library.custom_op` makes of a function: called, the op runs."""

    def __init__(self, namespace: str, name: str, schema: str, fn: Callable[..., Any]) -> None:
        self._namespace, self._name, self._init_fn = namespace, name, fn
        self._schema = schema
        self._definition = Definition(namespace, parse(f"{namespace}::{name}{schema}"), fn.__module__)
        self._opoverload = self._definition.declare()

    @property
    def _qualname(self) -> str:
        return f"{self._namespace}::{self._name}"

    def __repr__(self) -> str:
        return f"<CustomOpDef({self._qualname})>"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._definition(*args, **kwargs)

    def register_kernel(self, device_types: DeviceTypes, fn: Any = None, /) -> Any:
        """Registers the function for devices; None for all."""
        return _decorating(lambda given: _add_kernel(self._definition, device_types, given), fn)

    def register_fake(self, fn: Any, /) -> Any:
        """Registers the function for tensors without numbers, on the device "meta"."""
        self._definition.fake = fn
        return fn

    def register_autograd(self, backward: Any, /, *, setup_context: Any = None) -> None:
        """Registers `backward(ctx, *grads)`, which returns a gradient for each input, None for some.

        `setup_context(ctx, inputs, output)` keeps what it needs.
        """
        if any(a.is_write for a in self._definition.schema.arguments):
            raise RuntimeError(
                f"Cannot register autograd formula for non-functional operator {self} with schema "
                f"{self._definition.schema}. Please create a functional operator and register an autograd "
                "formula for that."
            )
        self._definition.backward, self._definition.setup_context = backward, setup_context

    def register_vmap(self, func: Any = None) -> Any:
        """Registers `func(info, in_dims, *args)` for `vmap`, which returns results and their dims."""
        return _decorating(lambda given: setattr(self._definition, "batched", given), func)

    def register_autocast(self, device_type: str, cast_inputs: Any) -> None:
        """Accepted: has the inputs cast within `torch.autocast`."""
        self._definition.casts[device_type] = cast_inputs

    def register_torch_dispatch(self, torch_dispatch_class: Any, fn: Any = None, /) -> Any:
        """Accepted."""
        return _decorating(lambda given: None, fn)

    @contextlib.contextmanager
    def set_kernel_enabled(self, device_type: str, enabled: bool = True) -> Iterator[None]:
        """A context without, or with, the function for a device."""
        kernels = self._definition.kernels
        before = dict(kernels)
        if not enabled:
            kernels.pop(device_type, None)
            kernels.setdefault("", self._init_fn)
        try:
            yield
        finally:
            kernels.clear()
            kernels.update(before)


def _decorating(register: Callable[[Any], Any], fn: Any) -> Any:
    """Registers a function, or where none is given is a decorator that does."""

    def take(given: Any) -> Any:
        register(given)
        return given

    return take if fn is None else take(fn)


def _add_kernel(definition: Definition, device_types: DeviceTypes, fn: Callable[..., Any]) -> None:
    kinds: Iterable[str] = (
        [""]
        if device_types is None or device_types == "default"
        else [device_types]
        if isinstance(device_types, str)
        else device_types
    )
    for kind in kinds:
        definition.kernels[kind] = fn


def custom_op(
    name: str,
    fn: Any = None,
    /,
    *,
    mutates_args: str | Iterable[str],
    device_types: DeviceTypes = None,
    schema: str | None = None,
    tags: Any = None,
) -> Any:
    """Makes an op of a function: a decorator, or with the function given, the op.

    Its schema follows from the function's annotations. What the function does is not recorded: gradients come
    from `register_autograd`.

    >>> import pullback as torch
    >>> @torch.library.custom_op("doc::square", mutates_args=())
    ... def square(x: torch.Tensor) -> torch.Tensor:
    ...     return torch.from_numpy(x.numpy() ** 2)
    >>> square.register_autograd(
    ...     lambda ctx, g: 2 * ctx.saved_tensors[0] * g,
    ...     setup_context=lambda ctx, inputs, output: ctx.save_for_backward(*inputs),
    ... )
    >>> x = torch.tensor([3.0], requires_grad=True)
    >>> square(x).backward()
    >>> x.grad
    tensor([6.])
    """

    def make(function: Any) -> CustomOpDef:
        space, name_in_space = name.split("::")
        text = schema or infer_schema(function, mutates_args=mutates_args)
        made = CustomOpDef(space, name_in_space, text, function)
        _add_kernel(made._definition, device_types, function)
        return made

    return make if fn is None else make(fn)
