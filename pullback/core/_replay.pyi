"""What `_replay` offers plain Python: acts on values in memories, done again."""

from typing import Any

from pullback.core.types import Array

class Ref:
    index: int
    def __init__(self, index: int) -> None: ...

class Misfit(Exception): ...

class Replay:
    busy: bool
    at: int
    def __init__(
        self, memories: list[Any], values: list[Any], acts: list[tuple[Any, ...]], size: int
    ) -> None: ...
    def __call__(self, given: list[Array], wanted: list[int]) -> list[Array]: ...
