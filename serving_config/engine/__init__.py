"""The embedded engine: the smallest honest stand-in for TensorFlow Serving, for a laptop, a test or CI."""
