"""`functional_call` and `stack_module_state`: modules as functions of their parameters; and two odds.

A module is anything with `named_parameters` and `named_buffers` whose submodules are attributes.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from pullback import ops
from pullback.core._engine import Tensor
from pullback.transforms.stack import Wrapper


def replace_all_batch_norm_modules_(root: Any) -> Any:
    """Makes batch norms within a module forget their running statistics, which samples can't share.

    Each module among `root.modules()` of a class `BatchNorm...` that tracks them loses them. Returns
    `root`.
    """
    for module in (root, *root.modules()):
        names = [cls.__name__.lstrip("_") for cls in type(module).__mro__]
        if any(name.startswith("BatchNorm") for name in names) and module.track_running_stats:
            module.running_mean = module.running_var = module.num_batches_tracked = None
            module.track_running_stats = False
    return root


def functional_call(
    module: Any,
    parameter_and_buffer_dicts: dict[str, Tensor] | Sequence[dict[str, Tensor]],
    args: Any = None,
    kwargs: dict[str, Any] | None = None,
    *,
    tie_weights: bool = True,
    strict: bool = False,
) -> Any:
    """Calls a module with tensors of a dict, or of several, in place of those it holds.

    The names are those of `named_parameters` and `named_buffers`; what is not named stays. Tied
    parameters are replaced together unless `tie_weights` is False. With `strict` the names must be
    exactly those of the module. ValueError if a name stands in two dicts.

    >>> import pullback as torch
    >>> class Scale:
    ...     w = torch.tensor(1.0)
    ...     def named_parameters(self): return [("w", self.w)]
    ...     def __call__(self, x): return self.w * x
    >>> torch.func.functional_call(Scale(), {"w": torch.tensor(3.0)}, (torch.tensor(2.0),))
    tensor(6.)
    """
    if isinstance(parameter_and_buffer_dicts, dict):
        values = parameter_and_buffer_dicts
    elif isinstance(parameter_and_buffer_dicts, Sequence):
        if not all(isinstance(d, dict) for d in parameter_and_buffer_dicts):
            raise ValueError("Expected all elements of parameter_and_buffer_dicts to be dictionaries")
        names = [name for d in parameter_and_buffer_dicts for name in d]
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise ValueError(
                f"{sorted(twice)} appeared in multiple dictionaries; behavior of functional call is ambiguous"
            )
        values = {name: x for d in parameter_and_buffer_dicts for name, x in d.items()}
    else:
        raise ValueError(
            "Expected parameter_and_buffer_dicts to be a dict, or a list/tuple of dicts, but got "
            f"{type(parameter_and_buffer_dicts)}"
        )
    if not isinstance(tie_weights, bool):
        raise TypeError("tie_weights must be a bool")
    args = () if args is None else args if isinstance(args, tuple) else (args,)
    with replaced(module, values, tie_weights, strict):
        return module(*args, **(kwargs or {}))


def _named_tensors(module: Any) -> dict[str, Any]:
    """All tensors of a module by name, tied ones under each of theirs."""
    found: dict[str, Any] = {}
    for kind in ("named_parameters", "named_buffers"):
        method = getattr(module, kind, None)
        if method is None:
            continue
        try:
            pairs = method(remove_duplicate=False)
        except TypeError:
            pairs = method()
        found.update(pairs)
    return found


@contextmanager
def replaced(module: Any, values: dict[str, Tensor], tie_weights: bool, strict: bool) -> Iterator[None]:
    """Within, the module holds other tensors."""
    own = _named_tensors(module)
    missing, unexpected = [n for n in own if n not in values], [n for n in values if n not in own]
    if tie_weights:
        by_tensor = {id(own[name]): x for name, x in values.items() if name in own}
        given = {name: x for name, x in values.items() if name in own}
        values = dict(values)
        for name, x in own.items():
            if id(x) not in by_tensor:
                continue
            if name in given and given[name] is not by_tensor[id(x)]:
                raise ValueError(
                    f"functional_call got multiple values for keys {[n for n in own if own[n] is x]}, "
                    "which are tied. Consider using tie_weights=False"
                )
            values[name] = by_tensor[id(x)]
        missing = [name for name in own if name not in values]
    if strict and (missing or unexpected):
        parts = [f"Unexpected key(s): {_quoted(unexpected)}."] if unexpected else []
        parts += [f"Missing key(s): {_quoted(missing)}."] if missing else []
        raise RuntimeError(
            f"Error(s) in reparametrizing for {type(module).__name__}:\n\t" + "\n\t".join(parts)
        )
    before = []
    try:
        for name, x in values.items():
            if name not in own:
                continue
            if not isinstance(x, Tensor):
                raise TypeError(f"{x} is not an instance of torch.Tensor")
            holder, last = _holder(module, name)
            before.append((holder, last, _replace_tensor(holder, last, x)))
        yield
    finally:
        for holder, last, old in reversed(before):
            _replace_tensor(holder, last, old)


def _quoted(names: list[str]) -> str:
    return ", ".join(f"'{name}'" for name in sorted(names))


def _holder(module: Any, name: str) -> tuple[Any, str]:
    """The submodule that a dotted name leads to, and the last part of the name."""
    path, _, last = name.rpartition(".")
    for part in path.split(".") if path else ():
        children = getattr(module, "_modules", None)
        module = children[part] if children and part in children else getattr(module, part)
    return module, last


_ABSENT = object()


def _replace_tensor(holder: Any, name: str, value: Any) -> Any:
    """Sets a tensor of a submodule past all checks; returns what stood there."""
    for store in ("_parameters", "_buffers"):
        held = getattr(holder, store, None)
        if isinstance(held, dict) and name in held:
            old, held[name] = held[name], value
            return old
    space = vars(holder)
    old = space.get(name, _ABSENT)
    if value is _ABSENT:
        space.pop(name, None)
    else:
        space[name] = value
    return old


def stack_module_state(models: Sequence[Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The parameters and the buffers of several like modules, stacked under their names, for `vmap`.

    The stacked parameters are leaves that require a gradient if the modules' do. RuntimeError unless
    all modules are of one class and in one mode.

    >>> import pullback as torch
    >>> class Scale:
    ...     def __init__(self, w): self.w = torch.tensor(w)
    ...     def named_parameters(self): return [("w", self.w)]
    >>> torch.func.stack_module_state([Scale(1.0), Scale(2.0)])
    ({'w': tensor([1., 2.])}, {})
    """
    models = list(models)
    if not models:
        raise RuntimeError("stack_module_state: Expected at least one model, got 0.")
    modes = {getattr(m, "training", False) for m in models}
    if len(modes) != 1:
        raise RuntimeError("stack_module_state: Expected all models to have the same training/eval mode.")
    if any(type(m) is not type(models[0]) for m in models):
        raise RuntimeError("stack_module_state: Expected all models to be of the same class.")
    parameters = _stacked_states([dict(m.named_parameters()) for m in models], True)
    buffers = _stacked_states(
        [dict(m.named_buffers()) if hasattr(m, "named_buffers") else {} for m in models], False
    )
    return parameters, buffers


def _stacked_states(states: list[dict[str, Any]], as_leaves: bool) -> dict[str, Any]:
    found = {}
    for name, first in states[0].items():
        together = ops.stack([state[name].detach() for state in states])
        if as_leaves and first.requires_grad:
            if not all(state[name].requires_grad for state in states):
                raise RuntimeError(f"Expected {name} from each model to have the same .requires_grad status")
            together.requires_grad_()
        found[name] = together
    return found


def functionalize(func: Callable[..., Any], *, remove: str = "mutations") -> Callable[..., Any]:
    """A function that does what `func` does, with in-place ops and views told as ordinary ops.

    What `func` writes into its arguments it still does. Pullback's transforms take in-place ops as they
    are, so nothing needs to be rewritten. `remove` is "mutations" or "mutations_and_views".

    >>> import pullback as torch
    >>> x = torch.zeros(2)
    >>> torch.func.functionalize(lambda t: t.clone().add_(1))(x)
    tensor([1., 1.])
    """
    if remove not in ("mutations", "mutations_and_views"):
        raise RuntimeError(
            f"functionalize(f, remove='mutations'): received invalid argument for remove={remove}. Valid "
            "options are:\n     remove='mutations': all inplace and out= operators will be removed from the "
            "program, and replaced with their out-of-place equivalents.\n     remove='mutations_and_views': "
            "In addition to the above, all aliasing operators {view} will be replaced with their "
            "non-aliasing counterparts, {view}_copy.\n"
        )

    @functools.wraps(func)
    def run(*args: Any, **kwargs: Any) -> Any:
        return func(*args, **kwargs)

    return run


def debug_unwrap(tensor: Tensor, *, recurse: bool = True) -> Tensor:
    """The physical tensor behind one under `vmap`: of all levels, or with `recurse=False` of one.

    >>> import pullback as torch
    >>> torch.func.debug_unwrap(torch.ones(2))
    tensor([1., 1.])
    """
    while isinstance(tensor, Wrapper):
        tensor = tensor.physical
        if not recurse:
            break
    return tensor
