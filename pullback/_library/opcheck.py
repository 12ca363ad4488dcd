"""`opcheck`: whether a declared op does what its registrations say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pullback._library.custom_ops import CustomOpDef
from pullback.core._engine import Tensor
from pullback.utils._pytree import tree_leaves, tree_map

TESTS = ("test_schema", "test_autograd_registration", "test_faketensor", "test_aot_dispatch_dynamic")


class OpCheckError(Exception):
    """What `opcheck` found to be wrong."""


def _copies(values: Any) -> Any:
    def copied(x: Any) -> Any:
        return x.detach().clone().requires_grad_(x.requires_grad) if isinstance(x, Tensor) else x

    return tree_map(copied, values)


def _is_changed(before: Any, after: Any) -> bool:
    if not isinstance(before, Tensor):
        return False
    return not before.detach().equal(after.detach()) and not bool(before.isnan().any())


def _test_schema(op: Any, args: Any, kwargs: Any) -> None:
    definition = op._definition if isinstance(op, CustomOpDef) else op._op
    values, named = definition.schema.bound(_copies(tuple(args)), _copies(kwargs))
    before = _copies((values, named))
    op(*values, **named)
    arguments = [a for a in definition.schema.arguments if not a.kwarg_only]
    for argument, old, new in zip(arguments, before[0], values, strict=True):
        if not argument.is_write and any(map(_is_changed, tree_leaves(old), tree_leaves(new))):
            raise OpCheckError(f"Argument {argument.name} is not defined as mutable but was mutated")


def _test_autograd(op: Any, args: Any, kwargs: Any) -> None:
    args, kwargs = _copies(tuple(args)), _copies(kwargs)
    results = [r for r in tree_leaves(op(*args, **kwargs)) if isinstance(r, Tensor) and r.requires_grad]
    if results:
        sum((r.sum() for r in results[1:]), results[0].sum()).backward()


def _test_fake(op: Any, args: Any, kwargs: Any) -> None:
    definition = op._definition if isinstance(op, CustomOpDef) else op._op

    def fake(x: Any) -> Any:
        return x.detach().to("meta") if isinstance(x, Tensor) else x

    args, kwargs = _copies(tuple(args)), _copies(kwargs)
    values, named = definition.schema.bound(tree_map(fake, args), tree_map(fake, kwargs))
    made = tree_leaves(definition.run_fake(values, named))
    real = tree_leaves(op(*args, **kwargs))
    for a, b in zip(made, real, strict=True):
        if isinstance(b, Tensor) and (a.shape != b.shape or a.dtype != b.dtype or a.stride() != b.stride()):
            raise OpCheckError(
                f"the fake impl gives {a.dtype} of shape {tuple(a.shape)} and stride {a.stride()}, the op "
                f"{b.dtype} of shape {tuple(b.shape)} and stride {b.stride()}"
            )


_CHECKS = dict(zip(TESTS, (_test_schema, _test_autograd, _test_fake, _test_autograd), strict=True))


def opcheck(
    op: Any,
    args: Sequence[Any],
    kwargs: dict[str, Any] | None = None,
    *,
    test_utils: str | Sequence[str] = TESTS,
    raise_exception: bool = True,
    atol: float | None = None,
    rtol: float | None = None,
) -> dict[str, Any]:
    """Checks a declared op on arguments: what it writes to, its derivative, its results without numbers.

    Returns what each test found, "SUCCESS" or the error; raises it unless told otherwise.
    """
    names = [test_utils] if isinstance(test_utils, str) else list(test_utils)
    unknown = set(names) - set(TESTS)
    if unknown:
        raise ValueError(f"unknown tests: {', '.join(sorted(unknown))}")
    found: dict[str, Any] = {}
    for name in names:
        try:
            _CHECKS[name](op, args, kwargs or {})
        except Exception as error:
            if raise_exception:
                raise OpCheckError(f"opcheck(op, ...): {name} failed with {error}") from error
            found[name] = error
        else:
            found[name] = "SUCCESS"
    return found
