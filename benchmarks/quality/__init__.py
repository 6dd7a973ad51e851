"""How good the label maps of each procedure are, on generated scenes: `python -m benchmarks.quality`."""
