"""The heart: op records, Tensor, the graph and the backward pass, NumPy's loops, dtypes, printing."""

import os

_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

if os.path.exists(os.path.join(_ROOT, "setup.py")):  # a checkout, where an edit may have outrun the build
    from pullback.core import builds

    builds.warn_of_stale(_ROOT)
