"""What is exported, decided before anything is built."""
