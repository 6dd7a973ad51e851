"""What Docker reads: Dockerfiles, and compose files with the images that they build."""
