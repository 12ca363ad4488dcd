"""Making, viewing, joining and splitting tensors."""
