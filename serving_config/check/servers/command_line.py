"""The command that a container runs: the image's own script, a shell, or the server itself."""

import difflib
import itertools
import re
import shlex
import string
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ..finding import Finding
from . import server_flags
from .described_server import ENTRY_POINT, STOCK_IMAGE
from .environment import UNKNOWN, Environment, left_over
from .server_flags import Flags

Words = list[tuple[str, int]]
"""Words of a command, each with its line."""

_INITS = ("tini", "dumb-init", "catatonit", "docker-init")
"""Programs that pass signals on to the one that they start."""
_SHELLS = ("sh", "bash", "dash", "ash")
_DEFAULT = re.compile(r"\$\{(?P<name>\w+):?-(?P<value>[^}$]*)\}")
_REDIRECTION = re.compile(r"\d*(?:>>?|<)")
SCRIPT = "tf_serving_entrypoint.sh"
"""The stock image's own entry point."""
_TELLING = ("model_config_file", "model_base_path", "rest_api_port")
"""Flags that no other program is known to have."""
SERVER, INIT = "the server", "an init"
_SHELL, _STOCK_SCRIPT = "the shell", "the image's entry point script"


@dataclass(frozen=True)
class CommandLine:
    """What runs: the server's `flags`, None where they cannot be known, and in words what is started first."""

    flags: Flags | None
    faults: list[Finding]
    process: str = SERVER
    prepares: bool = False
    """Whether a shell runs something before the server, which may well put files into the container."""


def read(
    entry: Words | None, command: Words, image: str, environment: Environment, path: Path, line: int
) -> CommandLine:
    """Read a command as the container's start would.

    Args:
        entry: the entry point; None where the image's own runs, which is known of the stock image.
        command: what follows it.
        environment: the container's variables.
        path: the file, and `line` where the server begins in it.
    """
    words = [*(entry or []), *command]
    if entry is not None and words and PurePosixPath(words[0][0]).name == SCRIPT and STOCK_IMAGE.match(image):
        entry, command = None, words[1:]
        words = command
    misspelt = _misspelt(words, image, path)
    if misspelt:
        return CommandLine(None, misspelt)
    implied: dict[str, str] = {}
    faults: list[Finding] = []
    first = PurePosixPath(words[0][0]).name if words else ""
    prepares = False
    process = SERVER if first == ENTRY_POINT else INIT if first in _INITS else _SHELL
    is_expanded = (
        entry is None or "$" in image
    )  # by an entry point that is not known, or before the file is used
    if entry is None and STOCK_IMAGE.match(image) and is_shell([word for word, _ in command]):
        message = f"the image's script takes {command[0][0]} and what follows for flags of the server"
        advice = f"it ignores them: write the flags alone, or make /usr/bin/{ENTRY_POINT} the entry point"
        return CommandLine(None, [Finding(path, command[0][1], message, advice)])
    if entry is None and STOCK_IMAGE.match(image):
        process, is_expanded = _STOCK_SCRIPT, "$" in image
        name, folder = (
            environment.value("MODEL_NAME", "model"),
            environment.value("MODEL_BASE_PATH", "/models"),
        )
        implied = {"port": "8500", "rest_api_port": "8501", "model_base_path": f"{folder}/{name}"}
        implied["model_name"] = name
        if "MODEL_CONFIG_FILE" in environment.given:
            advice = "the image's script ignores it: give the server --model_config_file=..."
            faults.append(Finding(path, line, "MODEL_CONFIG_FILE is set", advice))
    elif first in _SHELLS and len(words) > 1 and words[1][0].endswith(ENTRY_POINT):
        message = f"{first} reads {words[1][0]} as a script, which it is not"
        return CommandLine(None, [Finding(path, words[0][1], message, f"write /usr/bin/{ENTRY_POINT} alone")])
    elif first in _SHELLS and (script := _script(words)) is not None:
        is_expanded = True
        (text, at), *rest = script or [("", line)]
        if rest and (text.endswith(ENTRY_POINT) or text.startswith("--")):
            message = f"{first} -c runs {text} alone, and keeps what follows for itself"
            return CommandLine(None, [Finding(path, at, message, "write the whole command as one word")])
        takes_more = bool(rest) and re.search(r"\$[@*]", text) is not None
        words, makes_way, prepares = _of_script(("" if takes_more else text, at), environment)
        process = SERVER if makes_way else _SHELL
        if not words:
            message = "what the shell runs was not checked"
            note = Finding(path, line, message, f"write the command as a list that begins with {ENTRY_POINT}")
            return CommandLine(None, [note.as_note()])
    if entry and entry[0][0].startswith("--"):
        message, advice = (
            f"the program to start is {entry[0][0]}",
            "flags go into args, or behind the server's name",
        )
        return CommandLine(None, [Finding(path, entry[0][1], message, advice)])
    if not implied:
        starts = [index for index, (word, _) in enumerate(words) if word.endswith(ENTRY_POINT)]
        if not starts and not (words and words[0][0].startswith("--")):
            message = f"what {words[0][0] if words else 'it'} runs was not checked"
            advice = f"only a command that names {ENTRY_POINT} is"
            return CommandLine(None, [*faults, Finding(path, line, message, advice).as_note()])
        # An image of one's own may well begin with the server.
        process = SERVER if not starts and not STOCK_IMAGE.match(image) else process
        words = words[starts[0] :] if starts else words
        if entry is None and not starts:  # what its own entry point adds
            implied = dict.fromkeys(("port", "rest_api_port", "model_base_path"), UNKNOWN)
    arguments = [(word, at) for word, at in words if not word.endswith(ENTRY_POINT)]
    literal = [] if is_expanded else [(word, at) for word, at in arguments if left_over(word)]
    advice = "no shell reads it: write the value, in Kubernetes $(NAME), or start the server by sh -c"
    faults += [Finding(path, at, f"nothing fills in the variable of {word}", advice) for word, at in literal]
    flags, wrong = server_flags.parse(arguments, path, line, implied)
    return CommandLine(flags, faults + wrong, process, prepares)


def _script(words: Words) -> Words | None:
    """What follows a shell's -c: its script and the script's own words; None where there is none."""
    for at, (word, _) in enumerate(words[1:4], 2):
        if word.endswith("c") and word.startswith("-"):
            return words[at:]
    return None


def is_shell(command: Sequence[object]) -> bool:
    """Whether a command begins with a shell, whose script may do more than start the server."""
    return bool(command) and PurePosixPath(str(command[0])).name in _SHELLS


def is_server(image: str, words: Iterable[str]) -> bool:
    """Whether a container of the image, with these words, runs the server, or was meant to."""
    if STOCK_IMAGE.match(image):
        return True
    words = list(words)
    told = [word.partition("=")[0].removeprefix("--") in _TELLING for word in words]
    return any(told) or any(ENTRY_POINT in word for word in words) or any(map(_is_near, words[:3]))


def _is_near(word: str) -> bool:
    """Whether the word names a program that is nearly called as the server is."""
    name = PurePosixPath(word).name
    return ENTRY_POINT not in name and bool(difflib.get_close_matches(name, [ENTRY_POINT], 1, 0.9))


def _misspelt(words: Words, image: str, path: Path) -> list[Finding]:
    advice = f"write /usr/bin/{ENTRY_POINT}"
    for word, line in words[:3]:
        if _is_near(word):
            return [Finding(path, line, f"there is no program {word}", advice)]
        elsewhere = word.endswith(f"/{ENTRY_POINT}") and word != f"/usr/bin/{ENTRY_POINT}"
        if elsewhere and STOCK_IMAGE.match(image) and " " not in word:
            return [Finding(path, line, f"the image has no {word}", advice)]
    return []


def _of_script(script: tuple[str, int], environment: Environment) -> tuple[Words, bool, bool]:
    """The server's words in a shell's script, none where it does not read like one; whether the shell makes way for
    it; and whether something runs before it.
    """
    defaults = _DEFAULT.sub(lambda match: environment.value(match["name"], "") or match["value"], script[0])
    text = string.Template(defaults).safe_substitute(environment.given).replace("\\\n", " ")
    lexer = shlex.shlex(text.strip().replace("\n", ";"), posix=True, punctuation_chars=";&|")
    lexer.whitespace_split, lexer.commenters = True, ""
    try:
        words = list(lexer)
    except ValueError:
        return [], False, False
    starts = [index for index, word in enumerate(words) if word.endswith(ENTRY_POINT)]
    if not starts:
        return [], False, False
    found = list(itertools.takewhile(lambda word: word.strip(";&|"), words[starts[-1] :]))
    # A shell replaces itself by the only command of its script.
    alone = len(found) == len(words) or words[starts[-1] - 1] == "exec"
    found = list(_without_redirections(found))
    before = [word for word in words[: starts[-1]] if word != "exec"]
    return [(word, script[1]) for word in found if not word.startswith("$")], alone, bool(before)


def _without_redirections(words: Iterable[str]) -> Iterator[str]:
    """What a shell takes out of a command: `>> file`, `2>file`."""
    rest = iter(words)
    for word in rest:
        redirection = _REDIRECTION.match(word)
        if redirection is None:
            yield word
        elif redirection.end() == len(word):
            next(rest, None)
