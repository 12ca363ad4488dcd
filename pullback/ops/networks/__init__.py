"""What neural networks are made of: activations, losses, norms, attention, recurrent cells."""
