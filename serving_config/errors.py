"""The one exception that every command of `python -m serving_config` reports as a single line."""


class ServingConfigError(Exception):
    """Something the operator can put right: the message says what is wrong and what to do, in one line."""
