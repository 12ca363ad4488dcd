"""Tensors with a mask, `torch.masked.MaskedTensor`."""
