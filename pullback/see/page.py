"""Drawings as SVG, and as a page that zooms, written by hand: no library draws them."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from itertools import pairwise
from typing import TYPE_CHECKING

from pullback.see.layout import FRAME, TITLE, Edge, Point, layout

if TYPE_CHECKING:
    from pullback.see.drawing import Box

COLOURS = {"op": "#eef3fb", "leaf": "#fdf0d5", "module": "#e3f2e4"}
MARGIN = 24.0


def bytes_text(count: float) -> str:
    """A number of bytes with its unit."""
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.3g} {unit}"
        count /= 1024
    return f"{count:.3g} GiB"


def svg(boxes: Sequence[Box], edges: Sequence[Edge]) -> str:
    """The picture of boxes and of edges between them."""
    sizes = [box.size for box in boxes]
    centres, bends = layout(sizes, edges, [box.group for box in boxes])
    frames = _frames(boxes, centres)
    rights = [x + w / 2 for (x, _), (w, _) in zip(centres, sizes, strict=True)]
    bottoms = [y + h / 2 for (_, y), (_, h) in zip(centres, sizes, strict=True)]
    rights += [x + w for _, _, x, _, w, _ in frames]
    bottoms += [y + h for _, _, _, y, _, h in frames]
    lefts = [0.0, *(x for _, _, x, _, _, _ in frames)]
    tops = [0.0, *(y for _, _, _, y, _, _ in frames)]
    left, top = min(lefts) - MARGIN, min(tops) - MARGIN
    width, height = max(rights) + MARGIN - left, max(bottoms) + MARGIN - top
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{left:.1f} {top:.1f} {width:.1f} {height:.1f}" '
        f'width="{width:.0f}" height="{height:.0f}" font-family="Helvetica, Arial, sans-serif" '
        'font-size="12">',
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
        'orient="auto">'
        '<path d="M0 0L8 4L0 8z" fill="#667"/></marker></defs>',
    ]
    for depth, name, x, y, w, h in frames:
        parts.append(
            f'<g class="module" data-depth="{depth}"><rect x="{x:.1f}" y="{y:.1f}" width="{w:.1f}" '
            f'height="{h:.1f}" rx="8" '
            f'fill="#556" fill-opacity="0.05" stroke="#99a"/><text x="{x + 6:.1f}" y="{y + 13:.1f}" '
            f'fill="#556" font-size="11">{escape(name)}</text></g>'
        )
    for a, b in edges:
        start = centres[a][0], centres[a][1] + sizes[a][1] / 2
        end = centres[b][0], centres[b][1] - sizes[b][1] / 2
        parts.append(f'<path class="edge" d="{_curve([start, *bends.get((a, b), ()), end])}" '
                     'fill="none" stroke="#667" marker-end="url(#tip)"/>')  # fmt: skip
    for box, (x, y), (w, h) in zip(boxes, centres, sizes, strict=True):
        opens = f' data-depth="{len(box.group) + 1}"' if box.kind == "module" else ""
        parts.append(
            f'<g class="{box.kind}"{opens}><title>{escape(box.hover)}</title><rect x="{x - w / 2:.1f}" '
            f'y="{y - h / 2:.1f}" width="{w:.1f}" height="{h:.1f}" rx="{12 if box.kind == "leaf" else 4}" '
            f'fill="{COLOURS[box.kind]}" stroke="#445"/>'
        )
        for k, line in enumerate(box.shown):
            at = y - h / 2 + 16 + 15 * k
            style = ' class="formula" fill="#456" font-style="italic"' if k == 1 and box.formula else ""
            parts.append(f'<text x="{x:.1f}" y="{at:.1f}" text-anchor="middle"{style}>{escape(line)}</text>')
        parts.append("</g>")
    return "\n".join([*parts, "</svg>"])


def _curve(points: Sequence[Point]) -> str:
    """A smooth way down through some points."""
    told = f"M{points[0][0]:.1f} {points[0][1]:.1f}"
    for (x0, y0), (x1, y1) in pairwise(points):
        middle = (y0 + y1) / 2
        told += f"C{x0:.1f} {middle:.1f} {x1:.1f} {middle:.1f} {x1:.1f} {y1:.1f}"
    return told


Frame = tuple[int, str, float, float, float, float]


def _frames(boxes: Sequence[Box], centres: Sequence[Point]) -> list[Frame]:
    """The rectangles around the groups, outer ones first: the depth that folds it, name, left, top, width,
    height."""
    inside: dict[tuple[str, ...], list[int]] = {}
    deepest = max((len(box.group) for box in boxes), default=0)
    for i, box in enumerate(boxes):
        for k in range(1, len(box.group) + 1):
            inside.setdefault(box.group[:k], []).append(i)
    frames = []
    for group in sorted(inside, key=len):
        pad = FRAME * (deepest - len(group) + 1)
        sides = [(*centres[i], *boxes[i].size) for i in inside[group]]
        left, right = (
            min(x - w / 2 for x, _, w, _ in sides) - pad,
            max(x + w / 2 for x, _, w, _ in sides) + pad,
        )
        top, low = (
            min(y - h / 2 for _, y, _, h in sides) - pad - TITLE,
            max(y + h / 2 for _, y, _, h in sides) + pad,
        )
        frames.append((len(group) - 1, group[-1], left, top, right - left, low - top))
    return frames


PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Graph</title><style>
body {{ margin: 0; overflow: hidden; font: 13px Helvetica, Arial, sans-serif; }}
#bar {{ position: fixed; padding: 6px 10px; background: #fffc; }}
.view svg {{ width: 100vw; height: calc(100vh - 30px); margin-top: 30px; cursor: grab; }}
g.op:hover rect, g.leaf:hover rect, g.module:hover > rect {{ stroke-width: 2; }}
g.module {{ cursor: pointer; }}
#tip {{ position: fixed; padding: 4px 8px; background: #fffe; border: 1px solid #99a; border-radius: 4px;
  white-space: pre; pointer-events: none; }}
</style></head><body>
<div id="bar"><label>Modules unfolded to depth
<input id="depth" type="range" min="0" max="{most}" value="{most}">
<output id="shown">{most}</output></label>
· click on a module: fold or unfold · wheel: zoom · drag: move · double click: all</div>
{views}
<div id="tip" hidden></div>
<script>
const views = [...document.querySelectorAll(".view")], depth = document.getElementById("depth");
function show() {{
  views.forEach((view, i) => view.hidden = i != depth.value);
  document.getElementById("shown").value = depth.value;
}}
depth.oninput = show;
const tip = document.getElementById("tip");
document.getElementById("bar").hidden = views.length < 2;
for (const view of views) {{
  const svg = view.firstElementChild, box = svg.viewBox.baseVal;
  const whole = [box.x, box.y, box.width, box.height];
  const scale = () => Math.max(box.width / svg.clientWidth, box.height / svg.clientHeight);
  svg.onwheel = event => {{
    event.preventDefault();
    const by = event.deltaY < 0 ? 0.85 : 1 / 0.85;
    const p = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
    [box.x, box.y] = [p.x + (box.x - p.x) * by, p.y + (box.y - p.y) * by];
    box.width *= by; box.height *= by;
  }};
  svg.onpointermove = event => {{
    if (event.buttons) {{ box.x -= event.movementX * scale(); box.y -= event.movementY * scale(); }}
  }};
  let moved = false;
  svg.onpointerdown = () => moved = false;
  svg.addEventListener("pointermove", event => moved ||= event.buttons);
  svg.onclick = event => {{
    const module = event.target.closest("g.module");
    if (module && !moved) {{ depth.value = module.dataset.depth; show(); }}
  }};
  svg.onpointerover = event => {{
    const title = event.target.closest("g")?.querySelector("title");
    tip.textContent = title ? title.textContent : "";
    tip.hidden = !tip.textContent;
    tip.style.left = event.clientX + 14 + "px";
    tip.style.top = event.clientY + 14 + "px";
  }};
  svg.ondblclick = () => [box.x, box.y, box.width, box.height] = whole;
}}
show();
</script></body></html>
"""


def html(pictures: Sequence[str]) -> str:
    """A page with a picture for each depth to which modules are unfolded."""
    views = "\n".join(f'<div class="view">{picture}</div>' for picture in pictures)
    return PAGE.format(most=len(pictures) - 1, views=views)
