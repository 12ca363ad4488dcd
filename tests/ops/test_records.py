"""What transforms need to know of an op stands on its record: no list of names says it elsewhere."""

import ast
import re
from pathlib import Path

import pytest
from library import pullback_only, torch

ROOT = Path(__file__).resolve().parents[2] / "pullback"
BELOW_AND_ABOVE_OPS = ("core", "kernels", "transforms")

# What has no rule because it needs none: random ops draw as the level says, others never meet a batch.
WITHOUT_RULE = {
    "argwhere repeat_interleave": "the shape depends on the numbers",
    "embedding_renorm": "it writes into a matrix that all samples share",
    "linspace": "between tensors: each sample makes its own",
    "recurrence recurrence_slope segment_slope": "under vmap their gradients are made of other ops",
    "attention_slope": "under vmap it is made of other ops",
    "segments embedding_shares": "of marks and indices, in gradients that are computed below the level",
}


def records():
    """All ops by name."""
    from pullback.core._engine import REGISTRY
    from pullback.face.namespaces import complete

    complete()
    return REGISTRY


@pullback_only("of Pullback's own tables")
def test_every_op_has_a_batching_rule():
    from pullback.transforms.batching.rules import find_rule, looped

    without = {op.name for op in records().values() if not op.random and find_rule(op)[0] is looped}
    assert without == {name for names in WITHOUT_RULE for name in names.split()}


@pullback_only("of Pullback's own tables")
def test_no_op_has_two_batching_rules():
    assert callable(records()["mm"].batch_rule) and records()["clone"].batch_rule == "leading"
    for name in ("mm", "clone"):
        with pytest.raises(TypeError, match=f"op {name} has a batching rule already"):
            records()[name].batch(lambda level, op, *args: None)


@pullback_only("of Pullback's own tables")
def test_a_batching_rule_takes_the_parameters_of_its_op():
    for op in records().values():
        if callable(op.batch_rule):
            code = op.batch_rule.__code__
            names = code.co_varnames[: code.co_argcount]
            assert names[:2] == ("level", "op"), op
            starred = bool(code.co_flags & 0x04)
            own = len(names) - 2
            assert own == len(op.params) or (starred and own < len(op.params)), op


@pullback_only("of Pullback's own tables")
def test_flags_fit_to_parameters():
    for op in records().values():
        assert not op.all_dims or "dim" in op.params, op
        assert not op.factors or (len(op.factors) == 2 and set(op.factors) <= set(op.params)), op
        assert not op.overwrites or op.kinds[0] == "T", op


def collections(tree):
    """The strings that stand together in a list, a tuple, a set, the keys of a dict, or one text of names."""
    docs, public = set(), set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.FunctionDef, ast.ClassDef)) and isinstance(
            node.body[0], ast.Expr
        ):
            docs.add(node.body[0].value)
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            public.add(node.value)
    for node in ast.walk(tree):
        parts = []
        if isinstance(node, (ast.List, ast.Tuple, ast.Set)):
            parts = node.elts
        elif isinstance(node, ast.Dict):
            parts = node.keys
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in docs:
            yield node.lineno, node.value.split()
        if node not in public:
            yield node.lineno if parts else 0, [getattr(part, "value", None) for part in parts]


def compared_names(text):
    """The lines where an op's name is compared."""
    return re.findall(r".*\bop\.name(?:\.\w+with\(| *(?:==|!=|in|not in)\b).*", text)


@pytest.mark.slow
@pullback_only("of Pullback's own tables")
@pytest.mark.parametrize("folder", BELOW_AND_ABOVE_OPS)
def test_no_names_of_ops(folder):
    names, found = set(records()), []
    for path in sorted((ROOT / folder).rglob("*")):
        if path.suffix in (".py", ".pyx", ".pxi"):
            found += [f"{path.name}: {line.strip()}" for line in compared_names(path.read_text())]
        if path.suffix == ".py":
            for line, words in collections(ast.parse(path.read_text())):
                if len(words) > 1 and set(words) <= names:
                    found.append(f"{path.name}:{line}: {' '.join(words)}")
    assert found == [], "\n".join(found)


@pullback_only("of Pullback's own tables")
def test_the_search_for_names_finds_them():
    text = 'A = {"mm": 1, "bmm": 2}\nB = "sum mean"\ndef f():\n    "sum mean"\n__all__ = ["jet", "mm"]\n'
    found = [words for _, words in collections(ast.parse(text)) if len(words) > 1]
    assert found == [["mm", "bmm"], ["sum", "mean"]]
    assert compared_names('if op.name in ("copy", "fill"):\n x = op.name.endswith("_fill")\n op.name') != []
    assert torch.mm is records()["mm"]


# Ops whose results have a shape that depends on numbers.
WITHOUT_SHAPE = "argwhere bag_places bincount masked_select nonzero_places repeat_interleave segments unique"


@pullback_only("of Pullback's own tables")
def test_every_op_has_a_shape_rule():
    """Elementwise ops and views need none; a reduction along a dim has the engine's."""

    def is_reduction(op):
        return sum(kind in "TNOL" for kind in op.kinds) == 1 and {"dim", "keepdim"} <= set(op.params)

    without = {
        name
        for name, op in records().items()
        if op.meta_rule is op.prepare_rule is None and not (op.elementwise or op.view or is_reduction(op))
    }
    assert without == set(WITHOUT_SHAPE.split())
