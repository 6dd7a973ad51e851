"""A convolution as nodes of a graph: portable, x86, int8."""
