"""Change the versions and labels in the text of a models.config, and leave everything else in it as it is."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from google.protobuf import text_format

from ...check.configs import text_proto
from ...check.configs.text_proto import Node
from ...server.protocol import ModelConfig, ModelServerConfig


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
    except (_UnusualError, text_proto.TextProtoError, text_format.ParseError):
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
        {f.value(): f for f in found.all("model_version_policy", "specific", "versions")},
        dict(zip(versions, versions, strict=True)),
        None,
    )
    found = _config(text, model.name)
    labels = {f.value("key"): f for f in found.all("version_labels")}
    wanted = {label: str(version) for label, version in sorted(model.version_labels.items())}
    return _replaced(text, labels, wanted, found.all("model_version_policy"))


def _config(text: str, name: str) -> Node:
    for found in text_proto.read(text, Path()).all("model_config_list", "config"):
        if found.value("name") == name:
            return found
    raise _UnusualError


def _replaced(
    text: str, there: Mapping[str, Node], wanted: Mapping[str, str], after: Sequence[Node] | None
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
        elif found.fields:
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


def _line(text: str, found: Node) -> tuple[int, int]:
    """The span of the lines that hold this field and nothing else."""
    start = text.rfind("\n", 0, found.start) + 1
    end = text.find("\n", found.end)
    end = len(text) if end < 0 else end + 1
    rest = text[found.end : end].strip()
    if text[start : found.start].strip() or (rest and not rest.startswith("#")):
        return found.start, found.end
    return start, end
