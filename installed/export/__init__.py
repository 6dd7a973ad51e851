"""`python -m export` where slimserve is installed; the exporter itself is `slimserve.export`."""
