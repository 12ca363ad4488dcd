"""Parametrizations of weights, as `torch.nn.utils.parametrizations`."""

from __future__ import annotations

from enum import Enum, auto
from typing import Any

from pullback import ops
from pullback.autograd import no_grad
from pullback.core import dtypes
from pullback.core._engine import Tensor
from pullback.face.absent import getter
from pullback.nn import functional as F
from pullback.nn.modules.conv import ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from pullback.nn.modules.module import Module
from pullback.nn.utils import parametrize

__all__ = ["orthogonal", "spectral_norm", "weight_norm"]


# --------------------------------------------------------------------------------------- orthogonal


class _OrthMaps(Enum):
    matrix_exp = auto()
    cayley = auto()
    householder = auto()


def _is_orthogonal(Q: Tensor, eps: float | None = None) -> bool:
    """Whether the columns are orthonormal."""
    width = Q.size(-1)
    same = ops.eye(width, dtype=Q.dtype, device=Q.device)
    allowed = 10.0 * width * dtypes.finfo(Q.dtype).eps if eps is None else eps
    return bool(ops.allclose(Q.mH @ Q, same, atol=allowed))


def _make_orthogonal(A: Tensor) -> Tensor:
    """The orthonormal columns that A is made of, with the signs of A."""
    X, tau = ops.geqrf(A)
    Q = ops.householder_product(X, tau)
    return Q * X.diagonal(dim1=-2, dim2=-1).sgn().unsqueeze(-2)


class _Orthogonal(Module):
    base: Tensor | None

    def __init__(self, weight: Tensor, orthogonal_map: _OrthMaps, *, use_trivialization: bool = True) -> None:
        super().__init__()
        if weight.is_complex() and orthogonal_map is _OrthMaps.householder:
            raise ValueError("The householder parametrization does not support complex tensors.")
        self.shape, self.orthogonal_map = weight.shape, orthogonal_map
        if use_trivialization:
            self.register_buffer("base", None)

    def forward(self, X: Tensor) -> Tensor:
        rows, columns = X.size(-2), X.size(-1)
        transposed = rows < columns
        if transposed:
            X, rows, columns = X.mT, columns, rows
        if self.orthogonal_map is _OrthMaps.householder:
            tau = 2.0 / (1.0 + X.tril(-1).pow(2).sum(dim=-2))
            unit = X.tril(diagonal=-1) + ops.eye(rows, columns, dtype=X.dtype, device=X.device)
            Q = ops.householder_product(unit, tau)
            Q = Q * X.diagonal(dim1=-2, dim2=-1).int().unsqueeze(-2)
        else:
            A = X.tril()
            if rows != columns:
                A = ops.cat([A, A.new_zeros(rows, rows - columns).expand(*A.shape[:-2], -1, -1)], dim=-1)
            A = A - A.mH
            if self.orthogonal_map is _OrthMaps.matrix_exp:
                Q = ops.matrix_exp(A)
            else:
                same = ops.eye(rows, dtype=A.dtype, device=A.device)
                Q = ops.solve(same - 0.5 * A, same + 0.5 * A)
            if rows != columns:
                Q = Q[..., :columns]
        if hasattr(self, "base") and self.base is not None:
            Q = self.base @ Q
        return Q.mT if transposed else Q

    @no_grad()
    def right_inverse(self, Q: Tensor) -> Tensor:
        """What `forward` makes Q of; where there is a `base`, it becomes Q and the rest the identity."""
        if Q.shape != self.shape:
            raise ValueError(
                f"Expected a matrix or batch of matrices of shape {self.shape}. Got a tensor of shape "
                f"{Q.shape}."
            )
        given = Q
        rows, columns = Q.size(-2), Q.size(-1)
        transposed = rows < columns
        if transposed:
            Q, rows, columns = Q.mT, columns, rows
        if not hasattr(self, "base"):
            if self.orthogonal_map is not _OrthMaps.householder:
                raise NotImplementedError(
                    "It is not possible to assign to the matrix exponential or the Cayley parametrizations "
                    "when use_trivialization=False."
                )
            A, tau = ops.geqrf(Q)
            A.diagonal(dim1=-2, dim2=-1).sign_()
            A.diagonal(dim1=-2, dim2=-1)[tau == 0.0] *= -1
            return A.mT if transposed else A
        if rows == columns:
            Q = _make_orthogonal(Q) if not _is_orthogonal(Q) else Q.clone()
        else:
            more = ops.randn(*Q.size()[:-2], rows, rows - columns, dtype=Q.dtype, device=Q.device)
            Q = _make_orthogonal(ops.cat([Q, more], dim=-1))
        self.base = Q
        neg_id = ops.zeros_like(given)
        neg_id.diagonal(dim1=-2, dim2=-1).fill_(-1.0)
        return neg_id


def orthogonal(
    module: Module,
    name: str = "weight",
    orthogonal_map: str | None = None,
    *,
    use_trivialization: bool = True,
) -> Module:
    """Makes a weight a matrix with orthonormal columns, or rows if they are fewer; returns the module.

    It is the matrix exponential or the Cayley map of a skew matrix, or a product of Householder reflections.
    With `use_trivialization` it is a fixed matrix times that, and can be assigned to.

    >>> import pullback as torch
    >>> from pullback import nn
    >>> q = nn.utils.parametrizations.orthogonal(nn.Linear(20, 40)).weight
    >>> torch.dist(q.T @ q, torch.eye(20)) < 1e-4
    tensor(True)
    """
    weight = getattr(module, name, None)
    if not isinstance(weight, Tensor):
        raise ValueError(f"Module '{module}' has no parameter or buffer with name '{name}'")
    if weight.ndim < 2:
        raise ValueError(f"Expected a matrix or batch of matrices. Got a tensor of {weight.ndim} dimensions.")
    if orthogonal_map is None:
        square = weight.size(-2) == weight.size(-1) or weight.is_complex()
        orthogonal_map = "matrix_exp" if square else "householder"
    if orthogonal_map not in _OrthMaps.__members__:
        raise ValueError(
            f'orthogonal_map has to be one of "matrix_exp", "cayley", "householder". Got: {orthogonal_map}'
        )
    made = _Orthogonal(weight, _OrthMaps[orthogonal_map], use_trivialization=use_trivialization)
    parametrize.register_parametrization(module, name, made, unsafe=True)
    return module


# --------------------------------------------------------------------------------------- weight norm


def norm_except_dim(v: Tensor, dim: int) -> Tensor:
    """The norm over all dims but one, which keep their place with size 1; over all with -1."""
    if dim == -1:
        return ops.vector_norm(v)
    others = [d for d in range(v.ndim) if d != dim % v.ndim]
    return ops.vector_norm(v, 2, others, keepdim=True)


def weight_from(v: Tensor, g: Tensor, dim: int) -> Tensor:
    """`g * v / |v|`."""
    return v * (g / norm_except_dim(v, dim))


class _WeightNorm(Module):
    def __init__(self, dim: int | None = 0) -> None:
        super().__init__()
        self.dim = -1 if dim is None else dim

    def forward(self, weight_g: Tensor, weight_v: Tensor) -> Tensor:
        return weight_from(weight_v, weight_g, self.dim)

    def right_inverse(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Length and direction of a weight."""
        return norm_except_dim(weight, self.dim), weight


def weight_norm(module: Module, name: str = "weight", dim: int | None = 0) -> Module:
    """Makes a weight `g * v / |v|` of a length and a direction; returns the module (Salimans & Kingma 2016).

    There is a length for each index along `dim`, one for all with None.

    >>> from pullback import nn
    >>> layer = nn.utils.parametrizations.weight_norm(nn.Linear(20, 40))
    >>> layer.parametrizations.weight.original0.shape
    torch.Size([40, 1])
    """
    parametrize.register_parametrization(module, name, _WeightNorm(dim), unsafe=True)

    def take_older(state_dict: Any, prefix: str, *rest: Any) -> None:
        for place, end in enumerate(("_g", "_v")):
            old = f"{prefix}{name}{end}"
            if f"{prefix}{name}_g" in state_dict or old in state_dict:
                new = f"{prefix}parametrizations.{name}.original{place}"
                state_dict[new] = state_dict.pop(old)

    module._register_load_state_dict_pre_hook(take_older)
    return module


# ------------------------------------------------------------------------------------- spectral norm


class _SpectralNorm(Module):
    _u: Tensor
    _v: Tensor

    def __init__(self, weight: Tensor, n_power_iterations: int = 1, dim: int = 0, eps: float = 1e-12) -> None:
        super().__init__()
        count = weight.ndim
        if dim >= count or dim < -count:
            raise IndexError(
                f"Dimension out of range (expected to be in range of [-{count}, {count - 1}] but got {dim})"
            )
        if n_power_iterations <= 0:
            raise ValueError(
                f"Expected n_power_iterations to be positive, but got n_power_iterations={n_power_iterations}"
            )
        self.dim = dim if dim >= 0 else dim + count
        self.eps = eps
        if count > 1:
            self.n_power_iterations = n_power_iterations
            matrix = self._reshape_weight_to_matrix(weight)
            height, width = matrix.size()
            u, v = matrix.new_empty(height).normal_(0, 1), matrix.new_empty(width).normal_(0, 1)
            self.register_buffer("_u", F.normalize(u, dim=0, eps=eps))
            self.register_buffer("_v", F.normalize(v, dim=0, eps=eps))
            self._power_method(matrix, 15)

    def _reshape_weight_to_matrix(self, weight: Tensor) -> Tensor:
        if self.dim != 0:
            weight = weight.permute(self.dim, *[d for d in range(weight.ndim) if d != self.dim])
        return weight.flatten(1)

    @no_grad()
    def _power_method(self, weight_mat: Tensor, n_power_iterations: int) -> None:
        for _ in range(n_power_iterations):
            F.normalize(ops.mv(weight_mat, self._v), dim=0, eps=self.eps, out=self._u)
            F.normalize(ops.mv(weight_mat.H, self._u), dim=0, eps=self.eps, out=self._v)

    def forward(self, weight: Tensor) -> Tensor:
        if weight.ndim == 1:
            return F.normalize(weight, dim=0, eps=self.eps)
        matrix = self._reshape_weight_to_matrix(weight)
        if self.training:
            self._power_method(matrix, self.n_power_iterations)
        u, v = self._u.clone(), self._v.clone()  # what is saved for the gradient is not written to again
        return weight / ops.vdot(u, ops.mv(matrix, v))

    def right_inverse(self, value: Tensor) -> Tensor:
        """The weight itself: one of norm 1 stays what it is."""
        return value


def spectral_norm(
    module: Module,
    name: str = "weight",
    n_power_iterations: int = 1,
    eps: float = 1e-12,
    dim: int | None = None,
) -> Module:
    """Divides a weight by its largest singular value; returns the module (Miyato et al. 2018).

    The singular vectors are found by power iterations, `n_power_iterations` in each call in training.

    >>> import pullback as torch
    >>> from pullback import nn
    >>> layer = nn.utils.parametrizations.spectral_norm(nn.Linear(20, 40), n_power_iterations=20)
    >>> abs(torch.linalg.matrix_norm(layer.weight, 2) - 1) < 0.05
    tensor(True)
    """
    weight = getattr(module, name, None)
    if not isinstance(weight, Tensor):
        raise ValueError(f"Module '{module}' has no parameter or buffer with name '{name}'")
    if dim is None:
        dim = 1 if isinstance(module, ConvTranspose1d | ConvTranspose2d | ConvTranspose3d) else 0
    made = _SpectralNorm(weight, n_power_iterations, dim, eps)
    parametrize.register_parametrization(module, name, made)
    return module


__getattr__ = getter(__name__)
