"""`torch.autograd.Function`: derivatives that users write themselves.

`apply` is the way in: it makes the context, which is also the node of the graph, runs `forward`
with grad mode off, and hangs the node on the results (`_Outputs`). The engine later calls
`_Runner`, which runs `backward` and checks what it returned.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any

from pullback import ops
from pullback.core import _engine
from pullback.core._engine import Node, Tensor, bump_version
from pullback.core.modes import no_grad
from pullback.face.absent import getter, shown

__all__ = [
    "BackwardCFunction",
    "Function",
    "FunctionCtx",
    "FunctionMeta",
    "once_differentiable",
]


class FunctionCtx:
    """What `forward` and `backward` are handed as `ctx`: notes of one call of a Function."""

    __slots__ = ("__dict__",)

    to_save: tuple[Any, ...]
    saved_for_forward: tuple[Any, ...]
    dirty_tensors: tuple[Any, ...]
    non_differentiable: tuple[Any, ...]
    materialize_grads: bool

    def save_for_backward(self, *tensors: Tensor | None) -> None:
        """Keeps tensors for `backward`, which finds them in `saved_tensors`; writes to them are
        noticed.
        """
        self.to_save = tensors

    def save_for_forward(self, *tensors: Tensor | None) -> None:
        """Keeps tensors for `jvp`."""
        for i, tensor in enumerate(tensors):
            if tensor is not None and not isinstance(tensor, Tensor):
                raise AssertionError(
                    f"save_for_forward expects all arguments to be tensors; argument {i} is of "
                    f"type {type(tensor).__name__}"
                )
        self.saved_for_forward = tensors

    def mark_dirty(self, *args: Tensor) -> None:
        """Says which inputs `forward` wrote to; they must be returned."""
        self.dirty_tensors = args

    def mark_non_differentiable(self, *args: Tensor) -> None:
        """Says which outputs take no gradient."""
        self.non_differentiable = args

    def set_materialize_grads(self, value: bool) -> None:
        """Whether `backward` gets zeros, and not None, for outputs without a gradient. It does at
        first.
        """
        self.materialize_grads = bool(value)


class BackwardCFunction(Node, FunctionCtx):
    """The context of a call and its node in one; each Function has a subclass of its own."""

    __slots__ = (
        "_are_tensors",
        "_for_jvp",
        "_in_jvp",
        "_likes",
        "dirty_tensors",
        "materialize_grads",
        "needs_input_grad",
        "non_differentiable",
        "saved_for_forward",
        "to_save",
    )
    _forward_cls: Any = None

    def __init__(self) -> None:
        self.to_save = ()
        self.saved_for_forward = ()
        self._in_jvp = False
        self.dirty_tensors = ()
        self.non_differentiable = ()
        self.materialize_grads = True

    @property
    def saved_tensors(self) -> tuple[Any, ...]:
        """What was saved for `backward`, within `jvp` for it. RuntimeError if it was freed or changed."""
        return self.saved_for_forward if self._in_jvp else _engine.saved_tensors(self)

    @property
    def saved_variables(self) -> tuple[Any, ...]:
        """An old name of `saved_tensors`."""
        warnings.warn(
            "'saved_variables' is deprecated; use 'saved_tensors'", DeprecationWarning, stacklevel=2
        )
        return self.saved_tensors

    @property
    def _raw_saved_tensors(self) -> tuple[Any, ...]:
        return _engine.raw_saved_tensors(self)


class FunctionMeta(type):
    """Gives each Function the class of its nodes."""

    def __init__(cls, name: str, bases: tuple[type, ...], members: dict[str, Any]) -> None:
        super().__init__(name, bases, members)
        node = {"_forward_cls": cls, "__module__": shown(__name__), "__slots__": ()}
        cls._backward_cls = type(f"{name}Backward", (BackwardCFunction,), node)


class Function(metaclass=FunctionMeta):
    """A differentiable function with a derivative of your own; call it by `apply`.

    `forward(ctx, *args)` computes with grad mode off, or `forward(*args)` does and
    `setup_context(ctx, inputs, output)` keeps what is needed. `backward(ctx, *grads)` takes a
    gradient for each output and returns one, or None, for each argument. `jvp` and `vmap` serve the
    transforms.

    >>> import pullback as torch
    >>> class Square(torch.autograd.Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         ctx.save_for_backward(x)
    ...         return x * x
    ...     @staticmethod
    ...     def backward(ctx, g):
    ...         return 2 * g * ctx.saved_tensors[0]
    >>> x = torch.tensor(3.0, requires_grad=True)
    >>> Square.apply(x).backward(); x.grad
    tensor(6.)
    """

    _backward_cls: Any
    generate_vmap_rule = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        warnings.warn(
            f"{type(self)} should not be instantiated. Methods on autograd functions are all "
            "static, so you should invoke them on the class itself. Instantiating an autograd "
            "function will raise an error in a future version of PyTorch.",
            DeprecationWarning,
            stacklevel=2,
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise RuntimeError(
            "Legacy autograd function with non-static forward method is deprecated. Please use "
            "new-style autograd function with static forward method. (Example: "
            "https://pytorch.org/docs/stable/autograd.html#torch.autograd.Function)"
        )

    @staticmethod
    def forward(*args: Any, **kwargs: Any) -> Any:
        """Computes the outputs from `(ctx, *args)`, or from `args` beside a `setup_context`."""
        raise NotImplementedError("You must implement the forward function for custom autograd.Function.")

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> Any:
        """Keeps in `ctx` what `backward` needs."""
        raise NotImplementedError("setup_context is not implemented.")

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        """The gradients of the arguments from those of the outputs."""
        raise NotImplementedError(
            "You must implement either the backward or vjp method for your custom "
            "autograd.Function to use it with backward mode AD."
        )

    vjp = backward

    @staticmethod
    def jvp(ctx: Any, *grad_inputs: Any) -> Any:
        """The tangents of the outputs from those of the arguments."""
        raise NotImplementedError(
            "You must implement the jvp function for custom autograd.Function to use it with forward mode AD."
        )

    @staticmethod
    def vmap(info: Any, in_dims: tuple[Any, ...], *args: Any) -> Any:
        """The outputs for many arguments at once, and where their batch dimension is."""
        raise NotImplementedError(
            "To use autograd.Function with vmap, you must either override the vmap staticmethod or "
            "set generate_vmap_rule=True."
        )

    @classmethod
    def apply(cls, *args: Any, **kwargs: Any) -> Any:
        """Calls the Function: what `forward` returns, with this Function's `backward` as its
        derivative.
        """
        if kwargs:
            args = _positional(cls, args, kwargs)
        if cls.setup_context is not Function.setup_context:
            args = _with_defaults(cls, args)
        return apply_below(cls, args)

    @classmethod
    def _run(cls, args: tuple[Any, ...]) -> tuple[Any, Any]:
        """What it returns below all transforms, and the context of the call."""
        return call(cls, args)

    @classmethod
    def _with_context(cls, args: tuple[Any, ...]) -> tuple[Any, Any]:
        """What it returns at the present level, and the context of the call."""
        return apply_with_context(cls, args)

    @classmethod
    def _batched(cls, level: Any, args: tuple[Any, ...]) -> Any:
        """The Function on batched tensors."""
        from pullback.autograd.function_vmap import apply_batched

        return apply_batched(cls, level, args)


def apply_below(cls: Any, args: tuple[Any, ...]) -> Any:
    """What a Function returns at the present level."""
    active = _engine.levels()
    if active:
        return _engine.at_level_below(active[-1].process_function, cls, args)
    return call(cls, args)[0]


def apply_with_context(cls: Any, args: tuple[Any, ...]) -> tuple[Any, Any]:
    """What a Function returns at the present level, and the context of the call."""
    if not _engine.levels():
        return call(cls, args)
    from pullback.autograd.function_vmap import context_of

    return context_of(cls, args)


def call(cls: type[Function], args: tuple[Any, ...]) -> tuple[Any, Any]:
    """What a Function returns, and the context of the call."""
    ctx = cls._backward_cls()
    ctx._are_tensors = tuple(isinstance(x, Tensor) for x in args)
    ctx.needs_input_grad = tuple(isinstance(x, Tensor) and x.requires_grad for x in args)
    recording = _engine.grad_enabled() and any(ctx.needs_input_grad)
    inputs = [x for x in args if isinstance(x, Tensor)]
    _engine.connect(ctx, RUNNER, None, inputs if recording else ())
    with no_grad(), _engine.Range(cls.__name__, own=True):
        if cls.setup_context is Function.setup_context:
            got = cls.forward(ctx, *args)
        else:
            got = cls.forward(*args)
            cls.setup_context(ctx, args, got)
    outs = got if isinstance(got, tuple) else (got,)
    results = _finished(ctx, inputs, outs, recording)
    return (tuple(results) if isinstance(got, tuple) else results[0]), ctx


def _positional(cls: type[Function], args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
    """The arguments in the order of `forward`, which takes the ones without a name first."""
    code = cls.forward.__code__
    names = code.co_varnames[: code.co_argcount]
    if cls.setup_context is Function.setup_context:
        names = names[1:]
    for name in kwargs:
        if name not in names:
            raise TypeError(f"forward() got an unexpected keyword argument '{name}'")
        if name in names[: len(args)]:
            raise TypeError(f"forward() got multiple values for argument '{name}'")
    defaults = cls.forward.__defaults__ or ()
    given = dict(zip(names[len(names) - len(defaults) :], defaults, strict=True)) | kwargs
    found = []
    for name in names[len(args) :]:
        if name not in given:
            raise TypeError(f"missing a required argument: '{name}'")
        found.append(given[name])
    return (*args, *found)


def _with_defaults(cls: type[Function], args: tuple[Any, ...]) -> tuple[Any, ...]:
    """The arguments of a Function with `setup_context`, whose `inputs` have `forward`'s defaults, too."""
    code, defaults = getattr(cls.forward, "__code__", None), getattr(cls.forward, "__defaults__", None)
    if code is None or not defaults or len(args) >= code.co_argcount:
        return args
    missing = code.co_argcount - len(args)
    return (*args, *defaults[-missing:]) if missing <= len(defaults) else args


# ------------------------------------------------------------------------------------- outputs


def _has(tensors: Any, x: Any) -> bool:
    return any(x is t for t in tensors or ())


def _check_marks(ctx: Any, inputs: list[Any], outs: tuple[Any, ...]) -> None:
    """Refuses marks on what is no tensor, and written inputs that are not returned."""
    for x in ctx.dirty_tensors:
        if not isinstance(x, Tensor):
            raise TypeError(
                f"mark_dirty can only accept variables, but argument is of type {type(x).__name__}"
            )
        if not _has(outs, x):
            raise RuntimeError(
                "Some elements marked as dirty during the forward method were not returned as "
                "output. The inputs that are modified inplace must all be outputs of the "
                "Function."
            )
        if not _has(inputs, x):
            warnings.warn(
                "Only input Tensors should be given to ctx.mark_dirty(). If a Tensor is not an "
                "input, there is no need to pass it to mark_dirty().",
                stacklevel=4,
            )
    for x in ctx.non_differentiable:
        if not isinstance(x, Tensor):
            raise TypeError(
                f"mark_non_differentiable only accepts variable arguments, but got {type(x).__name__}"
            )
    for i, x in enumerate(ctx.to_save):
        if x is not None and not isinstance(x, Tensor):
            raise TypeError(
                f"save_for_backward can only save variables, but argument {i} is of type {type(x).__name__}"
            )


def _check_written(x: Any, count: int) -> None:
    """Refuses a written input whose history could not be rewritten."""
    if x._base is None and x.is_leaf and x.requires_grad:
        raise RuntimeError("a leaf Variable that requires grad has been used in an in-place operation.")
    _engine.check_inplace(x)
    if x._base is not None and count > 1:
        raise RuntimeError(
            "If your Function modifies inplace an input that is a view of another Tensor, your "
            "Function cannot return more than one Tensor. This is not supported by the current "
            "autograd engine. You should either make sure the input is not a view (using "
            ".clone() for example) or make your Function only return one Tensor (potentially "
            "splitting it into two Functions: one doing the inplace that returns a single Tensor "
            "and a second one that does the other operations). You can ask on the forum "
            "https://discuss.pytorch.org/ if you need help to do this change."
        )


def _finished(ctx: Any, inputs: list[Any], outs: tuple[Any, ...], recording: bool) -> list[Any]:
    """The outputs as the caller gets them: with `ctx` as their history, if a graph is recorded."""
    _check_marks(ctx, inputs, outs)
    count = sum(isinstance(x, Tensor) for x in outs)
    results: list[Any] = []
    hung: list[Any] = []
    written, place = None, 0
    for x in outs:
        if not isinstance(x, Tensor):
            results.append(x)
            hung.append(None)
            continue
        takes_grad = x.dtype.kind in "fc" and not _has(ctx.non_differentiable, x)
        if _has(ctx.dirty_tensors, x):
            bump_version(x)  # it may have been written through NumPy, which no version sees
            if recording:
                _check_written(x, count)
            if x._base is not None:
                written, place = x, next(i for i, t in enumerate(inputs) if t is x)
            result = x
        elif _has(inputs, x):
            result = _engine.alias(x)
            if not _engine.is_plain_class(type(x)):
                result = _engine.make_subclass(type(x), result)
            if takes_grad and _engine.grad_enabled():
                _engine.mark_view(result, x, "custom")
        else:
            result = x
            if x._base is not None:
                _engine.mark_view(x, x._base, "multi" if recording and count > 1 else "custom")
        results.append(result)
        hung.append(result if takes_grad else None)
    if recording:
        ctx._likes = [(x.shape, x.dtype) if isinstance(x, Tensor) else None for x in results]
        if any(x is not None for x in hung):
            _engine.set_outputs(ctx, hung, written, place)
        _engine.save_tensors(ctx, ctx.to_save)
    ctx._for_jvp, ctx.saved_for_forward = ctx.saved_for_forward, ()
    ctx.to_save = ctx.dirty_tensors = ctx.non_differentiable = ()
    return results


# ------------------------------------------------------------------------------------ backward


class _Runner:
    """How the engine runs a Function's node."""

    def __call__(self, node: Any, grads: tuple[Any, ...]) -> list[Any]:
        if node.materialize_grads:
            grads = tuple(
                ops.zeros(like[0], dtype=like[1]) if g is None and like is not None else g
                for g, like in zip(grads, node._likes, strict=True)
            )
        got = backward_of(node._forward_cls)(node, *grads)
        return _of_tensors(node, got if isinstance(got, tuple) else (got,))

    def release(self, node: Any) -> None:
        """Frees what was saved, once the node has run and the graph is not kept."""
        _engine.free_saved(node)


RUNNER = _Runner()


def backward_of(cls: type[Function]) -> Callable[..., Any]:
    """The method that gives the gradients: `backward`, or `vjp` by its other name."""
    if cls.vjp is Function.vjp:
        return cls.backward
    if cls.backward is not Function.backward:
        raise RuntimeError(
            "Implementing both 'backward' and 'vjp' for a custom Function is not allowed. You "
            "should only implement one of them."
        )
    return cls.vjp


def _of_tensors(node: Any, got: tuple[Any, ...]) -> list[Any]:
    """The gradients of the arguments that are tensors, from those `backward` gave for all."""
    expected = len(node._are_tensors)
    if len(got) > expected and all(g is None for g in got[expected:]):
        got = got[:expected]
    if len(got) != expected:
        raise RuntimeError(
            f"function {node.name()} returned an incorrect number of gradients (expected "
            f"{expected}, got {len(got)})"
        )
    found = []
    for i, (g, is_tensor) in enumerate(zip(got, node._are_tensors, strict=True)):
        if not is_tensor and g is not None:
            raise RuntimeError(
                f"function {node.name()} returned a gradient different than None at position "
                f"{i + 1}, but the corresponding forward input was not a Variable"
            )
        if g is not None and not isinstance(g, Tensor):
            raise RuntimeError(f"expected Variable or None (got {type(g).__name__})")
        if is_tensor:
            found.append(g)
    return found


def once_differentiable(fn: Callable[..., Any]) -> Callable[..., Any]:
    """Put on a `backward` that cannot be differentiated: it runs with grad mode off, and a second
    differentiation through it is a RuntimeError."""

    @functools.wraps(fn)
    def run(ctx: Any, *args: Any) -> Any:
        with no_grad():
            got = fn(ctx, *args)
        needed = any(isinstance(x, Tensor) and x.requires_grad for x in args)
        if not needed or not _engine.grad_enabled():
            return got
        outs = got if isinstance(got, tuple) else (got,)
        outs = tuple(_engine.alias(x) if isinstance(x, Tensor) else x for x in outs)
        tensors = [x for x in outs if isinstance(x, Tensor)]
        if tensors:
            _engine.custom_node(_refuse_twice, "Error", args, tensors)
        return outs

    return run


def _refuse_twice(node: Any, grads: tuple[Any, ...]) -> Any:
    raise RuntimeError("trying to differentiate twice a function that was marked with @once_differentiable")


__getattr__ = getter(__name__)
