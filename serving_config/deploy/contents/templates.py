"""The shipped files, which are what `render` starts from: as text, and as trees that keep their comments."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import CommentMark
from ruamel.yaml.tokens import CommentToken

from ..plan import Plan

SHIPPED = Path(__file__).resolve().parents[2]
_EXTRA_FLAGS_FOLLOW = "--monitoring_config_file="


def shipped(name: str, phrases: Mapping[str, str] | None = None) -> str:
    """The text of a shipped file, with other phrases in the place of some of its own."""
    return reworded((SHIPPED / name).read_text(encoding="utf-8"), phrases or {})


def reworded(text: str, phrases: Mapping[str, str]) -> str:
    """The text with each phrase, which it must hold, replaced by another."""
    for old, new in phrases.items():
        assert old in text, f"the shipped file no longer says {old!r}"
        text = text.replace(old, new)
    return text


def _yaml() -> YAML:
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.width = 4096
    return yaml


def load(name: str) -> Any:
    """A shipped YAML file's tree."""
    return parse(shipped(name))


def parse(text: str) -> Any:
    """The tree of a YAML document, with its comments."""
    return _yaml().load(text)


def dump(tree: Any) -> str:
    """The tree's text; of an untouched tree, the file's own text."""
    out = io.StringIO()
    _yaml().dump(tree, out)
    return out.getvalue()


def sizing(plan: Plan) -> dict[str, str]:
    """How the comment beside --grpc_max_threads is reworded."""
    needed = plan.needed_gb(plan.calls)
    return {
        "2 versions of 1 GB and 16 calls need 5.2 GB": f"{plan.loaded_versions} versions of {plan.mean_gb} GB "
        f"and {plan.calls} calls need {needed} GB"
    }


def set_flags(words: list[str], plan: Plan) -> None:
    """Give a list of flags the plan's values and its further flags; in a tree, with the comments that explain them."""
    for index, word in enumerate(words):
        name = word.partition("=")[0].removeprefix("--")
        if name in plan.flags:
            words[index] = f"--{name}={plan.flags[name]}"
    at = next(index for index, word in enumerate(words) if word.startswith(_EXTRA_FLAGS_FOLLOW))
    # In a tree, a comment belongs to what stands before it.
    comments = words.ca.items if hasattr(words, "ca") else {}
    following = comments.pop(at, None)
    for index, (why, flag) in enumerate(plan.extra_flags, at):
        if following and why:
            column = following[0].column
            comments[index] = [
                CommentToken(f"\n{' ' * column}# {why}\n", CommentMark(column)),
                None,
                None,
                None,
            ]
        words.insert(index + 1, flag)
    if following:
        comments[at + len(plan.extra_flags)] = following
