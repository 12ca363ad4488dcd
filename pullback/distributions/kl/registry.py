"""Which function has the divergence of which two families."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

from pullback.core._engine import Tensor
from pullback.distributions.distribution import Distribution

Rule = Callable[[Any, Any], Tensor]

_KL_REGISTRY: dict[tuple[type, type], Rule] = {}
_KL_MEMOIZE: dict[tuple[type, type], Any] = {}


def register_kl(type_p: type, type_q: type) -> Callable[[Rule], Rule]:
    """A decorator that enters a function of p and q for two families.

    It holds for their subclasses too, unless these have one of their own; where two fit equally well there
    is a warning, which an entry for exactly these two families resolves.

    >>> import pullback as torch
    >>> class Mine(torch.distributions.Normal): ...
    >>> @torch.distributions.register_kl(Mine, Mine)
    ... def divergence(p, q):
    ...     return torch.zeros(())
    >>> torch.distributions.kl_divergence(Mine(0.0, 1.0), Mine(1.0, 1.0))
    tensor(0.)
    """
    for name, kind in (("type_p", type_p), ("type_q", type_q)):
        if not isinstance(kind, type):  # a base of distributions in another package is a class, too
            raise TypeError(f"Expected {name} to be a Distribution subclass but got {kind}")

    def enter(function: Rule) -> Rule:
        _KL_REGISTRY[type_p, type_q] = function
        _KL_MEMOIZE.clear()
        return function

    return enter


def _nearer(a: tuple[type, type], b: tuple[type, type]) -> bool:
    """Whether the pair `a` is more special than `b`, by its first class before its second."""
    for x, y in zip(a, b, strict=True):
        if x is not y:
            return issubclass(x, y)
    return True


def _nearest(pairs: list[tuple[type, type]]) -> tuple[type, type]:
    best = pairs[0]
    for pair in pairs[1:]:
        if not _nearer(best, pair):
            best = pair
    return best


def _dispatch_kl(type_p: type, type_q: type) -> Any:
    """The function for two families, NotImplemented if there is none."""
    fitting = [(p, q) for p, q in _KL_REGISTRY if issubclass(type_p, p) and issubclass(type_q, q)]
    if not fitting:
        return NotImplemented
    left = _nearest(fitting)
    q, p = _nearest([(q, p) for p, q in fitting])
    if _KL_REGISTRY[left] is not _KL_REGISTRY[p, q]:
        warnings.warn(
            f"Ambiguous kl_divergence({type_p.__name__}, {type_q.__name__}). "
            f"Please register_kl({left[0].__name__}, {q.__name__})",
            RuntimeWarning,
            stacklevel=3,
        )
    return _KL_REGISTRY[left]


def kl_divergence(p: Distribution, q: Distribution) -> Tensor:
    """KL(p || q), the mean of log p(x) - log q(x) for x drawn from p, for each of the batch.

    NotImplementedError for families without an entry (`register_kl`).

    >>> import pullback as torch
    >>> D = torch.distributions
    >>> D.kl_divergence(D.Normal(0.0, 1.0), D.Normal(1.0, 1.0))
    tensor(0.5000)
    """
    pair = type(p), type(q)
    if pair not in _KL_MEMOIZE:
        _KL_MEMOIZE[pair] = _dispatch_kl(*pair)
    rule = _KL_MEMOIZE[pair]
    if rule is NotImplemented:
        raise NotImplementedError(
            f"No KL(p || q) is implemented for p type {pair[0].__name__} and q type {pair[1].__name__}"
        )
    return rule(p, q)
