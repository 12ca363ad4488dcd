"""`draw`: the recorded graph as a picture, text, Mermaid or a page.

A `Drawing` is boxes and edges: leaves above, each op below what it was computed from, the result at the
bottom. What is known of a node is in its box: the op, its shape, what it saved for the backward pass, the
norm of the gradient that came. Modules are groups of boxes; `depth` folds those below it into one box.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any

from pullback.autograd.graph import nodes_below, saved_by
from pullback.compiler.graph import Graph
from pullback.core._engine import Tensor
from pullback.nn import Module
from pullback.see import page
from pullback.see.formulas import call_of, slopes_of
from pullback.see.graph import line_of, module_of, node_of, op_name
from pullback.see.layout import Edge, dot_source
from pullback.see.recording import explaining
from pullback.see.steps import numbers_of
from pullback.transforms.stack import bottom
from pullback.utils._pytree import tree_leaves

LONGEST = 60
"""A longer formula is left out."""


@dataclass
class Box:
    """A node in the picture: `lines` are written in it, `formula` below the first, `hover` is what a pointer
    over it shows, `count` how many ops it stands for."""

    kind: str
    lines: list[str]
    hover: str = ""
    group: tuple[str, ...] = ()
    saved: int = 0
    count: int = 1
    formula: str = ""

    @property
    def shown(self) -> list[str]:
        """The lines in the picture."""
        return [*self.lines[:1], *filter(None, [self.formula]), *self.lines[1:]]

    @property
    def size(self) -> tuple[float, float]:
        """Its width and height in points."""
        return 7.0 * max(map(len, self.shown)) + 18, 15.0 * len(self.shown) + 9


@dataclass
class Drawing:
    """Boxes and edges from box to box. In a notebook it shows itself.

    >>> import pullback as torch
    >>> x = torch.tensor([1.0, 2.0], requires_grad=True)
    >>> print(torch.draw((x * x).sum(), names={"x": x}))
    sum []
      mul
        x [2]
    """

    boxes: list[Box]
    edges: list[Edge] = field(default_factory=list)

    def svg(self) -> str:
        """The picture, as SVG."""
        return page.svg(self.boxes, self.edges)

    def html(self) -> str:
        """A page of its own, with zoom, hovering, and modules that fold; it needs no other file."""
        deepest = max((len(box.group) for box in self.boxes), default=0)
        return page.html([self.folded(depth).svg() for depth in range(deepest + 1)])

    def mermaid(self) -> str:
        """The graph as Mermaid draws it, in Markdown for example."""
        lines = ["flowchart TD"]
        for i, box in enumerate(self.boxes):
            text = "<br/>".join(box.shown).replace('"', "#quot;")
            lines.append(f'  n{i}(["{text}"])' if box.kind == "leaf" else f'  n{i}["{text}"]')
        return "\n".join([*lines, *(f"  n{a} --> n{b}" for a, b in self.edges)])

    def dot(self) -> str:
        """The graph in the language of Graphviz."""
        labels = ["\n".join(box.shown) for box in self.boxes]
        return dot_source(labels, [b.size for b in self.boxes], self.edges, [b.group for b in self.boxes])

    def text(self) -> str:
        """The graph as an indented list, from the result up; what was shown before is marked with ↑."""
        above: dict[int, list[int]] = {}
        for a, b in self.edges:
            above.setdefault(b, []).append(a)
        ends = [i for i in range(len(self.boxes)) if i not in {a for a, _ in self.edges}]
        lines, seen, left = [], set(), [(i, 0) for i in reversed(ends)]
        while left:
            i, depth = left.pop()
            again = i in seen and i in above
            lines.append("  " * depth + "  ".join(self.boxes[i].lines) + " ↑" * again)
            if not again:
                seen.add(i)
                left.extend((a, depth + 1) for a in reversed(above.get(i, ())))
        return "\n".join(lines)

    def folded(self, depth: int) -> Drawing:
        """The drawing with each module at `depth` as one box."""
        number: dict[Any, int] = {}
        boxes: list[Box] = []
        places = []
        for i, box in enumerate(self.boxes):
            key: Any = box.group[: depth + 1] if len(box.group) > depth else i
            if key not in number:
                number[key] = len(boxes)
                boxes.append(box if key == i else Box("module", [key[-1]], "", box.group[:depth], 0, 0))
            place = number[key]
            places.append(place)
            if key != i:
                boxes[place].count += box.count
                boxes[place].saved += box.saved
        for box in boxes:
            if box.kind == "module":
                ops = f"{box.count} op{'s' * (box.count != 1)}"
                box.lines = [box.lines[0], ops + f", saves {page.bytes_text(box.saved)}" * bool(box.saved)]
        edges = dict.fromkeys((places[a], places[b]) for a, b in self.edges if places[a] != places[b])
        return Drawing(boxes, list(edges))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the drawing to a file; its suffix says how: .svg, .html, .mmd, .dot or .txt."""
        kind = os.path.splitext(path)[1]
        ways = {
            ".svg": self.svg,
            ".html": self.html,
            ".mmd": self.mermaid,
            ".dot": self.dot,
            ".txt": self.text,
        }
        if kind not in ways:
            raise ValueError(f"Drawing.save(): the suffix must be one of {', '.join(ways)}, not '{kind}'")
        with open(path, "w", encoding="utf-8") as file:
            file.write(ways[kind]())

    def __str__(self) -> str:
        return self.text()

    def _repr_svg_(self) -> str:
        return self.svg()


def draw(
    result: Tensor | Sequence[Tensor] | Module | Graph,
    *inputs: Any,
    names: Mapping[str, Tensor] | Module | None = None,
    depth: int | None = None,
) -> Drawing:
    """The graph behind a tensor, or behind several, as a `Drawing`: `.save("graph.svg")`, `.html()`, `print`.

    A module and its inputs may be given in place of tensors: the module is called, and its parts become
    frames around their ops. `names` are those of leaves: a dict of tensors, or a module whose parameters
    are meant. `depth` folds the modules at that depth, 0 for those directly in the outermost, into a box
    each. Gradients are shown where a pass has gone through. The `graph` of a compiled function is drawn as it
    is replayed: inputs above, a box for each step.

    >>> import pullback as torch
    >>> net = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Tanh())
    >>> print(torch.draw(net, torch.ones(4, 2), depth=0))
    1: Tanh  1 op, saves 48 B
      0: Linear  2 ops, saves 32 B
    """
    if isinstance(result, Graph):
        return _replayed(result)
    if isinstance(result, Module):
        names = names if names is not None else result
        with explaining():
            result = result(*inputs)
    elif inputs:
        raise TypeError("draw(): inputs are taken after a Module only")
    roots = [bottom(result)] if isinstance(result, Tensor) else [bottom(x) for x in _tensors(result)]
    known = dict(names.named_parameters()) if isinstance(names, Module) else dict(names or {})
    drawing = _drawn(roots, {id(bottom(x)): name for name, x in known.items()})
    return drawing if depth is None else drawing.folded(depth)


def _tensors(result: Any) -> Iterable[Tensor]:
    """The tensors of a result of any structure."""
    return [x for x in tree_leaves(result) if isinstance(x, Tensor)]


def _drawn(roots: Sequence[Tensor], names: Mapping[int, str]) -> Drawing:
    first = {node_of(x): list(x.shape) for x in roots if node_of(x) is not None}
    if not first:
        raise RuntimeError("draw(): the tensor does not require grad, so no graph was recorded")
    nodes = {node: place for place, node in enumerate(nodes_below(roots))}
    boxes = [_box(node, first.get(node), names) for node in nodes]
    pairs = dict.fromkeys(
        (nodes[other], nodes[node]) for node in nodes for other, _ in node.next_functions if other is not None
    )
    users: dict[int, list[tuple[str, ...]]] = {}
    for a, b in pairs:
        users.setdefault(a, []).append(boxes[b].group)
    for i, box in enumerate(boxes):
        if box.kind == "leaf":  # it belongs to the modules that all its users are in
            box.group = _common(users.get(i, []))
    return Drawing(boxes, list(pairs))


def _replayed(graph: Graph) -> Drawing:
    """The steps of a recording, each below those whose results it reads or writes to."""
    boxes: list[Box] = []
    edges: dict[tuple[int, int], None] = {}
    makers: dict[int, int] = {}
    asked = {id(v.memory) for step in graph.steps for v in step.reads}
    for memory in graph.given:
        if id(memory) in asked:
            makers[id(memory)] = len(boxes)
            boxes.append(Box("leaf", [f"{memory.name} {list(memory.whole.shape)}"], count=0))
    for step in graph.steps:
        for v in (*step.reads, *step.writes):
            if id(v.memory) in makers:
                edges[makers[id(v.memory)], len(boxes)] = None
        for v in step.writes:
            makers[id(v.memory)] = len(boxes)
        shapes = " ".join(str(list(v.shape)) for v in step.writes)
        boxes.append(Box("op", [f"{step.name} {shapes}".strip()], f"{step!r}\n{step.line}"))
    return Drawing(boxes, list(edges))


def _box(node: Any, shape: list[int] | None, names: Mapping[int, str]) -> Box:
    if hasattr(node, "variable"):
        leaf = node.variable
        lines = [f"{names.get(id(leaf), 'leaf')} {list(leaf.shape)}"]
        grad = numbers_of(leaf.grad)
        if grad is not None:
            lines.append(f"grad {grad.norm:.3g}")
        return Box("leaf", lines, f"{leaf.dtype}, {page.bytes_text(leaf.nbytes)}", count=0)
    step = node.metadata.get("step")
    if shape is None and step is not None:
        shape = list(step.shape)
    lines = [op_name(node) + (f" {shape}" if shape is not None else "")]
    saved = sum(x.nbytes for _, _, x in saved_by(node))
    if step is not None and step.gradient is not None:
        lines.append(f"grad {step.gradient.norm:.3g}")
    line = line_of(node)
    hover = [
        node.name(),
        *_slopes(node),
        f"saves {page.bytes_text(saved)}" if saved else "saves nothing",
        str(line) if line else "",
    ]
    return Box(
        "op", lines, "\n".join(filter(None, hover)), module_of(node), saved, formula=_call(node, names)
    )


def _call(node: Any, names: Mapping[int, str]) -> str:
    """What a node's op computes, of leaves by their names; empty for what is no op."""
    if node._op is None:
        return ""
    leaves = [getattr(other, "variable", None) for other, _ in node.next_functions]
    found = call_of(node._op, [names.get(id(leaf)) for leaf in leaves])
    return found if len(found) <= LONGEST else ""


def _slopes(node: Any) -> list[str]:
    """What the node sends to its inputs, where that is a formula."""
    if node._op is None:
        return []
    slopes = zip(slopes_of(node._op), node.next_functions, strict=False)
    known = [(name, text) for (name, text), (other, _) in slopes if other is not None]
    return [f"to {name}: {text}" for name, text in known if 0 < len(text) <= LONGEST]


def _common(paths: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """The beginning that all paths share."""
    alike = takewhile(lambda names: len(set(names)) == 1, zip(*paths, strict=False))
    return tuple(names[0] for names in alike)
