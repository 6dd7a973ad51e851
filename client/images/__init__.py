"""What callers give as images, made ready to send."""
