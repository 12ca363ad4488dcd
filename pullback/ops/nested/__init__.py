"""Nested tensors: batches of tensors that differ in one size."""
