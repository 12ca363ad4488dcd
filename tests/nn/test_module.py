"""Module: its parts, calls, hooks, states and errors, alike on PyTorch."""

import copy
import pickle
import warnings
from collections import OrderedDict

import pytest
from library import check, torch
from module_rows import tensors

nn = torch.nn


class Net(nn.Module):
    """A linear layer, a buffer and a frozen parameter."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(2, 3)
        self.scale = nn.Parameter(torch.ones(3), requires_grad=False)
        self.register_buffer("shift", torch.zeros(3))
        self.register_buffer("seen", torch.tensor(0), persistent=False)

    def forward(self, x, factor=1.0):
        return self.linear(x) * self.scale * factor + self.shift


def shown(values):
    return [None if v is None else v.tolist() for v in values]


# ------------------------------------------------------------------------------------------- parts


def test_parts_are_found_by_their_names():
    net = nn.Sequential(Net(), nn.ReLU())
    names = ["0.scale", "0.linear.weight", "0.linear.bias"]
    assert [name for name, _ in net.named_parameters()] == names
    assert [name for name, _ in net.named_buffers()] == ["0.shift", "0.seen"]
    assert [name for name, _ in net.named_modules()] == ["", "0", "0.linear", "1"]
    assert [name for name, _ in net.named_children()] == ["0", "1"]
    assert list(net.state_dict()) == ["0.scale", "0.shift", "0.linear.weight", "0.linear.bias"]
    assert [name for name, _ in net.named_parameters("p", recurse=False)] == []
    assert net.get_submodule("0.linear") is net[0].linear and net.get_submodule("") is net
    assert net.get_parameter("0.scale") is net[0].scale and net.get_buffer("0.shift") is net[0].shift


def test_tied_parameters_come_once():
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    net[1].weight = net[0].weight
    assert [name for name, _ in net.named_parameters()] == ["0.weight", "0.bias", "1.bias"]
    assert len(list(net.named_parameters(remove_duplicate=False))) == 4
    twice = nn.Sequential(net[0], net[0])
    assert len(list(twice.modules())) == 2 and len(list(twice.named_modules(remove_duplicate=False))) == 3
    assert len(list(twice.children())) == 1


def test_what_is_assigned_becomes_what_it_is():
    net = nn.Module()
    net.a = 3
    net.a = nn.Parameter(torch.ones(1))
    assert "a" not in vars(net) and list(net._parameters) == ["a"]
    del net.a
    net.a = nn.Buffer(torch.ones(1), persistent=False)
    assert list(net._buffers) == ["a"] and net.state_dict() == {}
    net.a = torch.zeros(2)
    assert net.a is net._buffers["a"]
    net.a = None
    assert net._buffers == {"a": None}
    net.a = nn.ReLU()
    assert not net._buffers and not net._non_persistent_buffers_set and list(net._modules) == ["a"]
    net.a = nn.Parameter(torch.ones(1))
    assert not net._modules and list(net._parameters) == ["a"]
    del net.a
    assert not hasattr(net, "a")


def raised(action):
    with pytest.raises(Exception) as caught:
        action()
    return type(caught.value), str(caught.value)


class Early(nn.Module):
    def __init__(self, part):
        self.part = part


ERRORS = [
    (
        lambda: Early(nn.Parameter(torch.ones(1))),
        AttributeError,
        "cannot assign parameters before Module.__init__() call",
    ),
    (lambda: Early(nn.ReLU()), AttributeError, "cannot assign module before Module.__init__() call"),
    (lambda: nn.Module(3), TypeError, "Module.__init__() takes 1 positional argument but 2 were given"),
    (lambda: nn.ReLU(x=3), TypeError, "ReLU.__init__() got an unexpected keyword argument 'x'"),
    (
        lambda: nn.Module()(1),
        NotImplementedError,
        'Module [Module] is missing the required "forward" function',
    ),
    (lambda: nn.ReLU().weights, AttributeError, "'ReLU' object has no attribute 'weights'"),
    (
        lambda: nn.Linear(1, 1).register_buffer("weight", None),
        KeyError,
        "\"attribute 'weight' already exists\"",
    ),
    (lambda: nn.Module().register_buffer("a.b", None), KeyError, "'buffer name can\\'t contain \".\"'"),
    (lambda: nn.Module().add_module("a.b", None), KeyError, "'module name can\\'t contain \".\", got: a.b'"),
    (lambda: nn.Module().add_module("", None), KeyError, "'module name can\\'t be empty string \"\"'"),
    (lambda: nn.Module().add_module("a", 3), TypeError, "int is not a Module subclass"),
    (
        lambda: nn.Module().register_parameter("a", torch.ones(1)),
        TypeError,
        "cannot assign 'torch.FloatTensor' object to parameter 'a' (torch.nn.Parameter or None required)",
    ),
    (
        lambda: setattr(nn.Linear(1, 1), "weight", torch.ones(1)),
        TypeError,
        "cannot assign 'torch.FloatTensor' as parameter 'weight' (torch.nn.Parameter or None expected)",
    ),
    (
        lambda: setattr(Net(), "shift", 3),
        TypeError,
        "cannot assign 'int' as buffer 'shift' (torch.nn.Buffer, torch.Tensor or None expected)",
    ),
    (
        lambda: setattr(Net(), "linear", 3),
        TypeError,
        "cannot assign 'int' as child module 'linear' (torch.nn.Module or None expected)",
    ),
    (
        lambda: setattr(nn.Linear(1, 1), "weight", nn.ReLU()),
        TypeError,
        "cannot assign 'torch.nn.modules.activation.ReLU' as parameter 'weight' (torch.nn.Parameter or None "
        "expected)",
    ),
    (lambda: Net().get_submodule("linear.x"), AttributeError, "Linear has no attribute `x`"),
    (lambda: Net().get_submodule("shift"), AttributeError, "`shift` is not an nn.Module"),
    (lambda: Net().get_parameter("training"), AttributeError, "`training` is not an nn.Parameter"),
    (lambda: Net().get_buffer("scale"), AttributeError, "`scale` is not a buffer"),
    (lambda: Net().train(3), ValueError, "training mode is expected to be boolean"),
    (
        lambda: Net().to(torch.int32),
        TypeError,
        "nn.Module.to only accepts floating point or complex dtypes, but got desired dtype=torch.int32",
    ),
    (lambda: Net().cuda(), AssertionError, "Torch not compiled with CUDA enabled"),
    (lambda: Net().load_state_dict(3), TypeError, "Expected state_dict to be dict-like, got <class 'int'>."),
    (
        lambda: nn.Linear(2, 2).load_state_dict({"weight": torch.ones(3, 3), "x": 3}),
        RuntimeError,
        'Error(s) in loading state_dict for Linear:\n\tMissing key(s) in state_dict: "bias". '
        '\n\tUnexpected key(s) in state_dict: "x". \n\tsize mismatch for weight: copying a param with shape '
        "torch.Size([3, 3]) from checkpoint, the shape in current model is torch.Size([2, 2]).",
    ),
    (
        lambda: nn.Parameter(torch.tensor(1)),
        RuntimeError,
        "Only Tensors of floating point and complex dtype can require gradients",
    ),
    (lambda: nn.Dropout(2), ValueError, "dropout probability has to be between 0 and 1, but got 2"),
    (lambda: nn.Conv2d(3, 4, 2, groups=2), ValueError, "in_channels must be divisible by groups"),
    (lambda: nn.LSTM(2, 3, proj_size=3), ValueError, "proj_size has to be smaller than hidden_size"),
    (lambda: nn.BatchNorm2d(2)(torch.ones(1, 2)), ValueError, "expected 4D input (got 2D input)"),
    (lambda: nn.ParameterList([1])(2), RuntimeError, "ParameterList should not be called."),
    (lambda: nn.Sequential(nn.ReLU())[1], IndexError, "index 1 is out of range"),
    (lambda: nn.Sequential(3), TypeError, "int is not a Module subclass"),
    (lambda: nn.Embedding(3, 2, padding_idx=3), AssertionError, "Padding_idx must be within num_embeddings"),
]


@pytest.mark.parametrize(("action", "kind", "message"), ERRORS, ids=[row[2][:40] for row in ERRORS])
def test_errors(action, kind, message):
    assert raised(action) == (kind, message)


# --------------------------------------------------------------------------------------- containers


def test_sequential_is_a_list_of_modules():
    s = nn.Sequential(nn.ReLU(), nn.Tanh())
    assert len(s) == 2 and s[-1] is s[1] and isinstance(s[:1], nn.Sequential)
    assert s.append(nn.GELU()) is s and list(s._modules) == ["0", "1", "2"]
    del s[0]
    assert list(s._modules) == ["0", "1"]
    s.insert(0, nn.ELU())
    assert repr(s[0]) == "ELU(alpha=1.0)" and repr(s.pop(0)) == "ELU(alpha=1.0)"
    assert len(s + s) == 4 and len(s * 3) == 6
    named = nn.Sequential(OrderedDict(a=nn.ReLU(), b=nn.Tanh()))
    assert list(named._modules) == ["a", "b"] and list(named[1:]._modules) == ["b"]


def test_lists_and_dicts_of_modules():
    several = nn.ModuleList([nn.ReLU(), nn.Tanh()])
    several += [nn.GELU()]
    several.insert(1, nn.ELU())
    assert [type(m).__name__ for m in several] == ["ReLU", "ELU", "Tanh", "GELU"]
    assert isinstance(several[1:3], nn.ModuleList) and len(several + several) == 8
    d = nn.ModuleDict({"b": nn.ReLU(), "a": nn.Tanh()})
    d.update([("c", nn.ELU())])
    assert list(d) == ["b", "a", "c"] and "a" in d and d.pop("a") is not None and len(d) == 2


def test_lists_and_dicts_of_parameters():
    p = nn.ParameterList([torch.ones(2), 3])
    p.append(torch.zeros(1))
    assert len(p) == 3 and len(list(p.parameters())) == 2 and p[1] == 3 and isinstance(p[2], nn.Parameter)
    assert repr(p).splitlines()[1] == "    (0): Parameter containing: [torch.float32 of size 2]"
    d = nn.ParameterDict({"b": torch.ones(1), "a": torch.ones(2)})
    assert list(d) == ["a", "b"] and isinstance(d["a"], nn.Parameter)
    both = d | {"c": torch.ones(1)}
    assert list(both.keys()) == ["a", "b", "c"] and d.get("c") is None
    assert d.pop("a").shape == (2,) and len(d) == 1


# -------------------------------------------------------------------------------------------- hooks


def test_forward_hooks_see_and_change():
    net, seen = Net(), []
    net.register_forward_pre_hook(lambda m, args: seen.append("first") or (args[0] * 2,))
    net.register_forward_pre_hook(
        lambda m, args, kwargs: seen.append("second") or (args, {**kwargs, "factor": 0.0}),
        with_kwargs=True,
        prepend=True,
    )
    net.register_forward_hook(lambda m, args, output: seen.append(args[0].tolist()) or output + 7)
    handle = net.register_forward_hook(lambda m, a, k, output: seen.append(k), with_kwargs=True)
    assert net(torch.ones(1, 2)).tolist() == [[7.0, 7.0, 7.0]]
    assert seen == ["second", "first", [[2.0, 2.0]], {"factor": 0.0}]
    handle.remove()
    assert len(net._forward_hooks) == 1 and not net._forward_hooks_with_kwargs


def test_hooks_that_are_called_always():
    net, seen = nn.Linear(2, 2), []
    net.register_forward_hook(lambda m, args, output: seen.append(output), always_call=True)
    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        net(torch.ones(1, 3))
    assert seen == [None]


def test_backward_hooks_see_and_change():
    net, seen = nn.Linear(2, 2), []
    net.register_full_backward_pre_hook(lambda m, g: seen.append(shown(g)) or (g[0] * 10,))
    net.register_full_backward_hook(lambda m, gi, go: seen.append(shown(go)) or (gi[0] * 2,))
    x = torch.ones(1, 2, requires_grad=True)
    y = net(x)
    assert type(y.grad_fn).__name__ == "BackwardHookFunctionBackward"
    y.sum().backward()
    assert seen == [[[[1.0, 1.0]]], [[[10.0, 10.0]]]]
    torch.testing.assert_close(x.grad, 20 * net.weight.sum(0, keepdim=True))
    torch.testing.assert_close(net.bias.grad, torch.full((2,), 10.0))


def test_backward_hooks_of_several_tensors():
    class Two(nn.Module):
        def forward(self, x, n, y):
            return x * n, y * 2

    net, seen = Two(), []
    net.register_full_backward_hook(lambda m, gi, go: seen.append((shown(gi), shown(go))))
    x = torch.ones(1, requires_grad=True)
    a, b = net(x, 3, torch.ones(1))
    a.backward()
    assert seen == [([[3.0], None, [0.0]], [[1.0], None])] and not b.requires_grad


def test_a_backward_hook_without_an_input_that_requires_a_gradient():
    net, seen = nn.Linear(2, 2), []
    net.register_full_backward_hook(lambda m, gi, go: seen.append((shown(gi), shown(go))))
    with pytest.warns(UserWarning, match="no inputs require gradients"):
        net(torch.ones(1, 2)).sum().backward()
    assert seen == [([None], [[[1.0, 1.0]]])]


def test_kinds_of_backward_hooks_do_not_mix():
    net = nn.ReLU()
    net.register_backward_hook(print)
    with pytest.raises(RuntimeError, match="Cannot use both regular backward hooks and full backward hooks"):
        net.register_full_backward_hook(print)


def test_global_hooks():
    module, seen = nn.modules.module, []
    told = lambda m, *rest: seen.append(type(m).__name__)  # noqa: E731
    named = lambda m, name, part: seen.append(name)  # noqa: E731
    with module.register_module_forward_hook(told), module.register_module_forward_pre_hook(told):
        nn.Sequential(nn.ReLU())(torch.ones(1))
    with module.register_module_full_backward_hook(told):
        nn.Tanh()(torch.ones(1, requires_grad=True)).backward()
    with module.register_module_parameter_registration_hook(named):
        nn.Linear(1, 1)
        nn.Module().register_parameter("none", None)
    with module.register_module_module_registration_hook(named):
        nn.Sequential(nn.ReLU())
    with module.register_module_buffer_registration_hook(named):
        nn.BatchNorm1d(1)
    called = ["Sequential", "ReLU", "ReLU", "Sequential", "Tanh"]
    assert seen == [*called, "weight", "bias", "0", "running_mean", "running_var", "num_batches_tracked"]


# -------------------------------------------------------------------------------------------- states


def test_a_state_goes_from_one_module_to_another():
    one, other = nn.Sequential(Net()), nn.Sequential(Net())
    state = one.state_dict()
    assert str(other.load_state_dict(state)) == "<All keys matched successfully>"
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))
    assert other[0].scale is not state["0.scale"] and not state["0.scale"].requires_grad
    other.load_state_dict({"0.scale": torch.zeros(3)}, strict=False, assign=True)
    assert isinstance(other[0].scale, nn.Parameter) and not other[0].scale.requires_grad
    result = other.load_state_dict({"x": torch.zeros(3)}, strict=False)
    assert result.unexpected_keys == ["x"] and len(result.missing_keys) == 4
    assert state._metadata == {"": {"version": 1}, "0": {"version": 1}, "0.linear": {"version": 1}}
    assert next(iter(one.state_dict(prefix="a.", keep_vars=True).values())) is one[0].scale


def test_a_state_shares_memory():
    net = nn.Linear(2, 2)
    net.state_dict()["bias"].fill_(5)
    assert net.bias.tolist() == [5.0, 5.0]


def test_hooks_of_states():
    net, seen = nn.Linear(1, 1), []
    net.register_state_dict_pre_hook(lambda m, prefix, keep: seen.append(prefix))
    net.register_state_dict_post_hook(lambda m, state, prefix, notes: state.pop("bias") and None)
    net.register_load_state_dict_pre_hook(lambda m, state, *rest: state.setdefault("bias", torch.ones(1)))
    net.register_load_state_dict_post_hook(lambda m, keys: seen.append(keys.missing_keys))
    state = net.state_dict()
    assert list(state) == ["weight"]
    net.load_state_dict(state)
    assert net.bias.item() == 1 and seen == ["", []]


class Counting(nn.Module):
    """Has a state besides tensors."""

    count = 0

    def get_extra_state(self):
        return self.count

    def set_extra_state(self, state):
        self.count = state


def test_extra_state():
    one, other = Counting(), Counting()
    one.count = 5
    assert one.state_dict() == {"_extra_state": 5}
    other.load_state_dict(one.state_dict())
    assert other.count == 5
    with pytest.raises(RuntimeError, match='Missing key\\(s\\) in state_dict: "_extra_state"'):
        other.load_state_dict({})


@pytest.mark.parametrize("twin", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))])
def test_copies(twin):
    net = Net()
    net.scale.grad = torch.ones(3)
    made = twin(net)
    assert repr(made) == repr(net) and type(made) is Net
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), made.parameters(), strict=True))
    assert isinstance(made.scale, nn.Parameter) and not made.scale.requires_grad and made.scale.grad is None
    x = torch.ones(1, 2)
    assert torch.equal(net(x), made(x)) and list(made.state_dict()) == list(net.state_dict())


def test_casts_keep_the_parameters():
    net = Net()
    before = list(net.parameters())
    assert net.double() is net and all(a is b for a, b in zip(net.parameters(), before, strict=True))
    assert net.linear.weight.dtype is torch.float64 and net.shift.dtype is torch.float64
    assert net.seen.dtype is torch.int64 and not net.scale.requires_grad and net.linear.weight.requires_grad
    assert net.to(torch.float16).shift.dtype is torch.float16
    assert net.float().to(torch.ones(1, dtype=torch.float64)).shift.dtype is torch.float64
    net = nn.Conv2d(2, 2, 2).to(memory_format=torch.channels_last)
    assert net.weight.stride() == (8, 1, 4, 2)


def test_meta_modules_get_memory_later():
    net = nn.Linear(2, 2, device="meta")
    assert net.weight.is_meta
    with pytest.raises(NotImplementedError, match="Cannot copy out of meta tensor; no data!"):
        net.to("cpu")
    net = net.to_empty(device="cpu")
    assert isinstance(net.weight, nn.Parameter) and not net.weight.is_meta and net.weight.requires_grad


def test_modes_and_gradients():
    net = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5))
    assert net.eval() is net and not net[1].training and net.train()[1].training
    assert net.requires_grad_(False)(torch.ones(1, 2)).requires_grad is False
    net.requires_grad_()(torch.ones(1, 2)).sum().backward()
    net.zero_grad(set_to_none=False)
    assert net[0].bias.grad.tolist() == [0.0, 0.0]
    net.zero_grad()
    assert net[0].bias.grad is None
    seen = []
    assert net.apply(lambda m: seen.append(type(m).__name__)) is net
    assert seen == ["Linear", "Dropout", "Sequential"]


def test_representations():
    class Odd(nn.Module):
        def extra_repr(self):
            return "a=1\nb=2"

    assert repr(Odd()) == "Odd(\n  a=1\n  b=2\n)" and repr(nn.Sequential()) == "Sequential()"
    net = nn.Sequential(Odd(), nn.Linear(1, 2, bias=False))
    assert repr(net).splitlines()[1:4] == ["  (0): Odd(", "    a=1", "    b=2"]
    assert repr(nn.Parameter(torch.ones(2))) == "Parameter containing:\ntensor([1., 1.], requires_grad=True)"


# ---------------------------------------------------------------------------------------- parameters


def test_parameters_are_tensors():
    w = nn.Parameter(torch.ones(2))
    assert isinstance(w, torch.Tensor) and type(w * 2) is torch.Tensor and w.requires_grad and w.is_leaf
    x = torch.ones(2)
    assert nn.Parameter(x).data_ptr() == x.data_ptr()
    with torch.no_grad():
        assert nn.Parameter(x).requires_grad and not nn.Parameter(x, requires_grad=False).requires_grad
    assert not isinstance(x, nn.Parameter) and not isinstance(x, nn.Buffer)

    class Own(torch.Tensor):
        pass

    own = nn.Parameter(x.as_subclass(Own))
    assert type(own) is Own and isinstance(own, nn.Parameter)
    net = nn.Module()
    net.own = own
    assert list(net._parameters) == ["own"]


def test_lazy_modules():
    net = nn.Sequential(nn.LazyLinear(3), nn.LazyBatchNorm1d(), nn.ReLU())
    assert net[0].has_uninitialized_params() and repr(net[0].weight) == "<UninitializedParameter>"
    with pytest.raises(RuntimeError, match="Can't access the shape of an uninitialized parameter"):
        net[0].weight.shape  # noqa: B018
    with pytest.raises(ValueError, match="Attempted to use an uninitialized parameter in"):
        net[0].weight + 1
    loaded = copy.deepcopy(net[0])
    assert net(torch.ones(4, 2)).shape == (4, 3)
    assert type(net[0]) is nn.Linear and type(net[1]) is nn.BatchNorm1d and not net[0]._forward_pre_hooks
    loaded.load_state_dict(net[0].state_dict())
    assert loaded.weight.shape == (3, 2)


def test_transforms_take_modules():
    nets = [nn.Linear(2, 3) for _ in range(4)]
    parameters, buffers = torch.func.stack_module_state(nets)
    call = lambda p, b, x: torch.func.functional_call(nets[0], (p, b), (x,))  # noqa: E731
    x = torch.ones(2)
    made = torch.vmap(call, (0, 0, None))(parameters, buffers, x)
    torch.testing.assert_close(made, torch.stack([net(x) for net in nets]))
    grads = torch.func.grad(lambda p: call(p, {}, x).sum())(dict(nets[0].named_parameters()))
    torch.testing.assert_close(grads["weight"], torch.ones(3, 2))


def test_outputs_of_modules_are_found_in_tuples():
    outputs = nn.LSTM(2, 3)(torch.ones(4, 1, 2))
    assert [t.shape for t in tensors(torch, outputs)] == [(4, 1, 3), (1, 1, 3), (1, 1, 3)]


def test_batch_norm_counts_and_averages():
    net = nn.BatchNorm1d(2, momentum=None)
    batches = [torch.randn(5, 2) for _ in range(3)]
    for batch in batches:
        net(batch)
    assert net.num_batches_tracked == 3
    torch.testing.assert_close(net.running_mean, torch.stack([b.mean(0) for b in batches]).mean(0))
    old = OrderedDict((k, v) for k, v in net.state_dict().items() if k != "num_batches_tracked")
    nn.BatchNorm1d(2).load_state_dict(old)  # states of before version 2 lack the count
    sync = nn.SyncBatchNorm.convert_sync_batchnorm(nn.Sequential(net))
    assert type(sync[0]) is nn.SyncBatchNorm and sync[0].running_mean is net.running_mean


def test_encoder_drops_padding_in_evaluation():
    layer = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True)
    net, padding = nn.TransformerEncoder(layer, 1).eval(), torch.tensor([[False, False, True], [False] * 3])
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        made = net(torch.randn(2, 3, 4), src_key_padding_mask=padding)
    assert made[0, 2].tolist() == [0.0] * 4 and (made[1, 2] != 0).any()


# --------------------------------------------------------------- what is gathered without Python


class Renamed(nn.Linear):
    """Saves its weight under another name, and has no parameters to show."""

    def _save_to_state_dict(self, destination, prefix, keep_vars):
        destination[prefix + "w"] = self.weight.detach()

    def named_parameters(self, *args, **kwargs):
        yield "only", self.bias


def test_own_methods_are_asked():
    net = nn.Sequential(nn.Linear(1, 1), Renamed(1, 1), nn.BatchNorm1d(1))
    names = ["0.weight", "0.bias", "1.w", "2.weight", "2.bias"]
    assert list(net.state_dict()) == [*names, "2.running_mean", "2.running_var", "2.num_batches_tracked"]
    assert [entry["version"] for entry in net.state_dict()._metadata.values()] == [1, 1, 1, 2]
    assert [name for name, _ in net.named_parameters()][2:4] == ["1.weight", "1.bias"]
    alone = net[1]
    assert list(alone.parameters()) == [alone.bias]
    alone.weight.grad, alone.bias.grad = torch.ones(1, 1), torch.ones(1)
    alone.zero_grad()
    assert alone.bias.grad is None and alone.weight.grad is not None


def test_hooks_within_a_tree_are_called():
    net, seen = nn.Sequential(nn.Linear(1, 1), nn.Sequential(nn.Linear(1, 1))), []
    net[1][0].register_state_dict_pre_hook(lambda m, prefix, keep: seen.append(prefix))
    net[1]._register_state_dict_hook(lambda m, state, prefix, notes: seen.append((prefix, notes)))
    net[0].state_dict = lambda *, destination, prefix, keep_vars: destination.update(own=1)
    assert list(net.state_dict()) == ["own", "1.0.weight", "1.0.bias"]
    assert seen == ["1.0.", ("1.", {"version": 1})]


def test_a_shared_module_is_saved_under_each_name():
    layer = nn.Linear(1, 1)
    net = nn.ModuleDict({"a": layer, "b": layer})
    assert list(net.state_dict()) == ["a.weight", "a.bias", "b.weight", "b.bias"]
    assert len(list(net.parameters())) == 2 and [n for n, _ in net.named_buffers("x")] == []
    net.append = None
    assert [n for n, _ in net.named_parameters("x")] == ["x.a.weight", "x.a.bias"]


def test_gradients_of_every_kind_are_zeroed():
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    graph = torch.ones(2, 2, requires_grad=True) * 2
    net[0].weight.grad, net[0].bias.grad = torch.ones(2, 2).T, torch.ones(2)
    net[1].weight.grad = graph
    net.zero_grad(set_to_none=False)
    assert net[0].weight.grad.sum() == 0 and net[0].bias.grad.sum() == 0 and net[1].bias.grad is None
    assert net[1].weight.grad.sum() == 0 and not net[1].weight.grad.requires_grad


class Scaled(nn.Module):
    """What a class may have of its own beside what Module gives it."""

    scale = 2

    def __init__(self):
        super().__init__()
        self.inner = nn.Identity()

    @property
    def broken(self):
        return self.nothing

    def forward(self, x, *rest, power=1):
        return (self.inner(x) * self.scale) ** power + sum(rest)


def test_a_call_is_that_of_forward():
    net, x = Scaled(), torch.tensor([3.0])
    check(net(x), [6.0])
    check(net(x, power=2), [36.0])
    check(net(x=x), [6.0])
    check(net(x, *range(12)), [72.0])
    check(net.__call__(x), [6.0])
    with pytest.raises(TypeError, match=r"forward\(\) got an unexpected keyword argument 'wrong'"):
        net(x, wrong=1)
    net.forward = lambda x: x - 1
    check(net(x), [2.0])
    net.inner.register_forward_hook(lambda m, args, out: out + 1)
    del net.forward
    check(net(x), [8.0])


def test_names_are_looked_up_in_a_module():
    net = Scaled()
    assert net.inner is net._modules["inner"] and net.scale == 2
    net.scale = 5
    assert net.scale == 5 and not hasattr(net, "other")
    with pytest.raises(AttributeError, match="'Scaled' object has no attribute 'broken'"):
        _ = net.broken
    net._modules["late"] = nn.Identity()
    assert net.late is net._modules["late"]
    assert net.__getattr__("inner") is net.inner

    class Unready(nn.Module):
        def __init__(self):
            self.ready = False

    with pytest.raises(AttributeError, match="'Unready' object has no attribute '_backward_hooks'"):
        Unready()(1)
    with pytest.raises(AttributeError, match="'Unready' object has no attribute 'weight'"):
        _ = Unready().weight


def test_a_class_may_have_methods_of_these_names():
    class Own(Scaled):
        def __getattr__(self, name):
            return "found" if name == "magic" else super().__getattr__(name)

        def __call__(self, *args):
            return "called", super().__call__(*args)

    net, x = Own(), torch.tensor([1.0])
    assert net.magic == "found" and isinstance(net.inner, nn.Identity)
    assert net(x)[0] == "called" and net(x)[1].item() == 2
    with pytest.raises(AttributeError, match="'Own' object has no attribute 'other'"):
        _ = net.other

    class Below(Own):
        def __getattribute__(self, name):
            return (lambda x: "own") if name == "forward" else super().__getattribute__(name)

    assert Below()(x) == ("called", "own")
    plain = Scaled()
    Scaled.__getattr__ = lambda self, name: "late"
    try:
        assert plain.anything == "late"
    finally:
        del Scaled.__getattr__
    assert not hasattr(plain, "anything")


def test_a_patched_call_is_taken(monkeypatch):
    seen, call = [], nn.Module.__call__
    monkeypatch.setattr(
        nn.Module, "__call__", lambda self, *args: [seen.append(type(self)), call(self, *args)][1]
    )
    check(Scaled()(torch.tensor([1.0])), [2.0])
    assert seen == [Scaled, nn.Identity]
    monkeypatch.undo()
    check(Scaled()(torch.tensor([1.0])), [2.0])
    assert len(seen) == 2
