"""Change the versions and labels in the text of a models.config, and leave everything else in it as it is."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from google.protobuf import text_format

from .protocol import ModelConfig, ModelServerConfig

_TOKEN = re.compile(
    r"""(?P<skip> (?: \s | , | ; | \#[^\n]* )+ )
    | (?P<word> "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*' | [\w.+-]+ )
    | (?P<mark> [{}:] )""",
    re.VERBOSE,
)


@dataclass
class _Field:
    """A field of a text proto: its span in the text, and what it holds."""

    name: str
    start: int
    end: int = 0
    value: str = ""
    value_start: int = 0
    children: list["_Field"] = field(default_factory=list)

    def all(self, *path: str) -> list["_Field"]:
        """The fields below this one by their names, such as ("specific", "versions")."""
        found = [child for child in self.children if child.name == path[0]]
        return [deeper for child in found for deeper in child.all(*path[1:])] if path[1:] else found

    def text_of(self, name: str) -> str:
        """The value of a field, without its quotes; empty where it is missing."""
        values = [child.value for child in self.all(name)]
        return values[0].strip("\"'") if values else ""


class _UnusualError(Exception):
    """The text is written in a way that is not followed here."""


def changed(text: str, config: ModelServerConfig) -> tuple[str, bool]:
    """The text with the versions and labels that `config` has, and whether the comments inside it are still there.

    `config` is the message that the text holds, but for the versions and labels of its models. Where the text is
    written in an unusual way, or differs in more than these, it is written anew, under the comment at its head.
    """
    after = edited(text, config)
    if after is not None:
        return after, True
    return head(text) + text_format.MessageToString(config), _comments(text) == _comments(head(text))


def edited(text: str, config: ModelServerConfig) -> str | None:
    """The text with the versions and labels that `config` has; None where it is unusual, or differs in more."""
    try:
        for model in config.model_config_list.config:
            text = _with(text, model)
        return text if text_format.Parse(text, ModelServerConfig()) == config else None
    except (_UnusualError, text_format.ParseError):
        return None


def head(text: str) -> str:
    """The comment at the head of the text."""
    lines = []
    for line in text.splitlines(keepends=True):
        if line.strip() and not line.lstrip().startswith("#"):
            break
        lines.append(line)
    return "".join(lines)


def _comments(text: str) -> int:
    return sum(line.lstrip().startswith("#") for line in text.splitlines())


def _with(text: str, model: ModelConfig) -> str:
    """The text with this model's versions and labels."""
    versions = [str(number) for number in model.model_version_policy.specific.versions]
    found = _config(text, model.name)
    text = _replaced(
        text,
        {f.value: f for f in found.all("model_version_policy", "specific", "versions")},
        dict(zip(versions, versions, strict=True)),
        None,
    )
    found = _config(text, model.name)
    labels = {f.text_of("key"): f for f in found.all("version_labels")}
    wanted = {label: str(version) for label, version in sorted(model.version_labels.items())}
    return _replaced(text, labels, wanted, found.all("model_version_policy"))


def _config(text: str, name: str) -> _Field:
    for found in _parsed(text).all("model_config_list", "config"):
        if found.text_of("name") == name:
            return found
    raise _UnusualError


def _replaced(
    text: str, there: Mapping[str, _Field], wanted: Mapping[str, str], after: Sequence[_Field] | None
) -> str:
    """The text with fields for `wanted`, a value by its key, in the place of those that are there.

    Args:
        after: the first label stands behind the last of these; a version without another before it is unusual.
    """
    edits: list[tuple[int, int, str]] = []
    last = max((f.end for f in there.values()), default=0)
    for key, found in there.items():
        if key not in wanted:
            edits.append((*_line(text, found), ""))
        elif found.children:
            values = found.all("value")
            if len(values) != 1:
                raise _UnusualError
            edits.append((values[0].value_start, values[0].end, wanted[key]))
    new = [key for key in wanted if key not in there]
    if new:
        model = next(iter(there.values()), None) or (after[-1] if after else None)
        if model is None:
            raise _UnusualError
        at = text.find("\n", last or model.end)
        at = len(text) if at < 0 else at + 1
        indent = text[text.rfind("\n", 0, model.start) + 1 : model.start]
        if indent.strip():
            raise _UnusualError
        pattern = "versions: {value}" if after is None else 'version_labels {{ key: "{key}" value: {value} }}'
        lines = [f"{indent}{pattern.format(key=key, value=wanted[key])}\n" for key in new]
        edits.append((at, at, "".join(lines)))
    for start, end, words in sorted(edits, reverse=True):
        text = text[:start] + words + text[end:]
    return text


def _line(text: str, found: _Field) -> tuple[int, int]:
    """The span of the lines that hold this field and nothing else."""
    start = text.rfind("\n", 0, found.start) + 1
    end = text.find("\n", found.end)
    end = len(text) if end < 0 else end + 1
    rest = text[found.end : end].strip()
    if text[start : found.start].strip() or (rest and not rest.startswith("#")):
        return found.start, found.end
    return start, end


def _parsed(text: str) -> _Field:
    root = _Field("", 0, len(text))
    tokens = list(_tokens(text))
    stack = [root]
    index = 0
    while index < len(tokens):
        word, start, end = tokens[index]
        if word == "}":
            stack[-1].end = end
            stack.pop()
            index += 1
            if not stack:
                raise _UnusualError
            continue
        child = _Field(word, start)
        stack[-1].children.append(child)
        following = [token for token, _, _ in tokens[index + 1 : index + 3]]
        if following[:1] == ["{"] or following == [":", "{"]:
            stack.append(child)
            index += 1 + following.index("{") + 1
        elif following[:1] == [":"] and len(following) == 2 and following[1] not in "{}:":
            child.value, child.value_start, child.end = tokens[index + 2]
            index += 3
        else:
            raise _UnusualError
    if stack != [root]:
        raise _UnusualError
    return root


def _tokens(text: str) -> Iterator[tuple[str, int, int]]:
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise _UnusualError
        if match.lastgroup != "skip":
            yield match.group(), match.start(), match.end()
        at = match.end()
