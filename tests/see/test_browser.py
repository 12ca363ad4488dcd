"""The page of a drawing in a browser: what is there after its scripts ran, what a click and a pointer do."""

import json
import re
import shutil
import subprocess
import zlib
from html import unescape

import pytest
from library import pullback_only, torch

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

pytestmark = [
    pullback_only("torch.draw"),
    pytest.mark.skipif(BROWSER is None, reason="there is no Chromium to show the page"),
]

DOES = """<script>
const seen = {}, svgs = () => views.map(v => v.hidden ? 0 : 1);
seen.first = svgs();
const frame = views.at(-1).querySelector("g.module");
frame.dispatchEvent(new MouseEvent("click", {bubbles: true}));
seen.folded = svgs();
const folded = views.find(v => !v.hidden);
seen.modules = [...folded.querySelectorAll("g.module rect")].length;
seen.ops = folded.querySelectorAll("g.op").length;
folded.querySelector("g.module").dispatchEvent(new MouseEvent("click", {bubbles: true}));
seen.unfolded = svgs();
const shown = views.at(-1), op = shown.querySelector("g.op rect");
op.dispatchEvent(new PointerEvent("pointerover", {bubbles: true}));
seen.tip = tip.hidden ? null : tip.textContent;
const box = shown.firstElementChild.viewBox.baseVal, before = box.width;
shown.firstElementChild.dispatchEvent(new WheelEvent("wheel", {deltaY: -1, bubbles: true, cancelable: true}));
seen.zoom = box.width / before;
shown.firstElementChild.dispatchEvent(new MouseEvent("dblclick", {bubbles: true}));
seen.back = box.width / before;
depth.value = 0; depth.dispatchEvent(new Event("input"));
seen.slid = svgs();
document.body.dataset.seen = JSON.stringify(seen);
</script></body>"""


@pytest.fixture(scope="module")
def drawing():
    torch.manual_seed(0)
    net = torch.nn.Sequential(
        torch.nn.Linear(2, 3),
        torch.nn.Sequential(torch.nn.Tanh(), torch.nn.Linear(3, 3)),
        torch.nn.LayerNorm(3),
    )
    return torch.draw(net, torch.ones(4, 2))


def browse(path, *options):
    command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=3000", *options]
    done = subprocess.run([*command, path.as_uri()], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_a_page_folds_zooms_and_shows_what_a_pointer_is_over(drawing, tmp_path):
    page = tmp_path / "page.html"
    page.write_text(drawing.html().replace("</body>", DOES))
    dom = browse(page, "--dump-dom")
    assert dom.count('<div class="view"') == 3 and dom.count("<svg") == 3
    assert dom.count('class="op"') == sum(
        box.kind == "op" for depth in range(3) for box in drawing.folded(depth).boxes
    )
    seen = json.loads(unescape(re.search(r'data-seen="([^"]*)"', dom)[1]))
    assert seen["first"] == [0, 0, 1]
    assert sum(seen["folded"]) == 1 and seen["folded"] != seen["first"]
    depth = seen["folded"].index(1)
    boxes = drawing.folded(depth).boxes
    assert seen["ops"] == sum(box.kind == "op" for box in boxes)
    assert seen["modules"] >= sum(box.kind == "module" for box in boxes) > 0
    assert seen["unfolded"].index(1) == depth + 1
    hover = next(box.hover for box in drawing.boxes if box.kind == "op")
    assert seen["tip"] == hover and "saves" in hover
    assert seen["zoom"] == pytest.approx(0.85) and seen["back"] == pytest.approx(1)
    assert seen["slid"] == [1, 0, 0]


def test_a_screenshot_shows_boxes(drawing, tmp_path):
    page, picture = tmp_path / "page.html", tmp_path / "page.png"
    page.write_text(drawing.html())
    browse(page, f"--screenshot={picture}", "--window-size=600,800")
    data = picture.read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    rows, at = b"", 8
    while at < len(data):
        size = int.from_bytes(data[at : at + 4])
        if data[at + 4 : at + 8] == b"IDAT":
            rows += data[at + 8 : at + 8 + size]
        at += size + 12
    pixels = zlib.decompress(rows)
    assert len(set(pixels)) > 50  # boxes, lines and text: a blank page has two values
