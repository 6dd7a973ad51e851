"""`up`: start a server."""
