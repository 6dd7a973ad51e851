"""TensorFlow Serving's messages to and from numpy arrays, without TensorFlow."""
