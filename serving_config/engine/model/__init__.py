"""One version of one model: in memory, and what it is asked."""
