"""Modules that learn their sizes from the first input, as `torch.nn.modules.lazy`."""

from __future__ import annotations

from typing import Any

from pullback.face.absent import getter
from pullback.nn.parameter import is_lazy

__all__ = ["LazyModuleMixin"]


class LazyModuleMixin:
    """For a class before Module: its parameters get their shapes when it is first called.

    A subclass has parameters that are `UninitializedParameter`s, a method `initialize_parameters`, which is
    called with the arguments of the first call and materializes them, and maybe a class `cls_to_become`.

    >>> import pullback as torch
    >>> m = torch.nn.LazyLinear(10)
    >>> m(torch.ones(4, 3)).shape, m
    (torch.Size([4, 10]), Linear(in_features=3, out_features=10, bias=True))
    """

    cls_to_become: type[Any] | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        own: Any = self
        self._load_hook = own._register_load_state_dict_pre_hook(self._lazy_load_hook)
        self._initialize_hook = own.register_forward_pre_hook(self._infer_parameters, with_kwargs=True)

    def _held(self) -> list[Any]:
        own: Any = self
        return [*own._parameters.values(), *own._buffers.values()]

    def has_uninitialized_params(self) -> bool:
        """Whether some of its parameters and buffers have no shape yet."""
        return any(is_lazy(x) for x in self._held())

    def initialize_parameters(self, *args: Any, **kwargs: Any) -> None:
        """Gives parameters and buffers their shapes, by the arguments of a call. A subclass defines it."""
        raise NotImplementedError(f"initialize_parameters is not implemented for {self.__class__.__name__}")

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        """As Module's; what has no shape yet goes in as it is."""
        own: Any = self
        persistent = {n: x for n, x in own._buffers.items() if n not in own._non_persistent_buffers_set}
        for name, x in [*own._parameters.items(), *persistent.items()]:
            if x is not None:
                destination[prefix + name] = x if is_lazy(x) or keep_vars else x.detach()

    def _lazy_load_hook(self, state_dict: Any, prefix: str, *rest: Any) -> None:
        """Gives a parameter the shape of what is loaded into it."""
        own: Any = self
        for name, x in [*own._parameters.items(), *own._buffers.items()]:
            given = state_dict.get(prefix + name)
            if x is not None and given is not None and is_lazy(x) and not is_lazy(given):
                x.materialize(given.shape)

    def _infer_parameters(self: Any, module: Any, args: Any, kwargs: Any = None) -> None:
        """The hook of the first call: it makes the parameters, and the module one of its final class."""
        module.initialize_parameters(*args, **(kwargs or {}))
        if module.has_uninitialized_params():
            raise RuntimeError(f"module {self._get_name()} has not been fully initialized")
        module._initialize_hook.remove()
        module._load_hook.remove()
        del module._initialize_hook, module._load_hook
        if module.cls_to_become is not None:
            module.__class__ = module.cls_to_become

    def _replicate_for_data_parallel(self) -> Any:
        raise RuntimeError(
            "Modules with uninitialized parameters can't be used with `DataParallel`. Run a dummy forward "
            "pass to correctly initialize the modules"
        )


__getattr__ = getter(__name__)
