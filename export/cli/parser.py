"""Arguments as people type them: what is no option here is answered by what to type instead."""

from __future__ import annotations

import argparse
import difflib
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NoReturn


def whole_number(least: int) -> Callable[[str], int]:
    """Return what reads a whole number of at least `least`, and refuses others in words."""

    def read(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = least - 1
        if number < least:
            raise argparse.ArgumentTypeError(f"must be a whole number, {least} or more, not {text!r}")
        return number

    return read


def path(text: str) -> Path:
    """Return the path that is written; shells leave a ~ behind `--option=` as it is.

    The path of no name is that of the working folder, which an unset variable of a shell does not mean.
    """
    if not text:
        raise argparse.ArgumentTypeError(
            "is empty, as an unset variable of a shell is: name a path, or leave it out"
        )
    try:
        return Path(text).expanduser()
    except RuntimeError:  # there is no such user
        return Path(text)


class Parser(argparse.ArgumentParser):
    """A parser that looks for options that it lacks before it asks for those that it needs."""

    def __init__(
        self,
        prog: str,
        description: str,
        epilog: str | None = None,
        elsewhere: Mapping[str, str] | None = None,
    ) -> None:
        """Make one without options; `elsewhere` says of names without -- what does the same here."""
        super().__init__(
            prog=prog,
            description=description,
            epilog=epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        self._elsewhere = elsewhere or {}

    def parse(self, arguments: Sequence[str] | None) -> argparse.Namespace:
        """Parse; end the process in words where an argument is no option here."""
        arguments = sys.argv[1:] if arguments is None else arguments
        for argument in arguments:
            if argument == "--":
                break
            name = argument.partition("=")[0]
            if name[:1] == "-" and name.lstrip("-")[:1].isalpha() and name not in self._option_string_actions:
                self._refuse(name)
        return self.parse_args(arguments)

    def error(self, message: str) -> NoReturn:
        """End the process with a line; the usage of so many options would hide it."""
        self.exit(
            2,
            f"{self.prog}: error: {message}{'' if '--help' in message else ' (--help lists the options)'}\n",
        )

    def _refuse(self, name: str) -> NoReturn:
        plain = name.lstrip("-").lower().replace("_", "-")
        known = [option for option in self._option_string_actions if option.startswith("--")]
        if f"--{plain}" in known:
            self.error(f"{name} is spelt --{plain} here")
        if plain in self._elsewhere:
            self.error(f"there is no {name} here: {self._elsewhere[plain]}")
        near = difflib.get_close_matches(f"--{plain}", known, 1, 0.7)
        self.error(
            f"there is no {name}: {f'did you mean {near[0]}?' if near else '--help lists the options'}"
        )
