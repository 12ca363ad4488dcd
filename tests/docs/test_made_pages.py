"""The pages that are made from the op table, the docstrings and the programs hold what they should."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from library import ON_TORCH, torch

ROOT = Path(__file__).resolve().parents[2]

pytestmark = [pytest.mark.slow, pytest.mark.skipif(ON_TORCH, reason="the pages are Pullback's")]

MAKE = """
import json, sys
sys.path.insert(0, {tools!r})
import make_ops, make_api
from pullback.core.op import SURFACE
public = sorted(name for names in make_ops.public_names().values() for name in names)
print(json.dumps([make_ops.pages(), make_api.pages(), public]))
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The derivatives' pages, the API's pages, and the public names, from a process of their own."""
    home = str(Path(torch.__file__).resolve().parents[1])
    program = MAKE.format(tools=str(ROOT / "docs"))
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {home!r})\n{program}"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path_factory.mktemp("made"))
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_each_op_has_one_entry_in_the_derivatives(made):
    derivatives, _, public = made
    text = "\n".join(derivatives.values())
    entries = re.findall(r"^### .*?\n\n(`torch\..*?|`Tensor\..*?)\. ", text, re.M)
    found = [name for line in entries for name in re.findall(r"`([\w.]+)`", line)]
    assert len(found) == len(set(found))
    about = re.compile(
        r".*\.(is_\w+|numel|nelement|Generator|default_generator|LinAlgError|check_sparse_tensor_invariants|\w+Tensor)"
    )
    assert not [name for name in public if name not in found and not about.fullmatch(name)]


def test_derivatives_are_formulas(made):
    derivatives, _, _ = made
    elementwise = derivatives["derivatives/elementwise.md"]
    for name, rule in [
        ("mul", "self: g * conj(other)\nother: g * conj(self)"),
        ("tanh", "self: times(g, conj(1 - result * result))"),
        ("sin", "self: times(g, conj(cos(self)))"),
    ]:
        entry = elementwise.partition(f"### {name} {{")[2].partition("###")[0]
        assert rule in entry
    networks = derivatives["derivatives/networks.md"]
    assert "of `gelu`" in networks and "gelu_slope.self: g * (exp(self * self * -0.5)" in networks
    assert "### softmax {" in derivatives["derivatives/reductions.md"]


def test_no_internal_record_has_an_entry(made):
    derivatives, _, public = made
    titles = re.findall(r"^### .* \{ #(.*) \}$", "\n".join(derivatives.values()), re.M)
    assert set(titles) <= set(public)


def test_every_page_of_the_api_has_signatures_and_docstrings(made):
    _, api, _ = made
    assert {"api/torch.md", "api/Tensor.md", "api/linalg.md", "api/nn.functional.md"} <= set(api)
    assert {"api/special.md", "api/fft.md", "api/autograd.md", "api/func.md", "api/optimize.md"} <= set(api)
    entries = {}
    for text in api.values():
        parts = re.split(r"^### (\S+) \{ #.* \}\n", text, flags=re.M)[1:]
        entries.update(zip(parts[::2], parts[1::2], strict=True))
    assert "hessian(func: Callable[..., Any], argnums: Argnums = 0, *, chunk_size" in (
        re.sub(r"\(\n +", "(", entries["torch.func.hessian"]).replace(",\n   ", ",")
    )
    assert "mul(input: Tensor | Number, other: Tensor | Number, *, out: Tensor" in entries["torch.mul"]
    assert all(re.sub(r"```python.*?```", "", text, flags=re.S).strip() for text in entries.values())
    assert {"torch.func.vmap", "torch.func.sparse_jacobian", "torch.func.jet"} <= set(entries)


def test_a_program_s_page_has_what_the_program_prints(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    import make_examples

    monkeypatch.setattr(make_examples, "KEPT", tmp_path)
    program = ROOT / "examples" / "tutorial_1.py"
    page = make_examples.page(program)
    assert "x.grad : tensor(4.)" in page and program.read_text().rstrip() in page
    kept = json.loads((tmp_path / "tutorial_1.json").read_text())
    assert make_examples.ran(program)[0] == kept["output"]

    changed = tmp_path / "tutorial_1.py"
    changed.write_text(program.read_text().replace("tensor(2.0", "tensor(5.0"))
    assert "x.grad : tensor(10.)" in make_examples.page(changed)
