"""The configuration files of TensorFlow Serving: their text, their messages, and what must hold in each."""
