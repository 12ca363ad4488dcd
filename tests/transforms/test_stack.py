"""The stack of transforms, and what an interpreter is."""

import ast
from pathlib import Path

import pytest
from library import pullback_only, torch

pytestmark = pullback_only("looks at Pullback's own stack of transforms")

if torch.__name__ == "pullback":
    from pullback.core import _engine
    from pullback.transforms import stack

    class Names(stack.Interpreter):
        """Notes the name of each op."""

        def __init__(self, names):
            self.names = names

        def process(self, op, args, out):
            self.names.append(op.name)
            return _engine.apply_below(op, args, out)


def test_a_small_interpreter():
    names = []
    x = torch.ones(2, requires_grad=True)
    with stack.entered(Names(names)):
        (x * x).sum().backward()
    assert names[:2] == ["mul", "sum"] and len(names) > 2
    assert x.grad.tolist() == [2.0, 2.0]
    assert stack.active() == []


def test_each_sees_what_those_above_call():
    low, high = [], []
    with stack.entered(Names(low)), stack.entered(Names(high)):
        torch.vmap(torch.exp)(torch.ones(2))
    assert low == high == ["exp"]


def test_what_is_at_work_is_not_woken():
    names = []

    class Watched(Names):
        def process(self, op, args, out):
            with stack.entered(Names(names)):
                assert self not in stack.active()
                torch.exp(torch.ones(()))
            return super().process(op, args, out)

    outer = []
    with stack.entered(Watched(outer)) as level:
        torch.sin(torch.ones(()))
        assert stack.active() == [level]
    assert (names, outer) == (["exp"], ["sin"])


def test_contexts_leave_the_stack_as_it_was():
    a, b = Names([]), Names([])
    with stack.entered(a), stack.entered(b):
        with pytest.raises(KeyError), stack.without(a):
            assert stack.active() == [b]
            with stack.within([a]):
                assert stack.active() == [a]
            raise KeyError
        assert stack.active() == [a, b]
        assert stack.above(a) == [b] and stack.above(Names([])) == []
    assert stack.active() == []


def test_tensors_of_levels():
    found = []

    def inner(x):
        outer_level, inner_level = stack.active()
        found.append(stack.levels_of(x) == [inner_level, outer_level])
        found.append(stack.owner(x) is inner_level and stack.topmost([2, x]) is inner_level)
        p = outer_level.front(x)
        found.append(not stack.belongs(p, outer_level) and stack.belongs(p, inner_level))
        back = outer_level.lifted(p)
        found.append(stack.levels_of(back) == stack.levels_of(x))
        found.append(tuple(stack.bottom(back).shape) == tuple(stack.bottom(x).shape))
        return back + 0 * x

    x = torch.arange(12.0).reshape(2, 3, 2)
    assert torch.equal(torch.vmap(torch.vmap(inner))(x), x)
    assert found and all(found)


@pytest.mark.slow
def test_what_processes_ops_is_an_interpreter():
    """Each class of the package with a `process` of an interpreter's signature derives from it."""
    files = sorted(Path(torch.__file__).parent.rglob("*.py"))
    nodes = [node for path in files for node in ast.walk(ast.parse(path.read_text()))]
    bases = {
        node.name: [ast.unparse(base).split(".")[-1] for base in node.bases]
        for node in nodes
        if isinstance(node, ast.ClassDef)
    }

    def derives(name):
        return name == "Interpreter" or any(map(derives, bases.get(name, ())))

    processing = [
        node.name
        for node in nodes
        if isinstance(node, ast.ClassDef)
        for item in node.body
        if isinstance(item, ast.FunctionDef) and item.name == "process"
        if [argument.arg for argument in item.args.args] == ["self", "op", "args", "out"]
    ]
    assert len(processing) > 5
    assert [name for name in processing if not derives(name)] == []
