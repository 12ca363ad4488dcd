"""In-place methods that are functions, too: `torch.abs_`."""

from __future__ import annotations

from pullback.core.op import SURFACE

_IN_PLACE = (
    "abs acos acosh addmv arccos arccosh arcsin arcsinh arctan arctanh as_strided asin asinh atan atanh "
    "ceil clamp clamp_max clamp_min clip conj_physical cos cosh deg2rad erf erfc exp exp2 expm1 fix floor "
    "frac gcd i0 lcm ldexp log log10 log1p log2 logit nan_to_num neg negative rad2deg reciprocal relu "
    "resize_as round rsqrt sigmoid sin sinc sinh sqrt square tan tanh trunc xlogy"
)
for _name in _IN_PLACE.split():
    _method = SURFACE["Tensor"].get(f"{_name}_")
    if _method is not None:
        SURFACE["torch"].setdefault(f"{_name}_", _method)
