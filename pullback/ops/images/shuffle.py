"""Channels moved into the image and back, and among each other: pixel_shuffle and its kin.

All are a reshape, a permutation, and a reshape, in one copy.
"""

from __future__ import annotations

from pullback.core.op import op
from pullback.core.types import Array
from pullback.ops.shared.batches import samples
from pullback.ops.shared.pieces import Pieces, assembled, plan_by


def _check_image(name: str, factor: str, a: Array, value: int) -> None:
    if a.ndim < 3:
        raise RuntimeError(
            f"{name} expects input to have at least 3 dimensions, but got input with {a.ndim} dimension(s)"
        )
    if value <= 0:
        raise RuntimeError(f"{name} expects a positive {factor}, but got {value}")


def _checked_shuffle(a: Array, r: int) -> tuple[int, ...]:
    """The shape, with channels for `r * r` pixels each."""
    _check_image("pixel_shuffle", "upscale_factor", a, r)
    if a.shape[-3] % (r * r):
        raise RuntimeError(
            "pixel_shuffle expects its input's 'channel' dimension to be divisible by the square of "
            f"upscale_factor, but input.size(-3)={a.shape[-3]} is not divisible by {r * r}"
        )
    return a.shape


def _checked_unshuffle(a: Array, r: int) -> tuple[int, ...]:
    """The shape, with a height and a width that are multiples of r."""
    _check_image("pixel_unshuffle", "downscale_factor", a, r)
    for what, dim in (("height", -2), ("width", -1)):
        if a.shape[dim] % r:
            raise RuntimeError(
                f"pixel_unshuffle expects {what} to be divisible by downscale_factor, but "
                f"input.size({dim})={a.shape[dim]} is not divisible by {r}"
            )
    return a.shape


def _checked_channels(self: Array, groups: int) -> tuple[int, ...]:
    """The shape, with as many channels for each group."""
    if self.ndim < 3:
        raise RuntimeError(
            f"channel_shuffle expects input with > 2 dims, but got input with sizes {list(self.shape)}"
        )
    if groups <= 0:
        raise RuntimeError(
            f"Number of groups to divide channels in must be positive. Value of groups:{groups}"
        )
    c = self.shape[1]
    if c % groups:
        raise RuntimeError(
            f"Number of channels must be divisible by groups. Got {c} channels and {groups} groups."
        )
    return self.shape


@op(
    places="t", aliases=("nn.functional.pixel_shuffle",), moves=True, linear=True, batch="leading", layout="F"
)
def pixel_shuffle(self: Array, upscale_factor: int) -> Array:
    """Channels moved into the image: (..., c * r * r, h, w) to (..., c, h * r, w * r).

    RuntimeError for a number of channels that is no multiple of `r * r`. The gradient is moved back.

    >>> import pullback as torch
    >>> torch.pixel_shuffle(torch.arange(4).view(4, 1, 1), 2)
    tensor([[[0, 1],
             [2, 3]]])
    """
    return assembled(_shuffled(self, upscale_factor), self.dtype)


def _shuffled(self: Array, r: int) -> Pieces:
    *batch, c, h, w = _checked_shuffle(self, r)
    b, c = len(batch), c // (r * r)
    parts = self.reshape(*batch, c, r, r, h, w).transpose(*range(b), b, b + 3, b + 1, b + 4, b + 2)
    return Pieces((*batch, c, h * r, w * r), [(..., parts)], seen=(*batch, c, h, r, w, r))


@op(
    places="t",
    aliases=("nn.functional.pixel_unshuffle",),
    moves=True,
    linear=True,
    batch="leading",
    layout="F",
)
def pixel_unshuffle(self: Array, downscale_factor: int) -> Array:
    """Pixels moved into channels: (..., c, h * r, w * r) to (..., c * r * r, h, w).

    RuntimeError for sizes that are no multiples of `r`. The gradient is moved back.

    >>> import pullback as torch
    >>> torch.pixel_unshuffle(torch.arange(4).view(1, 2, 2), 2).shape
    torch.Size([4, 1, 1])
    """
    return assembled(_unshuffled(self, downscale_factor), self.dtype)


def _unshuffled(self: Array, r: int) -> Pieces:
    *batch, c, h, w = _checked_unshuffle(self, r)
    b, h, w = len(batch), h // r, w // r
    parts = self.reshape(*batch, c, h, r, w, r).transpose(*range(b), b, b + 2, b + 4, b + 1, b + 3)
    return Pieces((*batch, c * r * r, h, w), [(..., parts)], seen=(*batch, c, r, r, h, w))


pixel_shuffle.prepare(plan_by(_shuffled))
pixel_unshuffle.prepare(plan_by(_unshuffled))
pixel_shuffle.vjp(self=lambda g, upscale_factor: pixel_unshuffle(g, upscale_factor))
pixel_unshuffle.vjp(self=lambda g, downscale_factor: pixel_shuffle(g, downscale_factor))


@op(places="t", aliases=("nn.functional.channel_shuffle",), moves=True, linear=True, layout="F")
def channel_shuffle(self: Array, groups: int) -> Array:
    """The channels (batch, c, ...) dealt out anew: those that were side by side in a group lie apart.

    RuntimeError for a number of channels that is no multiple of `groups`. The gradient is moved back.

    >>> import pullback as torch
    >>> torch.channel_shuffle(torch.arange(4).view(1, 4, 1), 2).flatten()
    tensor([0, 2, 1, 3])
    """
    return assembled(_channels_dealt(self, groups), self.dtype)


def _channels_dealt(self: Array, groups: int) -> Pieces:
    batch, c, *rest = _checked_channels(self, groups)
    parts = self.reshape(batch, groups, c // groups, *rest).swapaxes(1, 2)
    return Pieces(self.shape, [(..., parts)], seen=parts.shape)


channel_shuffle.vjp(self=lambda g, groups, self_shape: channel_shuffle(g, max(self_shape[1] // groups, 1)))


@op(places="t", aliases=("nn.functional.native_channel_shuffle",), moves=True, linear=True, layout="F")
def native_channel_shuffle(self: Array, groups: int) -> Array:
    """The same as `channel_shuffle`."""
    return channel_shuffle.kernel(self, groups)


native_channel_shuffle.vjp(
    self=lambda g, groups, self_shape: channel_shuffle(g, max(self_shape[1] // groups, 1))
)


for _record in (channel_shuffle, native_channel_shuffle):
    _record.prepare(plan_by(_channels_dealt))
    _record.batch(samples)
