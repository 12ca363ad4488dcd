"""`torch.autograd.graph`: the recorded graph as users see it, and hooks on what it saves.

Nodes are the engine's. Here are edges, contexts that change how tensors are saved, and hooks on the
gradients of several tensors at once.
"""

from __future__ import annotations

import contextlib
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Literal, NamedTuple

from pullback.core import _engine
from pullback.core._engine import Node, Tensor
from pullback.core.hooks import RemovableHandle
from pullback.core.modes import no_grad
from pullback.face.absent import getter

__all__ = [
    "GradientEdge",
    "Node",
    "allow_mutation_on_saved_tensors",
    "disable_saved_tensors_hooks",
    "get_gradient_edge",
    "increment_version",
    "register_multi_grad_hook",
    "save_on_cpu",
    "saved",
    "saved_tensors_hooks",
    "set_warn_on_accumulate_grad_stream_mismatch",
]


class GradientEdge(NamedTuple):
    """Where a gradient goes: a node and which of its outputs. `autograd.grad` takes it like a
    tensor.
    """

    node: Any
    output_nr: int
    ownership_token: Any = None


def get_gradient_edge(tensor: Tensor) -> GradientEdge:
    """The edge that the gradient of `tensor` goes to; RuntimeError if it requires none.

    >>> import pullback as torch
    >>> x = torch.tensor(2.0, requires_grad=True)
    >>> edge = torch.autograd.graph.get_gradient_edge(x * x)
    >>> torch.autograd.grad(edge, x)
    (tensor(4.),)
    """
    edge = _engine.gradient_edge(tensor)
    if edge is None:
        raise RuntimeError(
            "It is not possible to get the gradient edge for a Tensor that does not require gradients"
        )
    return GradientEdge(*edge)


def nodes_below(result: Tensor | Sequence[Tensor]) -> list[Any]:
    """The nodes of the graph of a tensor, or of several, each once: in a pass's order, leaves last."""
    roots = [result] if isinstance(result, Tensor) else result
    edges = [_engine.gradient_edge(x) for x in roots]
    left = list(dict.fromkeys(edge[0] for edge in edges if edge is not None))
    found, seen = [], set(left)
    while left:
        node = left.pop()
        found.append(node)
        for other, _ in node.next_functions:
            if other is not None and other not in seen:
                seen.add(other)
                left.append(other)
    return sorted(found, key=lambda n: (hasattr(n, "variable"), -n._sequence_nr()))


# --------------------------------------------------------------------------------- saved tensors


class SavedTensor(NamedTuple):
    """What a node keeps for the backward pass: `name` is the attribute `_saved_<name>` of `node`."""

    node: Any
    name: str
    tensor: Tensor


def saved(result: Tensor | Sequence[Tensor]) -> Iterator[SavedTensor]:
    """All that the graph of a tensor, or of several, keeps for the backward pass, node by node.

    What saves the same tensor twice gives it twice; what was freed, and what hooks have packed (as a
    checkpoint's do), gives nothing.

    >>> import pullback as torch
    >>> x = torch.tensor([1.0, 2.0], requires_grad=True)
    >>> [(kept.node.name(), kept.name) for kept in torch.autograd.graph.saved((x * x).exp().sum())]
    [('ExpBackward0', 'result'), ('MulBackward0', 'other'), ('MulBackward0', 'self')]
    """
    for node in nodes_below(result):
        yield from saved_by(node)


def saved_by(node: Any) -> list[SavedTensor]:
    """What one node keeps itself; nothing after it was freed, and nothing that was overwritten since."""
    found = []
    for name in dir(node):
        if name.startswith("_saved_") and not _packed(node, name):
            try:
                value = getattr(node, name)
            except RuntimeError:
                continue
            values = value if isinstance(value, (tuple, list)) else (value,)
            found += [SavedTensor(node, name[7:], x) for x in values if isinstance(x, Tensor)]
    return found


class saved_tensors_hooks:
    """Within, what the graph saves is `pack_hook(tensor)`, and is read back by `unpack_hook`.

    The inner of two such contexts holds. A pack hook must not write to its tensor; an unpack hook
    must return a tensor of the same values.

    >>> import pullback as torch
    >>> x = torch.tensor([1.0, 2.0], requires_grad=True)
    >>> with torch.autograd.graph.saved_tensors_hooks(lambda t: t.tolist(), torch.tensor):
    ...     y = x.exp()
    >>> y.sum().backward()
    >>> x.grad
    tensor([2.7183, 7.3891])
    """

    def __init__(self, pack_hook: Callable[[Tensor], Any], unpack_hook: Callable[[Any], Tensor]) -> None:
        self.pack_hook = pack_hook
        self.unpack_hook = unpack_hook

    def __enter__(self) -> None:
        _engine.push_saved_hooks(self.pack_hook, self.unpack_hook)

    def __exit__(self, *exc: object) -> None:
        _engine.pop_saved_hooks()


class save_on_cpu(saved_tensors_hooks):
    """Within, saved tensors are kept as copies in host memory, and copied back when needed."""

    def __init__(self, pin_memory: bool = False, device_type: str = "cuda") -> None:
        def pack(tensor: Tensor) -> Any:
            return tensor.device, tensor.detach().clone().cpu()

        def unpack(packed: Any) -> Tensor:
            device, tensor = packed
            return tensor.to(device)

        super().__init__(no_grad()(pack), unpack)


@contextlib.contextmanager
def disable_saved_tensors_hooks(error_message: str) -> Iterator[None]:
    """Within, entering `saved_tensors_hooks` is a RuntimeError with this message; a decorator."""
    before = _engine.disable_saved_hooks(error_message)
    try:
        yield
    finally:
        _engine.disable_saved_hooks(before)


class _MutationContext:
    """What `allow_mutation_on_saved_tensors` gives: `clear()` lets go of its copies."""

    def __init__(self) -> None:
        self.copies: list[Any] = []

    def clear(self) -> None:
        """Lets go of the copies: what was saved can no longer be used."""
        for copy in self.copies:
            held = copy()
            if held is not None:
                held.tensor = None


class _Copy:
    """A saved tensor's copy."""

    __slots__ = ("__weakref__", "tensor")

    def __init__(self, tensor: Tensor) -> None:
        self.tensor: Tensor | None = tensor


@contextlib.contextmanager
def allow_mutation_on_saved_tensors() -> Iterator[_MutationContext]:
    """Within, tensors that the graph saved may be written to in place: it saves copies.

    >>> import pullback as torch
    >>> x = torch.tensor([1.0, 2.0], requires_grad=True)
    >>> with torch.autograd.graph.allow_mutation_on_saved_tensors():
    ...     y = x * 1
    ...     z = y**2
    ...     _ = y.zero_()
    ...     z.sum().backward()
    >>> x.grad
    tensor([2., 4.])
    """
    context = _MutationContext()

    def pack(tensor: Tensor) -> _Copy:
        copy = _Copy(tensor.detach().clone())
        context.copies.append(weakref.ref(copy))
        return copy

    def unpack(copy: _Copy) -> Tensor:
        if copy.tensor is None:
            raise AssertionError(
                "Trying to backward outside of the 'allow_mutation_on_saved_tensors' context "
                "in which the graph was originally recorded."
            )
        return copy.tensor

    with saved_tensors_hooks(no_grad()(pack), unpack):
        try:
            yield context
        finally:
            context.clear()


def increment_version(tensor: Tensor | Iterable[Tensor]) -> None:
    """Says that tensors were written to by other means than ops: what the graph saved of them is
    void.

    >>> import pullback as torch
    >>> x = torch.ones(2)
    >>> torch.autograd.graph.increment_version(x); x._version
    1
    """
    for t in (tensor,) if isinstance(tensor, Tensor) else tensor:
        _engine.bump_version(t)


def _packed(node: Any, name: str) -> bool:
    raw = getattr(node, f"_raw{name}", None)
    return raw is not None and raw.packed


# -------------------------------------------------------------------- hooks on several gradients


class _Handles:
    """Several handles as one."""

    def __init__(self, handles: Sequence[RemovableHandle]) -> None:
        self.handles = tuple(handles)

    def remove(self) -> None:
        """Takes the hooks away."""
        for handle in self.handles:
            handle.remove()

    def __enter__(self) -> _Handles:
        return self

    def __exit__(self, *exc: object) -> None:
        self.remove()


def register_multi_grad_hook(
    tensors: Sequence[Tensor], fn: Callable[..., None], *, mode: Literal["all", "any"] = "all"
) -> _Handles:
    """Calls `fn` once in each backward pass that computes gradients of these tensors.

    Mode "all" waits for all that the pass computes and hands them over in a sequence, None for the
    others; mode "any" hands over the first.

    >>> import pullback as torch
    >>> a, b = torch.tensor([1.0, 2.0], requires_grad=True).unbind()
    >>> hook = torch.autograd.graph.register_multi_grad_hook([a, b], lambda gs: print(len(gs)))
    >>> (a * b).backward()
    2
    """
    if mode not in ("all", "any"):
        raise ValueError(f"Expects mode to be one of ('all', 'any') but got {mode}")
    edges = [_engine.gradient_edge(t) for t in tensors]
    nodes = [edge[0] for edge in edges if edge is not None]
    if len(nodes) < len(edges):
        raise AssertionError("Expected gradient function to be set")
    make = _collector if mode == "all" else _first
    hooks = make(nodes, fn)
    return _Handles([t.register_hook(hook) for t, hook in zip(tensors, hooks, strict=True)])


def _collector(nodes: list[Any], fn: Callable[..., None]) -> list[Callable[[Tensor], None]]:
    """A hook for each node; the last that a pass runs calls `fn` with what all have seen."""
    lock = threading.Lock()
    seen: dict[int, tuple[int, list[Tensor | None]]] = {}

    def hook(place: int, g: Tensor) -> None:
        number = _engine.current_pass()
        with lock:
            if number not in seen:
                expected = sum(map(_engine.will_run, nodes))
                seen[number] = (expected, [None] * len(nodes))
            left, grads = seen[number]
            grads[place] = g
            seen[number] = (left - 1, grads)
            if left == 1:
                del seen[number]
        if left == 1:
            fn(grads)

    return [lambda g, place=place: hook(place, g) for place in range(len(nodes))]  # type: ignore[misc]


def _first(nodes: list[Any], fn: Callable[..., None]) -> list[Callable[[Tensor], None]]:
    """A hook for each node; the first that a pass runs calls `fn`."""
    lock = threading.Lock()
    last = [-1]

    def hook(g: Tensor) -> None:
        number = _engine.current_pass()
        with lock:
            first, last[0] = number != last[0], number
        if first:
            fn(g)

    return [hook] * len(nodes)


def set_warn_on_accumulate_grad_stream_mismatch(enabled: bool) -> None:
    """Accepted for PyTorch's sake: there are no streams here whose mismatch could be warned of."""


__getattr__ = getter(__name__)
