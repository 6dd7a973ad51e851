"""Connections, and one call over them."""
