"""What an export must answer: tf-slim, and NumPy for what stands around a network."""
