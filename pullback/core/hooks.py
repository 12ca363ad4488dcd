"""What registering a hook returns."""

from __future__ import annotations

import weakref
from collections import OrderedDict
from typing import Any, ClassVar

__all__ = ["RemovableHandle"]


class RemovableHandle:
    """A hook's place in the table of hooks: `remove()` takes the hook away, as leaving a `with` does.

    The table, an OrderedDict, is held weakly: a handle keeps nothing alive. `extra_dict` is a table, or a
    list of them, that has an entry of the same hook.

    >>> import pullback as torch
    >>> x = torch.ones(1, requires_grad=True)
    >>> with x.register_hook(lambda g: g * 2):
    ...     x.sum().backward()
    >>> x.grad
    tensor([2.])
    """

    id: int
    next_id: ClassVar[int] = 0

    def __init__(self, hooks_dict: Any, *, extra_dict: Any = None) -> None:
        self.hooks_dict_ref: Any = weakref.ref(hooks_dict)
        self.id = RemovableHandle.next_id
        RemovableHandle.next_id += 1
        extra = [] if extra_dict is None else extra_dict if isinstance(extra_dict, list) else [extra_dict]
        self.extra_dict_ref: tuple[Any, ...] = tuple(map(weakref.ref, extra))

    def _tables(self) -> list[Any]:
        return [ref() for ref in (self.hooks_dict_ref, *self.extra_dict_ref)]

    def remove(self) -> None:
        """Take the hook away; nothing happens if it is gone."""
        for table in self._tables():
            if table is not None:
                table.pop(self.id, None)

    def __getstate__(self) -> tuple[Any, ...]:
        hooks, *extra = self._tables()
        return hooks, self.id, tuple(extra)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        hooks, self.id, *extra = state
        self.hooks_dict_ref = weakref.ref(OrderedDict() if hooks is None else hooks)
        self.extra_dict_ref = tuple(
            weakref.ref(OrderedDict() if table is None else table) for table in (extra[0] if extra else ())
        )
        RemovableHandle.next_id = max(RemovableHandle.next_id, self.id + 1)

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *exc: object) -> None:
        self.remove()
