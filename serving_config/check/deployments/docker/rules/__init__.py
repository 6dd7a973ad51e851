"""What must hold in a Dockerfile or a compose file beyond its schema."""
