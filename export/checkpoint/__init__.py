"""From a path to checked tensors."""
