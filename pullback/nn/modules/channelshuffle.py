"""Channels in another order, as `torch.nn.modules.channelshuffle`."""

from __future__ import annotations

from pullback.face.absent import getter
from pullback.nn.modules._declared import Layer

__all__ = ["ChannelShuffle"]


class ChannelShuffle(Layer, of="channel_shuffle"):
    """Deals the channels of (N, C, ...) out: first the first of each of the `groups`, then the second, ...

    >>> import pullback as torch
    >>> torch.nn.ChannelShuffle(2)(torch.arange(4.0).view(1, 4, 1, 1)).flatten()
    tensor([0., 2., 1., 3.])
    """

    groups: int


__getattr__ = getter(__name__)
