"""`backward` and `grad`: one backward pass each, with all their options.

Both bring what the user gave into one form (`roots` with a gradient each, and where the gradients
shall go) and call the engine. Read `grad` first; what `is_grads_batched` runs stands in `_on_many`. A pass
on tensors of a transform is that of leaves.py.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from pullback import ops
from pullback.autograd.graph import GradientEdge
from pullback.core import _engine
from pullback.core._engine import Tensor
from pullback.core.dtypes import DTYPES, Size
from pullback.transforms import stack
from pullback.transforms.batching.interpreter import on_batch
from pullback.transforms.leaves import gradients

UNUSED = (
    "The differentiated Tensor at index {} appears to not have been used in the graph. Set "
    "allow_unused=True if this is the desired behavior."
)

NO_HISTORY = "element {} of tensors does not require grad and does not have a grad_fn"

NO_GRADIENT = "One of the differentiated Tensors does not require grad"


def backward(
    tensors: Any,
    grad_tensors: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    grad_variables: Any = None,
    inputs: Any = None,
) -> None:
    """Adds the gradient of `sum(<grad, tensor>)` to the `.grad` of the leaves, or of `inputs`
    alone.

    A tensor of one element may go without a gradient, which then is 1; RuntimeError for any other.
    With `create_graph` the pass is recorded, so that `.grad` can be differentiated.

    >>> import pullback as torch
    >>> x = torch.tensor([1.0, 2.0], requires_grad=True)
    >>> torch.autograd.backward([x.sum(), (x * x).sum()])
    >>> x.grad
    tensor([3., 5.])
    """
    if grad_variables is not None:
        warnings.warn(
            "`grad_variables` is deprecated. Use `grad_tensors` instead.",
            FutureWarning,
            stacklevel=2,
        )
        if grad_tensors is not None:
            raise RuntimeError(
                "`grad_tensors` and `grad_variables` (deprecated) arguments both passed to "
                "`backward()`. Please only use `grad_tensors`."
            )
        grad_tensors = grad_variables
    targets: Sequence[Any] | None = None
    if inputs is not None:
        targets = tuple(inputs.values()) if isinstance(inputs, dict) else _as_tuple(inputs)
        if not targets:
            raise RuntimeError("`inputs` argument to `backward()` cannot be empty.")
    roots = _as_tuple(tensors)
    grads = _root_grads(roots, _grads_tuple(grad_tensors, len(roots)), batched=False)
    edges = _edges_of_roots(roots, grads)
    if targets is not None:
        targets = [_accumulating_edge(target) for target in targets]
    keep = create_graph if retain_graph is None else retain_graph
    _engine.run_backward(edges, grads, bool(keep), bool(create_graph), targets, accumulate=True)


def grad(
    outputs: Any,
    inputs: Any,
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    only_inputs: bool = True,
    allow_unused: bool | None = None,
    is_grads_batched: bool = False,
    materialize_grads: bool = False,
) -> Any:
    """The gradients of `sum(<grad_output, output>)` with respect to `inputs`: a tuple, or a dict
    for one.

    An input that the outputs do not depend on is a RuntimeError, None with `allow_unused`, zeros
    with `materialize_grads`. With `is_grads_batched` each of `grad_outputs` holds many along its
    first dimension, and so does each result.

    >>> import pullback as torch
    >>> x = torch.tensor(3.0, requires_grad=True)
    >>> torch.autograd.grad(x * x, x)
    (tensor(6.),)
    """
    _check_options(only_inputs, allow_unused, materialize_grads)
    roots = _as_tuple(outputs)
    sources = tuple(inputs.values()) if isinstance(inputs, dict) else _as_tuple(inputs)
    operands = tuple(x for x in (*roots, *sources) if isinstance(x, Tensor))
    if not all(getattr(kind, "plain_passes", False) for kind in _engine.overriding_types(operands)):
        options = {
            "grad_outputs": grad_outputs,
            "retain_graph": retain_graph,
            "create_graph": create_graph,
            "only_inputs": only_inputs,
            "allow_unused": allow_unused,
            "is_grads_batched": is_grads_batched,
            "materialize_grads": materialize_grads,
        }
        return _engine.torch_function(grad, operands, (outputs, inputs), options)
    grads = _root_grads(roots, _grads_tuple(grad_outputs, len(roots)), batched=is_grads_batched)
    keep = bool(create_graph if retain_graph is None else retain_graph)
    if not sources:
        raise RuntimeError("`inputs` argument to `grad()` cannot be empty.")
    run = _pass_from(roots, sources, keep, bool(create_graph))
    found = _on_many(run, grads) if is_grads_batched else run(grads)
    unused = materialize_grads if allow_unused is None else allow_unused
    for i, g in enumerate(found):
        if g is None and not unused:
            raise RuntimeError(UNUSED.format(i))
        if g is None and materialize_grads:
            found[i] = _zeros_for(sources[i], create_graph)
    return dict(zip(inputs, found, strict=True)) if isinstance(inputs, dict) else tuple(found)


def _check_options(only_inputs: bool, allow_unused: bool | None, materialize_grads: bool) -> None:
    """ValueError for options of `grad` that contradict each other."""
    if materialize_grads and allow_unused is False:
        raise ValueError(
            "Expected allow_unused to be True or not passed when materialize_grads=True, but got: "
            "allow_unused=False."
        )
    if not only_inputs:
        warnings.warn(
            "only_inputs argument is deprecated and is ignored now (defaults to True). To "
            "accumulate gradient for other parts of the graph, please use "
            "torch.autograd.backward.",
            FutureWarning,
            stacklevel=3,
        )


def _pass_from(
    roots: Sequence[Any], sources: Sequence[Any], keep: bool, create: bool
) -> Callable[[Sequence[Any]], list[Any]]:
    """The pass as a function of the roots' gradients, its places found."""
    if stack.topmost((*roots, *sources)) is not None:  # tensors under a transform, which have no place here
        for i, root in enumerate(roots):
            if not root.requires_grad:
                raise RuntimeError(NO_HISTORY.format(i))
        if not all(source.requires_grad for source in sources):
            raise RuntimeError(NO_GRADIENT)
        return lambda grads: gradients(roots, sources, grads, keep, create)
    targets = [_source_edge(source) for source in sources]
    return lambda grads: _engine.run_backward(_edges_of_roots(roots, grads), grads, keep, create, targets)


def _on_many(run: Callable[[Sequence[Any]], list[Any]], grads: Sequence[Any]) -> list[Any]:
    """One pass for all gradients along the first dimension; None stays None."""
    sizes = {g.shape[0] for g in grads if g is not None}
    if len(sizes) != 1:
        raise ValueError(
            "vmap: Expected all tensors to have the same size in the mapped dimension, got sizes "
            f"{[g.shape[0] for g in grads if g is not None]} for the mapped dimension"
        )
    (count,) = sizes
    return on_batch(count, run, grads)


def _zeros_for(source: Any, create_graph: bool) -> Tensor:
    """What stands for the gradient of an input that the outputs do not depend on."""
    if not isinstance(source, Tensor):
        raise RuntimeError("materialize_grads cannot be used when the given input is a GradientEdge")
    return ops.zeros_like(source).requires_grad_(bool(create_graph))


def _as_tuple(x: Any) -> tuple[Any, ...]:
    return (x,) if isinstance(x, (Tensor, GradientEdge)) else tuple(x)


def _grads_tuple(grads: Any, count: int) -> tuple[Any, ...]:
    if grads is None:
        return (None,) * count
    return (grads,) if isinstance(grads, Tensor) else tuple(grads)


def _meta(root: Any) -> tuple[Any, Any]:
    """Shape and dtype of a root, a tensor or an edge."""
    if isinstance(root, Tensor):
        return root.shape, root.dtype
    shape, code = root.node._input_metadata[root.output_nr]
    return Size(shape), DTYPES[code]


def _root_grads(roots: Sequence[Any], grads: Sequence[Any], batched: bool) -> list[Any]:
    """A gradient for each root: what was given, checked, or 1."""
    found: list[Any] = []
    for i, (root, g) in enumerate(zip(roots, grads, strict=False)):
        if isinstance(g, Tensor):
            _check_grad(i, root, g, batched)
            found.append(g)
        elif g is None:
            found.append(_implicit_one(root))
        else:
            raise TypeError(f"gradients can be either Tensors or None, but got {type(g).__name__}")
    if len(roots) > len(grads):
        raise RuntimeError(f"got {len(roots)} tensors and {len(grads)} gradients")
    return found


def _implicit_one(root: Any) -> Any:
    shape, dtype = _meta(root)
    if isinstance(root, Tensor) and not root.requires_grad:
        return None
    if math.prod(shape) != 1:
        raise RuntimeError("grad can be implicitly created only for scalar outputs")
    if not dtype.is_floating_point:
        raise RuntimeError(f"grad can be implicitly created only for real scalar outputs but got {dtype}")
    return ops.ones(shape, dtype=dtype) if not isinstance(root, Tensor) else ops.ones_like(root)


def _check_grad(i: int, root: Any, g: Tensor, batched: bool) -> None:
    shape, dtype = _meta(root)
    given = g.shape[1:] if batched else g.shape
    if batched and g.ndim == 0:
        raise ValueError(
            "vmap(vjp, in_dims=0, ...)(<inputs>): Got in_dim=0 for some input, but that input is a "
            "Tensor of dimensionality 0 so expected in_dim to satisfy 0 <= in_dim < 0."
        )
    if given != shape and batched:
        raise RuntimeError(
            "If `is_grads_batched=True`, we interpret the first dimension of each grad_output as "
            "the batch dimension. The sizes of the remaining dimensions are expected to match "
            f"the shape of corresponding output, but a mismatch was detected: grad_output[{i}] "
            f"has a shape of {g.shape[2:]} and output[{i}] has a shape of {shape}. If you only "
            "want some tensors in `grad_output` to be considered batched, consider using vmap."
        )
    if given != shape:
        raise RuntimeError(
            f"Mismatch in shape: grad_output[{i}] has a shape of {g.shape} and output[{i}] has a "
            f"shape of {shape}."
        )
    if dtype.is_complex != g.dtype.is_complex:
        raise RuntimeError(
            "For complex Tensors, both grad_output and output are required to have the same "
            f"dtype. Mismatch in dtype: grad_output[{i}] has a dtype of {g.dtype} and output[{i}] "
            f"has a dtype of {dtype}."
        )


def _edges_of_roots(roots: Sequence[Any], grads: Sequence[Any]) -> list[Any]:
    """Where the pass starts: (node, output index) of each root."""
    found = []
    for i, (root, g) in enumerate(zip(roots, grads, strict=True)):
        edge = _engine.gradient_edge(root) if isinstance(root, Tensor) else tuple(root[:2])
        if edge is None:
            raise RuntimeError(NO_HISTORY.format(i))
        if g is None:
            raise RuntimeError("grad can be implicitly created only for scalar outputs")
        found.append(edge)
    return found


def _source_edge(source: Any) -> tuple[Any, int]:
    """Where the gradient of an input of `grad` arrives."""
    if isinstance(source, GradientEdge):
        return tuple(source[:2])
    if not isinstance(source, Tensor):
        raise RuntimeError(f"all inputs have to be Tensors or GradientEdges, but got {type(source).__name__}")
    edge = _engine.gradient_edge(source)
    if edge is None:
        raise RuntimeError(NO_GRADIENT)
    return edge


def _accumulating_edge(target: Any) -> tuple[Any, int]:
    """The same for `backward(inputs=...)`: an inner tensor keeps its gradient from now on."""
    if isinstance(target, Tensor):
        target.retain_grad()
    return _source_edge(target)


def tensor_backward(
    self: Tensor, gradient: Any, retain_graph: bool | None, create_graph: bool, inputs: Any
) -> None:
    """What `Tensor.backward` does where the engine's plain case does not hold."""
    backward(self, gradient, retain_graph, create_graph, inputs=inputs)
