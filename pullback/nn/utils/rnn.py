"""Sequences of several lengths: padded, packed, and back, as `torch.nn.utils.rnn`.

Packed, the elements of all sequences stand time by time, those of the longest sequence first, so that what
runs over them meets no padding. `batch_sizes` says how many there are at each time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, TypeVar

from pullback import ops
from pullback.core import dtypes
from pullback.core._engine import Tensor
from pullback.face.absent import getter

__all__ = [
    "PackedSequence",
    "invert_permutation",
    "pack_padded_sequence",
    "pack_sequence",
    "pad_packed_sequence",
    "pad_sequence",
    "unpack_sequence",
    "unpad_sequence",
]

_T = TypeVar("_T")
_R = TypeVar("_R")


class PackedSequence_(NamedTuple):
    """The four tensors of a PackedSequence."""

    data: Tensor
    batch_sizes: Tensor
    sorted_indices: Tensor | None
    unsorted_indices: Tensor | None


def bind(optional: _T | None, fn: Callable[[_T], _R]) -> _R | None:
    """`fn` of a value, None of None."""
    return None if optional is None else fn(optional)


class PackedSequence(PackedSequence_):
    """Sequences of several lengths without padding: what `pack_padded_sequence` makes, for recurrent layers.

    `sorted_indices` orders the batch by length, `unsorted_indices` puts it back; None where it is in order.
    """

    def __new__(
        cls,
        data: Any,
        batch_sizes: Tensor | None = None,
        sorted_indices: Tensor | None = None,
        unsorted_indices: Tensor | None = None,
    ) -> PackedSequence:
        if batch_sizes is None:
            assert isinstance(data, list | tuple) and len(data) == 2, (
                "Expected data to be a list or tuple of length 2"
            )
            data, batch_sizes = data
        if unsorted_indices is None:
            unsorted_indices = invert_permutation(sorted_indices)
        return super().__new__(cls, data, batch_sizes, sorted_indices, unsorted_indices)

    def to(self, *args: Any, **kwargs: Any) -> PackedSequence:
        """The sequence with its data moved or cast as `Tensor.to` does; itself if nothing changes."""
        data = self.data.to(*args, **kwargs)
        if data is self.data:
            return self
        return type(self)(data, self.batch_sizes, self.sorted_indices, self.unsorted_indices)

    def pin_memory(self) -> PackedSequence:
        """The sequence with its data in pinned memory."""
        return type(self)(self.data.pin_memory(), *self[1:])

    def cuda(self, *args: Any, **kwargs: Any) -> PackedSequence:
        """AssertionError: there are no GPUs here."""
        raise AssertionError("Torch not compiled with CUDA enabled")

    def cpu(self, *args: Any, **kwargs: Any) -> PackedSequence:
        """The sequence on the CPU, where it is."""
        return self.to("cpu")

    def double(self) -> PackedSequence:
        """The sequence with its data cast to float64."""
        return self.to(dtypes.float64)

    def float(self) -> PackedSequence:
        """The sequence with its data cast to float32."""
        return self.to(dtypes.float32)

    def half(self) -> PackedSequence:
        """The sequence with its data cast to float16."""
        return self.to(dtypes.float16)

    def long(self) -> PackedSequence:
        """The sequence with its data cast to int64."""
        return self.to(dtypes.int64)

    def int(self) -> PackedSequence:
        """The sequence with its data cast to int32."""
        return self.to(dtypes.int32)

    def short(self) -> PackedSequence:
        """The sequence with its data cast to int16."""
        return self.to(dtypes.int16)

    def char(self) -> PackedSequence:
        """The sequence with its data cast to int8."""
        return self.to(dtypes.int8)

    def byte(self) -> PackedSequence:
        """The sequence with its data cast to uint8."""
        return self.to(dtypes.uint8)

    @property
    def is_cuda(self) -> bool:
        """False: there are no GPUs here."""
        return self.data.is_cuda

    def is_pinned(self) -> bool:
        """Whether the data is in pinned memory."""
        return self.data.is_pinned()


def invert_permutation(permutation: Tensor | None) -> Tensor | None:
    """The permutation that undoes one; None of None.

    >>> import pullback as torch
    >>> torch.nn.utils.rnn.invert_permutation(torch.tensor([2, 0, 1]))
    tensor([1, 2, 0])
    """
    if permutation is None:
        return None
    places = ops.arange(0, permutation.numel())
    return ops.empty_like(permutation).scatter_(0, permutation, places.to(permutation.dtype))


def pack_padded_sequence(
    input: Tensor,
    lengths: Tensor | Sequence[int],
    batch_first: bool = False,
    enforce_sorted: bool = True,
) -> PackedSequence:
    """Packs padded sequences (T, B, ...), or (B, T, ...) with `batch_first`, of these lengths.

    RuntimeError unless the lengths fall; with `enforce_sorted=False` they are put in order.

    >>> import pullback as torch
    >>> x = torch.tensor([[1, 2, 0], [3, 0, 0], [4, 5, 6]])
    >>> packed = torch.nn.utils.rnn.pack_padded_sequence(x, [2, 1, 3], batch_first=True, enforce_sorted=False)
    >>> packed.data, packed.batch_sizes
    (tensor([4, 1, 3, 5, 2, 6]), tensor([3, 2, 1]))
    """
    sizes: Tensor = lengths if isinstance(lengths, Tensor) else ops.tensor(lengths, dtype=dtypes.int64)
    order = None
    if enforce_sorted:
        if (sizes[1:] > sizes[:-1]).any():
            raise RuntimeError(
                "`lengths` array must be sorted in decreasing order when `enforce_sorted` is True. You can "
                "pass `enforce_sorted=False` to pack_padded_sequence and/or pack_sequence to sidestep this "
                "requirement if you do not need ONNX exportability."
            )
    else:
        sizes, order = ops.sort(sizes, descending=True)
        input = input.index_select(0 if batch_first else 1, order)
    data, batch_sizes = ops.pack_padded(input, sizes.to(dtypes.int64), batch_first)
    return PackedSequence(data, batch_sizes, order, None)


def pad_packed_sequence(
    sequence: PackedSequence,
    batch_first: bool = False,
    padding_value: float = 0.0,
    total_length: int | None = None,
) -> tuple[Tensor, Tensor]:
    """The padded sequences that were packed, (T, B, ...), with `batch_first` (B, T, ...), and their lengths.

    T is that of the longest sequence, or `total_length`.
    """
    longest = sequence.batch_sizes.size(0)
    if total_length is not None:
        if total_length < longest:
            raise ValueError(
                "Expected total_length to be at least the length of the longest sequence in input, but got "
                f"total_length={total_length} and max sequence length being {longest}"
            )
        longest = total_length
    padded, lengths = ops.pad_packed(sequence.data, sequence.batch_sizes, batch_first, padding_value, longest)
    order = sequence.unsorted_indices
    if order is None:
        return padded, lengths
    return padded.index_select(0 if batch_first else 1, order), lengths[order]


def pad_sequence(
    sequences: Tensor | Iterable[Tensor],
    batch_first: bool = False,
    padding_value: float = 0.0,
    padding_side: str = "right",
) -> Tensor:
    """Stacks sequences (T, ...) of several lengths into one tensor, (T, B, ...) or (B, T, ...).

    >>> import pullback as torch
    >>> torch.nn.utils.rnn.pad_sequence([torch.ones(1), torch.ones(3)], batch_first=True)
    tensor([[1., 0., 0.],
            [1., 1., 1.]])
    """
    if not isinstance(sequences, Iterable):
        raise RuntimeError(
            f"pad_sequence: Expected iterable for input sequences, but got arg of type: {type(sequences)}"
        )
    given = list(sequences.unbind(0)) if isinstance(sequences, Tensor) else list(sequences)
    if not given:
        raise RuntimeError("received an empty list of sequences")
    if padding_side not in ("left", "right"):
        raise RuntimeError(f"Expected padding_side to be one of left or right, but got {padding_side}.")
    longest = max(x.shape[0] for x in given)
    made = []
    for x in given:
        missing = x.new_full((longest - x.shape[0], *x.shape[1:]), padding_value)
        made.append(ops.cat([x, missing] if padding_side == "right" else [missing, x]))
    return ops.stack(made, 0 if batch_first else 1)


def unpad_sequence(padded_sequences: Tensor, lengths: Tensor, batch_first: bool = False) -> list[Tensor]:
    """The sequences, of these lengths, that were padded by `pad_sequence`."""
    by_sample = padded_sequences if batch_first else padded_sequences.transpose(0, 1)
    return [x[: int(n)] for x, n in zip(by_sample, lengths, strict=False)]


def pack_sequence(sequences: Sequence[Tensor], enforce_sorted: bool = True) -> PackedSequence:
    """Packs sequences (T, ...) of several lengths. See `pack_padded_sequence`.

    >>> import pullback as torch
    >>> torch.nn.utils.rnn.pack_sequence([torch.tensor([1, 2]), torch.tensor([3])]).data
    tensor([1, 3, 2])
    """
    lengths = ops.tensor([x.size(0) for x in sequences])
    return pack_padded_sequence(pad_sequence(sequences), lengths, enforce_sorted=enforce_sorted)


def unpack_sequence(packed_sequences: PackedSequence) -> list[Tensor]:
    """The sequences that were packed by `pack_sequence`."""
    padded, lengths = pad_packed_sequence(packed_sequences, batch_first=True)
    return unpad_sequence(padded, lengths, batch_first=True)


__getattr__ = getter(__name__)
