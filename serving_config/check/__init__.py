"""`python -m serving_config check`: find faults in a deployment's files before a server does."""
