"""Tensors and modules below a module by dotted names, as `torch.nn.utils._named_member_accessor`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from pullback.core._engine import Tensor
from pullback.face.absent import getter
from pullback.nn.modules.module import Module


def _check(module: Any, name: str) -> None:
    if not isinstance(module, Module):
        raise TypeError(f"{module} is not an instance of torch.nn.Module")
    if "." in name:
        raise KeyError('tensor name can\'t contain "."')
    if name == "":
        raise KeyError('tensor name can\'t be empty string ""')


def _check_tensor(found: Any, which: str = "") -> None:
    if not isinstance(found, Tensor) and found is not None:
        raise TypeError(f"{which}{found} is not an instance of torch.Tensor")


def set_tensor(module: Module, name: str, tensor: Tensor | None) -> None:
    """Puts a tensor in the place of a parameter, a buffer or an attribute, whatever its class."""
    swap_tensor(module, name, tensor, allow_missing=True)


def swap_tensor(module: Module, name: str, tensor: Any, allow_missing: bool = False) -> Any:
    """Puts a tensor in the place of another and gives that one.

    A parameter or buffer stays in the module's table of such, whatever the new tensor's class. AttributeError
    if there is none of the name, unless `allow_missing`: then the result is an object that, swapped in again,
    takes the attribute away.
    """
    _check(module, name)
    if tensor is not _MISSING:
        _check_tensor(tensor)
    for table in (module._parameters, module._buffers):
        if name in table:
            before = table[name]
            if tensor is _MISSING:
                del table[name]
            else:
                table[name] = tensor
            return before
    before = getattr(module, name, _MISSING)
    if before is _MISSING:
        if not allow_missing:
            raise AttributeError(f"{module._get_name()} has no attribute `{name}`")
    else:
        _check_tensor(before, f"attribute `{name}`: ")
    if tensor is not _MISSING:
        setattr(module, name, tensor)
    elif before is not _MISSING:
        delattr(module, name)
    return before


def swap_submodule(module: Module, name: str, submodule: Module) -> Module:
    """Puts a module in the place of another and gives that one."""
    _check(module, name)
    if not isinstance(submodule, Module):
        raise TypeError(f"{submodule} is not an instance of torch.nn.Module")
    if name not in module._modules:
        raise KeyError(f"submodule {name} does not exist")
    before = module._modules[name]
    if not isinstance(before, Module):
        raise TypeError(f"{name} attribute is not an instance of torch.nn.Module")
    module._modules[name] = submodule
    return before


def _paired(names: Iterable[str], values: Iterable[Any]) -> list[tuple[str, Any]]:
    names, values = list(names), list(values)
    if len(names) != len(values):
        raise AssertionError(
            f"names and values must have the same length, got {len(names)} names and {len(values)} values"
        )
    return list(zip(names, values, strict=True))


class _Missing:
    """Stands for a tensor that is not there."""


_MISSING: Any = _Missing()


class NamedMemberAccessor:
    """Reads and writes tensors below a module by dotted names; the modules on the way are remembered."""

    def __init__(self, module: Module) -> None:
        self.module = module
        self.memo: dict[str, Module] = {}

    def get_submodule(self, name: str) -> Module:
        """The module of a dotted name; AttributeError if there is none, TypeError if it is something else."""
        if not name:
            return self.module
        if name not in self.memo:
            above, _, last = name.rpartition(".")
            parent = self.get_submodule(above)
            try:
                found = getattr(parent, last)
            except AttributeError:
                raise AttributeError(f"{parent._get_name()} has no attribute `{last}`") from None
            if not isinstance(found, Module):
                raise TypeError(f"submodule `{name}`: {found} is not an instance of torch.nn.Module")
            self.memo[name] = found
        return self.memo[name]

    def swap_submodule(self, path: str, value: Module) -> Module:
        """Puts a module in the place of another and gives that one."""
        above, _, last = path.rpartition(".")
        return swap_submodule(self.get_submodule(above), last, value)

    def get_tensor(self, name: str) -> Tensor:
        """The tensor of a dotted name."""
        above, _, last = name.rpartition(".")
        module = self.get_submodule(above)
        try:
            found: Tensor = getattr(module, last)
        except AttributeError:
            raise AttributeError(f"{module._get_name()} has no attribute `{name}`") from None
        _check_tensor(found, f"tensor `{name}`: ")
        return found

    def set_tensor(self, name: str, value: Tensor) -> None:
        """Puts a tensor in its place."""
        above, _, last = name.rpartition(".")
        set_tensor(self.get_submodule(above), last, value)

    def del_tensor(self, name: str) -> None:
        """Takes a tensor away; AttributeError if there is none."""
        above, _, last = name.rpartition(".")
        module = self.get_submodule(above)
        if swap_tensor(module, last, _MISSING, allow_missing=True) is _MISSING:
            raise AttributeError(f"{module._get_name()} has no attribute `{name}`")

    def swap_tensor(self, name: str, value: Any, allow_missing: bool = False) -> Any:
        """Puts a tensor in the place of another and gives that one."""
        above, _, last = name.rpartition(".")
        return swap_tensor(self.get_submodule(above), last, value, allow_missing=allow_missing)

    def get_tensors(self, names: Iterable[str]) -> list[Tensor]:
        """The tensors of several names."""
        return [self.get_tensor(name) for name in names]

    def set_tensors(self, names: Iterable[str], values: Iterable[Tensor]) -> None:
        """Puts several tensors in their places."""
        for name, value in _paired(names, values):
            self.set_tensor(name, value)

    def set_tensors_dict(self, named_tensors: dict[str, Tensor]) -> None:
        """Puts the tensors of a dict in the places that its keys name."""
        for name, value in named_tensors.items():
            self.set_tensor(name, value)

    def del_tensors(self, names: Iterable[str]) -> None:
        """Takes several tensors away."""
        for name in names:
            self.del_tensor(name)

    def swap_tensors(
        self, names: Iterable[str], values: Iterable[Any], allow_missing: bool = False
    ) -> list[Any]:
        """Puts several tensors in the places of others and gives those."""
        return [
            self.swap_tensor(name, value, allow_missing=allow_missing)
            for name, value in _paired(names, values)
        ]

    def swap_tensors_dict(
        self, named_tensors: dict[str, Any], allow_missing: bool = False
    ) -> tuple[dict[str, Any], list[str]]:
        """Swaps the tensors of a dict in. Gives those that were there, and the names that were missing.

        What raises leaves the module as it was; names that are missing raise a RuntimeError, unless allowed.
        """
        before: dict[str, Any] = {}
        try:
            for name, tensor in named_tensors.items():
                before[name] = self.swap_tensor(name, tensor, allow_missing=True)
        except Exception:
            for name, tensor in before.items():
                self.swap_tensor(name, tensor, allow_missing=True)
            raise
        missing = [name for name, tensor in before.items() if tensor is _MISSING]
        if missing and not allow_missing:
            for name, tensor in before.items():
                self.swap_tensor(name, tensor, allow_missing=True)
            raise RuntimeError(f"Missing key(s): {', '.join(map(repr, missing))}.")
        return before, missing

    def check_keys(self, keys: Iterable[str]) -> tuple[list[str], list[str]]:
        """Which names of tensors are missing among the keys, and which keys name none, both sorted."""
        given = set(keys)
        there = {name for name, _ in self.named_tensors(remove_duplicate=False)}
        return sorted(there - given), sorted(given - there)

    def named_parameters(self, remove_duplicate: bool = True) -> Iterator[tuple[str, Tensor]]:
        """The parameters and their names."""
        yield from self.module.named_parameters(remove_duplicate=remove_duplicate)

    def named_buffers(self, remove_duplicate: bool = True) -> Iterator[tuple[str, Tensor]]:
        """The buffers and their names."""
        yield from self.module.named_buffers(remove_duplicate=remove_duplicate)

    def named_tensors(self, remove_duplicate: bool = True) -> Iterator[tuple[str, Tensor]]:
        """The parameters, then the buffers, and their names."""
        yield from self.named_parameters(remove_duplicate)
        yield from self.named_buffers(remove_duplicate)

    def named_modules(self, remove_duplicate: bool = True) -> Iterator[tuple[str, Module]]:
        """The modules and their names."""
        yield from self.module.named_modules(remove_duplicate=remove_duplicate)


__getattr__ = getter(__name__)
