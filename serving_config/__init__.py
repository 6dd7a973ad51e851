"""Run and configure TensorFlow Serving for exported models; an embedded engine where there is none."""
