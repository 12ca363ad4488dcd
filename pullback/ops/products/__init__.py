"""Matrix products: matmul, addmm, einsum, linear."""
