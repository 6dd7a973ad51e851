"""What must hold in objects of Kubernetes beyond their schema."""
