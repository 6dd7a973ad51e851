"""What is written: variables, warm-up, publication."""
