"""A server as a deployment describes it: its command, its flags, and what they refer to."""
