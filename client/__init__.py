"""Image classification and semantic segmentation from a TensorFlow Serving, without TensorFlow."""
