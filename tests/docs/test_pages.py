"""The code in the pages runs: each ```python and ```pycon block of docs/, README.md and CONTRIBUTING.md.

The blocks of a page run in their order and in one namespace, in a process of their own, in which warnings
are errors. A ```pycon block must print what it shows; `...` stands for anything. A block with a title is
written into the file of that name, at its end, in a copy of the package; the page's other blocks then run
with that copy, and so do the rows that it adds to the table of tests.
"""

import os
import re
import shutil
import subprocess
import sys
from doctest import ELLIPSIS, DocTest, DocTestParser, DocTestRunner
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r'^```(python|pycon|cython)(?: title="([^"]+)")?\n(.*?)^```$', re.M | re.S)


def blocks(page):
    """The kind, the title, the text and the line of each block of code."""
    text = page.read_text()
    return [(m[1], m[2], m[3], text[: m.start(3)].count("\n")) for m in BLOCK.finditer(text)]


def run(page):
    """Run the blocks of a page that have no title; the number of examples that failed."""
    space = {"__name__": "__main__"}
    runner = DocTestRunner(optionflags=ELLIPSIS)
    for kind, title, text, line in blocks(page):
        if title is None and kind == "python":
            exec(compile("\n" * line + text, str(page), "exec", dont_inherit=True), space)
        elif title is None:
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


def named(page):
    """The page as a test's name shows it."""
    return str(page.relative_to(ROOT))


def process(home, *arguments, **more):
    """Run Python with the package that lies in a folder."""
    environment = {**os.environ, "PYTHONPATH": str(home), **more}
    command = [sys.executable, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=home, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


def with_additions(page, folder):
    """A copy of the package and its tests in a folder, with the blocks that have a title written in."""
    built = Path(torch.__file__).resolve().parent
    sources = shutil.ignore_patterns("*.so", "__pycache__")
    for name in ("pullback", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=sources)
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    for path in built.rglob("*.so"):
        place = folder / "pullback" / path.relative_to(built)
        if not place.with_name(path.name.partition(".")[0] + ".py").exists():
            shutil.copy(path, place)
    kernels = []
    for _, title, text, _ in blocks(page):
        if title is not None:
            path = folder / title
            path.write_text(f"{path.read_text()}\n\n{text}" if path.exists() else text)
            if path.suffix == ".pyx":
                kernels.append(".".join(path.relative_to(folder / "pullback").with_suffix("").parts))
    if kernels:
        build = ("setup.py", "-q", "build_ext", "--inplace")
        process(folder, *build, PULLBACK_DEV="1", PULLBACK_BUILD=" ".join(kernels))
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("page", [p for p in PAGES if blocks(p)], ids=named)
def test_the_code_of_a_page_runs(page, tmp_path):
    added = [(title, text) for _, title, text, _ in blocks(page) if title is not None]
    home = with_additions(page, tmp_path) if added else Path(torch.__file__).resolve().parents[1]
    process(home, "-W", "error", __file__, page)
    rows = [
        re.search(r'^(?:rows|functions)\("(\w+)"', text, re.M)[1]
        for title, text in added
        if "/rows_" in title
    ]
    if rows:
        process(home, "-m", "pytest", "-q", "tests/ops/test_registry.py", "-k", " or ".join(rows))


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_no_block_of_code_is_missed(page):
    fences = re.findall(r"^[ >]*```(?:python|pycon|py|python3|cython)\b", page.read_text(), re.M)
    assert len(fences) == len(blocks(page)), "a block is indented, or its fence is written in another way"


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links_to_files_lead_somewhere(page):
    made = ("api/", "derivatives/", "drawings/", "programs/", "speed.md")
    for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", page.read_text()):
        path = (page.parent / target).resolve()
        inside = str(path.relative_to(ROOT / "docs")) if path.is_relative_to(ROOT / "docs") else ""
        assert path.exists() or inside.startswith(made), target


def test_files_that_the_sources_name_exist():
    """What comments and docstrings send a reader to, by its path in the repository or in the package."""
    named_file = re.compile(r"(?<![\w/.*{])((?:\w+/)+\w+\.(?:pyx|pxd|pxi|py|md|txt|h))\b")
    roots = (ROOT, ROOT / "pullback", ROOT / "pullback/core")
    elsewhere = ("numpy/", "sys/", "torch/")
    missing = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in sorted((ROOT / "pullback").rglob("*.*"))
        if path.suffix in (".py", ".pyx", ".pxd", ".pxi", ".h")
        for name in named_file.findall(path.read_text())
        if not name.startswith(elsewhere) and not any((root / name).exists() for root in roots)
    ]
    assert not missing, missing
