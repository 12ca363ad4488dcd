"""Tables of vectors, looked up by index, as `torch.nn.modules.sparse`."""

from __future__ import annotations

from typing import Any

from pullback import ops
from pullback.autograd import no_grad
from pullback.core._engine import Tensor
from pullback.face.absent import getter
from pullback.nn import functional as F
from pullback.nn import init
from pullback.nn.modules.module import Module
from pullback.nn.parameter import Parameter

__all__ = ["Embedding", "EmbeddingBag"]


class _Table(Module):
    """What both tables hold: `weight`, with a row for each index."""

    weight: Parameter

    def _hold(
        self,
        rows: int,
        columns: int,
        padding_idx: int | None,
        words: str,
        given: Any,
        freeze: bool,
        where: Any,
    ) -> None:
        if padding_idx is not None:
            inside = padding_idx < rows if padding_idx > 0 else padding_idx >= -rows
            assert inside, f"{words} must be within num_embeddings"
            padding_idx += rows if padding_idx < 0 else 0
        self.padding_idx = padding_idx
        if given is None:
            self.weight = Parameter(ops.empty((rows, columns), **where), requires_grad=not freeze)
            self.reset_parameters()
        else:
            assert list(given.shape) == [rows, columns], (
                "Shape of weight does not match num_embeddings and embedding_dim"
            )
            self.weight = Parameter(given, requires_grad=not freeze)

    def reset_parameters(self) -> None:
        """Draws the weight anew, normally; the row of `padding_idx` is zero."""
        init.normal_(self.weight)
        if self.padding_idx is not None:
            with no_grad():
                self.weight[self.padding_idx].fill_(0)

    def _repr_of(self, names: str) -> str:
        text = f"{self.num_embeddings}, {self.embedding_dim}"
        for name in names.split():
            value = getattr(self, name)
            usual = {"norm_type": 2, "scale_grad_by_freq": False, "sparse": False}.get(name)
            text += f", {name}={value!r}" if value != usual else ""
        return text


class Embedding(_Table):
    """The rows of `weight`, (num_embeddings, embedding_dim), that stand at the indices of the input.

    The result has the shape of the input and one dim more. The row of `padding_idx` starts as zero and gets
    no gradient. With `max_norm` rows that are looked up are first scaled down to that norm, in place.

    >>> import pullback as torch
    >>> torch.nn.Embedding(10, 3)(torch.tensor([[1, 2, 4, 5], [4, 3, 2, 9]])).shape
    torch.Size([2, 4, 3])
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
        _weight: Tensor | None = None,
        _freeze: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.padding_idx = None
        self.max_norm, self.norm_type = max_norm, norm_type
        self.scale_grad_by_freq, self.sparse = scale_grad_by_freq, sparse
        where = {"device": device, "dtype": dtype}
        self._hold(num_embeddings, embedding_dim, padding_idx, "Padding_idx", _weight, _freeze, where)

    def forward(self, input: Tensor) -> Tensor:
        return F.embedding(
            input,
            self.weight,
            self.padding_idx,
            self.max_norm,
            self.norm_type,
            self.scale_grad_by_freq,
            self.sparse,
        )

    def extra_repr(self) -> str:
        text = self._repr_of("padding_idx max_norm norm_type scale_grad_by_freq")
        return text + (", sparse=True" if self.sparse else "")

    @classmethod
    def from_pretrained(
        cls,
        embeddings: Tensor,
        freeze: bool = True,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
    ) -> Embedding:
        """An Embedding with these rows; unless `freeze` is False they are not learned."""
        assert embeddings.ndim == 2, "Embeddings parameter is expected to be 2-dimensional"
        rows, columns = embeddings.shape
        options = padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse, embeddings, freeze
        return cls(rows, columns, *options)


class EmbeddingBag(_Table):
    """The sums, means or maxima of bags of rows of `weight`, without the rows themselves.

    Bags are the rows of a 2-dim input, or begin in a 1-dim input at `offsets`. `mode` is "sum", "mean" or
    "max"; with "sum" the rows may be weighted by `per_sample_weights`.

    >>> import pullback as torch
    >>> bags = torch.nn.EmbeddingBag(10, 3, mode="sum")
    >>> bags(torch.tensor([1, 2, 4, 5, 4, 3, 2, 9]), torch.tensor([0, 4])).shape
    torch.Size([2, 3])
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        mode: str = "mean",
        sparse: bool = False,
        _weight: Tensor | None = None,
        include_last_offset: bool = False,
        padding_idx: int | None = None,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.max_norm, self.norm_type, self.scale_grad_by_freq = max_norm, norm_type, scale_grad_by_freq
        self.padding_idx = None
        where = {"device": device, "dtype": dtype}
        self._hold(num_embeddings, embedding_dim, padding_idx, "padding_idx", _weight, False, where)
        self.mode, self.sparse, self.include_last_offset = mode, sparse, include_last_offset

    def forward(
        self, input: Tensor, offsets: Tensor | None = None, per_sample_weights: Tensor | None = None
    ) -> Tensor:
        return F.embedding_bag(
            input,
            self.weight,
            offsets,
            self.max_norm,
            self.norm_type,
            self.scale_grad_by_freq,
            self.mode,
            self.sparse,
            per_sample_weights,
            self.include_last_offset,
            self.padding_idx,
        )

    def extra_repr(self) -> str:
        return self._repr_of("max_norm norm_type scale_grad_by_freq mode padding_idx")

    @classmethod
    def from_pretrained(
        cls,
        embeddings: Tensor,
        freeze: bool = True,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        mode: str = "mean",
        sparse: bool = False,
        include_last_offset: bool = False,
        padding_idx: int | None = None,
    ) -> EmbeddingBag:
        """An EmbeddingBag with these rows; unless `freeze` is False they are not learned."""
        assert embeddings.ndim == 2, "Embeddings parameter is expected to be 2-dimensional"
        options = max_norm, norm_type, scale_grad_by_freq, mode, sparse, embeddings, include_last_offset
        rows, columns = embeddings.shape
        made = cls(rows, columns, *options, padding_idx)
        made.weight.requires_grad = not freeze
        return made


__getattr__ = getter(__name__)
