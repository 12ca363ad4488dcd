"""The named tuples that ops with several results return: `values, indices = x.max(dim=0)`.

Each is a tuple whose items have names, made from one line of a table. It is built from one
sequence, as in `return_types.max((values, indices))`, and shows its fields a line each. What an op
wrote into `out=` comes back as the type with `_out` behind its name.
"""

from __future__ import annotations

from collections.abc import Iterable
from operator import itemgetter
from typing import Any

_FIELDS = """
_linalg_det result LU pivots
_linalg_eigh eigenvalues eigenvectors
_linalg_slogdet sign logabsdet LU pivots
_linalg_solve_ex result LU pivots info
_linalg_svd U S Vh
_lu_with_info LU pivots info
_unpack_dual primal tangent
aminmax min max
cummax values indices
cummin values indices
frexp mantissa exponent
geqrf a tau
histogram hist bin_edges
histogramdd hist bin_edges
kthvalue values indices
linalg_cholesky_ex L info
linalg_eig eigenvalues eigenvectors
linalg_eigh eigenvalues eigenvectors
linalg_inv_ex inverse info
linalg_ldl_factor LD pivots
linalg_ldl_factor_ex LD pivots info
linalg_lstsq solution residuals rank singular_values
linalg_lu P L U
linalg_lu_factor LU pivots
linalg_lu_factor_ex LU pivots info
linalg_qr Q R
linalg_slogdet sign logabsdet
linalg_solve_ex result info
linalg_svd U S Vh
lu_unpack P L U
max values indices
median values indices
min values indices
mode values indices
nanmedian values indices
qr Q R
slogdet sign logabsdet
sort values indices
svd U S V
topk values indices
triangular_solve solution cloned_coefficient
"""


class _Named(tuple[Any, ...]):
    """A tuple with a name for each item; equal and hashed as the plain tuple."""

    __slots__ = ()
    __match_args__: tuple[str, ...] = ()
    n_fields = n_sequence_fields = 0
    n_unnamed_fields = 0

    def __new__(cls, sequence: Iterable[Any], /) -> _Named:
        try:
            items = tuple(sequence)
        except TypeError:
            raise TypeError("constructor requires a sequence") from None
        if len(items) != cls.n_fields:
            raise TypeError(
                f"torch.return_types.{cls.__name__}() takes a {cls.n_fields}-sequence "
                f"({len(items)}-sequence given)"
            )
        return tuple.__new__(cls, items)

    def __repr__(self) -> str:
        lines = ",\n".join(f"{name}={item!r}" for name, item in zip(self.__match_args__, self, strict=True))
        return f"torch.return_types.{type(self).__name__}(\n{lines})"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (tuple(self),)


def _declare(name: str, fields: tuple[str, ...]) -> None:
    """Makes the type of that name, and its twin for results written into `out=`."""
    members: dict[str, Any] = {field: property(itemgetter(i)) for i, field in enumerate(fields)}
    members |= {"__slots__": (), "__match_args__": fields, "__module__": __name__}
    members |= {"n_fields": len(fields), "n_sequence_fields": len(fields)}
    for own in (name, f"{name}_out"):
        globals()[own] = type(own, (_Named,), dict(members))


for _line in _FIELDS.strip().splitlines():
    _declare(_line.split()[0], tuple(_line.split()[1:]))


def __getattr__(name: str) -> Any:
    """Here for type checkers: the types above are made when the module is loaded."""
    raise AttributeError(f"module 'torch.return_types' has no attribute '{name}'")
