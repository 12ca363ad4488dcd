"""What holds for compiled sources, which the linter does not read: length of lines, heads, names."""

import re
from pathlib import Path

import pytest
from library import pullback_only, torch

pytestmark = pullback_only("about Pullback's own sources")

ROOT = Path(torch.__file__).resolve().parent
SOURCES = sorted(p for p in ROOT.rglob("*.*") if p.suffix in (".pyx", ".pxi", ".pxd", ".h"))
PARTS = [p for p in SOURCES if p.suffix == ".pxi"]
KERNELS = [p for p in SOURCES if p.suffix == ".pyx"]
LENGTH = 110


def short(path):
    return path.relative_to(ROOT).as_posix()


def head(path):
    """The text before the code: of a part its comment, of a module its docstring, of C its first comment."""
    text = path.read_text()
    if path.suffix == ".pxi":
        return re.match(r"(?:#.*\n)*", text).group()
    opening = re.match(r'(?:#.*\n)*"""(.*?)"""', text, re.S) or re.match(r"/\*(.*?)\*/", text, re.S)
    return opening.group(1) if opening else ""


def code(path):
    """The text without head, comments, docstrings and strings."""
    text = path.read_text().removeprefix(head(path))
    text = re.sub(r'""".*?"""', '""', text, flags=re.S) if path.suffix != ".pyx" else text
    return re.sub(r'#.*|"[^"\n]*"', "", text)


def functions(path):
    """The compiled functions of a part: no methods."""
    return set(re.findall(r"^(?:cdef|cpdef)\b[^=(\n:]*?(\w+)\(", code(path), re.M))


def listed(path):
    """What the head of a part says of names from other parts: name -> file."""
    text = head(path).replace("\n# ", " ").partition("From other parts: ")[2].rstrip().rstrip(".")
    found = {}
    for group in text.split("; ") if text else []:
        names, file = re.fullmatch(r"(.*) \((\w+\.py?xi?)\)", group).groups()
        found.update(dict.fromkeys(names.split(", "), file))
    return found


@pytest.mark.parametrize("path", SOURCES, ids=short)
def test_lines_are_short(path):
    long = [n for n, line in enumerate(path.read_text().splitlines(), 1) if len(line) > LENGTH]
    assert long == [], f"lines over {LENGTH} columns"


@pytest.mark.parametrize("path", SOURCES, ids=short)
def test_every_file_says_what_it_knows(path):
    least = 5 if path.suffix == ".pxi" else 1
    assert least <= len(head(path).strip().splitlines()), "a head of more lines"


@pytest.mark.parametrize("path", PARTS, ids=short)
def test_names_from_other_parts(path):
    """A part has no imports: its head lists what it takes from other parts, by file."""
    own, names = code(path), listed(path)
    for name, file in names.items():
        (there,) = [p for p in (path.with_name(file), path.parents[1] / file) if p.exists()]
        assert re.search(rf"\b{name}\b", code(there)), f"{name} is not in {file}"
        assert re.search(rf"(?<!\.)\b{name}\b", own), f"{name} is not used here"
    for other in path.parent.glob("*.pxi"):
        if other != path:
            called = {f for f in functions(other) if re.search(rf"(?<![.\w])(?<!def ){f}\(", own)}
            assert called - functions(path) <= {name for name, file in names.items() if file == other.name}


def test_dtype_codes():
    """The names of the compiled codes are those of the table of dtypes, in its order."""
    from pullback.core.dtypes import DTYPES

    path = ROOT / "core" / "dtype_codes.pxd"
    if not path.exists():
        pytest.skip("installed without sources")
    body = path.read_text().partition("cdef enum DtypeCode:")[2].partition("\n\n")[0]
    names = re.findall(r"^    ([A-Z]\w+)", body, re.M)
    assert names == ["NO_DTYPE", *(d.name.upper() for d in DTYPES), "NCODES"]


@pytest.mark.parametrize("path", KERNELS, ids=short)
def test_public_functions_are_documented(path):
    function = re.compile(r"^(?:def|cpdef \w+) ([a-z]\w*)\((?:[^()]|\([^()]*\))*\):\n(?! +\"\"\")", re.M)
    assert function.findall(path.read_text()) == []


def test_no_part_asks_for_an_op_by_name():
    """What holds for one op is a flag on its record."""
    asked = re.compile(r"op\.(?:name|__name__) (?:==|!=|in) ")
    assert [short(p) for p in SOURCES if asked.search(p.read_text())] == []
