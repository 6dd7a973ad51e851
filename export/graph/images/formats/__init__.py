"""The image formats, each decoded in the graph within bounds."""
