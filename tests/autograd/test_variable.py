"""`Variable`, from before tensors had gradients."""

import pytest
from library import torch

Variable = torch.autograd.Variable


def test_a_variable_is_a_leaf_on_the_same_memory():
    x = torch.ones(2, requires_grad=True)
    y = x * 2
    leaf = Variable(y, requires_grad=True)
    assert type(leaf) is torch.Tensor and isinstance(leaf, Variable) and isinstance(x, Variable)
    assert leaf.is_leaf and leaf.requires_grad and leaf.data_ptr() == y.data_ptr()
    assert not Variable(x).requires_grad
    (leaf * 3).sum().backward()
    assert leaf.grad.tolist() == [3.0, 3.0] and x.grad is None


def test_a_variable_of_nothing_and_of_no_tensor():
    assert Variable().shape == (0,)
    with pytest.raises(TypeError, match="Variable data has to be a tensor, but got list"):
        Variable([1.0])


def test_handles_of_hooks():
    handles = torch.utils.hooks
    x = torch.ones(1, requires_grad=True)
    with x.register_hook(lambda g: g * 2) as handle:
        assert isinstance(handle, handles.RemovableHandle)
        x.sum().backward()
    x.sum().backward()
    assert x.grad.item() == 3.0
    from collections import OrderedDict

    table, extra = OrderedDict(), OrderedDict()
    handle = handles.RemovableHandle(table, extra_dict=extra)
    table[handle.id] = extra[handle.id] = print
    handle.remove()
    handle.remove()
    assert not table and not extra and handles.RemovableHandle(table).id > handle.id
