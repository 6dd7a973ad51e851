"""What is true of each image: where it stands, and what it says."""
