"""A page for each family of networks. Each module here may list networks as `NETWORKS`; nothing else names it."""
