"""From tensors to what is stored."""
