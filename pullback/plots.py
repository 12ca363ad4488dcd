"""`torch.plots`: pictures of training, by matplotlib (`pip install "pullback[plots]"`).

Each function draws into an Axes, a new one unless `ax` is given, and returns it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from pullback.core._engine import Tensor, from_array
from pullback.core.modes import no_grad
from pullback.core.types import Array
from pullback.face.absent import getter
from pullback.nn import Module
from pullback.see.explain import Explanation
from pullback.see.summary import Summary

__all__ = [
    "gradient_flow",
    "gradient_path",
    "histograms",
    "landscape",
    "layers",
    "loss_curve",
    "matrix",
    "memory",
    "timeline",
]


def _axes(ax: Any) -> Any:
    if ax is not None:
        return ax
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError('torch.plots needs matplotlib: pip install "pullback[plots]"') from error
    return plt.subplots(layout="constrained")[1]


def _array(x: Any) -> Array:
    if isinstance(x, Tensor):
        x = x.detach().float() if x.dtype.name in ("bfloat16", "float16") else x.detach()
        return x.numpy()
    return np.asarray(x)


def gradient_flow(model: Module | Mapping[str, Tensor], ax: Any = None) -> Any:
    """How large the gradient of each parameter is, from the first layer to the last, on a logarithmic scale.

    A bar reaches to the root of the mean square, a mark stands at the largest entry. Parameters without a
    gradient have neither, and their names are grey.

    >>> import pullback as torch
    >>> net = torch.nn.Linear(2, 1)
    >>> net(torch.ones(3, 2)).sum().backward()
    >>> ax = torch.plots.gradient_flow(net)  # doctest: +SKIP
    """
    named = dict(model.named_parameters()) if isinstance(model, Module) else dict(model)
    ax = _axes(ax)
    grads = [None if p.grad is None else np.abs(_array(p.grad)) for p in named.values()]
    mean = [math.nan if g is None or not g.size else float(np.sqrt(np.mean(g * g))) for g in grads]
    most = [math.nan if g is None or not g.size else float(g.max()) for g in grads]
    places = np.arange(len(named))
    ax.bar(places, mean, color="tab:blue", alpha=0.7, label="root of the mean square")
    ax.plot(places, most, "_", color="tab:red", markersize=10, label="largest")
    if np.nanmax([*most, 0.0]) > 0:
        ax.set_yscale("log")
    ax.set_xticks(places, list(named), rotation=60, ha="right")
    for label, grad in zip(ax.get_xticklabels(), grads, strict=True):
        label.set_color("grey" if grad is None else "black")
    ax.set_ylabel("gradient")
    ax.legend()
    return ax


def histograms(steps: Mapping[int, Any] | Sequence[Any], ax: Any = None, *, bins: int = 60) -> Any:
    """How the numbers of a tensor were spread over the steps: a column for each step, dark where many are.

    `steps` has the tensor at each step: a parameter's clone, a gradient. Numbers that are not finite are
    left out.
    """
    held = dict(steps) if isinstance(steps, Mapping) else dict(enumerate(steps))
    if not held:
        raise ValueError("histograms(): there are no steps to draw")
    ax = _axes(ax)
    values = [_array(x).ravel() for x in held.values()]
    values = [v[np.isfinite(v)] for v in values]
    low = min((float(v.min()) for v in values if v.size), default=0.0)
    high = max((float(v.max()) for v in values if v.size), default=1.0)
    low, high = (low - 0.5, high + 0.5) if low == high else (low, high)
    edges = np.linspace(low, high, bins + 1)
    counts = np.stack([np.histogram(v, edges)[0] / max(v.size, 1) for v in values], axis=1)
    at = np.asarray(list(held), float)
    middles = (at[1:] + at[:-1]) / 2
    ends = (
        [at[0] - 0.5, at[-1] + 0.5] if len(at) == 1 else [1.5 * at[0] - at[1] / 2, 1.5 * at[-1] - at[-2] / 2]
    )
    mesh = ax.pcolormesh([ends[0], *middles, ends[1]], edges, counts, cmap="Blues")
    ax.figure.colorbar(mesh, ax=ax, label="part of the numbers")
    ax.set_xlabel("step")
    ax.set_ylabel("value")
    return ax


def loss_curve(
    losses: Sequence[Any] | Mapping[str, Sequence[Any]], ax: Any = None, *, smooth: float = 0.0
) -> Any:
    """Losses over the steps, one line for each name, on a logarithmic scale where all are positive.

    With `smooth` between 0 and 1 the running mean m = smooth * m + (1 - smooth) * loss, corrected for its
    start, is drawn over the losses themselves.
    """
    if not 0 <= smooth < 1:
        raise ValueError(f"loss_curve(): smooth must be in [0, 1), got {smooth}")
    ax = _axes(ax)
    curves = losses if isinstance(losses, Mapping) else {"loss": losses}
    positive = True
    for name, curve in curves.items():
        y = np.array([float(value) for value in curve])
        positive &= bool((y > 0).all())
        (line,) = ax.plot(y, label=name, alpha=0.3 if smooth else 1.0)
        if smooth:
            mean, means = 0.0, []
            for step, value in enumerate(y, 1):
                mean = smooth * mean + (1 - smooth) * value
                means.append(mean / (1 - smooth**step))
            ax.plot(means, color=line.get_color())
    if positive:
        ax.set_yscale("log")
    ax.set_xlabel("step")
    ax.set_ylabel("loss")
    ax.legend()
    return ax


def landscape(
    loss: Callable[[], Tensor],
    parameters: Iterable[Tensor],
    ax: Any = None,
    *,
    path: Sequence[Sequence[Tensor]] | None = None,
    span: float = 1.0,
    points: int = 25,
    seed: int = 0,
) -> Any:
    """The loss on a plane through the parameters, as a contour, and the way the optimizer went.

    `loss()` is called at `points` x `points` places; the parameters are as before afterwards. `path` has
    clones of the parameters at steps of the training: then the plane is that of their two largest principal
    directions, else of two random ones, each scaled to the norms of the parameters (Li et al., "Visualizing
    the Loss Landscape of Neural Nets", 2018), from -span to span.
    """
    tensors = list(parameters)
    center = np.concatenate([_array(p).ravel().astype(float) for p in tensors])
    ways = None
    if path is not None:
        steps = np.stack([np.concatenate([_array(p).ravel().astype(float) for p in step]) for step in path])
        ways = np.linalg.svd(steps - center, full_matrices=False)[2][:2]
    if ways is None or len(ways) < 2 or center.size < 2:
        ways = _random_ways(tensors, np.random.default_rng(seed))
    ends = np.array([[-span, span], [-span, span]])
    along = None
    if path is not None:
        along = (steps - center) @ np.linalg.pinv(ways)
        least, most = np.minimum(along.min(0), 0), np.maximum(along.max(0), 0)
        room = 0.25 * np.maximum(most - least, 1e-3 * max(float((most - least).max()), 1e-12))
        ends = np.stack([least - room, most + room], axis=1)
    first, second = (np.linspace(low, high, points) for low, high in ends)
    heights = np.empty((points, points))
    try:
        for j, b in enumerate(second):
            for i, a in enumerate(first):
                _put(tensors, center + a * ways[0] + b * ways[1])
                with no_grad():
                    heights[j, i] = float(loss().detach())
    finally:
        _put(tensors, center)
    ax = _axes(ax)
    shown = ax.contourf(first, second, heights, levels=30, cmap="viridis")
    ax.figure.colorbar(shown, ax=ax, label="loss")
    if along is not None:
        ax.plot(along[:, 0], along[:, 1], ".-", color="white", linewidth=1)
    ax.plot(0, 0, "*", color="red", markersize=12)
    return ax


def _random_ways(tensors: Sequence[Tensor], generator: np.random.Generator) -> Array:
    """Two random directions whose part for each tensor has the tensor's norm."""
    ways = []
    for _ in range(2):
        parts = []
        for p in tensors:
            part = generator.standard_normal(p.numel())
            size = float(np.linalg.norm(_array(p).astype(float))) or 1.0
            parts.append(part / (float(np.linalg.norm(part)) or 1.0) * size)
        ways.append(np.concatenate(parts))
    return np.stack(ways)


def _put(tensors: Sequence[Tensor], values: Array) -> None:
    start = 0
    with no_grad():
        for p in tensors:
            part = values[start : start + p.numel()].reshape(tuple(p.shape))
            p.copy_(from_array(np.ascontiguousarray(part)))
            start += p.numel()


def matrix(m: Any, ax: Any = None) -> Any:
    """A Jacobian or Hessian as an image: red above zero, blue below, and white where it is exactly zero.

    The title says how many entries are not zero. Takes a tensor, an array, or a sparse matrix of SciPy; of
    more than two dims the first half is rows, the rest columns. The derivatives of complex functions are
    shown by their sizes.
    """
    a = (
        np.asarray(m.todense())
        if hasattr(m, "todense")
        else _array(m.to_dense() if hasattr(m, "to_dense") else m)
    )
    if a.ndim != 2:
        rows = math.prod(a.shape[: a.ndim // 2])
        a = a.reshape(rows, -1)
    a = np.abs(a) if np.iscomplexobj(a) else a
    finite = np.abs(a[np.isfinite(a)])
    most = float(finite.max(initial=0.0)) or 1.0
    ax = _axes(ax)
    image = ax.imshow(
        np.where(a == 0, np.nan, a), cmap="RdBu_r", vmin=-most, vmax=most, interpolation="nearest"
    )
    ax.figure.colorbar(image, ax=ax)
    filled = np.count_nonzero(a)
    ax.set_title(
        f"{filled:,} of {a.size:,} entries are not zero ({filled / max(a.size, 1):.1%})", fontsize=10
    )
    return ax


def gradient_path(found: Explanation, ax: Any = None) -> Any:
    """How large the gradient is at each op on its way from the loss, as `torch.explain` found it.

    Bars are the roots of the mean squares, on a logarithmic scale; the op to blame is red.
    """
    ax = _axes(ax)
    steps = [step for step in found.path if step.gradient is not None]
    sizes = [step.gradient.mean_size for step in steps if step.gradient is not None]
    blamed = [step.name == found.op and step.line == found.line for step in steps]
    ax.bar(range(len(steps)), sizes, color=["tab:red" if b else "tab:blue" for b in blamed])
    if any(size > 0 for size in sizes):
        ax.set_yscale("log")
    ax.set_xticks(range(len(steps)), [step.name for step in steps], rotation=60, ha="right")
    ax.set_ylabel("gradient")
    ax.set_title(f"{found.cause}{f' by {found.op}' if found.op else ''}", fontsize=10)
    return ax


def timeline(profile: Any, ax: Any = None, *, least: float = 0.02) -> Any:
    """The events of a profile (`torch.profiler.profile`) over time, those within others below them.

    Ranges of the program's own are orange, nodes of backward passes green, ops blue. Those that take at least
    the part `least` of the whole have their names written in.
    """
    events = [event for event in _events(profile) if event.cpu_time_total > 0]
    ax = _axes(ax)
    start = min((event.time_range.start for event in events), default=0.0)
    whole = max((event.time_range.end for event in events), default=1.0) - start
    deepest = 0
    for event in events:
        depth, above = 0, event.cpu_parent
        while above is not None:
            depth, above = depth + 1, above.cpu_parent
        deepest = max(deepest, depth)
        colour = "tab:orange" if event.is_user_annotation else "tab:green" if event.scope == 1 else "tab:blue"
        at = event.time_range.start - start
        ax.barh(
            depth, event.cpu_time_total, left=at, height=0.9, color=colour, edgecolor="white", linewidth=0.5
        )
        if event.cpu_time_total >= least * whole:
            name = event.name.rpartition("::")[2].rpartition(": ")[2]
            middle = at + event.cpu_time_total / 2
            ax.text(middle, depth, name, ha="center", va="center", fontsize=7, clip_on=True)
    ax.set_ylim(deepest + 0.6, -0.6)
    ax.set_xlim(0, whole)
    ax.set_yticks([])
    ax.set_xlabel("microseconds")
    return ax


def _events(profile: Any) -> Any:
    return profile.function_events if hasattr(profile, "function_events") else profile.events()


def memory(profile: Any, ax: Any = None) -> Any:
    """How much memory tensors took during a profile with `profile_memory=True`, more than before it."""
    inner = getattr(profile, "profiler", profile)
    if not inner.profile_memory:
        raise ValueError("memory(): the profile was made without profile_memory=True")
    rows = inner.memory()
    ax = _axes(ax)
    start = rows[0][0] if rows else 0.0
    ax.fill_between(
        [at - start for at, *_ in rows], [total / 1024 for _, _, total, _ in rows], step="post", alpha=0.5
    )
    ax.set_xlabel("microseconds")
    ax.set_ylabel("KiB")
    return ax


def layers(found: Summary, what: str = "parameters", ax: Any = None) -> Any:
    """How `parameters` or `flops` are spread over the layers of a `torch.summary`, those without parts."""
    if what not in ("parameters", "flops"):
        raise ValueError(f"layers(): what must be 'parameters' or 'flops', not {what!r}")
    ax = _axes(ax)
    above = {layer.name.rpartition(".")[0] for layer in found.layers if layer.name}
    ends = [layer for layer in found.layers if layer.name not in above]
    sizes = [getattr(layer, what) for layer in ends]
    ax.barh(range(len(ends)), sizes, color="tab:blue")
    ax.set_yticks(range(len(ends)), [f"{layer.name or 'all'}: {layer.kind}" for layer in ends])
    ax.invert_yaxis()
    ax.set_xlabel(what)
    return ax


__getattr__ = getter(__name__)
