"""The checkpoints that slim's and DeepLab's authors published: their names, their addresses, and how one is fetched."""
