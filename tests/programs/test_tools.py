"""What builds and measures the package: `setup.py` and the tools for wheels and budgets."""

import importlib.util
import tomllib
from pathlib import Path
from types import SimpleNamespace

import pytest
from library import pullback_only, torch

pytestmark = pullback_only("it is Pullback that these build")
ROOT = Path(__file__).resolve().parents[2]


def loaded(path):
    """A Python file of the checkout as a module, which is not run as a program."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def budgets(monkeypatch, tmp_path):
    """tools/budgets.py with a file of its own and figures that are not measured."""
    module = loaded(ROOT / "tools" / "budgets.py")
    monkeypatch.setattr(module, "BUDGETS", tmp_path / "budgets.toml")
    figures = {"lines of a": 100, "records of ops": 500.0, "seconds of an import": 0.05, "MB installed": 9.0}
    monkeypatch.setattr(module, "measured", lambda dist: figures)
    return module, figures


def test_budgets_leave_a_margin(budgets, capsys):
    module, _ = budgets
    assert module.main(["--set", "dist"]) == 0
    written = tomllib.loads(module.BUDGETS.read_text())
    assert written["lines of a"] == {"measured": 100, "most": 130}
    assert written["seconds of an import"] == {"measured": 0.05, "most": 0.2}
    assert module.main([]) == 0
    assert "too much" not in capsys.readouterr().out


@pytest.mark.parametrize("name", ["lines of a", "MB installed", "lines of a new folder"])
def test_a_figure_past_its_budget_fails(budgets, name, capsys):
    module, figures = budgets
    module.main(["--set"])
    figures[name] = 1.5 * figures.get(name, 100)
    assert module.main([]) == 1
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "too much" in line]
    assert line.startswith(name)


def test_budgets_know_every_folder():
    module = loaded(ROOT / "tools" / "budgets.py")
    named = set(tomllib.loads(module.BUDGETS.read_text()))
    assert {"records of ops", "seconds of an import", "seconds of a build", "MB of the wheel"} <= named
    folders = [path for path in (ROOT / "pullback").iterdir() if path.is_dir() and module.lines(path)]
    assert {f"lines of pullback/{path.name}" for path in folders} <= named


def test_the_version_stands_in_one_place():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert "version" not in project["project"]
    assert project["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "pullback.__version__"}
    assert f'__version__ = "{torch.__version__}"\n' in (ROOT / "pullback" / "__init__.py").read_text()


@pytest.mark.parametrize(
    ("compiler", "module", "known", "unknown"),
    [
        ("msvc", "pullback.kernels.rows", ["/O2", "/fp:precise"], "-"),
        ("unix", "pullback.kernels.rows", ["-O2", "-ftree-vectorize", "-ffp-contract=off"], "/"),
        ("unix", "pullback.core._engine", ["-O2", "-ffp-contract=off"], "/"),
    ],
)
def test_each_compiler_gets_flags_that_it_knows(compiler, module, known, unknown):
    pytest.importorskip("Cython")
    build = loaded(ROOT / "setup.py").Build
    flags = build.flags(SimpleNamespace(compiler=SimpleNamespace(compiler_type=compiler)), module)
    assert set(known) <= set(flags)
    assert not [flag for flag in flags if flag.startswith(unknown)]


def test_the_wheel_has_the_sources_of_compiled_modules():
    """Those below a package too, in folders that are no packages: tracebacks show their lines."""
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]["*"]
    package = ROOT / "pullback"
    packages = [file.parent for file in package.rglob("__init__.py")]
    taken = {path for folder in packages for pattern in patterns for path in folder.glob(pattern)}
    sources = [path for path in package.rglob("*") if path.suffix in (".pyx", ".pxi")]
    assert len(sources) > 20
    assert not [path for path in sources if path not in taken]
    assert package / "face" / "torch_names.txt" in taken
