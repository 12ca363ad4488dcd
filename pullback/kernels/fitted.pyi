from collections.abc import Callable
from typing import Any

i0: Callable[..., Any]
i1: Callable[..., Any]
i0e_slope: Callable[..., Any]
i1e_slope: Callable[..., Any]
lgamma: Callable[..., Any]

def __getattr__(name: str) -> Any: ...
