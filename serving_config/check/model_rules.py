"""What must hold in models.config beyond its grammar: base paths, versions and labels that are there."""

import stat
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

from ..models_config import version_folders
from .finding import Finding, joined
from .text_proto import Node

Locate = Callable[[str], "Path | None"]
"""Where a base path, as the server sees it, lies on this machine; None where that cannot be known."""


def models(root: Node) -> list[Node]:
    """The `config` messages of a ModelServerConfig."""
    return [config for group in root.all("model_config_list") for config in group.all("config")]


def findings(root: Node, path: Path, locate: Locate) -> Iterator[Finding]:
    """Every fault of a well-formed ModelServerConfig at `path`."""
    custom = root.first("custom_model_config")
    if custom:
        yield Finding(
            path, custom.line, "the server ends at once on custom_model_config", "use model_config_list"
        )
    elif not models(root):
        yield Finding(path, 1, "no model is configured", "add model_config_list { config { ... } }")
    seen: dict[str, int] = {}
    for config in models(root):
        name = config.value("name")
        if name in seen:
            advice = f"keep one; the other is on line {seen[name]}"
            yield Finding(
                path, (config.first("name") or config).line, f"the model {name} is there twice", advice
            )
        seen.setdefault(name, config.line)
        yield from _model(config, path, locate)


def _model(config: Node, path: Path, locate: Locate) -> Iterator[Finding]:
    name = config.value("name")
    if not name:
        yield Finding(path, config.line, "a model without a name", "give it name: ...")
    yield from _platform(config, path)
    specific = config.first("model_version_policy", "specific")
    if specific is not None and not specific.all("versions"):
        advice = "the server would load none: add versions: ..."
        yield Finding(path, specific.line, "specific names no version", advice)
    base = config.first("base_path")
    if base is None or not base.text:
        yield Finding(
            path, config.line, f"the model {name} has no base_path", "name the folder of its versions"
        )
        return
    if "://" in base.text:
        return
    if not PurePosixPath(base.text).is_absolute():
        advice = "the server refuses it: write it from / on, as the server sees it"
        yield Finding(path, base.line, f"base_path {base.text} is relative", advice)
        return
    folder = locate(base.text)
    if folder is None:
        return
    if not folder.is_dir():
        advice = "the server would wait for it without end: export a model there or correct the path"
        yield Finding(path, base.line, f"base_path {base.text} does not exist ({folder})", advice)
        return
    yield from _versions(config, base, folder, path)


def _platform(config: Node, path: Path) -> Iterator[Finding]:
    platform, kind = config.first("model_platform"), config.first("model_type")
    if platform is None and kind is None:
        advice = 'the server refuses it: add model_platform: "tensorflow"'
        yield Finding(path, config.line, f"the model {config.value('name')} has no model_platform", advice)
    elif platform is not None and kind is not None:
        advice = "the server refuses both: remove model_type"
        yield Finding(path, kind.line, "model_type is set beside model_platform", advice)
    elif platform is not None and platform.text != "tensorflow":
        advice = 'the stock server knows "tensorflow" only'
        yield Finding(path, platform.line, f"model_platform is {platform.text!r}", advice)


def _versions(config: Node, base: Node, folder: Path, path: Path) -> Iterator[Finding]:
    on_disk = version_folders(folder)
    if not on_disk:
        advice = "the server would wait without end: export a model there"
        yield Finding(path, base.line, f"no version in {base.text} ({folder})", advice)
        return
    policy = config.first("model_version_policy")
    wanted = [node for node in policy.walk() if node.name == "versions"] if policy else []
    served = _served(policy, wanted, on_disk)
    for node in wanted:
        if node.number not in on_disk:
            advice = f"export it, or choose among {joined(on_disk)}"
            yield Finding(path, node.line, f"version {node.text} is not in {base.text}", advice)
    lines = {node.number: node.line for node in wanted}
    for number in served & set(on_disk):
        yield from _complete(on_disk[number], number, path, lines.get(number, base.line))
    yield from _labels(config, served, on_disk, path)


def _served(policy: Node | None, wanted: list[Node], on_disk: dict[int, Path]) -> set[int]:
    if policy is not None and policy.first("specific"):
        return {node.number for node in wanted}
    if policy is not None and policy.first("all"):
        return set(on_disk)
    count = policy.first("latest", "num_versions") if policy else None
    return set(sorted(on_disk)[-max(count.number if count else 1, 1) :])


def _complete(version: Path, number: int, path: Path, line: int) -> Iterator[Finding]:
    graph = next(
        (version / n for n in ("saved_model.pb", "saved_model.pbtxt") if (version / n).is_file()), None
    )
    if graph is None or graph.stat().st_size == 0:
        advice = "the server cannot load it: export it again"
        yield Finding(path, line, f"version {number} is incomplete, no saved_model.pb in {version}", advice)
        return
    if not graph.stat().st_mode & stat.S_IROTH or not version.stat().st_mode & stat.S_IXOTH:
        advice = f"the server runs as another user: chmod -R o+rX {version}"
        yield Finding(path, line, f"version {number} is not readable by others", advice)


def _labels(config: Node, served: set[int], on_disk: dict[int, Path], path: Path) -> Iterator[Finding]:
    seen: dict[str, int] = {}
    for label in config.all("version_labels"):
        name = label.value("key")
        if name in seen:
            advice = f"keep one; the other is on line {seen[name]}"
            yield Finding(path, label.line, f"the label {name} is there twice", advice)
        seen.setdefault(name, label.line)
        yield from _label(label, served, on_disk, path)


def _label(label: Node, served: set[int], on_disk: dict[int, Path], path: Path) -> Iterator[Finding]:
    number = label.first("value")
    name, version = label.value("key"), number.number if number else 0
    if version in served:
        return
    if version in on_disk:
        advice = "add the version to model_version_policy, or move the label"
        yield Finding(
            path,
            label.line,
            f"the label {name} is on version {version}, which the policy does not load",
            advice,
        )
    else:
        advice = f"move it to one of {joined(sorted(served), 'or')}"
        yield Finding(
            path, label.line, f"the label {name} is on version {version}, which is not there", advice
        )
