"""What must hold in a deployment file beyond its schema."""
