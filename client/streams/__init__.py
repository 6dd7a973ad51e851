"""Much work, some of it at a time: read no further ahead than that, one result or error for each piece."""
