from collections.abc import Callable
from typing import Any

i0: Callable[..., Any]
i1: Callable[..., Any]
lgamma: Callable[..., Any]

def __getattr__(name: str) -> Any: ...
