"""The instructions of a Dockerfile, each with its words and its lines."""

import itertools
import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, replace

_ESCAPE = re.compile(
    r"(?:#\s*\w+\s*=.*\n)*#\s*escape\s*=\s*(?P<sign>[`\\])\s*$", re.IGNORECASE | re.MULTILINE
)
"""The directive, at the top, of what joins two lines."""
_HERE_DOCUMENT = re.compile(r"<<-?[\"']?(\w+)[\"']?")


@dataclass(frozen=True)
class Instruction:
    """One instruction: its keyword in capitals, the rest of it on one line, and the lines it stands on."""

    keyword: str
    rest: str
    line: int
    text: tuple[str, ...]

    def words(self) -> list[str]:
        """The exec form's words, or the shell form's.

        Raises:
            ValueError: a quote of the shell form is not closed.
        """
        words = self._exec_form()
        return shlex.split(self.rest) if words is None else words

    @property
    def is_list(self) -> bool:
        """Whether it is of the exec form, and not a line of shell."""
        return self._exec_form() is not None

    @property
    def options(self) -> list[str]:
        """Such as --from=build; they stand before the words."""
        return list(itertools.takewhile(lambda word: word.startswith("--"), self.rest.split()))

    def plain(self) -> list[str]:
        """The words behind the options; quotes hold no blanks together, and are taken away all the same."""
        behind = self.rest
        for option in self.options:
            behind = behind.partition(option)[2].strip()
        words = replace(self, rest=behind)._exec_form()
        return behind.replace('"', "").replace("'", "").split() if words is None else words

    def _exec_form(self) -> list[str] | None:
        try:
            words = json.loads(self.rest)
        except ValueError:
            return None
        return [str(word) for word in words] if isinstance(words, list) else None

    def line_of(self, word: str) -> int:
        """The line on which a word stands."""
        for offset, text in enumerate(self.text):
            if word in text:
                return self.line + offset
        return self.line


def instructions(text: str) -> Iterator[Instruction]:
    """The instructions of a Dockerfile, continued lines joined, comments and here-documents dropped."""
    escape = match["sign"] if (match := _ESCAPE.match(text)) else "\\"
    pending: list[str] = []
    ends: list[str] = []
    start = 0
    for number, line in enumerate(text.splitlines(), 1):
        bare = line.strip()
        if ends:
            ends = ends[bare == ends[0] :]
            continue
        if not bare or bare.startswith("#"):
            continue
        start = start if pending else number
        pending.append(line)
        if not bare.endswith(escape):
            joined = " ".join(part.strip().removesuffix(escape).strip() for part in pending)
            keyword, _, rest = joined.partition(" ")
            yield Instruction(keyword.upper(), rest.strip(), start, tuple(pending))
            pending = []
            ends = _HERE_DOCUMENT.findall(rest) if keyword.upper() in ("RUN", "COPY", "ADD") else []
