"""From a request to pixels."""
