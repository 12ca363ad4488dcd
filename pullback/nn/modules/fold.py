"""Images as matrices of their patches, and back, as `torch.nn.modules.fold`."""

from __future__ import annotations

from collections.abc import Sequence

from pullback.face.absent import getter
from pullback.nn.modules._declared import Layer

__all__ = ["Fold", "Unfold"]

Ints = int | Sequence[int]


class Fold(Layer, of="fold"):
    """Sums patches, (N, C * prod(kernel_size), L), into images (N, C, *output_size): the transpose of Unfold.

    >>> import pullback as torch
    >>> torch.nn.Fold(output_size=(4, 5), kernel_size=(2, 2))(torch.randn(1, 3 * 2 * 2, 12)).shape
    torch.Size([1, 3, 4, 5])
    """

    output_size: Ints
    kernel_size: Ints
    dilation: Ints = 1
    padding: Ints = 0
    stride: Ints = 1


class Unfold(Layer, of="unfold"):
    """The patches of images (N, C, H, W) as columns: (N, C * prod(kernel_size), L).

    >>> import pullback as torch
    >>> torch.nn.Unfold(kernel_size=(2, 3))(torch.randn(2, 5, 3, 4)).shape
    torch.Size([2, 30, 4])
    """

    kernel_size: Ints
    dilation: Ints = 1
    padding: Ints = 0
    stride: Ints = 1


__getattr__ = getter(__name__)
