from typing import Any

RUNS: dict[str, dict[str, Any]]
