"""Ops that act on each number: arithmetic, comparison, rounding, bits, elementary functions."""
