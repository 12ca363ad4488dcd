"""The heart: op records, Tensor, the graph and the backward pass, NumPy's loops, dtypes, printing."""
