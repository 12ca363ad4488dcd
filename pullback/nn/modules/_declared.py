"""Layers that hold the arguments of a function, declared by their fields.

    class ELU(Layer, of="elu"):
        "Formula and shapes."

        alpha: float = 1.0
        inplace: bool = False

makes `ELU(alpha=1.0, inplace=False)` with a `forward` that calls `F.elu(input, alpha=..., inplace=...)` and
a representation that shows the fields. Type checkers read it as they read a dataclass.
"""

from __future__ import annotations

import inspect
from typing import Any, dataclass_transform

from pullback.core._engine import Tensor
from pullback.nn import functional as F
from pullback.nn._reduction import legacy_get_string
from pullback.nn.modules.module import Module


@dataclass_transform()
class Layer(Module):
    """A module made of a function `of` `pullback.nn.functional` and of fields, which are its arguments.

    `takes` are the parameters of `forward`, by default one tensor; `shows` are the fields that are printed,
    by default all, one with a star by its value alone. A field named `inplace` is passed and printed only
    where it is True; one that is a tensor is a buffer; `size_average` and `reduce` set `reduction`. A class
    may write its own `__init__` or `forward`.
    """

    __constants__: list[str]
    _shows: tuple[str, ...] = ()

    def __init_subclass__(
        cls,
        of: str | None = None,
        takes: str = "input: Tensor",
        passes: str | None = None,
        shows: str | None = None,
        **more: Any,
    ) -> None:
        super().__init_subclass__(**more)
        if of is None:  # a subclass of a declared layer
            return
        fields: dict[str, str] = {}
        for kind in reversed(cls.__mro__[: cls.__mro__.index(Layer)]):
            said = inspect.get_annotations(kind)
            fields = {name: note for name, note in fields.items() if name not in said} | said
        older = [name for name in fields if name in ("size_average", "reduce")]
        names = [name for name in fields if name not in older]
        if shows is None or "__constants__" not in vars(cls):
            cls.__constants__ = names
        cls._shows = tuple(names if shows is None else shows.split())
        given = names if passes is None else passes.split()
        plain = [f"{name}=self.{name}" for name in given if name != "inplace"]
        inputs = [part.partition(":")[0].strip() for part in takes.split(",")]
        world: dict[str, Any] = {"F": F, "Tensor": Tensor, "Module": Module}
        world["legacy_get_string"] = legacy_get_string
        source = f"def forward(self, {takes}) -> Tensor:\n"
        if "inplace" in names:
            source += f"    if self.inplace: return F.{of}({', '.join([*inputs, *plain, 'inplace=True'])})\n"
        source += f"    return F.{of}({', '.join([*inputs, *plain])})\n"
        inherited = any("__init__" in vars(kind) for kind in cls.__mro__[1 : cls.__mro__.index(Layer)])
        own = inspect.get_annotations(cls)
        if names and "__init__" not in vars(cls) and (own or not inherited):
            defaults = [name for name in fields if hasattr(cls, name)]
            world.update({f"_{name}": getattr(cls, name) for name in defaults})
            parameters = [f"{n}: {kind!r}" + f" = _{n}" * (n in defaults) for n, kind in fields.items()]
            source += f"def __init__(self, {', '.join(parameters)}) -> None:\n    Module.__init__(self)\n"
            if older:
                source += "    if size_average is not None or reduce is not None:\n"
                source += "        reduction = legacy_get_string(size_average, reduce)\n"
            for name in own.keys() & defaults:
                delattr(cls, name)
            for name in names:
                tensor = fields[name].startswith("Tensor")
                source += (
                    f"    self.register_buffer('{name}', {name})\n"
                    if tensor
                    else f"    self.{name} = {name}\n"
                )
        exec(compile(source, f"{__file__}:{cls.__name__}", "exec"), world)
        for made in ("forward", "__init__"):
            if made in world and made not in vars(cls):
                world[made].__qualname__ = f"{cls.__qualname__}.{made}"
                world[made].__module__ = cls.__module__
                setattr(cls, made, world[made])

    def extra_repr(self) -> str:
        return ", ".join(
            f"{getattr(self, name[1:])!r}" if name[0] == "*" else f"{name}={getattr(self, name)!r}"
            for name in self._shows
            if name != "inplace" or self.inplace
        )
