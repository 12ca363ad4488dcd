"""Mixed precision: what autocast casts, and how GradScaler changes its factor."""

import pytest
from library import torch

nn, F = torch.nn, torch.nn.functional
A = torch.ones(3, 3)
H = A.bfloat16()


def kind(make, *args, **kwargs):
    """The dtype of what is made within autocast."""
    with torch.autocast(*args, **kwargs):
        return make().dtype


CASTS = {
    "mm": (lambda: A @ A, torch.bfloat16),
    "bmm": (lambda: torch.bmm(A[None], A[None]), torch.bfloat16),
    "linear": (lambda: F.linear(A, A, A[0]), torch.bfloat16),
    "einsum": (lambda: torch.einsum("ij,jk->ik", A, A), torch.bfloat16),
    "addmm": (lambda: torch.addmm(A, A, A), torch.bfloat16),
    "conv2d": (lambda: F.conv2d(A[None, None], A[None, None]), torch.bfloat16),
    "attention": (lambda: F.scaled_dot_product_attention(A[None], A[None], A[None]), torch.bfloat16),
    "double": (lambda: A.double() @ A.double(), torch.float64),
    "mv": (lambda: torch.mv(A, A[0]), torch.float32),
    "add": (lambda: H + A, torch.float32),
    "cat": (lambda: torch.cat([H, A]), torch.float32),
    "mse_loss": (lambda: F.mse_loss(H, H), torch.float32),
    "cross_entropy": (lambda: F.cross_entropy(H, torch.tensor([0, 1, 2])), torch.float32),
    "inv": (lambda: torch.linalg.inv(torch.eye(3).bfloat16()), torch.float32),
    "prod": (lambda: torch.prod(H), torch.float32),
    "softmax": (lambda: torch.softmax(H, 0), torch.bfloat16),
    "sum": (lambda: H.sum(), torch.bfloat16),
    "cross": (lambda: torch.linalg.cross(H, H), torch.bfloat16),
    "matrix_exp": (lambda: torch.linalg.matrix_exp(H), torch.bfloat16),
    "cosine_similarity": (lambda: F.cosine_similarity(H, H), torch.bfloat16),
    "matmul of vectors": (lambda: A[0] @ A[0], torch.bfloat16),
    "matmul of a vector": (lambda: A @ A[0], torch.bfloat16),
    "vecdot": (lambda: torch.linalg.vecdot(A, A), torch.bfloat16),
    "prelu": (lambda: F.prelu(A, H[0]), torch.bfloat16),
    "affine_grid": (lambda: F.affine_grid(A[None, :2], (1, 1, 2, 2), align_corners=False), torch.bfloat16),
    "attention of both": (lambda: F.scaled_dot_product_attention(A[None], H[None], A[None]), torch.bfloat16),
    "l1_loss": (lambda: F.l1_loss(H, H), torch.float32),
    "kl_div": (lambda: F.kl_div(H, H, reduction="sum"), torch.float32),
    "poisson_nll_loss": (lambda: F.poisson_nll_loss(H, H), torch.float32),
    "hinge_embedding_loss": (lambda: F.hinge_embedding_loss(H, A), torch.float32),
    "cosine_embedding_loss": (lambda: F.cosine_embedding_loss(H, H, A[0]), torch.float32),
    "triplet_margin_loss": (lambda: F.triplet_margin_loss(H, H, H), torch.float32),
    "binary_cross_entropy": (lambda: F.binary_cross_entropy(A, H), torch.float32),
    "cross_entropy of probabilities": (lambda: F.cross_entropy(H, H), torch.float32),
    "gaussian_nll_loss": (lambda: F.gaussian_nll_loss(H, H, H), torch.bfloat16),
    "avg_pool3d": (lambda: F.avg_pool3d(H[None, None].expand(1, 3, 3, 3), 2), torch.float32),
    "avg_pool2d": (lambda: F.avg_pool2d(H[None], 2), torch.bfloat16),
    "max_pool3d": (lambda: F.max_pool3d(H[None, None].expand(1, 3, 3, 3), 2), torch.float32),
    "pad that reflects": (lambda: F.pad(H, (1, 1), mode="reflect"), torch.float32),
    "pad": (lambda: F.pad(H, (1, 1)), torch.bfloat16),
    "fft": (lambda: torch.fft.fft(H), torch.complex64),
    "stft": (lambda: torch.stft(H[0], 2, 1, window=A[0, :2], return_complex=True), torch.complex64),
    "quantile": (lambda: torch.quantile(H, 0.5), torch.float32),
    "polar": (lambda: torch.polar(H, A), torch.complex64),
    "inner of vectors": (lambda: torch.inner(A[0], A[0]), torch.float32),
    "inner": (lambda: torch.inner(A, A[0]), torch.bfloat16),
    "tensordot": (lambda: torch.tensordot(A, A, 1), torch.bfloat16),
    "tensordot of all dims": (lambda: torch.tensordot(A, A, 2), torch.float32),
    "tensordot of listed dims": (lambda: torch.tensordot(A, A, ([0, 1], [1, 0])), torch.float32),
    "tensordot of no dims": (lambda: torch.tensordot(A[0], A[0], 0), torch.bfloat16),
    "pinv": (lambda: torch.linalg.pinv(A), torch.bfloat16),
    "pinv of doubles": (lambda: torch.linalg.pinv(A.double()), torch.float64),
    "pinv of complex numbers": (lambda: torch.linalg.pinv(A + 0j), torch.complex64),
    "pinverse": (lambda: torch.pinverse(A), torch.float32),
    "dist": (lambda: torch.dist(H, H), torch.bfloat16),
    "mm of complex numbers": (lambda: (A + 0j) @ (A + 0j), torch.complex64),
    "lstsq": (lambda: torch.linalg.lstsq(torch.eye(3).bfloat16(), H).solution, torch.float32),
    "lstm": (lambda: nn.LSTM(3, 2)(H)[0], torch.bfloat16),
    "gru": (lambda: nn.GRU(3, 2)(A)[0], torch.float32),
    "gru of halves": (lambda: nn.GRU(3, 2)(H)[0], torch.bfloat16),
    "rnn": (lambda: nn.RNN(3, 2)(A)[0], torch.bfloat16),
    "lstm cell": (lambda: nn.LSTMCell(3, 2)(A)[0], torch.float32),
    "grid": (lambda: F.grid_sample(H[None, None], H[None, :, None, :2], align_corners=True), torch.float32),
    "index_copy": (lambda: torch.index_copy(A, 0, torch.tensor([0]), H[:1]), torch.float32),
}


@pytest.mark.parametrize("name", CASTS)
def test_what_ops_are_cast_to(name):
    make, dtype = CASTS[name]
    assert kind(make, "cpu") == dtype


class Tagged(torch.Tensor):
    """A tensor that other code has a say about."""

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        return "its own" if func is F.l1_loss else super().__torch_function__(func, types, args, kwargs or {})


def test_other_classes_are_asked_and_other_levels_go_on():
    tagged = A.as_subclass(Tagged)
    with torch.autocast("cpu"):
        assert F.l1_loss(tagged, tagged) == "its own"
    assert F.l1_loss(tagged, tagged) == "its own"
    assert torch.func.vmap(F.l1_loss)(H, H).dtype == torch.bfloat16
    with torch.autocast("cpu"):
        assert torch.func.grad(lambda x: F.l1_loss(x @ A, A))(A).dtype == torch.float32


def test_contexts():
    assert kind(lambda: A @ A, "cpu", dtype=torch.float16) == torch.float16
    assert kind(lambda: A @ A, "cpu", enabled=False) == torch.float32
    with torch.autocast("cpu"):
        assert torch.is_autocast_enabled("cpu") and not torch.is_autocast_enabled("cuda")
        with torch.autocast("cpu", enabled=False):
            assert (A @ A).dtype == torch.float32
        with torch.autocast("cpu", dtype=torch.float16):
            assert (A @ A).dtype == torch.float16 == torch.get_autocast_dtype("cpu")
        assert (A @ A).dtype == torch.bfloat16
    assert (A @ A).dtype == torch.float32 and not torch.is_autocast_enabled("cpu")
    assert torch.autocast("cpu")(lambda: A @ A)().dtype == torch.bfloat16
    assert (
        torch.get_autocast_dtype("cpu") == torch.bfloat16
        and torch.get_autocast_dtype("cuda") == torch.float16
    )
    assert kind(lambda: A @ A, "cuda", enabled=False) == torch.float32


def test_what_is_off_says_so():
    with pytest.warns(
        UserWarning, match="CUDA is not available or torch_xla is imported. Disabling autocast"
    ):
        assert kind(lambda: A @ A, "cuda") == torch.float32
    with pytest.warns(UserWarning, match="In CPU autocast, but the target dtype is not supported. Disabling"):
        assert kind(lambda: A @ A, "cpu", dtype=torch.float32) == torch.float32
    with pytest.warns(UserWarning, match=r"torch.cuda.amp.GradScaler is enabled, but CUDA is not available"):
        scaler = torch.amp.GradScaler()
    assert not scaler.is_enabled() and scaler.scale(A) is A and scaler.state_dict() == {}
    with pytest.warns(FutureWarning, match=r"`torch.cuda.amp.autocast\(args...\)` is deprecated"):
        torch.cuda.amp.autocast(enabled=False)


def test_gradients_have_the_dtype_of_the_weights():
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3))
    x, y = torch.randn(5, 4), torch.tensor([0, 1, 2, 0, 1])
    exact = F.cross_entropy(model(x), y)
    with torch.autocast("cpu"):
        out = model(x)
        loss = F.cross_entropy(out, y)
    assert out.dtype == torch.bfloat16 and loss.dtype == torch.float32
    assert loss.item() == pytest.approx(exact.item(), rel=0.02)
    loss.backward()
    found = [p.grad.clone() for p in model.parameters()]
    model.zero_grad()
    exact.backward()
    for grad, p in zip(found, model.parameters(), strict=True):
        assert grad.dtype == torch.float32
        torch.testing.assert_close(grad, p.grad, rtol=0.05, atol=0.02)


def test_functions_of_a_program():
    class Product(torch.autograd.Function):
        @staticmethod
        @torch.amp.custom_fwd(device_type="cpu", cast_inputs=torch.float32)
        def forward(ctx, a, b):
            ctx.save_for_backward(a, b)
            return a @ b

        @staticmethod
        @torch.amp.custom_bwd(device_type="cpu")
        def backward(ctx, g):
            a, b = ctx.saved_tensors
            return g @ b.t(), a.t() @ g

    a = A.clone().requires_grad_()
    with torch.autocast("cpu"):
        product = Product.apply(a, H)
    assert product.dtype == torch.float32
    product.sum().backward()
    assert a.grad.tolist() == [[3.0] * 3] * 3


def test_the_factor_of_a_scaler():
    scaler = torch.amp.GradScaler("cpu", init_scale=8.0, growth_interval=2)
    p = torch.nn.Parameter(torch.ones(2))
    optimizer = torch.optim.SGD([p], lr=1.0)
    factors, values = [], []
    for slope in (1.0, float("inf"), 1.0, 1.0, 1.0):
        optimizer.zero_grad()
        scaler.scale((p * slope).sum()).backward()
        scaler.unscale_(optimizer)
        scaler.step(optimizer)
        scaler.update()
        factors.append(scaler.get_scale())
        values.append(p[0].item())
    assert factors == [8.0, 4.0, 4.0, 8.0, 8.0] and values == [0.0, 0.0, -1.0, -2.0, -3.0]
    assert scaler.state_dict() == {
        "scale": 8.0, "growth_factor": 2.0, "backoff_factor": 0.5, "growth_interval": 2, "_growth_tracker": 1,
    }  # fmt: skip
    other = torch.amp.GradScaler("cpu")
    other.load_state_dict(scaler.state_dict())
    assert other.get_scale() == 8.0
    with pytest.raises(AssertionError, match="No inf checks were recorded prior to update"):
        scaler.update()
    scaler.scale(p.sum()).backward()
    scaler.unscale_(optimizer)
    with pytest.raises(
        RuntimeError, match=r"unscale_\(\) has already been called on this optimizer since the last"
    ):
        scaler.unscale_(optimizer)
