"""The code in the pages runs: each ```python and ```pycon block of docs/, README.md and CONTRIBUTING.md.

The blocks of a page run in their order and in one namespace, in a process of their own, in which warnings
are errors. A ```pycon block must print what it shows; `...` stands for anything.
"""

import os
import re
import subprocess
import sys
from doctest import ELLIPSIS, DocTest, DocTestParser, DocTestRunner
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```(python|pycon)\n(.*?)^```$", re.M | re.S)


def blocks(page):
    """The kind, the text and the line of each block of code."""
    text = page.read_text()
    return [(m[1], m[2], text[: m.start(2)].count("\n")) for m in BLOCK.finditer(text)]


def run(page):
    """Run the blocks of a page; the number of examples that failed."""
    space = {"__name__": "__main__"}
    runner = DocTestRunner(optionflags=ELLIPSIS)
    for kind, text, line in blocks(page):
        if kind == "python":
            exec(compile("\n" * line + text, str(page), "exec", dont_inherit=True), space)
        else:
            examples = DocTestParser().get_examples(text, str(page))
            test = DocTest(examples, space, page.name, str(page), line, text)
            test.globs = space  # not a copy: the next block goes on from here
            runner.run(test, clear_globs=False)
    return runner.summarize(verbose=False).failed


if __name__ == "__main__":
    sys.exit(run(Path(sys.argv[1])) > 0)


import pytest  # noqa: E402
from library import ON_TORCH, torch  # noqa: E402

pytestmark = pytest.mark.skipif(ON_TORCH, reason="the pages are Pullback's")


@pytest.mark.slow
@pytest.mark.parametrize(
    "page", [p for p in PAGES if blocks(p)], ids=lambda page: str(page.relative_to(ROOT))
)
def test_the_code_of_a_page_runs(page, tmp_path):
    home = str(Path(torch.__file__).resolve().parents[1])
    environment = {**os.environ, "PYTHONPATH": home}
    command = [sys.executable, "-W", "error", __file__, str(page)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_block_of_code_is_missed(page):
    fences = re.findall(r"^[ >]*```(python|pycon|py|python3)\b", page.read_text(), re.M)
    assert len(fences) == len(blocks(page)), "a block is indented, or its fence has more than the language"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_to_files_lead_somewhere(page):
    made = ("api/", "derivatives/", "programs/")
    for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", page.read_text()):
        path = (page.parent / target).resolve()
        inside = str(path.relative_to(ROOT / "docs")) if path.is_relative_to(ROOT / "docs") else ""
        assert path.exists() or inside.startswith(made), target
