"""Packed sequences: padded ones without the padding, time after time, and back.

At each time stand the sequences that last so long, the longest first; `batch_sizes` says how many.
Both directions are one pick of rows, so gradients and transforms follow from `index_select`.
"""

from __future__ import annotations

from pullback import ops
from pullback.core._engine import Tensor, from_array
from pullback.core.dtypes import int64
from pullback.core.op import function
from pullback.kernels.moves import packed_rows, padded_rows
from pullback.ops.shared.flat_indices import compact


def _wrong_lengths(lengths: Tensor, batch: int) -> RuntimeError:
    """The error for lengths that are not one for each sequence, positive and in falling order."""
    if lengths.dtype is not int64 or lengths.ndim != 1:
        return RuntimeError(
            f"'lengths' argument should be a 1D CPU int64 tensor, but got {lengths.ndim}D cpu "
            f"{lengths.dtype.type_name} tensor"
        )
    if len(lengths) != batch:
        return RuntimeError(
            f"Expected `len(lengths)` to be equal to batch_size, but got {len(lengths)} (batch_size={batch})"
        )
    if lengths.tolist()[-1] <= 0:
        return RuntimeError(
            "Length of all samples has to be greater than 0, but found an element in 'lengths' that is <= 0"
        )
    return RuntimeError(
        "`lengths` array must be sorted in decreasing order when `enforce_sorted` is True. You can "
        "pass `enforce_sorted=False` to pack_padded_sequence and/or pack_sequence to sidestep this "
        "requirement if you do not need ONNX exportability."
    )


@function(name="_pack_padded_sequence", places="t")
def pack_padded(input: Tensor, lengths: Tensor, batch_first: bool) -> tuple[Tensor, Tensor]:
    """The data of padded sequences (T, N, *) without padding, and the batch size of each time.

    RuntimeError for lengths that do not fall, are not positive, or are not one for each sequence.
    """
    padded = ops.transpose(input, 0, 1) if batch_first else input
    times, batch = padded.shape[:2]
    if not padded.numel():
        raise RuntimeError("Cannot pack empty tensors.")
    found = packed_rows(compact(lengths._array), times) if lengths.shape == (batch,) else None
    if found is None:
        raise _wrong_lengths(lengths, batch)
    rows, sizes = found
    flat = ops.reshape(padded, (times * batch, *padded.shape[2:]))
    return ops.index_select(flat, 0, from_array(rows)), from_array(sizes)


@function(name="_pad_packed_sequence", places="t")
def pad_packed(
    data: Tensor, batch_sizes: Tensor, batch_first: bool, padding_value: float, total_length: int
) -> tuple[Tensor, Tensor]:
    """Sequences (T, N, *) of packed data, filled up with a number, and their lengths.

    RuntimeError if `total_length`, where it is positive, is less than the longest sequence.
    """
    times = len(batch_sizes)
    if 0 < total_length < times:
        raise RuntimeError(
            "Expected total_length to be at least the length of the longest sequence in input, but got "
            f"total_length={total_length} and max sequence length being {times}"
        )
    found = padded_rows(compact(batch_sizes._array), total_length)
    if found is None:
        raise RuntimeError(
            "'batch_sizes' should be a 1D CPU int64 tensor in falling order, but got "
            f"{batch_sizes.ndim}D cpu {batch_sizes.dtype.type_name} tensor"
        )
    rows, kept, lengths = found
    result = ops.index_select(data, 0, from_array(rows.reshape(-1)))
    result = ops.reshape(result, (*kept.shape, *data.shape[1:]))
    if not kept.all():
        mask = from_array(kept.reshape(kept.shape + (1,) * (data.ndim - 1)))
        result = ops.where(mask, result, padding_value).to(data.dtype)
    return ops.transpose(result, 0, 1) if batch_first else result, from_array(lengths)
