"""What the commands share about a server: its API, its messages, its list of models, its ports and certificates."""
