"""`torch.autograd.functional`: derivatives of functions of tensors, by the backward pass.

Inputs are a tensor or a tuple of tensors, and so are results. Each function here is a few lines within a
`_Call`, which has leaves of its own, runs the function, checks what it returned, and runs passes over the
graph; `strict` refuses results that do not depend on an input, `create_graph` lets the result be
differentiated. `jacobian` runs one batched pass for all rows, in strict mode one for each.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pullback import ops
from pullback.core._engine import Tensor
from pullback.core.modes import enable_grad
from pullback.face.absent import getter
from pullback.transforms.batching.interpreter import on_batch
from pullback.transforms.leaves import gradients, leaf
from pullback.transforms.stack import entered
from pullback.transforms.tangents import Tangents

__all__ = ["hessian", "hvp", "jacobian", "jvp", "vhp", "vjp"]

TensorTuple = tuple[Any, ...]


# ---------------------------------------------------------------------------- inputs and results


def _checked_tuple(x: Any, what: str, name: str) -> tuple[bool, TensorTuple]:
    """Whether a tuple was given, and the tensors; TypeError for anything else."""
    given = isinstance(x, tuple)
    values = x if given else (x,)
    for i, value in enumerate(values):
        if not isinstance(value, Tensor):
            kind = type(value)
            start = f"The {what} given to {name} must be either a Tensor or a tuple of Tensors but the "
            raise TypeError(
                f"{start}value at index {i} has type {kind}."
                if given
                else f"{start}given {what} has type {kind}."
            )
    return given, values


def _checked_outputs(result: Any, name: str) -> tuple[bool, TensorTuple]:
    return _checked_tuple(result, "outputs of the user-provided function", name)


def _check_requires_grad(tensors: Any, kind: str, strict: bool) -> None:
    """In strict mode: RuntimeError for outputs, or a jacobian, that do not depend on the inputs."""
    for i, x in enumerate(tensors if strict else ()):
        if x is not None and x.requires_grad:
            continue
        if kind == "outputs":
            raise RuntimeError(
                f"Output {i} of the user-provided function does not require gradients. The outputs must be "
                "computed in a differentiable manner from the input when running in strict mode."
            )
        if x is None:
            raise RuntimeError(_INDEPENDENT["back"].format(i))
        raise RuntimeError(
            "While computing the hessian, found that the jacobian of the user-provided function with respect "
            f"to input {i} is independent of the input. This is not allowed in strict mode. You should "
            "ensure that your function is twice differentiable and that the jacobian depends on the "
            "inputs (this would be violated by a linear function for example)."
        )


_INDEPENDENT = {
    "back": "The output of the user-provided function is independent of input {}. This is not allowed in "
    "strict mode.",
    "double_back": "The hessian of the user-provided function is independent of entry {} in the "
    "grad_jacobian. This is not allowed in strict mode as it prevents from using the double backward trick "
    "to replace forward mode AD.",
    "double_back_trick": "The jacobian of the user-provided function is independent of entry {} in the "
    "grad_outputs when using the double backward trick to compute forward mode gradients. This is not "
    "allowed in strict mode.",
    "double_back_trick2": "The hessian of the user-provided function is independent of entry {} in the "
    "grad_outputs when using the double backward trick to compute forward mode gradients. This is not "
    "allowed in strict mode.",
}
"""By the stage of a computation: the message for a gradient that is missing in strict mode."""


def _check_v(v: TensorTuple, others: TensorTuple, is_tuple: bool) -> None:
    """RuntimeError unless a vector is shaped as what it is multiplied with."""
    if len(others) != len(v):
        if is_tuple:
            raise RuntimeError(f"v is a tuple of invalid length: should be {len(others)} but got {len(v)}.")
        raise RuntimeError("The given v should contain a single Tensor.")
    for i, (x, other) in enumerate(zip(v, others, strict=True)):
        if x.shape != other.shape:
            entry = f"Entry {i} in " if is_tuple else ""
            raise RuntimeError(f"{entry}v has invalid size: should be {other.shape} but got {x.shape}.")


# ------------------------------------------------------------------------------------- one call


class _Call:
    """A call of the user's function on leaves of its own, and passes over its graph.

    A context, within which operations are recorded. `leaves` are steps in the graph of the inputs with
    `create_graph`, else they are cut off from it.
    """

    def __init__(
        self, name: str, func: Callable[..., Any], inputs: Any, create_graph: bool, strict: bool
    ) -> None:
        self.name, self.func, self.create_graph, self.strict = name, func, create_graph, strict
        self.is_tuple, self.inputs = _checked_tuple(inputs, "inputs", name)
        self.mode = enable_grad()

    def __enter__(self) -> _Call:
        self.mode.__enter__()
        self.leaves = tuple([self._leaf(x) for x in self.inputs])
        return self

    def __exit__(self, *exc: Any) -> None:
        self.mode.__exit__(*exc)

    def _leaf(self, x: Any) -> Any:
        if self.create_graph and x.requires_grad:
            return ops.view_as(x, x)
        return x.detach().requires_grad_()

    def outputs(self) -> TensorTuple:
        """What the function returns; `outputs_tuple` says whether that is a tuple."""
        self.outputs_tuple, outs = _checked_outputs(self.func(*self.leaves), self.name)
        _check_requires_grad(outs, "outputs", self.strict)
        return outs

    def scalar(self) -> Any:
        """The one number that the function must return."""
        out = _one_number(self.func(*self.leaves), self.name)
        _check_requires_grad((out,), "outputs", self.strict)
        return out

    def slope(self, out: Any) -> list[Any]:
        """The gradient of a number, recorded."""
        found = self.back((out,), self.leaves, None, True)
        _check_requires_grad(found, "jacobian", self.strict)
        return found

    def vector(self, v: Any, others: TensorTuple, is_tuple: bool, what: str) -> TensorTuple:
        """The vector of a product: what was given, or 1 for a single element."""
        if v is not None:
            _, values = _checked_tuple(v, "v", self.name)
            values = tuple([x.detach() if not x.requires_grad else x for x in values])
            _check_v(values, others, is_tuple)
            return values
        if len(others) != 1 or others[0].numel() != 1:
            raise RuntimeError(
                f"The vector v can only be None if the {what} a single Tensor with a single element."
            )
        return (ops.ones_like(others[0]),)

    def input_vector(self, v: Any) -> TensorTuple:
        """The vector of a product that is like the inputs."""
        return self.vector(v, self.leaves, self.is_tuple, "input to the user-provided function is")

    def back(self, roots: Any, sources: Any, grads: Any, create: bool | None = None) -> list[Any]:
        """The gradients of those roots that have any, from 1 or from `grads`; the graph is kept."""
        grads = [ops.ones_like(x) for x in roots] if grads is None else grads
        pairs = [(x, g) for x, g in zip(roots, grads, strict=True) if x is not None and x.requires_grad]
        if not pairs:
            return [None] * len(sources)
        create = self.create_graph if create is None else create
        return gradients([x for x, _ in pairs], sources, [g for _, g in pairs], True, create)

    def filled(self, grads: Any, likes: TensorTuple, stage: str, final: bool = True) -> TensorTuple:
        """Gradients with zeros where there is none, which strict mode refuses."""
        found = []
        for i, (g, x) in enumerate(zip(grads, likes, strict=True)):
            if g is None and self.strict:
                raise RuntimeError(_INDEPENDENT[stage].format(i))
            if g is not None and final and self.strict and self.create_graph and not g.requires_grad:
                kind = "hessian" if stage in ("double_back", "double_back_trick2") else "jacobian"
                raise RuntimeError(
                    f"The {kind} of the user-provided function is independent of input {i}. This is not "
                    "allowed in strict mode when create_graph=True."
                )
            found.append(ops.zeros_like(x) if g is None else g)
        return tuple(found)

    def result(self, values: Any, as_tuple: bool) -> Any:
        """Results as the caller gets them: without our graph unless it was asked for."""
        found = [x if self.create_graph or not x.requires_grad else x.detach() for x in values]
        return tuple(found) if as_tuple else found[0]


def _one_number(result: Any, name: str) -> Tensor:
    """The one number that a function must return."""
    is_tuple, outs = _checked_outputs(result, name)
    if is_tuple:
        raise RuntimeError(f"The function given to {name} should return a single Tensor")
    if outs[0].numel() != 1:
        raise RuntimeError(
            f"The Tensor returned by the function given to {name} should contain a single element"
        )
    return outs[0]


# ------------------------------------------------------------------------------------- products


def vjp(
    func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> Any:
    """The value of `func(*inputs)`, and the product of `v` with its Jacobian.

    `v` is like the value; it may be missing if that is a single number.

    >>> import pullback as torch
    >>> torch.autograd.functional.vjp(torch.exp, torch.zeros(2), torch.ones(2))
    (tensor([1., 1.]), tensor([1., 1.]))
    """
    with _Call("vjp", func, inputs, create_graph, strict) as call:
        outs = call.outputs()
        v = call.vector(v, outs, call.outputs_tuple, "user-provided function returns")
        found = call.filled(call.back(outs, call.leaves, v), call.leaves, "back")
    return call.result(outs, call.outputs_tuple), call.result(found, call.is_tuple)


def jvp(
    func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> Any:
    """The value of `func(*inputs)`, and the product of its Jacobian with `v`.

    It is got by two backward passes, so that functions without forward mode will do. `v` is like the
    inputs; it may be missing if they are a single number.

    >>> import pullback as torch
    >>> torch.autograd.functional.jvp(torch.exp, torch.zeros(2), torch.tensor([1.0, 2.0]))
    (tensor([1., 1.]), tensor([1., 2.]))
    """
    with _Call("jvp", func, inputs, create_graph, strict) as call:
        v = call.input_vector(v)
        outs = call.outputs()
        starts = tuple([ops.zeros_like(x).requires_grad_() for x in outs])
        back = call.back(outs, call.leaves, starts, True)
        if strict:
            call.filled(back, call.leaves, "back", final=False)
        found = call.filled(call.back(back, starts, v), outs, "double_back_trick")
    return call.result(outs, call.outputs_tuple), call.result(found, call.outputs_tuple)


def vhp(
    func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> Any:
    """The value of `func(*inputs)`, a single number, and the product of `v` with its Hessian.

    >>> import pullback as torch
    >>> torch.autograd.functional.vhp(lambda x: (x**3).sum(), torch.ones(2), torch.ones(2))
    (tensor(2.), tensor([6., 6.]))
    """
    with _Call("vhp", func, inputs, create_graph, strict) as call:
        v = call.input_vector(v)
        out = call.scalar()
        found = call.filled(call.back(call.slope(out), call.leaves, v), call.leaves, "double_back")
    return call.result((out,), False), call.result(found, call.is_tuple)


def hvp(
    func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> Any:
    """The value of `func(*inputs)`, a single number, and the product of its Hessian with `v`.

    As `vhp`, since a Hessian is symmetric; here by the double-backward trick, for those that are not.

    >>> import pullback as torch
    >>> torch.autograd.functional.hvp(lambda x: (x**3).sum(), torch.ones(2), torch.ones(2))
    (tensor(2.), tensor([6., 6.]))
    """
    with _Call("hvp", func, inputs, create_graph, strict) as call:
        v = call.input_vector(v)
        out = call.scalar()
        slope = [
            ops.zeros_like(x) if g is None else g for g, x in zip(call.slope(out), call.leaves, strict=True)
        ]
        starts = tuple([ops.zeros_like(x).requires_grad_() for x in call.leaves])
        double = call.back(slope, call.leaves, starts, True)
        if strict:
            call.filled(double, call.leaves, "double_back", final=False)
        found = call.filled(call.back(double, starts, v), call.leaves, "double_back_trick2")
    return call.result((out,), False), call.result(found, call.is_tuple)


# ------------------------------------------------------------------------------------- matrices


def _jacobian_of(call: _Call, out: Any, place: int, vectorize: bool) -> TensorTuple:
    """The Jacobian of one result, the `place`-th. Without `vectorize` it is batched as well, where the
    rules that users wrote take it; a pass a row is what remains."""
    if not call.strict:
        try:
            return _rows_at_once(call, out)
        except RuntimeError:
            if vectorize:
                raise
    return _rows_by_passes(call, out, place)


def _rows_at_once(call: _Call, out: Any) -> TensorTuple:
    """The Jacobian of one result, by one batched pass."""
    n = out.numel()
    found: Any
    if not out.requires_grad or not n:
        found = [None] * len(call.leaves)
    elif n == 1:
        found = call.back((out,), call.leaves, None)
    else:
        basis = ops.reshape(ops.eye(n, dtype=out.dtype), (n, *out.shape))
        found = on_batch(
            n, lambda grads: gradients((out,), call.leaves, grads, True, call.create_graph), [basis]
        )
    blocks = []
    for g, x in zip(found, call.leaves, strict=True):
        shape = (*out.shape, *x.shape)
        blocks.append(ops.zeros(shape, dtype=x.dtype) if g is None else ops.reshape(g, shape))
    return tuple(blocks)


def _rows_by_passes(call: _Call, out: Any, place: int) -> TensorTuple:
    """The Jacobian of one result, a pass for each of its elements."""
    flat = ops.reshape(out, (-1,))
    rows: list[list[Any]] = [[] for _ in call.leaves]
    for j in range(out.numel()):
        found = call.back((flat[j],), call.leaves, None)
        for i, (g, x) in enumerate(zip(found, call.leaves, strict=True)):
            if g is None and call.strict:
                raise RuntimeError(
                    f"Output {place} of the user-provided function is independent of input {i}. This is not "
                    "allowed in strict mode."
                )
            if g is not None and call.strict and call.create_graph and not g.requires_grad:
                raise RuntimeError(
                    f"The jacobian of the user-provided function is independent of input {i}. This is not "
                    "allowed in strict mode when create_graph=True."
                )
            rows[i].append(ops.zeros_like(x) if g is None else g)
    blocks = []
    for row, x in zip(rows, call.leaves, strict=True):
        shape = (*out.shape, *x.shape)
        blocks.append(ops.reshape(ops.stack(row), shape) if row else ops.zeros(shape))
    return tuple(blocks)


def jacobian(
    func: Callable[..., Any],
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    strategy: str = "reverse-mode",
) -> Any:
    """The Jacobian of `func` at `inputs`: of a result of shape s and an input of shape t, s + t.

    A tuple of results gives a tuple, whose items are tuples if the inputs are. `vectorize` computes
    all rows in one batched pass; the strategy "forward-mode" needs it, and computes columns.

    >>> import pullback as torch
    >>> torch.autograd.functional.jacobian(torch.exp, torch.zeros(2))
    tensor([[1., 0.],
            [0., 1.]])
    """
    if strategy not in ("forward-mode", "reverse-mode"):
        raise AssertionError(
            'Expected strategy to be either "forward-mode" or "reverse-mode". Hint: If your function has '
            'more outputs than inputs, "forward-mode" tends to be more performant. Otherwise, prefer to use '
            '"reverse-mode".'
        )
    if strategy == "forward-mode":
        return _forward_jacobian(func, inputs, create_graph, strict, vectorize)
    with _Call("jacobian", func, inputs, create_graph, strict) as call:
        outs = call.outputs()
        if vectorize and strict:
            raise RuntimeError(
                "torch.autograd.functional.jacobian: `strict=True` and `vectorized=True` are not supported "
                "together. Please either set `strict=False` or `vectorize=False`."
            )
        blocks = [_jacobian_of(call, y, place, vectorize) for place, y in enumerate(outs)]
    found = tuple([call.result(row, call.is_tuple) for row in blocks])
    return found if call.outputs_tuple else found[0]


def _forward_jacobian(
    func: Callable[..., Any], inputs: Any, create_graph: bool, strict: bool, vectorize: bool
) -> Any:
    """The Jacobian by forward mode, all columns at once."""
    if strict:
        raise RuntimeError(
            'torch.autograd.functional.jacobian: `strict=True` and `strategy="forward-mode"` are not '
            'supported together (yet). Please either set `strict=False` or `strategy="reverse-mode"`.'
        )
    is_tuple, inputs = _checked_tuple(inputs, "inputs", "jacobian")
    if not vectorize:
        raise NotImplementedError(
            "Computing Jacobian using forward-AD or forward-over-reverse Hessian isonly implemented for "
            "`vectorize=True`."
        )
    if create_graph:
        raise NotImplementedError(
            'torch.autograd.functional.jacobian: `create_graph=True` and `strategy="forward-mode"` are not '
            'supported together (yet). Please either set `create_graph=False` or `strategy="reverse-mode"`.'
        )
    sizes = [x.numel() for x in inputs]
    total, start, basis = sum(sizes), 0, []
    for x, size in zip(inputs, sizes, strict=True):
        part = ops.narrow(ops.eye(total, dtype=x.dtype), 1, start, size)
        basis.append(ops.reshape(part, (total, *x.shape)))
        start += size
    outs: list[Any] = []

    def push(tangents: Any) -> list[Any]:
        level = Tangents()
        duals = [level.dual(x, t) for x, t in zip(inputs, tangents, strict=True)]
        with entered(level):
            outs.extend(_checked_outputs(func(*duals), "jacobian"))
        found = [level.tangent(y) for y in outs[1]]
        for y in outs[1]:
            level.forget(y)
        return found

    columns = on_batch(total, push, basis)
    outs_tuple, values = outs
    result = []
    for y, t in zip(values, columns, strict=True):
        wide = None if t is None else ops.movedim(t, 0, -1)
        blocks, start = [], 0
        for x, size in zip(inputs, sizes, strict=True):
            shape = (*y.shape, *x.shape)
            if wide is None:
                blocks.append(ops.zeros(shape, dtype=y.dtype))
            else:
                blocks.append(ops.reshape(ops.narrow(wide, -1, start, size), shape))
            start += size
        result.append(tuple(blocks) if is_tuple else blocks[0])
    return tuple(result) if outs_tuple else result[0]


def hessian(
    func: Callable[..., Any],
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    outer_jacobian_strategy: str = "reverse-mode",
) -> Any:
    """The Hessian of `func`, a function to a single number, at `inputs`.

    For a tuple of inputs, a tuple of tuples: block (i, j) has the shape of input i and that of input
    j. The options are those of `jacobian`.

    >>> import pullback as torch
    >>> torch.autograd.functional.hessian(lambda x: (x**3).sum(), torch.ones(2))
    tensor([[6., 0.],
            [0., 6.]])
    """
    is_tuple, inputs = _checked_tuple(inputs, "inputs", "hessian")
    if outer_jacobian_strategy not in ("forward-mode", "reverse-mode"):
        raise AssertionError('Expected strategy to be either "forward-mode" or "reverse-mode".')
    forward = outer_jacobian_strategy == "forward-mode"

    def value(*values: Any) -> Any:
        out = _one_number(func(*values), "hessian")
        _check_requires_grad((out,), "outputs", strict)
        return ops.reshape(out, ()) if out.ndim else out

    def slope(*values: Any) -> Any:
        if forward:
            values = tuple([x if x.requires_grad else _with_grad(x) for x in values])
        found = jacobian(value, values, create_graph=True)
        _check_requires_grad(found, "jacobian", strict)
        return found

    result = jacobian(
        slope,
        inputs,
        create_graph=create_graph,
        strict=strict,
        vectorize=vectorize,
        strategy=outer_jacobian_strategy,
    )
    return result if is_tuple else result[0][0]


def _as_tuple(inp: Any, arg_name: str = "inputs", fn_name: str = "function") -> Any:
    """The tensors of an argument. Packages import this and the functions below."""
    return _checked_tuple(inp, arg_name, fn_name)[1]


def _tuple_postprocess(res: Any, to_unpack: bool | tuple[bool, bool]) -> Any:
    """Results as the arguments were: the first of each tuple where none was given."""
    if isinstance(to_unpack, tuple):  # of the tuple, and of the tuples in it
        res = res if to_unpack[1] else tuple(part[0] for part in res)
        to_unpack = to_unpack[0]
    return res if to_unpack else res[0]


def _grad_preprocess(inputs: Any, create_graph: bool, need_graph: bool) -> TensorTuple:
    """Inputs to be differentiated by: views of them, or leaves."""
    if create_graph and need_graph:
        return tuple(x.view_as(x) for x in inputs)
    return tuple(x if create_graph else x.detach().requires_grad_(need_graph) for x in inputs)


def _grad_postprocess(inputs: Any, create_graph: bool) -> Any:
    """Results, without their graph unless it is wanted."""
    if not isinstance(inputs[0], Tensor):
        return tuple(_grad_postprocess(x, create_graph) for x in inputs)
    return inputs if create_graph else tuple(x.detach() for x in inputs)


def _construct_standard_basis_for(tensors: Any, tensor_numels: Any) -> TensorTuple:
    """The identity matrix of all elements, with the columns of each tensor apart."""
    total, start, found = sum(tensor_numels), 0, []
    for x, count in zip(tensors, tensor_numels, strict=True):
        chunk = ops.zeros((total, count), dtype=x.dtype, device=x.device)
        chunk.diagonal(-start).fill_(1)
        found.append(chunk)
        start += count
    return tuple(found)


def _with_grad(x: Any) -> Any:
    """A leaf with the tangents of `x`."""
    return leaf(x, True)


__getattr__ = getter(__name__)
