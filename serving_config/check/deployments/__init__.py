"""Deployment files: compose files, Dockerfiles, Kubernetes manifests, kustomizations."""
