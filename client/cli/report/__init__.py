"""One HTML page about a run of `segment`, with every picture in it: no other file, no network."""
