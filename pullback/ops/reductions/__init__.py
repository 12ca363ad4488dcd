"""Sums, extremes, norms, softmax and scans over dims."""
