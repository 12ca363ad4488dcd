"""Recurrent cells and layers: rnn with tanh or relu, gru, lstm.

The formulas of a kind are a step and its reverse, written once for arrays and for tensors: they get
the functions they need as `lib`. `_scan` and `_scan_back` loop over time, over rows of packed
sequences, whose number may shrink. On arrays they are the kernels of `_recurrence` and its slope,
so a layer is one op, with one product for all times where that can be; on tensors they give the
higher derivatives, and run under transforms. Read `_lstm_step` and `_scan`, then `_recurrent_layer`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np

from pullback import ops
from pullback.core._engine import Tensor, grad_enabled, levels
from pullback.core.meta import meta_array
from pullback.core.op import function, op
from pullback.core.types import Array
from pullback.ops.shared.dims import wrap_dim

Lib = SimpleNamespace
Some = Any  # arrays, or tensors

# -------------------------------------------------------------------------------------- steps


def _tanh_step(lib: Lib, x: Some, hidden: Some, h: Some, c: Some) -> tuple[Some, Some, tuple[Some, ...]]:
    y = lib.tanh(x + hidden)
    return y, None, (y,)


def _tanh_back(lib: Lib, dh: Some, dc: Some, saved: Sequence[Some], h: Some) -> tuple[Some, ...]:
    d = dh * (1 - saved[0] * saved[0])
    return d, d, None, None


def _relu_step(lib: Lib, x: Some, hidden: Some, h: Some, c: Some) -> tuple[Some, Some, tuple[Some, ...]]:
    y = lib.relu(x + hidden)
    return y, None, (y,)


def _relu_back(lib: Lib, dh: Some, dc: Some, saved: Sequence[Some], h: Some) -> tuple[Some, ...]:
    d = lib.where(saved[0] > 0, dh, 0 * dh)
    return d, d, None, None


def _gru_step(lib: Lib, x: Some, hidden: Some, h: Some, c: Some) -> tuple[Some, Some, tuple[Some, ...]]:
    """r, z = sigmoid(x + hidden); n = tanh(x + r * hidden); h' = n + z * (h - n)."""
    size = h.shape[-1]
    r, z = lib.split(lib.sigmoid(x[..., : 2 * size] + hidden[..., : 2 * size]), 2)
    kept = hidden[..., 2 * size :]
    n = lib.tanh(x[..., 2 * size :] + r * kept)
    return n + z * (h - n), None, (r, z, n, kept)


def _gru_back(lib: Lib, dh: Some, dc: Some, saved: Sequence[Some], h: Some) -> tuple[Some, ...]:
    r, z, n, kept = saved
    dn = dh * (1 - z) * (1 - n * n)
    dz = dh * (h - n) * (z * (1 - z))
    dr = dn * kept * (r * (1 - r))
    return lib.cat([dr, dz, dn], -1), lib.cat([dr, dz, dn * r], -1), dh * z, None


def _lstm_step(lib: Lib, x: Some, hidden: Some, h: Some, c: Some) -> tuple[Some, Some, tuple[Some, ...]]:
    """i, f, o = sigmoid, g = tanh of x + hidden; c' = f * c + i * g; h' = o * tanh(c')."""
    size = c.shape[-1]
    gates = x + hidden
    i, f = lib.split(lib.sigmoid(gates[..., : 2 * size]), 2)
    g = lib.tanh(gates[..., 2 * size : 3 * size])
    o = lib.sigmoid(gates[..., 3 * size :])
    new = f * c + i * g
    bent = lib.tanh(new)
    return o * bent, new, (i, f, g, o, bent, c)


def _lstm_back(lib: Lib, dh: Some, dc: Some, saved: Sequence[Some], h: Some) -> tuple[Some, ...]:
    i, f, g, o, bent, c = saved
    dc = dc + dh * o * (1 - bent * bent)
    d = lib.cat(
        [dc * g * (i * (1 - i)), dc * c * (f * (1 - f)), dc * i * (1 - g * g), dh * bent * (o * (1 - o))], -1
    )
    return d, d, None, dc * f


_STEPS: dict[str, tuple[Callable[..., Any], Callable[..., Any], int]] = {
    "rnn_tanh": (_tanh_step, _tanh_back, 1),
    "rnn_relu": (_relu_step, _relu_back, 1),
    "gru": (_gru_step, _gru_back, 3),
    "lstm": (_lstm_step, _lstm_back, 4),
}
"""Of each kind: its step, the reverse, and how many blocks of rows its matrices have."""

_SAVES = {"rnn_tanh": 1, "rnn_relu": 1, "gru": 4, "lstm": 6}
"""How many blocks a step saves, each as wide as the state."""


def _sigmoid_array(a: Any) -> Any:
    e = np.exp(-a)
    e += 1
    return np.reciprocal(e, e)


def _array_parts(a: Any, n: int) -> list[Any]:
    size = a.shape[-1] // n
    return [a[..., k * size : (k + 1) * size] for k in range(n)]


def _array_rows(a: Any, sizes: tuple[int, ...]) -> list[Any]:
    ends = np.cumsum(sizes).tolist()
    return [a[end - n : end] for end, n in zip(ends, sizes, strict=True)]


_ARRAYS = Lib(
    tanh=np.tanh,
    sigmoid=_sigmoid_array,
    relu=lambda a: np.maximum(a, 0),
    where=np.where,
    cat=np.concatenate,
    split=_array_parts,
    rows=_array_rows,
    turn=np.transpose,
)
_TENSORS = Lib(
    tanh=lambda a: ops.tanh(a),
    sigmoid=lambda a: ops.sigmoid(a),
    relu=lambda a: ops.relu(a),
    where=lambda *a: ops.where(*a),
    cat=lambda parts, dim=0: ops.cat(parts, dim),
    split=lambda a, n: ops.chunk(a, n, -1),
    rows=lambda a, sizes: ops.split(a, list(sizes)),
    turn=lambda a: ops.t(a),
)

# --------------------------------------------------------------------------------------- loops


def _scan(
    lib: Lib, kind: str, x: Some, h: Some, c: Some, w: Some, b: Some, p: Some, sizes: tuple[int, ...],
    reverse: bool,
) -> tuple[list[Some], list[Some], list[Any], Some, Some]:  # fmt: skip
    """A layer in one direction: outputs, states before, what is saved, each by time; last states.

    `x` holds the inputs' part of the gates, `sizes[t]` rows at time t. The first rows of the states
    take part in a step; the others have ended, or have not begun if it runs in reverse.
    """
    step, whole = _STEPS[kind][0], h.shape[0]
    turned, parts = lib.turn(w), lib.rows(x, sizes)
    times = len(sizes)
    outs, befores, saves = [None] * times, [None] * times, [None] * times
    for t in reversed(range(times)) if reverse else range(times):
        n = sizes[t]
        some, cell = (h, c) if n == whole else (h[:n], None if c is None else c[:n])
        hidden = some @ turned
        new, cell, saves[t] = step(lib, parts[t], hidden if b is None else hidden + b, some, cell)
        if p is not None:
            new = new @ p
        outs[t], befores[t] = new, some
        if n == whole:
            h, c = new, cell
        else:
            h = lib.cat([new, h[n:]])
            c = None if c is None else lib.cat([cell, c[n:]])
    return outs, befores, saves, h, c


def _scan_back(
    lib: Lib, kind: str, g: Some, gh: Some, gc: Some, befores: list[Some], saves: list[Any], w: Some,
    sizes: tuple[int, ...], reverse: bool,
) -> tuple[Some, Some, Some, Some]:  # fmt: skip
    """The gradients of `x`, of `hidden` at all times, and of the first states."""
    back, whole = _STEPS[kind][1], gh.shape[0]
    parts, times = lib.rows(g, sizes), len(sizes)
    outer, inner = [None] * times, [None] * times
    for t in range(times) if reverse else reversed(range(times)):
        n = sizes[t]
        dh, dc = (gh, gc) if n == whole else (gh[:n], None if gc is None else gc[:n])
        outer[t], inner[t], direct, dc = back(lib, dh + parts[t], dc, saves[t], befores[t])
        dh = inner[t] @ w
        if direct is not None:
            dh = dh + direct
        if n == whole:
            gh, gc = dh, dc
        else:
            gh = lib.cat([dh, gh[n:]])
            gc = None if gc is None else lib.cat([dc, gc[n:]])
    first = lib.cat(outer)
    return first, (lib.cat(inner) if kind == "gru" else first), gh, gc


# ------------------------------------------------------------------------------------- the op


@op(name="recurrence", places="")
def _recurrence(
    self: Array, h: Array, c: Array | None, w: Array, b: Array | None, kind: str,
    sizes: tuple[int, ...], reverse: bool,
) -> tuple[Any, ...]:  # fmt: skip
    """Outputs, the last states, and for backward: states before, and what the steps save."""
    outs, befores, saves, last, cell = _scan(_ARRAYS, kind, self, h, c, w, b, None, sizes, reverse)
    tape = np.concatenate([np.concatenate(saved, 1) for saved in saves])
    ended = (last.copy(), np.empty(0, self.dtype) if cell is None else cell)
    return (np.concatenate(outs), *ended, np.concatenate(befores), tape)


@op(name="recurrence_slope", places="", nondiff=True)
def _recurrence_slope(
    self: Array, gh: Array, gc: Array | None, before: Array, tape: Array, w: Array, kind: str,
    sizes: tuple[int, ...], reverse: bool, biased: bool,
) -> tuple[Any, ...]:  # fmt: skip
    """The gradients of a recurrence's inputs; empty where there is no such input."""
    blocks = tape.shape[1] // gh.shape[1]
    saves = [_array_parts(part, blocks) for part in _array_rows(tape, sizes)]
    befores = _array_rows(before, sizes)
    outer, inner, gh, gc = _scan_back(_ARRAYS, kind, self, gh, gc, befores, saves, w, sizes, reverse)
    none = np.empty(0, self.dtype)
    return (
        outer, gh + 0, none if gc is None else gc, inner.T @ before,
        np.add.reduce(inner, 0) if biased else none,
    )  # fmt: skip


@_recurrence.meta
def _recurrence_meta(self: Any, h: Any, c: Any, w: Any, b: Any, kind: str, *rest: Any) -> tuple[Any, ...]:
    rows, size = len(self), h.shape[1]
    shapes = (
        (rows, size),
        h.shape,
        (0,) if c is None else c.shape,
        (rows, size),
        (rows, _SAVES[kind] * size),
    )
    return tuple([meta_array(shape, self.dtype) for shape in shapes])


@_recurrence_slope.meta
def _recurrence_slope_meta(
    self: Any, gh: Any, gc: Any, before: Any, tape: Any, w: Any, kind: str, sizes: Any, reverse: bool,
    biased: bool,
) -> tuple[Any, ...]:  # fmt: skip
    shapes = (
        (len(self), len(w)), gh.shape, (0,) if gc is None else gc.shape, w.shape, (len(w) if biased else 0,),
    )  # fmt: skip
    return tuple([meta_array(shape, self.dtype) for shape in shapes])


@_recurrence.joint_vjp
def _recurrence_vjp(
    g0: Tensor | None, g1: Tensor | None, g2: Tensor | None, self: Tensor, h: Tensor, c: Tensor | None,
    w: Tensor, b: Tensor | None, kind: str, sizes: tuple[int, ...], reverse: bool, result0: Tensor,
    result3: Tensor, result4: Tensor,
) -> tuple[Tensor | None, ...]:  # fmt: skip
    g = ops.zeros_like(result0) if g0 is None else g0
    gh = ops.zeros_like(h) if g1 is None else g1
    gc = None if c is None else ops.zeros_like(c) if g2 is None else g2
    biased = b is not None
    if not grad_enabled() and not levels():
        gradients = _recurrence_slope(g, gh, gc, result3, result4, w, kind, sizes, reverse, biased)
        return (
            *gradients[:2],
            None if c is None else gradients[2],
            gradients[3],
            gradients[4] if biased else None,
        )
    _, befores, saves, _, _ = _scan(_TENSORS, kind, self, h, c, w, b, None, sizes, reverse)
    outer, inner, gh, gc = _scan_back(_TENSORS, kind, g, gh, gc, befores, saves, w, sizes, reverse)
    slope = ops.matmul(ops.t(inner), ops.cat(befores, 0))
    return outer, gh, gc, slope, ops.sum(inner, 0) if biased else None


def _one_direction(
    kind: str, x: Tensor, states: list[Tensor], weights: Sequence[Any], sizes: tuple[int, ...],
    reverse: bool,
) -> tuple[Tensor, list[Tensor]]:  # fmt: skip
    """A layer in one direction on rows of all times: its outputs and last states."""
    w_ih, w_hh, b_ih, b_hh, project = weights
    if x.dtype is not w_ih.dtype:
        given = [t.dtype.type_name for t in (x, w_ih)]
        raise RuntimeError(f"mat1 and mat2 must have the same dtype, but got {given[0]} and {given[1]}")
    separate = b_hh if kind == "gru" else None
    if b_hh is not None and separate is None:
        b_ih = b_hh if b_ih is None else b_ih + b_hh
    gates = ops.linear(x, w_ih, b_ih)
    if gates.dtype.kind in "iu" and kind in ("gru", "lstm"):
        shown = gates.dtype.type_name
        raise RuntimeError(f"result type Float can't be cast to the desired output type {shown}")
    h, c = states[0], states[1] if kind == "lstm" else None
    if project is None and not levels() and gates.dtype.kind == "f":
        out, h, cell, _, _ = _recurrence(gates, h, c, w_hh, separate, kind, sizes, reverse)
        return out, [h] if c is None else [h, cell]
    turned = None if project is None else ops.t(project)
    outs, _, _, h, c = _scan(_TENSORS, kind, gates, h, c, w_hh, separate, turned, sizes, reverse)
    return ops.cat(outs, 0), [h] if c is None else [h, c]


# -------------------------------------------------------------------------------------- layers


def _parameters_by_layer(
    params: Sequence[Tensor], biased: bool, count: int, projected: bool
) -> list[tuple[Any, ...]]:
    """The parameters of each layer and direction: matrices, biases, projection."""
    each = 2 + 2 * biased + projected
    if len(params) % each or len(params) // each < count:
        raise RuntimeError("got an incorrect number of RNN parameters")
    layers = []
    for start in range(0, count * each, each):
        part = list(params[start : start + each])
        project = part.pop() if projected else None
        layers.append((*part, project) if biased else (*part, None, None, project))
    return layers


def _layers(
    kind: str, data: Tensor, sizes: tuple[int, ...], states: list[Tensor], params: Any, biased: bool,
    layers: int, dropout: float, train: bool, both: bool,
) -> tuple[Tensor, list[Tensor]]:  # fmt: skip
    """All layers on rows of all times: the outputs, and the last states of all layers."""
    if not sizes:
        raise RuntimeError("Expected sequence length to be larger than 0 in RNN")
    directions = 2 if both else 1
    projected = kind == "lstm" and states[0].shape[-1] != states[1].shape[-1]
    parts = [ops.unbind(state, 0) for state in states]
    if len(parts[0]) < layers * directions:
        raise RuntimeError("Expected more hidden states in stacked_rnn")
    groups = _parameters_by_layer(params, biased, layers * directions, projected)
    lasts: list[list[Tensor]] = [[] for _ in states]
    for layer in range(layers):
        outs = []
        for direction in range(directions):
            place = layer * directions + direction
            first = [part[place] for part in parts]
            _check_first_state(data, sizes, first[0])
            out, last = _one_direction(kind, data, first, groups[place], sizes, direction == 1)
            outs.append(out)
            for some, one in zip(lasts, last, strict=True):
                some.append(one)
        data = ops.cat(outs, -1) if both else outs[0]
        if dropout and train and layer < layers - 1:
            data = ops.dropout(data, dropout)
    return data, [ops.stack(some, 0) for some in lasts]


def _recurrent_layer(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Tensor, ...]:
    """`rnn_tanh`, `rnn_relu`, `gru` or `lstm` in either form: padded, or packed with batch sizes."""
    data = args[0]
    packed = isinstance(args[2] if len(args) > 2 else None, (tuple, list, Tensor)) and not (
        isinstance(args[3] if len(args) > 3 else None, bool)
    )
    names = ("batch_sizes", *_LAYER_OPTIONS) if packed else (*_LAYER_OPTIONS, "batch_first")
    given = dict(zip(names, args[1:], strict=False)) | kwargs
    hx = given["hx"]
    if isinstance(hx, Tensor) if name == "lstm" else not isinstance(hx, Tensor):
        wanted = "tuple of Tensors" if name == "lstm" else "Tensor"
        raise TypeError(f"{name}(): argument 'hx' (position 2) must be {wanted}, not {type(hx).__name__}")
    states = list(hx) if name == "lstm" else [hx]
    if packed:
        sizes = tuple(given["batch_sizes"].tolist())
    else:
        if given.get("batch_first"):
            data = ops.transpose(data, 0, 1)
        times, batch = data.shape[:2]
        sizes = (batch,) * times
        data = ops.reshape(data, (times * batch, data.shape[2]))
    outputs, lasts = _layers(
        name, data, sizes, states, given["params"], given["has_biases"], given["num_layers"],
        given["dropout"], given["train"], given["bidirectional"],
    )  # fmt: skip
    if not packed:
        outputs = ops.reshape(outputs, (times, batch, outputs.shape[1]))
        if given.get("batch_first"):
            outputs = ops.transpose(outputs, 0, 1)
    return (outputs, *lasts)


_LAYER_OPTIONS = ("hx", "params", "has_biases", "num_layers", "dropout", "train", "bidirectional")


def _padded(
    input: Tensor,
    hx: Tensor,
    params: Sequence[Tensor],
    has_biases: bool,
    num_layers: int,
    dropout: float,
    train: bool,
    bidirectional: bool,
    batch_first: bool,
) -> tuple[Tensor, ...]:
    """The form of the layers for sequences of one length."""


@function(places="t", signatures=(_padded,))
def rnn_tanh(*args: Any, **kwargs: Any) -> tuple[Tensor, ...]:
    """`h = tanh(W x + b + U h + c)`, layer on layer.

    The results are outputs (T, N, D * H) and the last states (layers * D, N, H), of inputs (T, N, I).
    Called as `(input, hx, params, has_biases, num_layers, dropout, train, bidirectional, batch_first)`,
    or for packed sequences as `(data, batch_sizes, hx, params, ...)` without `batch_first`. `params`
    are, of each layer and direction, the matrices of input and state, then their biases.
    RuntimeError for a wrong number of parameters or states, and for no time at all.
    """
    return _recurrent_layer("rnn_tanh", args, kwargs)


@function(places="t", signatures=(_padded,))
def rnn_relu(*args: Any, **kwargs: Any) -> tuple[Tensor, ...]:
    """`h = relu(W x + b + U h + c)`, layer on layer.

    As `rnn_tanh`, which says what the arguments mean.
    """
    return _recurrent_layer("rnn_relu", args, kwargs)


@function(places="t", signatures=(_padded,))
def gru(*args: Any, **kwargs: Any) -> tuple[Tensor, ...]:
    """Gated recurrent units, layer on layer.

    As `rnn_tanh`, which says what the arguments mean.
    """
    return _recurrent_layer("gru", args, kwargs)


@function(places="t", signatures=(_padded,))
def lstm(*args: Any, **kwargs: Any) -> tuple[Tensor, ...]:
    """Long short-term memory, with `hx` the two states h and c, layer on layer.

    As `rnn_tanh`, which says what the arguments mean.
    """
    return _recurrent_layer("lstm", args, kwargs)


# --------------------------------------------------------------------------------------- cells


def _cell(kind: str, x: Tensor, states: list[Tensor], weights: Sequence[Any]) -> list[Tensor]:
    name = f"{kind}_cell"
    for number, state in enumerate(states):
        _check_cell(name, x, state, weights[0], weights[1], number)
    return _one_direction(kind, x, states, (*weights, None), (x.shape[0],), False)[1]


@function(places="t")
def rnn_tanh_cell(
    input: Tensor, hx: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """One step of `h = tanh(W x + b + U h + c)`, of inputs (N, I) and states (N, H): the new states.

    RuntimeError where sizes do not fit the matrices, (H, I) and (H, H).
    """
    return _cell("rnn_tanh", input, [hx], (w_ih, w_hh, b_ih, b_hh))[0]


@function(places="t")
def rnn_relu_cell(
    input: Tensor, hx: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """One step of `h = relu(W x + b + U h + c)`, of inputs (N, I) and states (N, H): the new states.

    RuntimeError where sizes do not fit the matrices, (H, I) and (H, H).
    """
    return _cell("rnn_relu", input, [hx], (w_ih, w_hh, b_ih, b_hh))[0]


@function(places="t")
def gru_cell(
    input: Tensor, hx: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """One step of gated recurrent units, of inputs (N, I) and states (N, H): the new states.

    RuntimeError where sizes do not fit the matrices, (3H, I) and (3H, H).
    """
    return _cell("gru", input, [hx], (w_ih, w_hh, b_ih, b_hh))[0]


@function(places="t")
def lstm_cell(
    input: Tensor, hx: Sequence[Tensor], w_ih: Tensor, w_hh: Tensor, b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """One step of long short-term memory: the new states h and c, of inputs (N, I) and `hx = (h, c)`.

    RuntimeError where sizes do not fit the matrices, (4H, I) and (4H, H).

    >>> import pullback as torch
    >>> zero = torch.zeros(1, 1)
    >>> torch.lstm_cell(zero, (zero, zero + 2), torch.zeros(4, 1), torch.zeros(4, 1))
    (tensor([[0.3808]]), tensor([[1.]]))
    """
    if not isinstance(hx, (tuple, list)):
        shown = type(hx).__name__
        raise TypeError(f"lstm_cell(): argument 'hx' (position 2) must be tuple of Tensors, not {shown}")
    h, c = _cell("lstm", input, list(hx), (w_ih, w_hh, b_ih, b_hh))
    return h, c


# ---------------------------------------------------------------------------------- what is refused


def _check_first_state(data: Tensor, sizes: tuple[int, ...], h: Tensor) -> None:
    if h.shape[0] != sizes[0]:
        raise RuntimeError(
            f"The size of tensor a ({h.shape[0]}) must match the size of tensor b ({sizes[0]}) at "
            "non-singleton dimension 0"
        )


def _check_cell(name: str, x: Tensor, h: Any, w_ih: Tensor, w_hh: Tensor, number: int = 0) -> None:
    """Refuses states and inputs whose sizes do not fit the matrices."""
    if not isinstance(h, Tensor):
        raise TypeError(f"{name}(): argument 'hx' (position 2) must be Tensor, not {type(h).__name__}")
    size = x.shape[wrap_dim(1, x.ndim)]
    if size != w_ih.shape[1]:
        raise RuntimeError(f"input has inconsistent input_size: got {size} expected {w_ih.shape[1]}")
    if x.shape[0] != h.shape[0]:
        raise RuntimeError(
            f"Input batch size {x.shape[0]} doesn't match hidden{number} batch size {h.shape[0]}"
        )
    if h.shape[1] != w_hh.shape[1]:
        raise RuntimeError(
            f"hidden{number} has inconsistent hidden_size: got {h.shape[1]}, expected {w_hh.shape[1]}"
        )
