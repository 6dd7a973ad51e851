"""The one exception that every command of `python -m serving_config` reports as a single line."""

COMMAND = "slimserve" if __package__ == "slimserve.serving_config" else "python -m serving_config"
"""What is typed before a verb: where slimserve is installed, and in a checkout."""


class ServingConfigError(Exception):
    """Something the operator can put right: the message says what is wrong and what to do, in one line."""
