"""Which blocks of a score matrix a mask lets through: `BlockMask`, and how it is made of a function.

`pullback.nn.attention.flex_attention` offers these names, as PyTorch does.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, Self

from pullback import ops
from pullback.core._engine import Tensor
from pullback.core.dtypes import bool_, int32
from pullback.func import vmap

Mod = Callable[..., Tensor]

_DEFAULT_SPARSE_BLOCK_SIZE = 128


def over_scores(mod: Mod, *scores: Tensor, sizes: tuple[int, int, int, int]) -> Tensor:
    """What a function of one score (if given) and its batch, head, query and key gives for each of them.

    The result has the shape `sizes`.
    """
    mapped = mod
    for place in (3, 2, 1, 0):
        mapped = vmap(mapped, (0,) * len(scores) + tuple(0 if k == place else None for k in range(4)))
    return mapped(*scores, *(ops.arange(size) for size in sizes))


def noop_mask(batch: Tensor, head: Tensor, token_q: Tensor, token_kv: Tensor) -> Tensor:
    """Lets everything through."""
    return batch.new_ones((), dtype=bool_)


def _check_mods(mods: tuple[Any, ...]) -> None:
    if not all(callable(mod) for mod in mods):
        raise RuntimeError(f"All inputs should be callable mask_mods: {mods}")


def and_masks(*mask_mods: Mod) -> Mod:
    """A mask that lets through what all of these do."""
    _check_mods(mask_mods)

    def and_mask(b: Tensor, h: Tensor, q_idx: Tensor, kv_idx: Tensor) -> Tensor:
        result = b.new_ones((), dtype=bool_)
        for mod in mask_mods:
            result = result & mod(b, h, q_idx, kv_idx)
        return result

    return and_mask


def or_masks(*mask_mods: Mod) -> Mod:
    """A mask that lets through what any of these does."""
    _check_mods(mask_mods)

    def or_mask(b: Tensor, h: Tensor, q_idx: Tensor, kv_idx: Tensor) -> Tensor:
        result = b.new_zeros((), dtype=bool_)
        for mod in mask_mods:
            result = result | mod(b, h, q_idx, kv_idx)
        return result

    return or_mask


def _sliced_mask_mod_error(batch: Tensor, head: Tensor, token_q: Tensor, token_kv: Tensor) -> Tensor:
    """The mask of a part of a BlockMask: its function would count from the beginning of the whole."""
    raise RuntimeError("Cannot use mask_mod from a sliced BlockMask")


def _takes_scores(mod: Mod) -> bool:
    """Whether a function takes a score besides its place; AssertionError if it takes neither 4 nor 5."""
    count = sum(
        p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
        for p in inspect.signature(mod).parameters.values()
    )
    assert count in (4, 5), f"Expected 4 or 5 positional args, got {count}"
    return count == 5


def create_mask(
    mod_fn: Mod, B: int | None, H: int | None, Q_LEN: int, KV_LEN: int, device: Any = None
) -> Tensor:
    """The mask (B, H, Q_LEN, KV_LEN) of a `mask_mod`, or of where a `score_mod` is not minus infinity.

    >>> from pullback.nn.attention.flex_attention import create_mask
    >>> create_mask(lambda b, h, q, kv: q >= kv, None, None, 2, 3)
    tensor([[[[ True, False, False],
              [ True,  True, False]]]])
    """
    sizes = (1 if B is None else B, 1 if H is None else H, Q_LEN, KV_LEN)
    if _takes_scores(mod_fn):
        scores = over_scores(mod_fn, ops.zeros(sizes), sizes=sizes)
        return ~ops.isneginf(scores)
    return over_scores(mod_fn, sizes=sizes)


def _ordered(dense: Tensor) -> tuple[Tensor, Tensor]:
    """For each row of blocks how many are let through, and their columns first."""
    order = ops.argsort(dense.to(int32), stable=True, dim=-1, descending=True)
    return dense.sum(-1).to(int32), order.to(int32)


def _dense(counts: Tensor | None, indices: Tensor | None) -> Any:
    """The blocks as a matrix of 0 and 1; the number 0 without any."""
    if counts is None or indices is None:
        return 0
    columns = indices.shape[-1]
    places = ops.where(ops.arange(columns) < counts.unsqueeze(-1), indices, columns)  # past the end: none
    dense = indices.new_zeros((*indices.shape[:-1], columns + 1))
    return dense.scatter(-1, places.long(), 1)[..., :columns]


_PAIRS = (
    ("kv_num_blocks", "kv_indices"),
    ("full_kv_num_blocks", "full_kv_indices"),
    ("q_num_blocks", "q_indices"),
    ("full_q_num_blocks", "full_q_indices"),
)
_ORDERS = ("dq_write_order", "dq_write_order_full", "dq_kv_order", "dq_kv_order_spt")


class BlockMask:
    """Which blocks of `BLOCK_SIZE` queries and keys take part in attention, and the mask within them.

    `kv_num_blocks` (B, H, rows) counts, for each row of blocks, those that are let through in part;
    `kv_indices` (B, H, rows, columns) has their columns first. `full_kv_num_blocks` and `full_kv_indices` say
    so of those let through whole, and the names with `q` of columns. Made by `create_block_mask`.
    """

    def __init__(
        self,
        seq_lengths: tuple[int, int],
        kv_num_blocks: Tensor,
        kv_indices: Tensor,
        full_kv_num_blocks: Tensor | None,
        full_kv_indices: Tensor | None,
        q_num_blocks: Tensor | None,
        q_indices: Tensor | None,
        full_q_num_blocks: Tensor | None,
        full_q_indices: Tensor | None,
        BLOCK_SIZE: tuple[int, int] = (_DEFAULT_SPARSE_BLOCK_SIZE, _DEFAULT_SPARSE_BLOCK_SIZE),
        mask_mod: Mod = noop_mask,
        *,
        dq_write_order: Tensor | None = None,
        dq_write_order_full: Tensor | None = None,
        dq_kv_order: Tensor | None = None,
        dq_kv_order_spt: bool | None = None,
    ) -> None:
        if kv_indices.dim() < 2:
            raise RuntimeError("BlockMask must have at least 2 dimensions")
        both = "{} and {} must be both provided or omitted"
        assert (full_kv_num_blocks is None) == (full_kv_indices is None), both.format(*_PAIRS[1])
        assert (full_q_num_blocks is None) == (full_q_indices is None), both.format(*_PAIRS[3])
        self.seq_lengths, self.BLOCK_SIZE, self.mask_mod = seq_lengths, BLOCK_SIZE, mask_mod
        self.kv_num_blocks, self.kv_indices = kv_num_blocks, kv_indices
        self.full_kv_num_blocks, self.full_kv_indices = full_kv_num_blocks, full_kv_indices
        self.q_num_blocks, self.q_indices = q_num_blocks, q_indices
        self.full_q_num_blocks, self.full_q_indices = full_q_num_blocks, full_q_indices
        self.dq_write_order, self.dq_write_order_full = dq_write_order, dq_write_order_full
        self.dq_kv_order, self.dq_kv_order_spt = dq_kv_order, dq_kv_order_spt

    @classmethod
    def from_kv_blocks(
        cls,
        kv_num_blocks: Tensor,
        kv_indices: Tensor,
        full_kv_num_blocks: Tensor | None = None,
        full_kv_indices: Tensor | None = None,
        BLOCK_SIZE: int | tuple[int, int] = _DEFAULT_SPARSE_BLOCK_SIZE,
        mask_mod: Mod | None = None,
        seq_lengths: tuple[int, int] | None = None,
        compute_q_blocks: bool = True,
        *,
        dq_write_order: Tensor | None = None,
        dq_write_order_full: Tensor | None = None,
        dq_kv_order: Any = None,
    ) -> Self:
        """A BlockMask of what is said of its rows; the columns follow from that."""
        if kv_indices.dim() < 2:
            raise RuntimeError("BlockMask must have at least 2 dimensions")
        both = "{} and {} must be both provided or omitted"
        assert (full_kv_num_blocks is None) == (full_kv_indices is None), both.format(*_PAIRS[1])
        size = (BLOCK_SIZE, BLOCK_SIZE) if isinstance(BLOCK_SIZE, int) else BLOCK_SIZE
        columns: list[Any] = [None] * 4
        if compute_q_blocks:
            columns[:2] = _ordered(_dense(kv_num_blocks, kv_indices).mT)
            if full_kv_num_blocks is not None:
                columns[2:] = _ordered(_dense(full_kv_num_blocks, full_kv_indices).mT)
        if seq_lengths is None:
            seq_lengths = kv_indices.shape[-2] * size[0], kv_indices.shape[-1] * size[1]
        rows = kv_num_blocks, kv_indices, full_kv_num_blocks, full_kv_indices
        given: Any = (seq_lengths, *rows, *columns, size, mask_mod or noop_mask)
        return cls(
            *given,
            dq_write_order=dq_write_order,
            dq_write_order_full=dq_write_order_full,
            dq_kv_order=dq_kv_order if isinstance(dq_kv_order, Tensor) else None,
        )

    def as_tuple(self, flatten: bool = True) -> tuple[Any, ...]:
        """All that it holds."""
        head = self.seq_lengths if flatten else (self.seq_lengths,)
        size = self.BLOCK_SIZE if flatten else (self.BLOCK_SIZE,)
        parts = [getattr(self, name) for pair in _PAIRS for name in pair]
        return (*head, *parts, *(getattr(self, name) for name in _ORDERS), *size, self.mask_mod)

    @property
    def shape(self) -> tuple[int, ...]:
        """(batch, heads, queries, keys)."""
        return (*self.kv_indices.shape[:-2], *self.seq_lengths)

    def numel(self) -> int:
        """The number of scores."""
        count = 1
        for size in self.shape:
            count *= size
        return count

    def sparsity(self) -> float:
        """How much of the scores lies in no block, in percent; below 0 where blocks reach beyond them."""
        blocks = int(self.kv_num_blocks.sum())
        if self.full_kv_num_blocks is not None:
            blocks += int(self.full_kv_num_blocks.sum())
        return 100 * (1 - blocks * self.BLOCK_SIZE[0] * self.BLOCK_SIZE[1] / self.numel())

    def to_dense(self) -> Tensor:
        """A matrix (..., rows, columns) of blocks: 1 for one that takes part."""
        found: Tensor = _dense(self.kv_num_blocks, self.kv_indices)
        return found + _dense(self.full_kv_num_blocks, self.full_kv_indices)

    def to(self, device: Any) -> BlockMask:
        """A copy with its tensors on a device."""
        parts = [getattr(self, name) for pair in _PAIRS for name in pair]
        moved = [x if x is None else x.to(device) for x in parts]
        orders: Any = {name: getattr(self, name) for name in _ORDERS}
        given: Any = (self.seq_lengths, *moved, self.BLOCK_SIZE, self.mask_mod)
        return BlockMask(*given, **orders)

    def _adjust(self, new_q_len: int, new_kv_len: int) -> BlockMask:
        """The upper left corner, for shorter sequences."""
        rows, columns = (-(-n // b) for n, b in zip((new_q_len, new_kv_len), self.BLOCK_SIZE, strict=True))
        parts: list[Any] = []
        for counts, indices in _PAIRS[:2]:
            dense = _dense(getattr(self, counts), getattr(self, indices))
            parts += _ordered(dense[..., :rows, :columns]) if isinstance(dense, Tensor) else [None, None]
        given: Any = (*parts, self.BLOCK_SIZE, self.mask_mod, (new_q_len, new_kv_len))
        return self.from_kv_blocks(*given)

    def __getitem__(self, index: Any) -> BlockMask:
        """The mask of some batches and heads (and rows of blocks), to look at."""
        places = index if isinstance(index, tuple) else (index,)
        kept = tuple([slice(i, i + 1 or None) if isinstance(i, int) else i for i in places[:3]])
        parts = [getattr(self, name) for pair in _PAIRS[:2] for name in pair]
        some = [x if x is None else x[kept] for x in parts]
        given: Any = (*some, self.BLOCK_SIZE, _sliced_mask_mod_error, self.seq_lengths)
        return self.from_kv_blocks(*given)

    def to_string(self, grid_size: int | tuple[int, int] = (20, 20), limit: int = 4) -> str:
        """The blocks as characters, for the first `limit` heads: whole, in part or not at all let through.

        A grid of more than `grid_size` rows or columns is drawn smaller; -1 draws it as it is.
        """
        most = (grid_size, grid_size) if isinstance(grid_size, int) else grid_size
        dense = self.to_dense()
        heads = dense.reshape(-1, *dense.shape[-2:])
        drawn = []
        for k in range(min(limit, len(heads))):
            place: list[int] = []
            rest = k
            for size in reversed(dense.shape[:-2]):
                rest, at = divmod(rest, size)
                place.insert(0, at)
            drawn.append(f"{tuple(place)}\n{_drawn(heads[k].tolist(), most)}")
        if len(heads) > limit:
            drawn.append(
                "...\nTo print out more, set BlockMask.to_string(limit=N)\nYou can also index "
                "(BlockMask[batch, head]) to choose a specific batch or head"
            )
        return "\n".join(drawn)

    def __str__(self) -> str:
        picture = self.to_string().strip()
        return f"BlockMask(shape={self.shape}, sparsity={self.sparsity():.2f}%, \n{picture}\n)"

    def __repr__(self) -> str:
        def shape_of(x: Tensor | None) -> Any:
            return None if x is None else x.shape

        lines = [f"{name}={shape_of(getattr(self, name))}" for pair in _PAIRS for name in pair]
        lines += [f"BLOCK_SIZE={self.BLOCK_SIZE}", f"shape={self.shape}"]
        lines += [f"sparsity={self.sparsity():.2f}%"]
        lines += [f"mask_mod={getattr(self.mask_mod, '__name__', self.mask_mod)}"]
        return "BlockMask(\n" + ",\n".join(f"    {line}" for line in lines) + "\n)"


def _drawn(rows: list[list[int]], most: tuple[int, int]) -> str:
    """Rows of blocks as lines of characters, in a grid of at most this size."""
    high, wide = (
        -(-count // size) if size > 0 else 1
        for count, size in zip((len(rows), len(rows[0]) if rows else 0), most, strict=True)
    )
    text = ""
    for i in range(0, len(rows), max(high, 1)):
        for j in range(0, len(rows[0]), max(wide, 1)):
            blocks = [block for row in rows[i : i + high] for block in row[j : j + wide]]
            text += "██" if all(blocks) else "░░" if any(blocks) else "  "
        text += "\n"
    return text


def create_block_mask(
    mask_mod: Mod,
    B: int | None,
    H: int | None,
    Q_LEN: int,
    KV_LEN: int,
    device: Any = None,
    BLOCK_SIZE: int | tuple[int, int] = _DEFAULT_SPARSE_BLOCK_SIZE,
    _compile: bool = False,
    separate_full_blocks: bool = True,
    compute_dq_write_order: bool = False,
    dq_kv_order: bool = True,
) -> BlockMask:
    """The BlockMask of a function of batch, head, query and key that says which scores take part.

    B or H is None where the mask does not depend on it.

    >>> from pullback.nn.attention.flex_attention import create_block_mask
    >>> create_block_mask(lambda b, h, q, kv: q >= kv, None, None, 256, 256).sparsity()
    25.0
    """
    scored = _takes_scores(mask_mod)
    assert not scored, f"create-block_mask requires a mask_mod function! Got {mask_mod}"
    size = (BLOCK_SIZE, BLOCK_SIZE) if isinstance(BLOCK_SIZE, int) else BLOCK_SIZE
    rows, columns = size
    mask = create_mask(mask_mod, B, H, Q_LEN, KV_LEN, device)
    assert mask.dtype == bool_, f"mask.dtype must be torch.bool, got {mask.dtype}"
    mask = ops.constant_pad_nd(mask, (0, -KV_LEN % columns, 0, -Q_LEN % rows), 0)
    counts = -(-Q_LEN // rows), -(-KV_LEN // columns)
    within = mask.reshape(*mask.shape[:2], counts[0], rows, counts[1], columns).sum((3, 5))
    full = (within == rows * columns) & separate_full_blocks
    parts = [*_ordered((within > 0) & ~full), *(_ordered(full) if separate_full_blocks else (None, None))]
    given: Any = (*parts, size, mask_mod, (Q_LEN, KV_LEN))
    return BlockMask.from_kv_blocks(*given)
