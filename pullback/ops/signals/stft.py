"""Short-time Fourier transforms: the spectra of windows that slide over a signal, and back.

Both are made of ops: windows are a view (`unfold`), the transform is that of fft.py, and the windows
are added up again by `unfold_sum`. So they have derivatives in the signal and in the window.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pullback import ops
from pullback.core._engine import Tensor, from_array
from pullback.core.settings import warn_each_time
from pullback.ops.arrays.split import unfold, unfold_sum
from pullback.ops.shared.batches import has_samples
from pullback.ops.shared.forms import explained
from pullback.ops.signals.fft import _c2c, _c2r, _r2c


def _extended(x: Tensor, pad: int, mode: str) -> Tensor:
    """A signal extended by `pad` on both sides."""
    length = x.shape[-1]
    if mode == "constant":
        return ops.constant_pad_nd(x, (pad, pad))
    if mode == "reflect":
        if pad >= length:
            raise RuntimeError(
                "Argument #4: Padding size should be less than the corresponding input dimension, "
                f"but got: padding ({pad}, {pad}) at dimension 2 of input {[1, 1, length]}"
            )
        ends = [ops.flip(ops.narrow(x, -1, start, pad), [-1]) for start in (1, length - pad - 1)]
        return ops.cat([ends[0], x, ends[1]], -1)
    index = np.arange(-pad, length + pad)
    if mode == "replicate":
        index = index.clip(0, length - 1)
    elif mode == "circular":
        index = index % length
    else:
        raise NotImplementedError(f"Unrecognised padding mode {mode}")
    return ops.index_select(x, -1, from_array(index, False, x.is_meta))


def _filled_window(window: Tensor | None, length: int, n_fft: int, like: Tensor) -> Tensor:
    """The window with zeros on both sides, a rectangle if there is none."""
    if window is None:
        kind = like.dtype.to_real() if like.dtype.kind == "c" else like.dtype
        window = ops.ones(length, dtype=kind, device=like.device)
    left = (n_fft - length) // 2
    return ops.constant_pad_nd(window, (left, n_fft - length - left)) if length < n_fft else window


def _warn_of_rectangle(window: Tensor | None, win_length: int, advice: str) -> None:
    if window is None and win_length > 1:
        warn_each_time(
            f"A window was not provided. A rectangular window will be applied{advice} To suppress this "
            "warning and use a rectangular window, explicitly set `window=torch.ones(n_fft)`.",
            UserWarning,
        )


def _call_text(name: str, x: Tensor, window: Tensor | None, **settings: Any) -> str:
    """The start of an error message: the call with its arguments."""
    if name == "stft":
        first = f"torch.{x.dtype.type_name}Tensor{list(x.shape)}"
    else:
        first = f"CPU{x.dtype.type_name}Type{list(x.shape)}"
    last = "None" if window is None else f"torch.{window.dtype.type_name}Tensor{{{list(window.shape)}}}"
    parts = [first]
    for key, value in settings.items():
        parts.append(f"{key}={int(value) if isinstance(value, bool) else value}")
        if key == "win_length":
            parts.append(f"window={last}")
    return f"{name}({', '.join(parts)}) "


def _check_stft(told: str, x: Tensor, n_fft: int, hop: int, win_length: int, window: Any) -> None:
    if x.dtype.kind not in "fc":
        raise RuntimeError(f"{told}: expected a tensor of floating point or complex values")
    if not 1 <= x.ndim <= 2:
        raise RuntimeError(f"{told}: expected a 1D or 2D tensor")
    if not 0 < n_fft <= x.shape[-1]:
        raise RuntimeError(f"{told}: expected 0 < n_fft < {x.shape[-1]}, but got n_fft={n_fft}")
    if hop <= 0:
        raise RuntimeError(f"{told}: expected hop_length > 0, but got hop_length={hop}")
    if not 0 < win_length <= n_fft:
        raise RuntimeError(f"{told}: expected 0 < win_length <= n_fft, but got win_length={win_length}")
    if window is not None and tuple(window.shape) != (win_length,):
        raise RuntimeError(
            f"{told}: expected a 1D window tensor of size equal to win_length={win_length}, "
            f"but got window with size {list(window.shape)}"
        )


def stft(
    input: Tensor,
    n_fft: int,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: Tensor | None = None,
    center: bool = True,
    pad_mode: str = "reflect",
    normalized: bool = False,
    onesided: bool | None = None,
    return_complex: bool | None = None,
    align_to_window: bool | None = None,
) -> Tensor:
    """The spectra of windows of `n_fft` samples, `hop_length` (n_fft // 4) apart: (..., frequency, frame).

    The signal has one or two dims. With `center` it is extended by half a window on both sides, as
    `pad_mode` says. Of real signals the first n_fft // 2 + 1 frequencies are given. `normalized` divides
    by sqrt(n_fft). RuntimeError if sizes do not fit.

    >>> import pullback as torch
    >>> torch.stft(torch.ones(8), 4, window=torch.hann_window(4), return_complex=True).shape
    torch.Size([3, 9])
    """
    hop = n_fft // 4 if hop_length is None else hop_length
    length = n_fft if win_length is None else win_length
    _warn_of_rectangle(window, length, ", which is known to cause spectral leakage.")
    is_complex = input.dtype.kind == "c" or (window is not None and window.dtype.kind == "c")
    if return_complex is None and not is_complex:
        raise RuntimeError(
            "stft requires the return_complex parameter be given for real inputs, and will further require "
            "that return_complex=True in a future PyTorch release."
        )
    if center and align_to_window is not None:
        raise RuntimeError("stft align_to_window should only be set when center = false")
    x = _extended(input, n_fft // 2, pad_mode) if center and input.ndim in (1, 2) else input
    told = _call_text(
        "stft",
        x,
        window,
        n_fft=n_fft,
        hop_length=hop,
        win_length=length,
        normalized=normalized,
        onesided=onesided,
        return_complex=return_complex,
        align_to_window=align_to_window,
    )
    _check_stft(told, x, n_fft, hop, length, window)
    if onesided and is_complex:
        raise RuntimeError("Cannot have onesided output if window or input is complex")
    if align_to_window:
        left = (n_fft - length) // 2
        x = ops.constant_pad_nd(x, (left, n_fft - length - left))
    spectrum = _spectra(x, n_fft, hop, _filled_window(window, length, n_fft, x), normalized, onesided)
    result = ops.transpose(spectrum, -1, -2)
    return ops.view_as_real(result) if return_complex is False else result


def _spectra(
    x: Tensor, n_fft: int, hop: int, window: Tensor, normalized: bool, onesided: bool | None
) -> Tensor:
    """The transforms of windows: (..., frame, frequency)."""
    frames = unfold(x, -1, n_fft, hop) * window
    if frames.dtype.itemsize == 2:
        raise RuntimeError(f"MKL FFT doesn't support tensors of type: {frames.dtype.type_name}")
    dim, scale = (frames.ndim - 1,), int(normalized)
    if frames.dtype.kind == "c":
        return _c2c(frames, dim, scale, True)
    return _r2c(frames, dim, scale, onesided is not False)


def _check_istft(
    told: str, x: Tensor, n_fft: int, hop: int, win_length: int, window: Any, onesided: bool
) -> None:
    if not x.numel():
        raise RuntimeError(f"{told}: input tensor cannot be empty.")
    if x.ndim not in (2, 3):
        raise RuntimeError(f"{told}: expected a tensor with 3 or 4 dimensions, but got {x.ndim + 1}")
    wanted, text = (n_fft // 2 + 1, "n_fft / 2 + 1") if onesided else (n_fft, "n_fft")
    if x.shape[-2] != wanted:
        raise RuntimeError(
            f"{told}: expected the frequency dimension (3rd to the last) of the input tensor to match "
            f"{text} when onesided={onesided}, but got {x.shape[-2]}"
        )
    if not 0 < hop <= win_length:
        raise RuntimeError(f"{told}: expected 0 < hop_length <= win_length")
    if not 0 < win_length <= n_fft:
        raise RuntimeError(f"{told}: expected 0 < win_length <= n_fft")
    if window is not None and tuple(window.shape) != (win_length,):
        raise RuntimeError(f"{told}: Invalid window shape. window has to be 1D and length of `win_length`")


def istft(
    input: Tensor,
    n_fft: int,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: Tensor | None = None,
    center: bool = True,
    normalized: bool = False,
    onesided: bool | None = None,
    length: int | None = None,
    return_complex: bool = False,
) -> Tensor:
    """The signal of the spectra that `stft` gave with the same settings, the first `length` of it.

    Windows are added up and divided by the sum of the squared windows. RuntimeError where that sum is
    zero, and if sizes do not fit.

    >>> import pullback as torch
    >>> x, w = torch.arange(8.0), torch.hann_window(4)
    >>> torch.istft(torch.stft(x, 4, window=w, return_complex=True), 4, window=w)
    tensor([0., 1., 2., 3., 4., 5., 6., 7.])
    """
    hop = n_fft // 4 if hop_length is None else hop_length
    win_length = n_fft if win_length is None else win_length
    _warn_of_rectangle(window, win_length, ".Please provide the same window used by stft.")
    if input.dtype.kind != "c":
        raise RuntimeError(
            "istft requires a complex-valued input tensor matching the output from stft with "
            "return_complex=True."
        )
    settings: dict[str, Any] = {"n_fft": n_fft, "hop_length": hop, "win_length": win_length, "center": center}
    settings |= {"normalized": normalized, "onesided": onesided, "length": length}
    told = _call_text("istft", input, window, **settings, return_complex=return_complex)
    half = input.shape[-2] != n_fft if onesided is None else onesided
    _check_istft(told, input, n_fft, hop, win_length, window, half)
    if return_complex and half:
        raise RuntimeError("Cannot have onesided output if window or input is complex")
    if not return_complex and window is not None and window.dtype.kind == "c":
        raise RuntimeError("Complex windows are incompatible with return_complex=False")
    frames = _frames(ops.transpose(input, -1, -2), n_fft, normalized, half, return_complex)
    filled = _filled_window(window, win_length, n_fft, input)
    count = frames.shape[-2]
    total = n_fft + hop * (count - 1)
    signal = unfold_sum(frames * filled, (*frames.shape[:-2], total), -1, n_fft, hop)
    squares = ops.expand(filled * filled, (count, n_fft))
    envelope = unfold_sum(squares, (total,), -1, n_fft, hop)
    return _trimmed(told, signal, envelope, n_fft // 2 if center else 0, center, length)


def _frames(x: Tensor, n_fft: int, normalized: bool, half: bool, to_complex: bool) -> Tensor:
    """The windows of samples behind spectra."""
    dim, scale = (x.ndim - 1,), 1 if normalized else 2
    if to_complex:
        return _c2c(x, dim, scale, False)
    if not half:
        x = ops.narrow(x, -1, 0, n_fft // 2 + 1)
    return _c2r(x, dim, scale, n_fft)


def _trimmed(
    told: str, signal: Tensor, envelope: Tensor, start: int, center: bool, length: int | None
) -> Tensor:
    """The signal over its envelope, without what `center` added, at the length asked for."""
    end = signal.shape[-1] - start if length is None else min(start + length, signal.shape[-1])
    signal = ops.narrow(signal, -1, start, end - start)
    envelope = ops.narrow(envelope, -1, start, end - start)
    if not has_samples(envelope):
        smallest = np.abs(envelope.detach()._array).min(initial=np.inf)
        if not (smallest > 1e-11 or envelope.is_meta):
            raise RuntimeError(f"{told}window overlap add min: 1\n[ CPUBoolType{{}} ]")
    result = signal / envelope
    short = 0 if length is None else length - result.shape[-1]
    if short > 0:
        warn_each_time(
            "The length of signal is shorter than the length parameter. Result is being padded with zeros "
            "in the tail. Please check your center and hop_length settings.",
            UserWarning,
        )
        result = ops.constant_pad_nd(result, (0, short))
    return result


stft = explained(stft)
istft = explained(istft)
