from collections.abc import Callable
from typing import Any

digamma: Callable[..., Any]
zeta: Callable[..., Any]
