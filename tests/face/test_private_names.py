"""Private names that packages ask for: what they give."""

import importlib
import io

import pytest
from library import torch

members = importlib.import_module(f"{torch.__name__}.nn.utils._named_member_accessor")
utils = importlib.import_module(f"{torch.__name__}._utils")
pytree = importlib.import_module(f"{torch.__name__}.utils._pytree")
steps = importlib.import_module(f"{torch.__name__}._functorch.vmap")
X = torch.ones(2, 2)


def made():
    net = torch.nn.Sequential(torch.nn.Linear(2, 2))
    net[0].number = 3
    return net, members.NamedMemberAccessor(net)


def test_tensors_by_dotted_names():
    net, access = made()
    weight = net[0].weight
    assert access.swap_tensor("0.weight", X) is weight and net[0].weight is X
    assert list(net.state_dict()) == ["0.weight", "0.bias"]
    missing = access.swap_tensor("0.other", X, allow_missing=True)
    assert net[0].other is X
    access.swap_tensor("0.other", missing)
    assert not hasattr(net[0], "other")
    assert access.check_keys(["0.bias", "a"]) == (["0.weight"], ["a"])
    before, absent = access.swap_tensors_dict({"0.weight": weight, "0.new": X}, allow_missing=True)
    assert before["0.weight"] is X and absent == ["0.new"]
    access.set_tensors(["0.new"], [weight])
    assert access.get_tensors(["0.new", "0.weight"]) == [weight, weight]
    access.del_tensors(["0.new"])
    assert [name for name, _ in access.named_tensors()] == ["0.weight", "0.bias"]
    inner = torch.nn.Linear(2, 2)
    assert access.get_submodule("0") is access.swap_submodule("0", inner) and net[0] is inner


@pytest.mark.parametrize(
    ("act", "error", "words"),
    [
        (lambda a: a.swap_tensor("0.weight", 3), TypeError, "3 is not an instance of torch.Tensor"),
        (lambda a: a.swap_tensor("0.zz", X), AttributeError, "Linear has no attribute `zz`"),
        (lambda a: a.swap_tensor("0.number", X), TypeError, "attribute `number`: 3 is not an instance"),
        (lambda a: a.get_tensor("0.zz"), AttributeError, "Linear has no attribute `0.zz`"),
        (lambda a: a.del_tensor("0.zz"), AttributeError, "Linear has no attribute `0.zz`"),
        (lambda a: a.get_submodule("5"), AttributeError, "Sequential has no attribute `5`"),
        (lambda a: a.get_submodule("0.weight"), TypeError, "submodule `0.weight`: Parameter containing"),
        (lambda a: a.swap_submodule("7", a.module), KeyError, "submodule 7 does not exist"),
        (
            lambda a: a.swap_tensors_dict({"0.weight": X, "0.zz": X}),
            RuntimeError,
            r"Missing key\(s\): '0.zz'",
        ),
        (
            lambda a: a.set_tensors(["0.bias"], [X, X]),
            AssertionError,
            "same length, got 1 names and 2 values",
        ),
    ],
)
def test_what_names_no_tensor(act, error, words):
    net, access = made()
    weight = net[0].weight
    with pytest.raises(error, match=words):
        act(access)
    assert net[0].weight is weight


def test_parts_of_pytrees():
    assert pytree._dict_flatten_with_keys({"b": 1})[0] == [(pytree.MappingKey("b"), 1)]
    assert pytree._tuple_unflatten(*pytree._tuple_flatten((1, 2))) == (1, 2)
    leaf = pytree.treespec_leaf()
    assert pytree.tree_structure((1, {"a": 2})) == pytree.treespec_tuple([leaf, pytree.treespec_dict(a=leaf)])
    assert pytree.is_structseq(torch.sort(X)) and not pytree.is_structseq((1, 2))

    class Named:
        def __init__(self, name):
            self.name = name

        def __eq__(self, other):
            return self.name == other.name

        def __hash__(self):
            return hash(self.name)

    pytree.register_constant(Named)
    leaves, spec = pytree.tree_flatten([Named("a"), 1])
    assert leaves == [1] and pytree.tree_unflatten([2], spec) == [Named("a"), 2]
    assert spec != pytree.tree_structure([Named("b"), 1]) and pytree.is_constant_class(Named)
    with pytest.raises(TypeError, match="expects `cls` to have a non-default `__eq__` implementation"):
        pytree.register_constant(type("Plain", (), {}))


def test_a_package_may_put_its_own_steps_into_vmap(monkeypatch):
    class Pair:
        def __init__(self, a, b):
            self.a, self.b = a, b

    def given(in_dims, args, func):
        return len(args[0].a), [0, 0], [args[0].a, args[0].b], pytree.treespec_leaf()

    def batched(dims, flat, level, spec):
        return (Pair(*(steps._add_batch_dim(x, dim, level) for x, dim in zip(flat, dims, strict=True))),)

    monkeypatch.setattr(steps, "_process_batched_inputs", given)
    monkeypatch.setattr(steps, "_create_batched_inputs", batched)
    x = torch.arange(6.0).reshape(3, 2)
    found = torch.vmap(lambda pair: (pair.a * pair.b).sum())(Pair(x, x + 1))
    assert found.tolist() == [2.0, 18.0, 50.0]


def test_records_of_a_file(tmp_path):
    file = tmp_path / "x.pt"
    torch.save({"a": torch.arange(3.0)}, file)
    for reader in (
        torch.PyTorchFileReader(str(file)),
        torch.PyTorchFileReader(io.BytesIO(file.read_bytes())),
    ):
        assert {"data.pkl", "byteorder", "data/0", "version"} <= set(reader.get_all_records())
        assert reader.has_record("data/0") and not reader.has_record("data/1")
        assert reader.get_record_size("data/0") == 12 == len(reader.get_record("data/0"))
        place = reader.get_record_offset("data/0")
        assert file.read_bytes()[place : place + 12] == reader.get_record("data/0")
        held = reader.get_storage_from_record("data/0", 3, torch.float32)
        assert held.shape == (0,) and held.untyped_storage().nbytes() == 12
        with pytest.raises(RuntimeError, match="PytorchStreamReader failed locating file zz: file not found"):
            reader.get_record("zz")
    with pytest.raises(RuntimeError, match="open file failed because of errno 2 on fopen"):
        torch.PyTorchFileReader(str(tmp_path / "none"))


def test_small_things():
    flat = utils._flatten_dense_tensors([X, torch.zeros(3)])
    assert flat.tolist() == [1, 1, 1, 1, 0, 0, 0]
    assert [t.shape for t in utils._unflatten_dense_tensors(flat, [X, torch.zeros(3)])] == [(2, 2), (3,)]
    groups = list(utils._take_tensors([X, X, torch.zeros(1, dtype=torch.long), X], 32))
    assert [len(group) for group in groups] == [2, 1, 1]
    assert utils._element_size(torch.float64) == 8 and utils._get_available_device_type() is None
    with pytest.raises(ValueError, match="Expected a non cpu device, but got: cpu"):
        utils._get_device_index("cpu")
    try:
        raise KeyError("k")
    except KeyError:
        kept = utils.ExceptionWrapper(where="in a test")
    with pytest.raises(KeyError, match="Caught KeyError in a test"):
        kept.reraise()

    class WithName:
        @utils.classproperty
        def name(cls):
            return cls.__name__

    assert WithName.name == "WithName"
    text = importlib.import_module(f"{torch.__name__}._tensor_str")
    assert text._tensor_str(X, 8) == "[[1., 1.],\n         [1., 1.]]" and text.PRINT_OPTS.precision == 4


def test_a_storage_is_told_by_its_class():
    assert isinstance(X.untyped_storage(), torch.StorageBase)


def test_a_parameter_of_a_class_with_other_arguments():
    class Named(torch.nn.Parameter):
        def __new__(cls, data=None, label="", requires_grad=True):
            made = torch.nn.Parameter.__new__(cls, data, requires_grad)
            made.label = label
            return made

    made = Named(X, label="a", requires_grad=False)
    assert made.label == "a" and not made.requires_grad


def test_placements_are_plain_values():
    placed = importlib.import_module(f"{torch.__name__}.distributed.tensor")
    assert placed.Shard(1) == placed.Shard(1) != placed.Shard(0) and placed.Shard(1).is_shard(1)
    assert placed.Replicate().is_replicate() and not placed.Replicate().is_partial()
    assert placed.Partial().is_partial("sum") and not placed.Partial().is_partial("avg")
    assert [repr(p) for p in (placed.Shard(dim=-1), placed.Partial(), placed.Replicate())] == [
        "Shard(dim=-1)",
        "Partial(sum)",
        "Replicate()",
    ]


def test_shapes_as_tensors_and_the_device_beside_the_cpu():
    shape = torch._shape_as_tensor(torch.ones(2, 3))
    assert shape.tolist() == [2, 3] and shape.dtype == torch.int64
    assert torch._C._get_accelerator() == torch.device("cpu")
    assert torch.accelerator.current_accelerator() is None
