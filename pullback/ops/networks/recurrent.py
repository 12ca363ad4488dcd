"""Recurrent cells and layers: rnn with tanh or relu, gru, lstm.

A layer in one direction is one op, `_recurrence`: after one product for the inputs of all times it goes
over time in C (`kernels/recurrence.h`), forward and backward, over rows of packed sequences, whose number
may shrink. The formulas of a kind are a step and its reverse. Here they are written for tensors: `_scan` and
`_scan_back` give the higher derivatives, and run under transforms. Read `_lstm_step` and `_scan`, then
`_recurrent_layer`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from pullback import ops
from pullback.core._engine import Tensor, grad_enabled, levels
from pullback.core._plans import Plan, Spec
from pullback.core.dtypes import dtype, from_numpy_dtype
from pullback.core.op import function, op
from pullback.core.types import Array
from pullback.kernels import recurrence
from pullback.kernels.steps import call, loop_of
from pullback.ops.shared.chains import Chain, Step
from pullback.ops.shared.dims import wrap_dim

Some = Any  # tensors
Runs = tuple[tuple[int, int], ...]
"""How many times have how many rows: ((times, rows), ...) in their order."""

# -------------------------------------------------------------------------------------- steps


def _tanh_step(x: Some, hidden: Some, h: Some, c: Some) -> tuple[Some, Some, tuple[Some, ...]]:
    y = ops.tanh(x + hidden)
    return y, None, (y,)


def _tanh_back(dh: Some, dc: Some, saved: Sequence[Some], h: Some) -> tuple[Some, ...]:
    d = dh * (1 - saved[0] * saved[0])
    return d, d, None, None


def _relu_step(x: Some, hidden: Some, h: Some, c: Some) -> tuple[Some, Some, tuple[Some, ...]]:
    y = ops.relu(x + hidden)
    return y, None, (y,)


def _relu_back(dh: Some, dc: Some, saved: Sequence[Some], h: Some) -> tuple[Some, ...]:
    d = ops.where(saved[0] > 0, dh, 0 * dh)
    return d, d, None, None


def _gru_step(x: Some, hidden: Some, h: Some, c: Some) -> tuple[Some, Some, tuple[Some, ...]]:
    """r, z = sigmoid(x + hidden); n = tanh(x + r * hidden); h' = n + z * (h - n)."""
    size = h.shape[-1]
    r, z = ops.chunk(ops.sigmoid(x[..., : 2 * size] + hidden[..., : 2 * size]), 2, -1)
    kept = hidden[..., 2 * size :]
    n = ops.tanh(x[..., 2 * size :] + r * kept)
    return n + z * (h - n), None, (r, z, n, kept)


def _gru_back(dh: Some, dc: Some, saved: Sequence[Some], h: Some) -> tuple[Some, ...]:
    r, z, n, kept = saved
    dn = dh * (1 - z) * (1 - n * n)
    dz = dh * (h - n) * (z * (1 - z))
    dr = dn * kept * (r * (1 - r))
    return ops.cat([dr, dz, dn], -1), ops.cat([dr, dz, dn * r], -1), dh * z, None


def _lstm_step(x: Some, hidden: Some, h: Some, c: Some) -> tuple[Some, Some, tuple[Some, ...]]:
    """i, f, o = sigmoid, g = tanh of x + hidden; c' = f * c + i * g; h' = o * tanh(c')."""
    size = c.shape[-1]
    gates = x + hidden
    i, f = ops.chunk(ops.sigmoid(gates[..., : 2 * size]), 2, -1)
    g = ops.tanh(gates[..., 2 * size : 3 * size])
    o = ops.sigmoid(gates[..., 3 * size :])
    new = f * c + i * g
    bent = ops.tanh(new)
    return o * bent, new, (i, f, g, o, bent, c)


def _lstm_back(dh: Some, dc: Some, saved: Sequence[Some], h: Some) -> tuple[Some, ...]:
    i, f, g, o, bent, c = saved
    dc = dc + dh * o * (1 - bent * bent)
    d = ops.cat(
        [dc * g * (i * (1 - i)), dc * c * (f * (1 - f)), dc * i * (1 - g * g), dh * bent * (o * (1 - o))], -1
    )
    return d, d, None, dc * f


_STEPS: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "rnn_tanh": (_tanh_step, _tanh_back),
    "rnn_relu": (_relu_step, _relu_back),
    "gru": (_gru_step, _gru_back),
    "lstm": (_lstm_step, _lstm_back),
}
"""Of each kind its step, and the reverse; the kinds are numbered in this order."""

_GATES = {"rnn_tanh": 1, "rnn_relu": 1, "gru": 3, "lstm": 4}
"""How many gates a cell has, a block of rows of the matrices for each."""

_SAVES = {"rnn_tanh": 1, "rnn_relu": 1, "gru": 4, "lstm": 6}
"""How many blocks a step saves, each as wide as the cells."""

# --------------------------------------------------------------------------------------- loops


def _sizes(runs: Runs) -> list[int]:
    """How many rows each time has."""
    return [rows for times, rows in runs for _ in range(times)]


def _scan(
    kind: str, x: Some, h: Some, c: Some, w: Some, b: Some, p: Some, runs: Runs, reverse: bool
) -> tuple[list[Some], list[Some], list[Any], Some, Some]:
    """A layer in one direction: outputs, states before, what is saved, each by time; last states.

    `x` holds the inputs' part of the gates of the rows of all times. The first rows of the states
    take part in a step; the others have ended, or have not begun if it runs in reverse.
    """
    step, whole, sizes = _STEPS[kind][0], h.shape[0], _sizes(runs)
    turned, parts, times = ops.t(w), ops.split(x, sizes), len(sizes)
    down = None if p is None else ops.t(p)
    outs, befores, saves = [None] * times, [None] * times, [None] * times
    for t in reversed(range(times)) if reverse else range(times):
        n = sizes[t]
        some, cell = (h, c) if n == whole else (h[:n], None if c is None else c[:n])
        hidden = some @ turned
        new, cell, saves[t] = step(parts[t], hidden if b is None else hidden + b, some, cell)
        if down is not None:
            new = new @ down
        outs[t], befores[t] = new, some
        if n == whole:
            h, c = new, cell
        else:
            h = ops.cat([new, h[n:]])
            c = None if c is None else ops.cat([cell, c[n:]])
    return outs, befores, saves, h, c


def _scan_back(
    kind: str, g: Some, gh: Some, gc: Some, befores: list[Some], saves: list[Any], w: Some, p: Some,
    runs: Runs, reverse: bool,
) -> tuple[Some, Some, Some, Some, Some]:  # fmt: skip
    """The gradients of `x`, of `hidden` and of the projected at all times, and of the first states."""
    back, whole, sizes = _STEPS[kind][1], gh.shape[0], _sizes(runs)
    parts, times = ops.split(g, sizes), len(sizes)
    outer, inner, heads = [None] * times, [None] * times, [None] * times
    for t in range(times) if reverse else reversed(range(times)):
        n = sizes[t]
        dh, dc = (gh, gc) if n == whole else (gh[:n], None if gc is None else gc[:n])
        heads[t] = dh = dh + parts[t]
        if p is not None:
            dh = dh @ p
        outer[t], inner[t], direct, dc = back(dh, dc, saves[t], befores[t])
        dh = inner[t] @ w
        if direct is not None:
            dh = dh + direct
        if n == whole:
            gh, gc = dh, dc
        else:
            gh = ops.cat([dh, gh[n:]])
            gc = None if gc is None else ops.cat([dc, gc[n:]])
    first = ops.cat(outer)
    return first, (ops.cat(inner) if kind == "gru" else first), ops.cat(heads), gh, gc


# ------------------------------------------------------------------------------------- the op


class _Layer(NamedTuple):
    """What a run of recurrence.h does, in the specs of its op's arguments."""

    kind: str
    h: Any
    w: Any
    biased: bool
    projection: Any
    runs: Runs
    reverse: bool

    @property
    def cells(self) -> int:
        """The width of the cells, which is not that of the states where outputs are projected."""
        return int((self.h if self.projection is None else self.projection).shape[1])

    @property
    def rows(self) -> int:
        """Rows of all times."""
        return sum(times * rows for times, rows in self.runs)

    def results(self) -> tuple[tuple[int, ...], ...]:
        """The shapes of outputs, last states and cells, states before, and what is saved."""
        (n, states), rows = self.h.shape, self.rows
        cell = (n, self.cells) if self.kind == "lstm" else (0,)
        return (rows, states), (n, states), cell, (rows, states), (rows, _SAVES[self.kind] * self.cells)

    def slopes(self) -> tuple[tuple[int, ...], ...]:
        """The shapes of the gradients: of x, h, c, w, b and the projection."""
        gates, projection = self.w.shape[0], self.projection
        cell = (self.h.shape[0], self.cells) if self.kind == "lstm" else (0,)
        bias = (gates,) if self.biased else (0,)
        return (
            (self.rows, gates), self.h.shape, cell, self.w.shape, bias,
            (0,) if projection is None else projection.shape,
        )  # fmt: skip

    def geometry(self, kind: dtype) -> tuple[int, ...]:
        flags = int(self.biased) + 2 * (self.projection is not None)
        head = (*loop_of(np.matmul, kind.code), list(_STEPS).index(self.kind), int(self.reverse), flags)
        shapes = (*self.h.shape, self.cells, self.rows, len(self.runs))
        return (*head, *shapes, *[n for run in self.runs for n in run])

    def scratch(self, item: int, slope: bool) -> int:
        """The bytes of memory that a run needs."""
        (n, states), gates, cells, rows = self.h.shape, self.w.shape[0], self.cells, self.rows
        if not slope:
            return int(item * (n * (gates + cells) + states * (gates + cells)))
        return int(item * (rows * gates + n * (cells + states) + rows * (states + cells)))

    def computed(self, name: str, arrays: tuple[Any, ...], shapes: tuple[tuple[int, ...], ...]) -> Any:
        """A run on arrays, None for one that is not there."""
        given = [np.ascontiguousarray(arrays[0] if a is None else a) for a in arrays]
        kind = given[0].dtype
        made = tuple([np.empty(shape, kind) for shape in shapes])
        geometry, scratch = (
            self.geometry(from_numpy_dtype(kind)),
            self.scratch(kind.itemsize, name != "recurrence"),
        )
        call(recurrence.RUNS[name][kind.name], geometry, (*given, *made), 1, scratch)
        return made

    def planned(self, name: str, specs: tuple[Any, ...], shapes: tuple[tuple[int, ...], ...]) -> Plan:
        """The plan of the same."""
        there = [spec for spec in specs if spec is not None]
        chain = Chain(len(there), tuple([Spec(there[0].dtype, shape) for shape in shapes]))
        places = {id(spec): chain.floats(number, spec) for number, spec in enumerate(there)}
        given = [places[id(there[0] if spec is None else spec)] for spec in specs]
        runs = recurrence.RUNS[name]

        def step(kind: dtype) -> Step:
            return Step(
                runs[kind.name], self.geometry(kind), 1, self.scratch(kind.itemsize, name != "recurrence")
            )

        chain.add_floats(step, *given)
        return chain.plan()


@op(name="recurrence", places="", flat_slope=True)
def _recurrence(
    self: Array, h: Array, c: Array | None, w: Array, b: Array | None, p: Array | None, kind: str, runs: Runs,
    reverse: bool,
) -> tuple[Any, ...]:  # fmt: skip
    """Outputs, the last states, and for backward: states before, and what the steps save."""
    layer = _Layer(kind, h, w, b is not None, p, runs, reverse)
    return layer.computed("recurrence", (self, h, c, w, b, p), layer.results())


@_recurrence.prepare
def _plan_recurrence(
    self: Spec, h: Spec, c: Spec | None, w: Spec, b: Spec | None, p: Spec | None, kind: str, runs: Runs,
    reverse: bool,
) -> Plan:  # fmt: skip
    layer = _Layer(kind, h, w, b is not None, p, runs, reverse)
    _check_layer(layer, self, c, b)
    return layer.planned("recurrence", (self, h, c, w, b, p), layer.results())


@op(name="recurrence_slope", places="", nondiff=True)
def _recurrence_slope(
    self: Array, gh: Array, gc: Array | None, before: Array, tape: Array, w: Array, p: Array | None,
    kind: str, runs: Runs, reverse: bool, biased: bool,
) -> tuple[Any, ...]:  # fmt: skip
    """The gradients of a recurrence's inputs; empty where there is no such input."""
    layer = _Layer(kind, gh, w, biased, p, runs, reverse)
    return layer.computed("recurrence_slope", (self, gh, gc, before, tape, w, p), layer.slopes())


@_recurrence_slope.prepare
def _plan_recurrence_slope(
    self: Spec, gh: Spec, gc: Spec | None, before: Spec, tape: Spec, w: Spec, p: Spec | None, kind: str,
    runs: Runs, reverse: bool, biased: bool,
) -> Plan:  # fmt: skip
    layer = _Layer(kind, gh, w, biased, p, runs, reverse)
    return layer.planned("recurrence_slope", (self, gh, gc, before, tape, w, p), layer.slopes())


@_recurrence.joint_vjp
def _recurrence_vjp(
    g0: Tensor | None, g1: Tensor | None, g2: Tensor | None, self: Tensor, h: Tensor, c: Tensor | None,
    w: Tensor, b: Tensor | None, p: Tensor | None, kind: str, runs: Runs, reverse: bool, result0: Tensor,
    result3: Tensor, result4: Tensor,
) -> tuple[Tensor | None, ...]:  # fmt: skip
    g = ops.zeros_like(result0) if g0 is None else g0
    gh = ops.zeros_like(h) if g1 is None else g1
    gc = None if c is None else ops.zeros_like(c) if g2 is None else g2
    if not grad_enabled() and not levels():
        found = _recurrence_slope(g, gh, gc, result3, result4, w, p, kind, runs, reverse, b is not None)
        return tuple([None if x is None else y for x, y in zip((self, h, c, w, b, p), found, strict=True)])
    _, befores, saves, _, _ = _scan(kind, self, h, c, w, b, p, runs, reverse)
    outer, inner, heads, gh, gc = _scan_back(kind, g, gh, gc, befores, saves, w, p, runs, reverse)
    slope = ops.matmul(ops.t(inner), ops.cat(befores, 0))
    projected = None
    if p is not None:
        projected = ops.matmul(ops.t(heads), ops.cat([saved[3] * saved[4] for saved in saves], 0))
    return outer, gh, gc, slope, ops.sum(inner, 0) if b is not None else None, projected


def _one_direction(
    kind: str, x: Tensor, states: list[Tensor], weights: Sequence[Any], runs: Runs, reverse: bool
) -> tuple[Tensor, list[Tensor]]:
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
    if not levels() and gates.dtype.kind == "f":
        out, h, cell, _, _ = _recurrence(gates, h, c, w_hh, separate, project, kind, runs, reverse)
        return out, [h] if c is None else [h, cell]
    outs, _, _, h, c = _scan(kind, gates, h, c, w_hh, separate, project, runs, reverse)
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
    kind: str, data: Tensor, runs: Runs, states: list[Tensor], params: Any, biased: bool,
    layers: int, dropout: float, train: bool, both: bool,
) -> tuple[Tensor, list[Tensor]]:  # fmt: skip
    """All layers on rows of all times: the outputs, and the last states of all layers."""
    if not runs:
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
            _check_first_state(runs, first[0])
            out, last = _one_direction(kind, data, first, groups[place], runs, direction == 1)
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
        sizes = given["batch_sizes"].tolist()
        runs = tuple([(len(list(same)), n) for n, same in itertools.groupby(sizes)])
    else:
        if given.get("batch_first"):
            data = ops.transpose(data, 0, 1)
        times, batch = data.shape[:2]
        runs = ((times, batch),) if times else ()
        data = ops.reshape(data, (times * batch, data.shape[2]))
    outputs, lasts = _layers(
        name, data, runs, states, given["params"], given["has_biases"], given["num_layers"],
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
    return _one_direction(kind, x, states, (*weights, None), ((1, x.shape[0]),), False)[1]


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


def _check_layer(layer: _Layer, x: Spec, c: Spec | None, b: Spec | None) -> None:
    """Dtypes and sizes that go together: nothing outside of a tensor is read."""
    (n, states), cells, (gates, columns) = layer.h.shape, layer.cells, layer.w.shape
    for other in (layer.h, c, layer.w, b, layer.projection):
        if other is not None and other.dtype is not x.dtype:
            given = f"{other.dtype.type_name} and {x.dtype.type_name}"
            raise RuntimeError(f"mat1 and mat2 must have the same dtype, but got {given}")
    if columns != states:
        raise RuntimeError(f"mat1 and mat2 shapes cannot be multiplied ({n}x{states} and {columns}x{gates})")
    if layer.projection is not None and layer.projection.shape[0] != states:
        raise RuntimeError(
            f"mat1 and mat2 shapes cannot be multiplied ({n}x{states} and "
            f"{layer.projection.shape[0]}x{cells})"
        )
    _check_equal(gates, x.shape[1], 1)
    _check_equal(gates, cells * _GATES[layer.kind], 1)
    if c is not None:
        _check_equal(c.shape[0], n, 0)
        _check_equal(c.shape[1], cells, 1)
    if b is not None:
        _check_equal(b.shape[0], gates, 0)
    start, before = 0, n
    for rows in _sizes(layer.runs):
        _check_equal(before, max(rows, before), 0)
        if rows < 0 or start + rows > x.shape[0]:
            raise RuntimeError(f"start ({start}) + length ({rows}) exceeds dimension size ({x.shape[0]}).")
        start, before = start + rows, rows
    _check_equal(x.shape[0], start, 0)


def _check_equal(a: int, b: int, dim: int) -> None:
    if a != b:
        raise RuntimeError(
            f"The size of tensor a ({a}) must match the size of tensor b ({b}) at non-singleton dimension "
            f"{dim}"
        )


def _check_first_state(runs: Runs, h: Tensor) -> None:
    _check_equal(h.shape[0], runs[0][1], 0)


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
    gates = {"gru_cell": 3, "lstm_cell": 4}.get(name, 1)
    for weight, shown in ((w_ih, "ih"), (w_hh, "hh")):
        if weight.shape[0] != gates * h.shape[1]:
            raise RuntimeError(
                f"weight_{shown} first dim must be {gates} * hidden_size = {gates * h.shape[1]}, but got "
                f"{weight.shape[0]}"
            )
