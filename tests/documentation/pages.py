"""The commands and programs that README and docs show."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from slimserve.cli.command import ROOMS

from tests.conftest import ROOT

README = ROOT / "README.md"
PAGES = (README, *sorted((ROOT / "docs").rglob("*.md")))
FOLDERS = {"..export.cli": "export", ".main": "client", "..serving_config.cli": "serving_config"}
VERBS = {FOLDERS[room.module]: tuple(room.verbs) for room in ROOMS}
VERBS["export"] = ("inspect", "fetch")  # beside the export, which is no verb of `python -m export`


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: str
    language: str
    text: str


def _blocks(page: Path) -> list[Block]:
    found = re.findall(r"^```([^\n]*)\n(.*?)^```$", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    return [Block(str(page.relative_to(ROOT)), language, text) for language, text in found]


def _commands(block: Block) -> list[str]:
    """What is typed behind `$`, without comments; `a && b` are two, and a line that ends in a backslash goes on."""
    lines = re.findall(r"^\$ (.+?)(?:\s+#.*)?$", block.text.replace("\\\n", " "), re.MULTILINE)
    return [" ".join(part.split()) for line in lines for part in line.split(" && ")]


BLOCKS = tuple(block for page in PAGES for block in _blocks(page))
COMMANDS = tuple(command for block in BLOCKS if block.language == "console" for command in _commands(block))
_PYTHON = tuple(dict.fromkeys(block.text for block in BLOCKS if block.language == "python"))
TEST_FILES = tuple(text for text in _PYTHON if "\ndef test_" in text)  # for pytest
PROGRAMS = tuple(text for text in _PYTHON if text not in TEST_FILES)


def room_and_verb(command: str) -> tuple[str, str]:
    """Which of slimserve's commands is called, by `python -m` or by `slimserve`; two empty strings where none is.

    The room is what stands behind `python -m`; the verb of a plain export is empty.
    """
    words = command.split()
    if words[0] == "slimserve":
        room = next((room for room, verbs in VERBS.items() if words[1] in verbs), words[1])
        words = ["python", "-m", room, *(words[2:] if words[1] == room else words[1:])]
    if words[:2] != ["python", "-m"] or words[2].partition(".")[0] not in VERBS:
        return "", ""
    verb = "".join(words[3:4])
    return words[2], verb if verb in VERBS.get(words[2], ()) else ""
