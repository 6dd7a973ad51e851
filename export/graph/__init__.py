"""From requests to answers as nodes: the serving graph, its signatures, and what they are built of."""
