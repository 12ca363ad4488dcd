"""All rules of single ops: importing this fills the table."""

from pullback.batching import rules_indices, rules_networks, rules_products, rules_shapes

__all__ = ["rules_indices", "rules_networks", "rules_products", "rules_shapes"]
