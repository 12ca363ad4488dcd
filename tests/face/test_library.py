"""`torch.library`: ops that programs declare."""

import itertools

import pytest
from library import check, leaf, pullback_only, torch

names = (f"tested{place}" for place in itertools.count())


def square():
    """A new op, the square of a tensor times a number, with all that can be registered for it."""
    name = next(names)

    @torch.library.custom_op(f"{name}::square", mutates_args=())
    def square(x: torch.Tensor, k: float = 1.0) -> torch.Tensor:
        return torch.from_numpy(x.detach().numpy() ** 2 * k)

    return square


def with_gradient(op):
    """The op with a derivative."""

    def setup(ctx, inputs, output):
        ctx.save_for_backward(inputs[0])
        ctx.k = inputs[1]

    op.register_autograd(lambda ctx, g: (2 * ctx.k * ctx.saved_tensors[0] * g, None), setup_context=setup)
    return op


def test_a_call_and_its_names():
    op = square()
    space = op._qualname.split("::")[0]
    check(op(torch.tensor([3.0])), [9.0])
    check(op(torch.tensor([3.0]), k=2.0), [18.0])
    found = getattr(torch.ops, space).square
    check(found(torch.tensor([3.0]), 2.0), [18.0])
    check(found.default(torch.tensor([3.0])), [9.0])
    assert str(found.default._schema) == f"{space}::square(Tensor x, float k=1.) -> Tensor"
    assert found.default.name() == f"{space}::square" and str(found.default) == f"{space}.square.default"
    assert repr(op) == f"<CustomOpDef({space}::square)>"


def test_a_derivative():
    x = leaf([1.0, 3.0])
    y = square()(x)
    assert y.requires_grad
    with pytest.raises(RuntimeError, match="no autograd formula was registered"):
        y.sum().backward()
    with_gradient(square())(x, 5.0).sum().backward()
    check(x.grad, [10.0, 30.0])


def test_numbers_of_the_wrong_kind_are_refused():
    op = square()
    with pytest.raises(RuntimeError, match="Expected a value of type 'Tensor' for argument 'x'"):
        op(3)
    with pytest.raises(RuntimeError, match="Unknown keyword argument 'y'"):
        op(torch.ones(1), y=2)
    with pytest.raises(RuntimeError, match="is missing value for argument 'x'"):
        op()


def test_without_numbers():
    op = square()
    with pytest.raises(RuntimeError, match="There was no fake impl registered"):
        op(torch.ones(2, device="meta"))
    op.register_fake(lambda x, k=1.0: torch.empty_like(x))
    assert op(torch.ones(2, device="meta")).shape == (2,)


def test_results_must_be_new():
    name = next(names)

    @torch.library.custom_op(f"{name}::same", mutates_args=())
    def same(x: torch.Tensor) -> torch.Tensor:
        return x

    with pytest.raises(RuntimeError, match="must not also be an input to this custom operator"):
        same(torch.ones(2))


def test_an_op_in_place():
    name = next(names)

    @torch.library.custom_op(f"{name}::increase", mutates_args={"x"})
    def increase(x: torch.Tensor) -> None:
        x.add_(1)

    x = torch.zeros(2)
    assert increase(x) is None
    check(x, [1.0, 1.0])
    assert "Tensor(a0!) x" in str(increase._opoverload._schema)


def test_lists_of_tensors():
    name = next(names)

    @torch.library.custom_op(f"{name}::total", mutates_args=())
    def total(xs: list[torch.Tensor], k: float) -> torch.Tensor:
        return sum(x.clone() for x in xs) * k

    def setup(ctx, inputs, output):
        ctx.count, ctx.k = len(inputs[0]), inputs[1]

    total.register_autograd(lambda ctx, g: ([g * ctx.k] * ctx.count, None), setup_context=setup)
    a, b = leaf([1.0]), leaf([2.0])
    total([a, b], 3.0).sum().backward()
    check(a.grad, [3.0])
    check(b.grad, [3.0])


def test_under_vmap():
    op = with_gradient(square())
    x = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    check(torch.vmap(op, in_dims=1, out_dims=1)(x), [[1.0, 4.0], [9.0, 16.0]])
    op.register_vmap(lambda info, in_dims, x, k=1.0: (op(x, k) + info.batch_size, in_dims[0]))
    check(torch.vmap(op)(x), [[3.0, 6.0], [11.0, 18.0]])


def test_schemas_by_annotations():
    def several(
        x: torch.Tensor, n: int, *, s: str = "a", y: torch.Tensor | None = None, d: list[int] | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]: ...

    assert torch.library.infer_schema(several, mutates_args=()) == (
        '(Tensor x, SymInt n, *, str s="a", Tensor? y=None, SymInt[]? d=None) -> (Tensor, Tensor)'
    )
    with pytest.raises(ValueError, match="Parameter x must have a type annotation"):
        torch.library.infer_schema(lambda x: x, mutates_args=())


def test_a_library():
    name = next(names)
    library = torch.library.Library(name, "DEF")
    assert library.define("scale(Tensor x, int n=2, *, float? s=None) -> Tensor") == "scale"
    op = getattr(torch.ops, name).scale
    with pytest.raises(NotImplementedError, match="Could not run"):
        op(torch.ones(1))
    library.impl("scale", lambda x, n=2, *, s=None: x * n * (s or 1), "CPU")
    check(op(torch.ones(2)), [2.0, 2.0])
    check(op(torch.ones(2), 3, s=0.5), [1.5, 1.5])
    torch.library.register_fake(f"{name}::scale", lambda x, n=2, *, s=None: x.new_empty(x.shape))
    assert op(torch.ones(2, device="meta")).shape == (2,)
    with pytest.raises(RuntimeError, match="multiple times"):
        library.define("scale(Tensor x) -> Tensor")


def test_functions_by_name():
    name = next(names)
    torch.library.define(f"{name}::more", "(Tensor x) -> Tensor")

    @torch.library.impl(f"{name}::more", "cpu")
    def more(x):
        return x + 1

    check(getattr(torch.ops, name).more(torch.ones(1)), [2.0])
    torch.library.register_autograd(f"{name}::more", lambda ctx, g: g * 7)
    x = leaf([1.0])
    getattr(torch.ops, name).more(x).sum().backward()
    check(x.grad, [7.0])


def test_ops_of_pytorch():
    check(torch.ops.aten.add.Tensor(torch.ones(2), 1), [2.0, 2.0])
    check(torch.ops.aten.relu(torch.tensor([-1.0])), [0.0])
    assert torch.ops.aten.relu.default.name() == "aten::relu"
    with pytest.raises(AttributeError, match="'_OpNamespace' 'aten' object has no attribute 'foobar'"):
        _ = torch.ops.aten.foobar
    with pytest.raises(AttributeError, match="'_OpNamespace' 'nobody' object has no attribute 'op'"):
        _ = torch.ops.nobody.op
    with pytest.raises(OSError, match="Could not load this library"):
        torch.ops.load_library("nowhere.so")


@pullback_only("PyTorch refuses some functions for ops that are not declared yet, and takes others")
def test_functions_for_ops_that_are_declared_later():
    name = next(names)
    torch.library.register_fake(f"{name}::late", lambda x: x.new_empty(7))
    library = torch.library.Library(name, "FRAGMENT")
    library.impl("late", lambda x: x + 1, "CPU")
    library.define("late(Tensor x) -> Tensor")
    check(getattr(torch.ops, name).late(torch.ones(1)), [2.0])
    assert getattr(torch.ops, name).late(torch.ones(1, device="meta")).shape == (7,)


def test_opcheck():
    op = with_gradient(square())
    op.register_fake(lambda x, k=1.0: torch.empty_like(x))
    found = torch.library.opcheck(op, (torch.tensor([1.0, 2.0], requires_grad=True),))
    assert set(found.values()) == {"SUCCESS"}
    name = next(names)

    @torch.library.custom_op(f"{name}::sly", mutates_args=())
    def sly(x: torch.Tensor) -> torch.Tensor:
        x.add_(1)
        return x.clone()

    sly.register_fake(torch.empty_like)
    with pytest.raises(Exception, match="not defined as mutable but was mutated"):
        torch.library.opcheck(sly, (torch.ones(2),), test_utils="test_schema")
