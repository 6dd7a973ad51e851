"""Speed and memory of slimserve beside what it replaces: python -m benchmarks."""
