"""The texts of a deployment's files, each from the plan and the shipped file."""
