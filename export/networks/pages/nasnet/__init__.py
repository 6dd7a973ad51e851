"""NASNets, a page for each search that found one."""
