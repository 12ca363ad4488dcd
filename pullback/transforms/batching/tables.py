"""All rules of single ops: importing this fills the table."""

from pullback.transforms.batching import (
    rules_indices,
    rules_networks,
    rules_products,
    rules_rewritten,
    rules_shapes,
)
from pullback.transforms.batching.rules import RULE

for _name, _rule in rules_rewritten.REWRITTEN.items():
    RULE.setdefault(_name, _rule)

__all__ = ["rules_indices", "rules_networks", "rules_products", "rules_rewritten", "rules_shapes"]
