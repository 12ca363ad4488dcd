"""Where the boxes of a drawing lie: layers by distance from the result, few crossings, short edges.

Boxes that edges pass by on the way have stand-ins in each layer between. Within a layer boxes are sorted by
the middle of their neighbours, layer by layer, down and up in turn (Sugiyama, Tagawa and Toda, "Methods for
Visual Understanding of Hierarchical System Structures", 1981); boxes of one group stay together. If the
`dot` tool is there it does all of it, and better.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Hashable, Mapping, Sequence

Point = tuple[float, float]
Edge = tuple[int, int]
SWEEPS = 12
GAP, LAYER = 24.0, 46.0
"""Points between neighbours in a layer, and between two layers."""
FRAME, TITLE = 7.0, 10.0
"""Points between the frames around groups, and what a frame's name takes above."""


def layout(
    sizes: Sequence[Point], edges: Sequence[Edge], groups: Sequence[Sequence[Hashable]]
) -> tuple[list[Point], dict[Edge, list[Point]]]:
    """The centres of boxes of these sizes, and the bends of each edge.

    An edge (a, b) goes down from box a to box b. `groups` has the path of groups that a box is in.
    """
    if shutil.which("dot") and len(sizes) <= 2000:
        return _by_dot(sizes, edges, groups)
    return _by_layers(sizes, edges, groups)


def _depths(count: int, edges: Sequence[Edge]) -> list[int]:
    """The layer of each box, the last one 0: one more than that of the highest box below it."""
    after: list[list[int]] = [[] for _ in range(count)]
    waiting = [0] * count
    for a, b in edges:
        after[b].append(a)
        waiting[a] += 1
    depth, ready = [0] * count, [i for i in range(count) if not waiting[i]]
    for b in ready:
        for a in after[b]:
            depth[a] = max(depth[a], depth[b] + 1)
            waiting[a] -= 1
            if not waiting[a]:
                ready.append(a)
    return depth


def _by_layers(
    sizes: Sequence[Point], edges: Sequence[Edge], groups: Sequence[Sequence[Hashable]]
) -> tuple[list[Point], dict[Edge, list[Point]]]:
    depth = _depths(len(sizes), edges)
    highest = max(depth, default=0)
    boxes = list(sizes)
    path = [tuple(group) for group in groups]
    layers: list[list[int]] = [[] for _ in range(highest + 1)]
    for i, d in enumerate(depth):
        layers[highest - d].append(i)
    above: dict[int, list[int]] = {}
    below: dict[int, list[int]] = {}
    bends: dict[Edge, list[int]] = {}
    for a, b in edges:
        last, stand_ins = a, []
        for d in range(depth[a] - 1, depth[b], -1):
            boxes.append((2.0, 0.0))
            path.append(path[b])
            layers[highest - d].append(len(boxes) - 1)
            stand_ins.append(len(boxes) - 1)
        for i in [*stand_ins, b]:
            below.setdefault(last, []).append(i)
            above.setdefault(i, []).append(last)
            last = i
        bends[a, b] = stand_ins
    place = {i: float(k) for layer in layers for k, i in enumerate(layer)}
    for sweep in range(SWEEPS):
        down = sweep % 2 == 0
        for layer in layers if down else reversed(layers):
            _sort(layer, above if down else below, place, path)
    x = _across(layers, boxes, above, below)
    _apart(x, layers, boxes, path)
    y = _down(layers, boxes, max(LAYER, 2 * FRAME * max(map(len, path), default=0) + TITLE + FRAME))
    points = [(x[i], y[i]) for i in range(len(boxes))]
    return points[: len(sizes)], {edge: [points[i] for i in chain] for edge, chain in bends.items()}


def _sort(
    layer: list[int],
    neighbours: Mapping[int, Sequence[int]],
    place: dict[int, float],
    path: Sequence[tuple[Hashable, ...]],
) -> None:
    """Sorts a layer by the middle of its boxes' neighbours, groups as a whole first."""
    middle = {
        i: sum(place[n] for n in neighbours[i]) / len(neighbours[i]) if neighbours.get(i) else place[i]
        for i in layer
    }
    members: dict[tuple[Hashable, ...], list[float]] = {}
    for i in layer:
        for k in range(1, len(path[i]) + 1):
            members.setdefault(path[i][:k], []).append(middle[i])

    def key(i: int) -> list[tuple[float, str]]:
        groups = [path[i][:k] for k in range(1, len(path[i]) + 1)]
        return [*((sum(members[g]) / len(members[g]), repr(g)) for g in groups), (middle[i], "")]

    layer.sort(key=key)
    for k, i in enumerate(layer):
        place[i] = float(k)


def _across(
    layers: Sequence[Sequence[int]],
    boxes: Sequence[Point],
    above: Mapping[int, Sequence[int]],
    below: Mapping[int, Sequence[int]],
) -> dict[int, float]:
    """The x of each box: near the middle of its neighbours, without overlaps in a layer."""
    x: dict[int, float] = {}
    for layer in layers:
        at = 0.0
        for i in layer:
            x[i] = at + boxes[i][0] / 2
            at += boxes[i][0] + GAP
    for sweep in range(SWEEPS):
        neighbours = above if sweep % 2 == 0 else below
        for layer in layers if sweep % 2 == 0 else reversed(layers):
            wish = [
                sum(x[n] for n in neighbours[i]) / len(neighbours[i]) if neighbours.get(i) else x[i]
                for i in layer
            ]
            left, right = list(wish), list(wish)
            for k in range(1, len(layer)):
                least = (boxes[layer[k - 1]][0] + boxes[layer[k]][0]) / 2 + GAP
                left[k] = max(left[k], left[k - 1] + least)
            for k in range(len(layer) - 2, -1, -1):
                least = (boxes[layer[k + 1]][0] + boxes[layer[k]][0]) / 2 + GAP
                right[k] = min(right[k], right[k + 1] - least)
            for i, a, b in zip(layer, left, right, strict=True):
                x[i] = (a + b) / 2
    start = min((x[i] - boxes[i][0] / 2 for layer in layers for i in layer), default=0.0)
    return {i: value - start for i, value in x.items()}


def _apart(
    x: dict[int, float],
    layers: Sequence[Sequence[int]],
    boxes: Sequence[Point],
    path: Sequence[tuple[Hashable, ...]],
) -> None:
    """Moves groups to the right, inner ones first, until none lies over another or over a box of no group."""
    layer = {i: k for k, members in enumerate(layers) for i in members}
    deepest = max(map(len, path), default=0)

    def settle(members: Sequence[int], depth: int) -> None:
        parts: dict[Hashable, list[int]] = {}
        for i in members:
            parts.setdefault(path[i][: depth + 1] if len(path[i]) > depth else i, []).append(i)
        found = []
        for key, inner in parts.items():
            frame = 0.0
            if isinstance(key, tuple):
                settle(inner, depth + 1)
                frame = FRAME * (deepest - depth)
            left = min(x[i] - boxes[i][0] / 2 for i in inner) - frame
            right = max(x[i] + boxes[i][0] / 2 for i in inner) + frame
            rows = range(min(layer[i] for i in inner), max(layer[i] for i in inner) + 1)
            found.append((left + right, left, right, rows, inner))
        taken: dict[int, float] = {}  # how far to the right, by layer
        for _, left, right, rows, inner in sorted(found, key=lambda part: part[0]):
            shift = max([0.0, *(taken[k] - left for k in rows if k in taken)])
            for i in inner:
                x[i] += shift
            taken |= dict.fromkeys(rows, right + shift)

    if deepest:
        settle([*x], 0)


def _down(layers: Sequence[Sequence[int]], boxes: Sequence[Point], gap: float) -> dict[int, float]:
    y, top = {}, 0.0
    for layer in layers:
        height = max((boxes[i][1] for i in layer), default=0.0)
        for i in layer:
            y[i] = top + height / 2
        top += height + gap
    return y


def dot_source(
    labels: Sequence[str], sizes: Sequence[Point], edges: Sequence[Edge], groups: Sequence[Sequence[Hashable]]
) -> str:
    """The graph in the language of Graphviz, groups as clusters."""
    lines = ["digraph {", "  node [shape=box, fixedsize=true];", "  ranksep=0.55; nodesep=0.3;"]
    inside: dict[tuple[Hashable, ...], list[int]] = {}
    for i, group in enumerate(groups):
        inside.setdefault(tuple(group), []).append(i)
    numbers = {group: k for k, group in enumerate(_all_groups(inside))}

    def write(group: tuple[Hashable, ...], indent: str) -> None:
        for i in inside.get(group, ()):
            width, height = (side / 72 for side in sizes[i])
            label = labels[i].replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
            lines.append(f'{indent}n{i} [label="{label}", width={width:.3f}, height={height:.3f}];')
        for child in numbers:
            if len(child) == len(group) + 1 and child[: len(group)] == group:
                name = str(child[-1]).replace('"', '\\"')
                lines.append(f'{indent}subgraph cluster_{numbers[child]} {{ label="{name}";')
                write(child, indent + "  ")
                lines.append(indent + "}")

    write((), "  ")
    lines += [f"  n{a} -> n{b};" for a, b in edges]
    return "\n".join([*lines, "}"])


def _all_groups(inside: Mapping[tuple[Hashable, ...], object]) -> list[tuple[Hashable, ...]]:
    return list(dict.fromkeys(group[:k] for group in inside for k in range(1, len(group) + 1)))


def _by_dot(
    sizes: Sequence[Point], edges: Sequence[Edge], groups: Sequence[Sequence[Hashable]]
) -> tuple[list[Point], dict[Edge, list[Point]]]:
    """Positions by Graphviz's `dot`, read from its plain form."""
    source = dot_source([""] * len(sizes), sizes, edges, groups)
    told = subprocess.run(["dot", "-Tplain"], input=source, capture_output=True, text=True, check=True).stdout
    height, points = 0.0, [(0.0, 0.0)] * len(sizes)
    bends: dict[Edge, list[Point]] = {}
    for line in told.splitlines():
        kind, *words = line.split()
        if kind == "graph":
            height = float(words[2]) * 72
        elif kind == "node":
            points[int(words[0][1:])] = float(words[1]) * 72, height - float(words[2]) * 72
        elif kind == "edge":
            count = int(words[2])
            places = [float(word) * 72 for word in words[3 : 3 + 2 * count]]
            curve = [(places[2 * k], height - places[2 * k + 1]) for k in range(count)]
            bends[int(words[0][1:]), int(words[1][1:])] = curve[3:-1:3]
    return points, bends
