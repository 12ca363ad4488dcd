"""The op table. Importing it declares every op and hands the engine those it needs itself.

All ops and composites stand here by their names (those of LATER from their first use on), so a rule
writes `ops.where(...)` whatever file `where` is in.
"""

from __future__ import annotations

import importlib
from typing import Any

FAMILIES = [
    "create",
    "convert",
    "pointwise",
    "arithmetic",
    "rounding",
    "parts",
    "bits",
    "compare",
    "math",
    "shape",
    "axes",
    "memory",
    "casts",
    "index",
    "scatter",
    "masks",
    "scatter_reduce",
    "rearrange",
    "join",
    "pieces",
    "reduce",
    "expsums",
    "extremes",
    "norms",
    "scan",
    "sorting",
    "order",
    "ranges",
    "complex",
    "matmul",
    "addmm",
    "einsum",
    "random",
]

LATER: list[str] = [
    "activations",
    "rectifiers",
    "losses",
    "classes",
    "margins",
    "normalisation",
    "batch_norm",
    "dropout",
    "linear",
    "ctc",
    "convolution",
    "resample",
    "pooling",
    "max_pooling",
    "unfold",
    "padding",
    "shuffle",
    "interpolation",
    "grid",
    "bilinear",
    "special",
    "bessel",
    "polynomials",
    "incomplete",
    "fft",
    "spectral",
    "windows",
    "distances",
    "histograms",
    "copies",
    "differences",
    "numeric",
    "embedding",
    "attention",
    "multihead",
    "recurrent",
    "segments",
    "foreach",
    "internals",
    "packing",
    "fixed",
    "checks",
    "aten",
    "masked",
    "matrices",
    "triangular",
    "lu",
    "ldl",
    "singular",
    "inverse",
    "pseudoinverse",
    "solve",
    "determinants",
    "eigen",
    "orthogonal",
    "matrix_functions",
    "correlation",
    "low_rank",
]
"""Families that are declared when a name is first missing: `import pullback` is to stay quick."""


def _collect(families: list[str]) -> None:
    for family in families:
        held = globals().get(family)
        module = importlib.import_module(f"pullback.ops.{family}")
        if callable(held):  # an op that is there: the import has put the file's module in its place
            globals()[family] = held
        for name, value in vars(module).items():
            # A family's file may have the name of an op: `matmul` is the op.
            if not name.startswith("_") and callable(value) and not callable(globals().get(name)):
                globals()[name] = value


_collect(FAMILIES)


def load_later() -> bool:
    """Declares the families of LATER; False if that was done before."""
    if not LATER:
        return False
    families, LATER[:] = LATER[:], []
    _collect(families)
    return True


def __getattr__(name: str) -> Any:
    if not name.startswith("__") and load_later() and name in globals():
        return globals()[name]
    raise AttributeError(f"Pullback has no op '{name}'")


OPERATORS = (
    "add sub mul div pow pow_number rpow rsub neg mm lt le gt ge eq ne "
    "bitwise_and bitwise_or bitwise_xor detach as_strided as_strided_scatter "
    "strided_take"
)
