"""What families of ops have in common: dims, forms of calls, flat indices, refusals, guarded products."""
