"""`torch.fx`: programs as graphs."""

import copy
import importlib
import operator
import pickle
import textwrap

import pytest
from library import NAME, check, torch

fx, nn = importlib.import_module(f"{NAME}.fx"), torch.nn


def test_text_of_a_graph_and_its_code():
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(4, 5)
            self.weight = nn.Parameter(torch.ones(3, 4))
            self.layers = nn.Sequential(nn.Linear(5, 5), nn.ReLU())

        def forward(self, x, scale=2.0, *, flag=None):
            y = self.linear(x + self.weight).clamp(min=0.0)
            z = torch.relu(y)[0:2, None] * scale
            z = z.view(z.size(0), -1).sum(dim=-1)
            return {"a": -z + 1 - (2 / z) ** 2, "b": (self.layers(y), [z, 3])}

    model = Model()
    traced = fx.symbolic_trace(model)
    names = (
        "x scale flag weight add linear clamp relu getitem mul size view sum_1 neg add_1 truediv pow_1 sub "
        "layers_0 layers_1 output"
    )
    assert [n.name for n in traced.graph.nodes] == names.split()
    assert traced.code.strip() == textwrap.dedent("""\
        def forward(self, x, scale = 2.0, flag = None):
            weight = self.weight
            add = x + weight;  x = weight = None
            linear = self.linear(add);  add = None
            clamp = linear.clamp(min = 0.0);  linear = None
            relu = torch.relu(clamp)
            getitem = relu[(slice(0, 2, None), None)];  relu = None
            mul = getitem * scale;  getitem = scale = None
            size = mul.size(0)
            view = mul.view(size, -1);  mul = size = None
            sum_1 = view.sum(dim = -1);  view = None
            neg = -sum_1
            add_1 = neg + 1;  neg = None
            truediv = 2 / sum_1
            pow_1 = truediv ** 2;  truediv = None
            sub = add_1 - pow_1;  add_1 = pow_1 = None
            layers_0 = getattr(self.layers, "0")(clamp);  clamp = None
            layers_1 = getattr(self.layers, "1")(layers_0);  layers_0 = None
            return {'a': sub, 'b': (layers_1, [sum_1, 3])}""")
    x = torch.arange(12.0).reshape(3, 4)
    found, wanted = traced(x, 3.0), model(x, 3.0)
    check(found["a"], wanted["a"].tolist())
    check(found["b"][0], wanted["b"][0].tolist())
    assert {name for name, _ in traced.named_parameters()} == {name for name, _ in model.named_parameters()}
    line = "    %add : [num_users=1] = call_function[target=operator.add](args = (%x, %weight), kwargs = {})"
    assert str(traced.graph).splitlines()[5] == line


def test_what_cannot_be_traced():
    def branch(x):
        return x if x.sum() > 0 else -x

    def loop(x):
        return list(x)

    with pytest.raises(fx.proxy.TraceError, match="inputs to control flow"):
        fx.symbolic_trace(branch)
    with pytest.raises(fx.proxy.TraceError, match="cannot be iterated"):
        fx.symbolic_trace(loop)
    with pytest.raises(RuntimeError, match="'len' is not supported"):
        fx.symbolic_trace(lambda x: len(x))


def test_rests_of_arguments():
    traced = fx.symbolic_trace(lambda *a, **k: a[0] + k["z"])
    check(traced(torch.ones(2), z=3.0), [4.0, 4.0])


def test_given_values():
    traced = fx.symbolic_trace(lambda x, y=None: x if y is None else x + y, concrete_args={"y": None})
    check(traced(torch.ones(2)), [1.0, 1.0])
    with pytest.raises(AssertionError, match="has been specialized"):
        traced(torch.ones(2), 3)


def negated_sum():
    graph = fx.Graph()
    added = graph.call_function(torch.add, (graph.placeholder("x"), 3))
    graph.output(graph.call_method("neg", (added,)))
    return fx.GraphModule(nn.Module(), graph), added


def test_a_graph_by_hand():
    module, added = negated_sum()
    module.graph.lint()
    check(module(torch.ones(2)), [-4.0, -4.0])
    with pytest.raises(RuntimeError, match="Tried to erase Node add but it still had 1 users"):
        module.graph.erase_node(added)
    with module.graph.inserting_after(added):
        doubled = module.graph.call_function(operator.mul, (added, 2))
    assert added.replace_all_uses_with(doubled, lambda user: user is not doubled)
    assert doubled.prev is added and list(added.users) == [doubled]
    module.recompile()
    check(module(torch.ones(2)), [-8.0, -8.0])


def test_copies_and_pickles():
    module, _ = negated_sum()
    for made in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert made.code == module.code
        check(made(torch.ones(2)), [-4.0, -4.0])
    layers = fx.symbolic_trace(nn.Sequential(nn.Linear(2, 3), nn.ReLU()))
    copied = copy.deepcopy(layers)
    copied.get_parameter("0.weight").data.zero_()
    assert layers.get_parameter("0.weight").abs().sum() > 0
    assert list(copied.state_dict()) == list(layers.state_dict())


def test_dead_code():
    module = fx.symbolic_trace(lambda x: (x.exp(), torch.relu(x))[1])
    assert len(module.graph.nodes) == 4
    assert module.graph.eliminate_dead_code()
    assert [n.name for n in module.graph.nodes] == ["x", "relu", "output"]


def test_interpreter_and_transformer():
    module, _ = negated_sum()

    class Products(fx.Interpreter):
        def call_function(self, target, args, kwargs):
            return super().call_function(torch.mul if target is torch.add else target, args, kwargs)

    class Sizes(fx.Transformer):
        def call_method(self, target, args, kwargs):
            return torch.abs(*args) if target == "neg" else super().call_method(target, args, kwargs)

    check(Products(module).run(torch.ones(2)), [-3.0, -3.0])
    changed = Sizes(module).transform()
    assert [n.name for n in changed.graph.nodes] == ["x", "add", "abs_1", "output"]
    check(changed(torch.ones(2)), [4.0, 4.0])


def test_patterns():
    module = fx.symbolic_trace(lambda x: torch.relu(torch.add(x, 3)) + torch.add(x, 3))
    found = fx.replace_pattern(module, lambda x: torch.add(x, 3), lambda x: x * 7)
    assert len(found) == 2
    check(module(torch.ones(2)), [14.0, 14.0])


def test_shapes():
    module = fx.symbolic_trace(nn.Sequential(nn.Linear(2, 3), nn.ReLU()))
    passes = importlib.import_module(f"{NAME}.fx.passes.shape_prop")
    passes.ShapeProp(module).propagate(torch.ones(1, 2))
    assert [tuple(n.meta["tensor_meta"].shape) for n in module.graph.nodes] == [
        (1, 2),
        (1, 3),
        (1, 3),
        (1, 3),
    ]


def test_leaves_of_ones_own():
    class Inner(nn.Module):
        def forward(self, x):
            return torch.relu(x) + 1

    class Outer(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = Inner()

        def forward(self, x):
            return self.inner(x) * 2

    class Whole(fx.Tracer):
        def is_leaf_module(self, m, name):
            return isinstance(m, Inner)

    assert [n.op for n in fx.symbolic_trace(Outer()).graph.nodes].count("call_function") == 3
    assert [n.op for n in Whole().trace(Outer()).nodes].count("call_module") == 1
    check(Outer()(torch.ones(1)), [4.0])
