"""Turn a slim checkpoint into a SavedModel that TensorFlow Serving runs."""
