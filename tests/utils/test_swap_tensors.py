"""`utils.swap_tensors`, and modules that are converted and loaded by it, alike on PyTorch."""

import gc
import weakref

import pytest
from library import ON_TORCH, check, torch

swap = torch.utils.swap_tensors
nn, future = torch.nn, torch.__future__


@pytest.fixture
def swapping():
    """Modules swap their parameters within."""
    future.set_swap_module_params_on_conversion(True)
    yield
    future.set_swap_module_params_on_conversion(False)


def test_two_tensors_become_each_other():
    plain, param = torch.ones(2), nn.Parameter(torch.zeros(3))
    param.grad, param.note = torch.full((3,), 5.0), "kept"
    both = [plain, param]
    swap(plain, param)
    assert both[0] is plain
    assert type(plain) is nn.Parameter
    assert type(param) is torch.Tensor
    assert plain.note == "kept"
    assert not hasattr(param, "note")
    check(plain.grad, [5.0] * 3)
    check(param, [1.0, 1.0])
    (plain * 2).sum().backward()
    check(plain.grad, [7.0] * 3)
    assert not param.requires_grad
    assert param.grad is None


def test_swapped_tensors_are_freed():
    class Noted(torch.Tensor):
        pass

    kinds = [
        lambda: torch.ones(2),
        lambda: nn.Parameter(torch.ones(2)),
        lambda: torch.ones(2).as_subclass(Noted),
    ]
    for make in kinds:
        for other in kinds:
            a, b = make(), other()
            wanted = type(b), type(a)
            swap(a, b)
            assert (type(a), type(b)) == wanted
            a.me, b.me = [a], [b]  # cycles, which the collector must find
            seen = [weakref.ref(a), weakref.ref(b)]
            del a, b
            gc.collect()
            assert [ref() for ref in seen] == [None, None]


def test_a_result_keeps_its_place_in_the_graph():
    a, other = torch.ones(3, requires_grad=True), torch.zeros(2)
    y = a * 2
    swap(y, other)
    assert y.grad_fn is None
    other.sum().backward()
    check(a.grad, [2.0] * 3)


def test_slots_are_swapped():
    class Slotted(torch.Tensor):
        __slots__ = ("mark",)

    a, b = torch.ones(1).as_subclass(Slotted), torch.zeros(1).as_subclass(Slotted)
    a.mark = "a"
    swap(a, b)
    assert b.mark == "a"
    assert not hasattr(a, "mark")
    with pytest.raises(RuntimeError, match="Cannot swap t1 and t2 if they have different slots"):
        swap(a, torch.zeros(1))


def test_what_is_known_elsewhere_is_not_swapped():
    a = torch.ones(2)
    ref = weakref.ref(a)
    with pytest.raises(RuntimeError, match="Cannot swap t1 because it has weakref associated with it"):
        swap(a, torch.ones(2))
    del ref
    with pytest.raises(RuntimeError, match="Cannot swap t2 because it has weakref"):
        b = torch.ones(2)
        kept = weakref.ref(b)
        swap(a, b)
    del kept
    z = torch.ones(2, requires_grad=True) * 1
    y = z * z
    with pytest.raises(RuntimeError, match="Expected use_count of t1 to be 1 or 2 with an AccumulateGrad"):
        swap(z, torch.ones(2))
    y.sum().backward()
    viewed = torch.ones(4, requires_grad=True)
    view = viewed.view(2, 2)
    with pytest.raises(RuntimeError):
        swap(viewed, torch.ones(2))
    check(view, [[1.0, 1.0], [1.0, 1.0]])


@pytest.mark.skipif(ON_TORCH, reason="there the message is about an edge of the graph")
def test_a_saved_constant_is_not_swapped():
    a, b = torch.ones(3, requires_grad=True), torch.ones(3)
    y = (a * b).sum()
    with pytest.raises(RuntimeError, match=r"Expected use_count of t1 to be 1 or 2 .* but got 2"):
        swap(b, torch.zeros(3))
    y.backward()
    check(a.grad, [1.0] * 3)


def test_a_leaf_in_a_graph_is_refused_by_its_backward_pass(swapping):
    net = nn.Linear(2, 2)
    loss = net(torch.ones(1, 2)).sum()
    net.double()
    with pytest.raises(RuntimeError, match="AccumulateGrad node that was poisoned by swap_tensors"):
        loss.backward()
    net(torch.ones(1, 2, dtype=torch.float64)).sum().backward()
    check(net.bias.grad, [1.0, 1.0])


def test_modules_swap_their_parameters(swapping):
    net = nn.Linear(2, 2)
    weight = net.weight
    net(torch.ones(1, 2)).sum().backward()
    net.double()
    assert net.weight is weight
    assert weight.dtype is weight.grad.dtype is torch.float64
    state = {name: x.clone() for name, x in nn.Linear(2, 2).state_dict().items()}
    net.load_state_dict(state)
    assert net.weight is weight
    assert weight.dtype is torch.float64
    net.load_state_dict(state, assign=True)
    assert net.weight is weight
    assert type(weight) is nn.Parameter
    assert weight.dtype is torch.float32
    assert weight.requires_grad
    check(weight, state["weight"])
    net.half()
    seen = net.weight.view(4)
    with pytest.raises(RuntimeError, match=r"_apply\(\): Couldn't swap Linear.weight"):
        net.double()
    check(seen, state["weight"].half().view(4))


def test_modules_may_get_new_parameters():
    assert not future.get_overwrite_module_params_on_conversion()
    net = nn.Linear(2, 2)
    weight = net.weight
    net(torch.ones(1, 2)).sum().backward()
    grad = weight.grad
    net.double()
    assert net.weight is weight
    assert weight.grad is grad
    assert grad.dtype is torch.float64
    future.set_overwrite_module_params_on_conversion(True)
    try:
        net.float()
    finally:
        future.set_overwrite_module_params_on_conversion(False)
    assert net.weight is not weight
    assert weight.dtype is torch.float64
    check(net.weight.grad, grad.float())
