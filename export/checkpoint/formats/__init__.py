"""The formats of checkpoints: bytes to checked tensors."""
