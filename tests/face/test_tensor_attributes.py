"""Attributes that programs set on the class Tensor."""

import abc

import pytest
from library import check, torch


@pytest.fixture(autouse=True)
def class_as_it_was():
    """The class Tensor keeps nothing of a test."""
    before = {name: torch.Tensor.__dict__.get(name) for name in ("marked", "__add__", "svd", "relu")}
    yield
    for name, value in before.items():
        if value is not None:
            setattr(torch.Tensor, name, value)
        elif name in torch.Tensor.__dict__:
            delattr(torch.Tensor, name)


def test_a_method_is_set_and_deleted():
    torch.Tensor.marked = lambda self, k: self * k
    check(torch.ones(2).marked(3), [3.0, 3.0])
    del torch.Tensor.marked
    with pytest.raises(AttributeError, match="'Tensor' object has no attribute 'marked'"):
        _ = torch.ones(2).marked
    with pytest.raises(AttributeError):
        del torch.Tensor.marked


def test_a_property_is_set():
    torch.Tensor.marked = property(lambda self: self.shape[0])
    assert torch.ones(5).marked == 5
    assert torch.nn.Parameter(torch.ones(4)).marked == 4


def test_an_operator_is_set_and_put_back():
    before = torch.Tensor.__add__
    torch.Tensor.__add__ = lambda self, other: "added"
    assert torch.ones(2) + 1 == "added"
    torch.Tensor.__add__ = before
    check(torch.ones(2) + 1, [2.0, 2.0])


def test_a_method_in_place_of_one_that_is_there():
    before, calls = torch.Tensor.relu, []
    torch.Tensor.relu = lambda self: calls.append(1) or before(self)
    check(torch.tensor([-1.0, 2.0]).relu(), [0.0, 2.0])
    assert calls == [1]
    torch.Tensor.svd = lambda self: "mine"
    assert torch.ones(2, 2).svd() == "mine"


def test_tensors_are_made_by_calls_of_the_class_as_before():
    torch.Tensor.marked = 1
    for _ in range(3):  # Python specialises a call that stands at one place
        made = [torch.Tensor([k]) for k in range(40)]
        assert [t.shape for t in made] == [(1,)] * 40
        assert [t.item() for t in made] == list(range(40))
        assert torch.Tensor(2, 3).shape == (2, 3)


def test_classes_combine():
    class Marked(torch.Tensor):
        pass

    class Both(Marked, torch.nn.Parameter):
        pass

    made = Both(torch.ones(2))
    assert isinstance(made, torch.nn.Parameter) and isinstance(made, Marked) and made.requires_grad
    assert type(torch.nn.Module) is type and type(torch.optim.Optimizer) is type

    class Abstract(torch.nn.Module, abc.ABC):
        @abc.abstractmethod
        def step(self): ...

    with pytest.raises(TypeError, match="abstract"):
        Abstract()
    assert type(torch.Tensor) is torch._C._TensorMeta


def test_the_attributes_of_an_object_are_set_at_once():
    class Kept(torch.Tensor):
        pass

    x = torch.ones(2).as_subclass(Kept)
    x.__dict__ = {"note": 1}
    assert x.note == 1 and x.__dict__ == {"note": 1}
    with pytest.raises(TypeError, match="__dict__ must be set to a dictionary"):
        x.__dict__ = 3


def test_functions_keep_notes():
    relu = torch.nn.functional.relu
    relu.noted = 1
    assert relu.noted == 1
    del relu.noted
    assert not hasattr(relu, "noted")


def test_lists_of_a_class_of_its_own_are_lists():
    class Kept(list):
        pass

    x, y = torch.ones(2), torch.zeros(2)
    check(torch.cat(Kept([x, y])), [1.0, 1.0, 0.0, 0.0])
    check(torch.stack(Kept([x, y])), [[1.0, 1.0], [0.0, 0.0]])
