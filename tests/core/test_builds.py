"""A compiled module says whether it was made of the sources that stand beside it."""

import os
import warnings
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest
from library import pullback_only

pytestmark = pullback_only("about Pullback's own build")

ROOT = Path(__file__).resolve().parents[2]
PARTS = sorted(p for p in (ROOT / "pullback").rglob("*.*") if p.suffix in (".pxi", ".pxd", ".h"))


@pytest.fixture
def builds():
    from pullback.core import builds

    return builds


@pytest.fixture
def checkout(tmp_path, builds):
    """A package of one module in two files, built."""
    write(tmp_path, "kernels/sums.pyx", 'include "parts/loop.pxi"\n')
    write(tmp_path, "kernels/parts/loop.pxi", "def total(): return 0\n")
    compile_as_if(tmp_path, builds, "kernels/sums.pyx")
    return tmp_path


def write(root, name, text, age=0):
    """A file of the package, as old as that in seconds."""
    path = root / "pullback" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    now = path.stat().st_mtime
    os.utime(path, (now - age, now - age))
    return path


def compile_as_if(root, builds, source, age=-10):
    """A module with the digest of its sources, somewhat younger than they are."""
    digest = builds.digest(f"pullback/{source}", str(root)).encode()
    name = source.rpartition(".")[0] + EXTENSION_SUFFIXES[0]
    return write(root, name, b"\x7fELF" + b"\0" * 100 + builds.MARK + digest + b"\0" * 100, age)


def test_fresh(checkout, builds):
    assert builds.stale(str(checkout)) == []


@pytest.mark.parametrize("name", ["kernels/sums.pyx", "kernels/parts/loop.pxi"])
def test_an_edit_is_seen(checkout, builds, name):
    path = checkout / "pullback" / name
    before = path.read_text()
    write(checkout, name, before + "# edited\n", age=-20)
    assert builds.stale(str(checkout)) == ["pullback.kernels.sums"]
    write(checkout, name, before, age=-20)
    assert builds.stale(str(checkout)) == []


def test_ages_alone_mean_nothing(checkout, builds):
    """A fresh checkout beside copied modules: all sources are younger, and the same."""
    for path in (checkout / "pullback").rglob("*.p*"):
        os.utime(path)
    compile_as_if(checkout, builds, "kernels/sums.pyx", age=10_000)
    assert builds.stale(str(checkout)) == []


def test_a_module_beside_plain_python_of_its_name(tmp_path, builds):
    """An earlier build compiled it; Python would take the module and not the source."""
    write(tmp_path, "ops/math.py", "x = 1\n")
    compile_as_if(tmp_path, builds, "ops/math.py")
    assert builds.stale(str(tmp_path)) == ["pullback.ops.math"]


def test_a_module_without_source(checkout, builds):
    (checkout / "pullback" / "kernels" / "sums.pyx").unlink()
    assert builds.stale(str(checkout)) == ["pullback.kernels.sums"]


def test_a_module_without_digest_is_not_judged(checkout, builds):
    write(checkout, "kernels/sums" + EXTENSION_SUFFIXES[0], b"\x7fELF", age=10_000)
    assert builds.stale(str(checkout)) == []


def test_the_warning_names_module_and_command(checkout, builds):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        builds.warn_of_stale(str(checkout))
    write(checkout, "kernels/parts/loop.pxi", "def total(): return 1\n", age=-20)
    with pytest.warns(RuntimeWarning, match=r"pullback\.kernels\.sums.*setup\.py build_ext --inplace"):
        builds.warn_of_stale(str(checkout))


def test_every_part_belongs_to_a_module(builds):
    """What modules include and cimport is found: no part stands alone."""
    seen = set()
    for source in (ROOT / "pullback").rglob("*.pyx"):
        seen.update(builds.sources_of(source.relative_to(ROOT).as_posix(), str(ROOT)))
    assert {p.relative_to(ROOT).as_posix() for p in PARTS} <= seen


def test_sources_of_the_engine(builds):
    found = builds.sources_of("pullback/core/_engine.pyx", str(ROOT))
    assert builds.HEADER in found
    assert {"pullback/core/_loops.pxd", "pullback/core/engine/op.pxi"} <= set(found)
    assert "pullback/core/_loops.pyx" not in found


def test_what_was_found_fresh_is_not_read_again(checkout, builds):
    module = compile_as_if(checkout, builds, "kernels/sums.pyx", age=10_000)
    assert builds.stale(str(checkout)) == []
    sources = [p.stat().st_mtime for p in (checkout / "pullback").rglob("*.p*")]
    assert module.stat().st_mtime >= max(sources)
