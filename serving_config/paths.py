"""Paths on the command line."""

import argparse
from pathlib import Path


def path_argument(text: str) -> Path:
    """The path that is written; shells leave a ~ behind `--option=` as it is.

    Raises:
        argparse.ArgumentTypeError: the text is empty, as an unset variable of a shell is; Path() takes it for the
            working folder.
    """
    if not text:
        raise argparse.ArgumentTypeError("the path is empty: is a variable of the shell not set?")
    try:
        return Path(text).expanduser()
    except RuntimeError:  # there is no such user
        return Path(text)
