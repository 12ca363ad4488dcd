"""What `torch.compile` makes of a module."""

from __future__ import annotations

from typing import Any

from pullback.compiler import install_modules
from pullback.nn.modules.module import Module

__all__ = ["OptimizedModule"]


class OptimizedModule(Module):
    """What `torch.compile` makes of a module: calls are recorded and replayed, all else is the module's."""

    _orig_mod: Module

    def __init__(self, module: Module, function: Any) -> None:
        super().__init__()
        self._orig_mod = module
        self.__dict__["_function"] = function
        self.training = module.training

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.__dict__["_function"](*args, **kwargs)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """A call of the compiled module."""
        return self.__dict__["_function"](*args, **kwargs)

    def train(self, mode: bool = True) -> Any:
        """Sets the mode of both."""
        self._orig_mod.train(mode)
        return super().train(mode)

    @property
    def graph(self) -> Any:
        """The steps of the latest recording."""
        return self.__dict__["_function"].graph

    def explain(self) -> Any:
        """What was recorded."""
        return self.__dict__["_function"].explain()

    def __getattr__(self, name: str) -> Any:
        if name == "_orig_mod":
            return self.__dict__["_modules"]["_orig_mod"]
        return getattr(self.__dict__["_modules"]["_orig_mod"], name)


install_modules(Module, OptimizedModule)
