"""The stubs of compiled modules name what is there, and all that other files take from it."""

import ast
import importlib
import re
from pathlib import Path

import pytest
from library import pullback_only, torch

pytestmark = pullback_only("about Pullback's own stubs")

ROOT = Path(torch.__file__).resolve().parent
STUBS = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts): path
    for path in sorted(ROOT.rglob("*.pyi"))
    if path.with_suffix(".pyx").exists()
}
CLASSES = ("Tensor", "Op", "Function", "Node")


def named(body):
    """The names that a module or class of a stub declares."""
    found = {node.name for node in body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    return found | {node.target.id for node in body if isinstance(node, ast.AnnAssign)}


def taken(name):
    """The names that plain files of the package import from a compiled module, or ask it for."""
    space, _, stem = name.rpartition(".")
    imported = re.compile(rf"from pullback\.{name} import (\([^)]*\)|[^\n#]*)")
    module = re.compile(rf"from pullback\.{space} import [^\n#]*\b{stem}\b(?: as (\w+))?")
    for path in ROOT.rglob("*.py"):
        text = path.read_text()
        alias = module.search(text)
        asked = re.compile(rf"(?<![\w./]){(alias and alias[1]) or stem}\.(?!(?:py[xdi]|h)\b)(\w+)")
        for names in imported.findall(text):
            yield from re.findall(r"(\w+)(?: as \w+)?", names)
        yield from asked.findall(text) if alias else ()


@pytest.mark.parametrize("name", STUBS)
def test_what_a_stub_names_is_there(name):
    module = importlib.import_module(f"pullback.{name}")
    body = ast.parse(STUBS[name].read_text()).body
    assert {name for name in named(body) if not hasattr(module, name)} == set()
    for node in body:
        if isinstance(node, ast.ClassDef) and node.name in CLASSES:
            assert {n for n in named(node.body) if not hasattr(getattr(module, node.name), n)} == set()


@pytest.mark.parametrize("name", STUBS)
def test_what_others_take_is_in_the_stub(name):
    assert set(taken(name)) - named(ast.parse(STUBS[name].read_text()).body) == set()


@pytest.mark.parametrize("name", CLASSES)
def test_members_are_in_the_stub(name):
    from pullback.core import op
    from pullback.face import members

    engine = importlib.import_module("pullback.core._engine")
    (stub,) = [n for n in ast.parse(STUBS["core._engine"].read_text()).body if getattr(n, "name", "") == name]
    attached = {*op.SURFACE["Tensor"], *members.MEMBERS}  # they are in the stubs that are made
    kinds = ("getset_descriptor", "method_descriptor", "cython_function_or_method")
    own = {
        k
        for k, v in vars(getattr(engine, name)).items()
        if type(v).__name__ in kinds and k[:2] != "__" and k not in attached
    }
    assert own - named(stub.body) == set()
