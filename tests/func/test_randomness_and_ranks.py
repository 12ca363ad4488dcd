"""What vmap draws and refuses, and what forward mode asks of a custom Function."""

import pytest
from library import torch

F = torch.nn.functional
fw = torch.autograd.forward_ad
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script")


def test_one_mask_for_all_samples():
    for drop in (F.dropout, lambda x: F.alpha_dropout(x, training=True), lambda x: F.dropout2d(x)):
        x = torch.ones(4, 1, 3, 2, 2)
        torch.manual_seed(0)
        y = torch.vmap(drop, randomness="same")(x)
        assert all(torch.equal(y[0], row) for row in y[1:])
        torch.manual_seed(0)
        assert torch.equal(y[0], drop(x[0]))


def test_rows_are_drawn_for_each_sample():
    weights = torch.ones(3, 2, 4)
    drawn = torch.vmap(lambda w: torch.multinomial(w, 2), randomness="different")(weights)
    assert drawn.shape == (3, 2, 2) and int(drawn.max()) < 4


@pytest.mark.parametrize("name", ["mm", "bmm", "mv", "dot"])
def test_ranks_are_those_of_a_sample(name):
    shapes = {
        "mm": ((2, 2), (2, 2)),
        "bmm": ((3, 2, 2), (3, 2, 2)),
        "mv": ((2, 2), (2, 2)),
        "dot": ((2, 2), (2, 2)),
    }[name]
    x, y = (torch.rand(n) for n in shapes)
    with pytest.raises(RuntimeError):
        torch.vmap(getattr(torch, name), in_dims=(0, None) if name != "dot" else (None, 0))(x, y)


def test_what_vmap_refuses():
    x = torch.ones(2, 3)
    with pytest.raises(ValueError, match="expected `in_dims` to be int or a"):
        torch.vmap(torch.mul, [0, 0])(x, x)
    with pytest.raises(RuntimeError):
        torch.vmap(lambda x: x * x.data)(x)
    with pytest.raises(RuntimeError):
        torch.vmap(lambda x: torch.randn(3, out=torch.ones(3)), randomness="same")(x)


class Nonzero(torch.autograd.Function):
    """The identity, whose backward looks at the numbers."""

    @staticmethod
    def forward(x):
        return x.clone()

    @staticmethod
    def setup_context(ctx, inputs, output):
        pass

    @staticmethod
    def backward(ctx, g):
        g.nonzero()
        return g


def test_rows_one_by_one_may_depend_on_numbers():
    assert torch.equal(torch.func.jacrev(Nonzero.apply, chunk_size=1)(torch.ones(2)), torch.eye(2))


def test_batches_of_tangents_are_checked():
    x = torch.rand(2, dtype=torch.double, requires_grad=True)
    options = {"check_forward_ad": True, "check_batched_forward_grad": True}
    assert torch.autograd.gradcheck(lambda x: x.sin() * 2, (x,), **options)


def test_a_pullback_made_under_no_grad():
    x = torch.tensor(3.0, requires_grad=True)
    with torch.no_grad():
        value, pull = torch.func.vjp(lambda x: x**2, x)
        assert not value.requires_grad
        (g,) = pull(torch.tensor(1.0))
        assert not g.requires_grad
    (g,) = pull(torch.tensor(1.0))
    assert g.requires_grad
    g.backward()
    assert x.grad.item() == 2


def function_of(forward, jvp):
    return type("F", (torch.autograd.Function,), {"forward": staticmethod(forward), "jvp": staticmethod(jvp)})


def double_(ctx, x):
    ctx.mark_dirty(x)
    return x.mul_(2)


def test_tangents_are_written_where_the_values_are():
    with fw.dual_level():
        x = fw.make_dual(torch.ones(2), torch.ones(2))
        with pytest.raises(RuntimeError, match="not modifying the forward mode gradients inplace"):
            function_of(double_, lambda ctx, t: 2 * t).apply(x)


def test_tangents_of_views_are_views():
    with fw.dual_level():
        x = fw.make_dual(torch.ones(4), torch.ones(4))
        with pytest.raises(RuntimeError, match="jvp is not returning a view"):
            function_of(lambda ctx, x: x[:2], lambda ctx, t: t[:2].clone()).apply(x)
        y = function_of(lambda ctx, x: x[:2], lambda ctx, t: t[:2]).apply(x)
        assert fw.unpack_dual(y).tangent.tolist() == [1.0, 1.0]


def test_outputs_are_no_duals():
    with fw.dual_level():
        dual = fw.make_dual(torch.rand(2), torch.rand(2))
        for operands, out in (((torch.rand(2), torch.rand(2)), dual), ((dual, dual), torch.rand(2))):
            with pytest.raises(NotImplementedError, match="forward AD with add_out"):
                torch.add(*operands, out=out)


def test_embedding_renormalises_duals():
    with fw.dual_level():
        w = fw.make_dual(torch.ones(3, 2), torch.ones(3, 2))
        y = F.embedding(torch.tensor([0]), w, max_norm=1.0)
        assert torch.allclose(fw.unpack_dual(y).primal.norm(), torch.tensor(1.0), atol=1e-4)


def test_a_subclass_comes_back_as_it_is():
    class Kind(torch.Tensor):
        pass

    class Same(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x

        @staticmethod
        def backward(ctx, g):
            return g

    assert type(Same.apply(torch.ones(2).as_subclass(Kind))) is Kind
    assert type(Same.apply(torch.ones(2, requires_grad=True))) is torch.Tensor
