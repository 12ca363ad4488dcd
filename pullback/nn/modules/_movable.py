"""The part of Module that changes the dtype and device of what it holds."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, Self

from pullback import __future__, ops
from pullback.autograd import no_grad
from pullback.core import dtypes
from pullback.core._engine import Tensor
from pullback.nn.parameter import Parameter
from pullback.utils import swap_tensors


class Movable:
    """How a Module casts and moves its parameters and buffers, in place."""

    _parameters: dict[str, Parameter | None]
    _buffers: dict[str, Tensor | None]
    children: Callable[[], Any]

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Replaces each parameter, gradient and buffer `t` by `fn(t)`; parameters stay the same objects."""
        if recurse:
            for module in self.children():
                module._apply(fn)
        for name, param in self._parameters.items():
            if param is None:
                continue
            grad = param.grad
            with no_grad():
                made = fn(param)
                made_grad = None if grad is None else fn(grad)
            requires_grad, alike = param.requires_grad, made.is_meta == param.is_meta
            param.grad = None
            if __future__.get_swap_module_params_on_conversion():
                try:
                    swap_tensors(param, Parameter(made, requires_grad))
                except Exception as error:
                    whose = f"{type(self).__name__}.{name}"
                    raise RuntimeError(f"_apply(): Couldn't swap {whose}") from error
            elif alike and not __future__.get_overwrite_module_params_on_conversion():
                param.data = made
                param.requires_grad_(requires_grad)
                if made_grad is not None and grad is not None:
                    grad.data = made_grad
                    made_grad = grad
            else:
                self._parameters[name] = param = Parameter(made, requires_grad)
            if made_grad is not None and grad is not None:
                param.grad = made_grad.requires_grad_(grad.requires_grad)
        for name, buffer in self._buffers.items():
            if buffer is not None:
                self._buffers[name] = fn(buffer)
        return self

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """Moves parameters and buffers to a device or, those of floating point, to a dtype; in place.

        The forms are `to(device=None, dtype=None, non_blocking=False)`, `to(dtype, non_blocking=False)`,
        `to(tensor, non_blocking=False)` and `to(memory_format=...)`.
        """
        device, dtype, memory_format = _parse_to(*args, **kwargs)
        if dtype is not None:
            if not (dtype.is_floating_point or dtype.is_complex):
                raise TypeError(
                    "nn.Module.to only accepts floating point or complex dtypes, but got desired "
                    f"dtype={dtype}"
                )
            if dtype.is_complex:
                warnings.warn(
                    "Complex modules are a new feature under active development whose design may change, and "
                    "some modules might not work as expected when using complex tensors as parameters or "
                    "buffers. Please file an issue at https://github.com/pytorch/pytorch/issues/new?"
                    "template=bug-report.yml if a complex module does not work as expected.",
                    stacklevel=2,
                )

        def convert(t: Tensor) -> Tensor:
            wanted = dtype if t.is_floating_point() or t.is_complex() else None
            if t.is_meta and device is not None and device.type != "meta":
                raise NotImplementedError(
                    "Cannot copy out of meta tensor; no data! Please use torch.nn.Module.to_empty() instead "
                    "of torch.nn.Module.to() when moving module from meta to a different device."
                )
            if memory_format is not None and t.ndim in (4, 5):
                return t.to(device, wanted, memory_format=memory_format)
            return t.to(device, wanted)

        return self._apply(convert)

    def to_empty(self, *, device: Any, recurse: bool = True) -> Self:
        """Moves parameters and buffers to a device without their values."""
        return self._apply(lambda t: ops.empty_like(t, device=device), recurse)

    def type(self, dst_type: Any) -> Self:
        """Casts all parameters and buffers."""
        return self._apply(lambda t: t.type(dst_type))

    def _floating(self, dtype: Any) -> Self:
        return self._apply(lambda t: t.to(dtype) if t.is_floating_point() else t)

    def float(self) -> Self:
        """Casts parameters and buffers of floating point to float32."""
        return self._floating(dtypes.float32)

    def double(self) -> Self:
        """Casts parameters and buffers of floating point to float64."""
        return self._floating(dtypes.float64)

    def half(self) -> Self:
        """Casts parameters and buffers of floating point to float16."""
        return self._floating(dtypes.float16)

    def bfloat16(self) -> Self:
        """Casts parameters and buffers of floating point to bfloat16."""
        return self._floating(dtypes.bfloat16)

    def cpu(self) -> Self:
        """Moves parameters and buffers to the CPU, where they are."""
        return self._apply(lambda t: t.cpu())

    def cuda(self, device: Any = None) -> Self:
        """AssertionError: there are no GPUs here."""
        raise AssertionError("Torch not compiled with CUDA enabled")

    def xpu(self, device: Any = None) -> Self:
        """AssertionError: there are no GPUs here."""
        raise AssertionError("Torch not compiled with XPU enabled")

    def ipu(self, device: Any = None) -> Self:
        """RuntimeError: there are no IPUs here."""
        raise RuntimeError("PyTorch is not linked with support for ipu devices")

    def mtia(self, device: Any = None) -> Self:
        """AssertionError: there are no MTIA devices here."""
        raise AssertionError("Torch not compiled with MTIA enabled.")

    def share_memory(self) -> Self:
        """Moves parameters and buffers into memory that processes share."""
        return self._apply(lambda t: t.share_memory_())


def _parse_to(*args: Any, **kwargs: Any) -> tuple[Any, Any, Any]:
    """Device, dtype and memory format of the forms of `to`."""
    device, dtype, memory_format = kwargs.get("device"), kwargs.get("dtype"), kwargs.get("memory_format")
    other = kwargs.get("tensor", kwargs.get("other"))
    for place, x in enumerate(args):
        if isinstance(x, Tensor):
            other = x
        elif isinstance(x, dtypes.dtype) and place < 2:
            dtype = x
        elif place == 0 and x is not None:
            if not isinstance(x, str | int | dtypes.device):
                raise TypeError(
                    "to() received an invalid combination of arguments - got "
                    f"({', '.join(type(a).__name__ for a in args)}), but expected one of:\n "
                    "* (torch.device device = None, torch.dtype dtype = None, bool non_blocking = False, "
                    "bool copy = False, *, torch.memory_format memory_format = None)\n "
                    "* (torch.dtype dtype, bool non_blocking = False, bool copy = False, *, "
                    "torch.memory_format memory_format = None)\n "
                    "* (Tensor tensor, bool non_blocking = False, bool copy = False, *, torch.memory_format "
                    "memory_format = None)\n"
                )
            device = x
    if other is not None:
        device, dtype = other.device, other.dtype
    return None if device is None else dtypes.device(device), dtype, memory_format
