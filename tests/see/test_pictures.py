"""Drawings, reports and summaries, by their structure."""

import re
import xml.etree.ElementTree as ElementTree

import pytest
from library import pullback_only, torch

pytestmark = pullback_only("it says what becomes of gradients")

SVG = "{http://www.w3.org/2000/svg}"


def network():
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Linear(2, 3),
        torch.nn.Sequential(torch.nn.Tanh(), torch.nn.Linear(3, 3)),
        torch.nn.LayerNorm(3),
    )


def test_boxes_and_edges_are_those_of_the_graph():
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    w = torch.tensor([3.0, 4.0], requires_grad=True)
    y = (x * w + x).sum()
    drawing = torch.draw(y, names={"x": x, "w": w})
    assert sorted(box.lines[0].split()[0] for box in drawing.boxes) == ["add", "mul", "sum", "w", "x"]
    ends = {
        (drawing.boxes[a].lines[0].split()[0], drawing.boxes[b].lines[0].split()[0]) for a, b in drawing.edges
    }
    assert ends == {("add", "sum"), ("mul", "add"), ("x", "add"), ("x", "mul"), ("w", "mul")}
    saved = {box.lines[0].split()[0]: box.saved for box in drawing.boxes}
    assert saved["mul"] == 16 and saved["add"] == 0
    assert str(drawing).splitlines()[0] == "sum []"


def test_boxes_have_the_formulas_of_their_ops():
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    y = ((x * 3).exp() + x).sum()
    boxes = {box.lines[0].split()[0]: box for box in torch.draw(y, names={"x": x}).boxes}
    assert [boxes[name].formula for name in ("mul", "exp", "add", "sum", "x")] == [
        "x * other", "exp(self)", "self + x", "sum(self)", ""
    ]  # fmt: skip
    assert "to self: g * conj(other)" in boxes["mul"].hover and "to other" not in boxes["mul"].hover
    assert "to self: times(g, conj(result))" in boxes["exp"].hover
    drawing = torch.draw(y, names={"x": x})
    for picture in (drawing.svg(), drawing.mermaid(), drawing.dot()):
        assert "exp(self)" in picture
    assert 'class="formula"' in drawing.svg() and "exp(self)" not in str(drawing)


def test_gradients_are_shown_after_a_pass():
    net = network()
    with torch.explaining():
        y = net(torch.ones(4, 2)).sum()
    assert "grad" not in str(torch.draw(y, names=net))
    y.backward(retain_graph=True)
    text = str(torch.draw(y, names=net))
    assert "2.bias [3]  grad 6.93" in text  # the root of 3 * 4**2
    assert "sum []  grad 1" in text


def test_a_module_is_drawn_with_frames_that_fold():
    drawing = torch.draw(network(), torch.ones(4, 2))
    assert {box.group for box in drawing.boxes if box.kind == "op"} == {
        ("0: Linear",), ("1: Sequential", "0: Tanh"), ("1: Sequential", "1: Linear"), ("2: LayerNorm",)
    }  # fmt: skip
    folded = drawing.folded(0)
    assert [box.lines[0] for box in folded.boxes] == ["2: LayerNorm", "1: Sequential", "0: Linear"]
    assert set(folded.edges) == {(1, 0), (2, 1)}
    assert sum(box.saved for box in folded.boxes) == sum(box.saved for box in drawing.boxes)
    assert str(torch.draw(network(), torch.ones(4, 2), depth=0)) == str(folded)


def boxes_of(svg, kinds=("op", "leaf")):
    found = []
    for group in ElementTree.fromstring(svg).iter(f"{SVG}g"):
        if group.get("class") in kinds:
            rect = group.find(f"{SVG}rect")
            found.append([float(rect.get(key)) for key in ("x", "y", "width", "height")])
    return found


@pytest.mark.parametrize("dot", [False, True])
def test_the_picture_has_every_box_and_edge_and_none_overlap(dot, monkeypatch, tmp_path):
    import shutil

    if dot and shutil.which("dot") is None:  # a stand-in that lays boxes out in a diagonal
        script = tmp_path / "dot"
        script.write_text(
            "#!/usr/bin/env python3\nimport re, sys\ntext = sys.stdin.read()\nprint('graph 1 100 100')\n"
            "for n in re.findall(r'n(\\d+) \\[', text):\n"
            "    print(f'node n{n} {2 * int(n)} {int(n)} 1 1 x')\n"
            "for a, b in re.findall(r'n(\\d+) -> n(\\d+)', text):\n"
            "    print(f'edge n{a} n{b} 4 0 0 1 1 2 2 3 3 solid black')\nprint('stop')\n"
        )
        script.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    elif not dot:
        monkeypatch.setattr(shutil, "which", lambda name: None)
    layer = torch.nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    drawing = torch.draw(layer, torch.ones(2, 5, 8))
    svg = drawing.svg()
    boxes = boxes_of(svg)
    assert len(boxes) == len(drawing.boxes)
    assert svg.count('class="edge"') == len(drawing.edges)
    for i, (x, y, w, h) in enumerate(boxes):
        for x2, y2, w2, h2 in boxes[:i]:
            assert x + w <= x2 or x2 + w2 <= x or y + h <= y2 or y2 + h2 <= y
    tops = [y for _, y, _, _ in boxes]
    if not dot:
        assert all(tops[a] < tops[b] for a, b in drawing.edges)  # down, without exception


class Branches(torch.nn.Module):
    """Modules side by side, of several depths, and what goes past them."""

    def __init__(self):
        super().__init__()
        self.left = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Tanh(), torch.nn.Linear(4, 4))
        self.right = torch.nn.Sequential(torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.ReLU()))
        self.gate = torch.nn.Linear(4, 4)

    def forward(self, x):
        a, b = self.left(x), self.right(x)
        return (a * torch.sigmoid(self.gate(x)) + b) * x + a


@pytest.mark.parametrize("model", ["branches", "transformer"])
def test_frames_hold_what_is_theirs_and_nothing_else(model, monkeypatch):
    import shutil

    monkeypatch.setattr(shutil, "which", lambda name: None)
    if model == "branches":
        drawing = torch.draw(Branches(), torch.ones(2, 4))
    else:
        layer = torch.nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        drawing = torch.draw(torch.nn.Sequential(layer, layer), torch.ones(2, 5, 8))
    svg = drawing.svg()
    frames, boxes = boxes_of(svg, ("module",)), boxes_of(svg)
    assert len(frames) >= 4
    for i, (x, y, w, h) in enumerate(frames):
        for x2, y2, w2, h2 in frames[:i] + boxes:
            slack = 0.2  # places are written to a tenth
            apart = x + w <= x2 + slack or x2 + w2 <= x + slack or y + h <= y2 + slack or y2 + h2 <= y + slack
            within = x <= x2 and x2 + w2 <= x + w and y <= y2 and y2 + h2 <= y + h
            around = x2 <= x and x + w <= x2 + w2 and y2 <= y and y + h <= y2 + h2
            assert apart or within or around


def test_files_and_other_languages(tmp_path):
    drawing = torch.draw(network(), torch.ones(4, 2))
    for suffix in ("svg", "html", "mmd", "dot", "txt"):
        path = tmp_path / f"graph.{suffix}"
        drawing.save(path)
        assert path.read_text()
    with pytest.raises(
        ValueError, match=r"the suffix must be one of .svg, .html, .mmd, .dot, .txt, not '.png'"
    ):
        drawing.save(tmp_path / "graph.png")
    mermaid = drawing.mermaid()
    assert mermaid.startswith("flowchart TD") and mermaid.count("-->") == len(drawing.edges)
    assert len(re.findall(r"n\d+ -> n\d+", drawing.dot())) == len(drawing.edges)
    assert drawing.dot().count("subgraph") == 5
    html = (tmp_path / "graph.html").read_text()
    assert html.count("<svg") == 3  # a picture for each depth
    assert "http" not in html.replace("http://www.w3.org", "")  # it needs no other file
    assert drawing._repr_svg_().startswith("<svg")


def test_what_cannot_be_drawn():
    with pytest.raises(RuntimeError, match="does not require grad"):
        torch.draw(torch.ones(2))
    with pytest.raises(TypeError, match="inputs are taken after a Module only"):
        torch.draw(torch.ones(2, requires_grad=True).sum(), torch.ones(2))


def test_a_long_chain_and_a_wide_graph():
    x = torch.ones(2, requires_grad=True)
    y = x
    for _ in range(3000):
        y = y * 2
    assert len(torch.draw(y.sum()).boxes) == 3002
    leaves = [torch.ones((), requires_grad=True) for _ in range(300)]
    assert torch.draw(torch.stack(leaves).sum()).svg().count('class="leaf"') == 300


# ------------------------------------------------------------------------------------------ memory


def test_saved_walks_all_that_is_kept():
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    a, b = torch.ones(3), torch.ones(3, requires_grad=True)
    loss = (x.exp().sum() + (a * b).sum()).tanh()
    kept = [(node.name(), name) for node, name, _ in torch.autograd.graph.saved(loss)]
    assert ("TanhBackward0", "result") in kept and ("ExpBackward0", "result") in kept
    assert ("MulBackward0", "self") in kept and ("MulBackward0", "other") not in kept
    loss.backward()
    assert not list(torch.autograd.graph.saved(loss))


def test_memory_is_counted_once_and_leaves_apart():
    x = torch.ones(1000, requires_grad=True)
    y = x.exp()
    report = torch.memory_report((y * y.sin()).sum())
    assert report.total == 2 * 4000  # exp's result, which mul and sin save too, and that of sin
    report = torch.memory_report((x * x).sum())
    assert (report.total, report.leaves) == (0, 4000)


def test_checkpointing_keeps_what_the_report_says():
    from pullback.utils.checkpoint import checkpoint

    class Net(torch.nn.Module):
        def __init__(self, saving):
            super().__init__()
            torch.manual_seed(0)
            self.first, self.last = torch.nn.Linear(50, 50), torch.nn.Linear(50, 1)
            self.block = torch.nn.Sequential(
                torch.nn.Linear(50, 400), torch.nn.Tanh(), torch.nn.Linear(400, 50)
            )
            self.saving = saving

        def forward(self, x):
            h = self.first(x).sigmoid()
            h = checkpoint(self.block, h, use_reentrant=False) if self.saving else self.block(h)
            return self.last(h.sin())

    x = torch.ones(64, 50)
    with torch.explaining():
        report = torch.memory_report(Net(False)(x).sum())
        saving = torch.memory_report(Net(True)(x).sum())
    assert report.checkpointing["block: Sequential"] == 64 * 400 * 4
    assert report.total - saving.total == pytest.approx(64 * 400 * 4, rel=0.02)
    assert max(report.by_line.values()) > 64 * 400 * 4 / 2
    assert sum(report.by_op.values()) == sum(report.by_line.values()) == report.total
    assert "checkpointing would save" in str(report)


# --------------------------------------------------------------------------------- summaries, operations


def test_a_summary_of_a_network():
    net = network()
    net[0].weight.requires_grad_(False)
    found = torch.summary(net, torch.ones(4, 2))
    assert (found.parameters, found.trainable) == (27, 21)
    assert [layer.kind for layer in found.layers] == [type(m).__name__ for m in net.modules()]
    assert [layer.shapes for layer in found.layers] == [[[4, 3]]] * 6
    assert found.flops == 2 * 4 * 3 * (2 + 3) == found.layers[0].flops
    assert [layer.depth for layer in torch.summary(net, torch.ones(4, 2), depth=1).layers] == [0, 1, 1, 1]
    assert net.training and not net._forward_hooks and net[0].weight.grad is None


def test_layers_called_twice_or_never():
    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)

        def forward(self, x):
            return self.a(self.a(x))

    text = str(torch.summary(Net(), torch.ones(1, 2)))
    assert "[1, 2] x2" in text and "not called" in text


def programs():
    conv = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3, padding=1), torch.nn.Flatten(), torch.nn.Linear(256, 10)
    )
    return {
        "mlp": (network(), (4, 2)),
        "conv": (conv, (2, 3, 8, 8)),
        "transposed": (torch.nn.ConvTranspose2d(3, 4, 3, stride=2), (2, 3, 5, 5)),
        "strided": (torch.nn.Conv1d(4, 8, 3, stride=2), (2, 4, 9)),
    }


def test_operations_of_groups():
    from pullback.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        y = torch.nn.Conv1d(4, 8, 3, groups=2)(torch.ones(2, 4, 9, requires_grad=True))
        assert counter.get_total_flops() == 2 * y.numel() * 2 * 3
        y.sum().backward()
    assert counter.get_total_flops() == 3 * 2 * y.numel() * 2 * 3


@pytest.mark.parametrize("name", ["mlp", "conv", "strided", "transposed"])
def test_operations_are_those_that_pytorch_counts(name):
    theirs = pytest.importorskip("torch")
    from torch.utils.flop_counter import FlopCounterMode as TheirCounter

    from pullback.utils.flop_counter import FlopCounterMode

    net, shape = programs()[name]
    with FlopCounterMode(display=False) as ours:
        net(torch.ones(shape, requires_grad=True)).sum().backward()
    same = _their_layer(theirs, net)
    with TheirCounter(display=False) as counter:
        same(theirs.ones(shape, requires_grad=True)).sum().backward()
    assert ours.get_total_flops() == counter.get_total_flops()


def _their_layer(theirs, module):
    if isinstance(module, torch.nn.Sequential):
        return theirs.nn.Sequential(*(_their_layer(theirs, m) for m in module))
    return eval(f"theirs.nn.{module!r}", {"theirs": theirs})


def test_operations_by_module_and_of_attention(capsys):
    from pullback.utils.flop_counter import FlopCounterMode

    net = network()
    with FlopCounterMode() as counter:
        net(torch.ones(4, 2)).sum().backward()
    counts = counter.get_flop_counts()
    assert sum(counts["Sequential"].values()) == counter.get_total_flops()
    assert sum(counts["Sequential.0"].values()) == 2 * 4 * 3 * 2 * 2  # forward, and the weight's gradient
    assert sum(counts["Sequential.1.1"].values()) == 2 * 4 * 3 * 3 * 3
    shown = capsys.readouterr().out
    assert "Sequential.1 " in shown and "Sequential.1.1" not in shown  # to depth 2
    q = torch.ones(2, 3, 5, 4)
    with FlopCounterMode(display=False) as counter:
        torch.nn.functional.scaled_dot_product_attention(q, q, q)
    assert counter.get_total_flops() == 2 * (2 * 3 * 5 * 5 * 4) * 2
