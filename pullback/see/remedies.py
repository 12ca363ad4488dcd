"""What ops do to a gradient at the edges of their domain, and what helps: a sentence or two for each."""

from __future__ import annotations

VANISHES = {
    "relu": "Below zero the slope of relu is 0 (a dead unit): leaky_relu, gelu or a smaller learning rate "
    "help.",
    "hardtanh": "Outside of its bounds the slope of hardtanh is 0.",
    "threshold": "Below the threshold the slope is 0.",
    "sigmoid": "Far from zero sigmoid is flat (saturated): pass logits to a `..._with_logits` loss, or "
    "scale them.",
    "tanh": "Far from zero tanh is flat (saturated): scale or normalise its input.",
    "hardsigmoid": "Outside of -3 to 3 the slope of hardsigmoid is 0.",
    "softmax": "A softmax whose largest entry is 1 is flat: pass logits to cross_entropy, or divide them by "
    "a temperature.",
    "clamp": "Outside of its bounds the slope of clamp is 0.",
    "clamp_min": "Below the bound the slope is 0.",
    "clamp_max": "Above the bound the slope is 0.",
    "round": "round is a staircase: its slope is 0 everywhere. Pass the gradient straight through with x + "
    "(x.round() - x).detach().",
    "floor": "floor is a staircase: its slope is 0 everywhere.",
    "ceil": "ceil is a staircase: its slope is 0 everywhere.",
    "trunc": "trunc is a staircase: its slope is 0 everywhere.",
    "sign": "sign is constant on both sides of zero: its slope is 0 everywhere.",
    "heaviside": "heaviside is constant on both sides of zero: its slope is 0 everywhere.",
    "masked_fill": "Where the mask is True the old value does not count.",
    "where": "The elements that were not chosen do not count.",
    "native_dropout": "Elements that dropout removed do not count in this step.",
    "mul": "The other factor is 0.",
    "abs": "At zero the slope of abs is taken to be 0.",
    "maximum": "Where the other operand is larger it alone counts.",
    "minimum": "Where the other operand is smaller it alone counts.",
    "extremum": "Only the largest (or smallest) elements count.",
    "extremum_dim": "Only the largest (or smallest) elements count.",
    "pow": "At zero the slope of x**n is 0 for n > 1.",
    "exp": "Far below zero exp is flat.",
    "index_select": "The elements that were not selected do not count.",
    "linalg_vector_norm": "At zero, where the norm has no slope, it is taken to be 0.",
    "gather": "The elements that were not gathered do not count.",
}
"""Why a slope is zero."""

BREAKS = {
    "log": "log(x) is -inf at 0, NaN below, and its slope 1/x is infinite at 0: clamp x from below, use "
    "log_softmax, logsigmoid or xlogy, or choose a safe x by `where` before the log (and again after "
    "it).",
    "log2": "log2(x) is -inf at 0 and NaN below: clamp x from below.",
    "log10": "log10(x) is -inf at 0 and NaN below: clamp x from below.",
    "log1p": "log1p(x) is -inf at -1 and NaN below: clamp x from below.",
    "sqrt": "The slope of sqrt is infinite at 0, and sqrt is NaN below: add a small eps inside, or choose a "
    "safe x by `where` before the root (and again after it).",
    "rsqrt": "rsqrt is infinite at 0 and NaN below: add a small eps inside.",
    "div": "A division by zero: add a small eps to the divisor, or choose a safe divisor by `where`.",
    "reciprocal": "A division by zero: add a small eps to the divisor.",
    "exp": "exp overflows (above 88.7 in float32): subtract the maximum first, or use logsumexp, softmax, "
    "log1p.",
    "expm1": "expm1 overflows (above 88.7 in float32).",
    "cosh": "cosh overflows (above 89 in float32).",
    "sinh": "sinh overflows (above 89 in float32).",
    "pow": "x**p is infinite or NaN here: a base of 0 with p < 1, a negative base with a fractional p, or "
    "overflow.",
    "linalg_vector_norm": "The norm has no slope at zero: use the squared norm, or add a small eps inside.",
    "std": "The slope of std is infinite where all values are equal: use var, or add a small eps under the "
    "root.",
    "acos": "The slope of acos is infinite at -1 and 1, and it is NaN beyond: clamp slightly inside, or use "
    "atan2.",
    "asin": "The slope of asin is infinite at -1 and 1, and it is NaN beyond: clamp slightly inside, or use "
    "atan2.",
    "atanh": "atanh is infinite at -1 and 1, and NaN beyond: clamp slightly inside.",
    "acosh": "The slope of acosh is infinite at 1, and it is NaN below: clamp slightly inside.",
    "erfinv": "erfinv is infinite at -1 and 1, and NaN beyond: clamp slightly inside.",
    "logit": "logit is infinite at 0 and 1: give it an eps.",
    "atan2": "atan2 has no slope at (0, 0).",
    "tan": "tan has poles.",
    "mul": "Zero times infinity, or overflow: look at the factors.",
    "sub": "Infinity minus infinity: look at the operands.",
    "add": "Infinity minus infinity, or overflow: look at the operands.",
    "sum": "The sum overflows, or adds infinities of both signs.",
    "mean": "A mean of no elements is NaN.",
    "softmax": "A row that is masked out whole has no softmax: leave it out, or mask with a large finite "
    "number.",
    "log_softmax": "A row that is masked out whole has no softmax: leave it out, or mask with a large "
    "finite number.",
    "linalg_inv_ex": "The matrix is singular: use linalg.solve, pinv, or add a multiple of the identity.",
    "linalg_eigh": "Equal eigenvalues have no derivative of their eigenvectors: perturb the matrix, or use "
    "functions of it that do not depend on the choice.",
    "linalg_svd": "Equal singular values have no derivative of their vectors: perturb the matrix.",
    "cdist": "The distance has no slope where two points are equal: use squared distances.",
    "prod": "The product overflows.",
    "cumprod": "The product overflows.",
}
"""Why a result or a slope is NaN or infinite."""
