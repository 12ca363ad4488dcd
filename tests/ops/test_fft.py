"""Fourier transforms: against NumPy's, by their adjoints, and there and back."""

import numpy as np
import pytest
from library import check, torch

RNG = np.random.default_rng(5)
NORMS = (None, "backward", "ortho", "forward")


def data(*shape, kind):
    """Random numbers, real or complex, in double precision."""
    numbers = RNG.standard_normal(shape)
    return numbers + 1j * RNG.standard_normal(shape) if kind == "complex" else numbers


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("name", ["fft", "ifft", "rfft", "irfft", "hfft", "ihfft"])
@pytest.mark.parametrize("n", [None, 4, 7])
def test_one_dim_as_numpy(name, norm, n):
    a = data(3, 5, kind="real" if name in ("rfft", "ihfft") else "complex")
    found = getattr(torch.fft, name)(torch.from_numpy(a), n, norm=norm)
    np.testing.assert_allclose(
        found.resolve_conj().numpy(), getattr(np.fft, name)(a, n, norm=norm), atol=1e-12
    )


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("name", ["fftn", "ifftn", "rfftn", "irfftn"])
def test_many_dims_as_numpy(name, norm):
    a = data(4, 3, 5, kind="real" if name == "rfftn" else "complex")
    found = getattr(torch.fft, name)(torch.from_numpy(a), (4, 6), (0, 2), norm)
    wanted = getattr(np.fft, name)(a, (4, 6), (0, 2), norm)
    np.testing.assert_allclose(found.numpy(), wanted, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_precision_stays(dtype):
    x = torch.ones(4, dtype=dtype)
    spectrum = torch.fft.rfft(x)
    assert spectrum.dtype is (torch.complex64 if dtype is torch.float32 else torch.complex128)
    assert torch.fft.irfft(spectrum).dtype is dtype


@pytest.mark.parametrize("n", [1, 2, 5, 6])
def test_half_spectra_return(n):
    x = torch.from_numpy(data(3, n, kind="real"))
    check(torch.fft.irfft(torch.fft.rfft(x), n), x.tolist(), rtol=1e-12, atol=1e-12)
    check(torch.fft.hfft(torch.fft.ihfft(x), n), x.tolist(), rtol=1e-12, atol=1e-12)


def test_shifts_return():
    x = torch.arange(15).reshape(3, 5)
    assert torch.equal(torch.fft.ifftshift(torch.fft.fftshift(x)), x)


@pytest.mark.parametrize("norm", NORMS)
def test_third_derivative(norm):
    x = torch.tensor([1.0, 2.0, -0.5], dtype=torch.float64, requires_grad=True)
    y = torch.fft.rfft(x**4, norm=norm)[0].real
    scale = y.item() / (x.detach() ** 4).sum().item()
    for _ in range(3):
        y = torch.autograd.grad(y.sum(), x, create_graph=True)[0]
    check(y, (24 * x.detach() * scale).tolist())


@pytest.mark.parametrize("center", [True, False])
@pytest.mark.parametrize("normalized", [True, False])
def test_short_time_transform_returns(center, normalized):
    x = torch.from_numpy(data(2, 40, kind="real"))
    window = torch.hamming_window(8, dtype=torch.float64)
    settings = {"window": window, "center": center, "normalized": normalized}
    spectra = torch.stft(x, 8, 2, return_complex=True, **settings)
    check(torch.istft(spectra, 8, 2, **settings), x.tolist(), rtol=1e-10, atol=1e-12)


def test_refusals():
    x = torch.ones(4)
    for call, error, text in (
        (lambda: torch.fft.fft(x, 0), RuntimeError, "Invalid number of data points"),
        (lambda: torch.fft.fft(x, norm="x"), RuntimeError, "Invalid normalization mode"),
        (lambda: torch.fft.rfft(x + 0j), RuntimeError, "expects a real input tensor"),
        (lambda: torch.fft.fftn(x, (2, 2)), RuntimeError, "Got shape with 2 values"),
        (lambda: torch.fft.fft2(torch.ones(2, 2), dim=(0, 0)), RuntimeError, "must be unique"),
        (lambda: torch.fft.fft(torch.tensor(1.0)), IndexError, "no dimensions"),
        (lambda: torch.stft(x, 2, window=torch.ones(2)), RuntimeError, "return_complex"),
        (lambda: torch.hann_window(-1), RuntimeError, "non-negative window_length"),
        (lambda: torch.signal.windows.gaussian(4, std=0.0), ValueError, "must be positive"),
    ):
        with pytest.raises(error, match=text):
            call()
