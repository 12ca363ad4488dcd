"""What families of ops have in common: dims, forms of calls, flat places, guarded products."""
