from collections.abc import Callable
from typing import Any

lgamma: Callable[..., Any]

def __getattr__(name: str) -> Any: ...
