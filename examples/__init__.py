"""Programs that show slimserve at work."""
