"""What must hold in models.config beyond its grammar: base paths, versions and labels that are there."""

import re
import stat
from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ...server.models_config import is_remote, local_path, version_folders
from ..finding import Finding, joined
from . import version_files
from .text_proto import Node, integer

Locate = Callable[[str], "Path | None"]
"""Where a base path, as the server sees it, lies on this machine; None where that cannot be known."""

_NO_TYPE, _TENSORFLOW = ("MODEL_TYPE_UNSPECIFIED", "0"), ("TENSORFLOW", "1")
"""Of model_type, by name and by number."""


@dataclass(frozen=True)
class Loader:
    """What is known of the server that loads the models."""

    user: int | None = None
    """The user whom it runs as, by number; None for one to whom the files do not belong."""
    takes_tflite: bool = False
    reads_s3: bool = False
    """Whether it is of a release that still did."""

    def may_read(self, path: Path, others: int, owner: int) -> bool:
        """Whether the rights of a file or folder let it in, by the bits of others and of the owner."""
        status = path.stat()
        return self.user == 0 or bool(status.st_mode & (owner if status.st_uid == self.user else others))


def findings(root: Node, locate: Locate, loader: Loader = Loader()) -> Iterator[Finding]:
    """Every fault of a well-formed ModelServerConfig."""
    custom, empty = root.first("custom_model_config"), root.first("model_config_list")
    models = root.all("model_config_list", "config")
    if custom:
        yield custom.fault("the server ends at once on custom_model_config", "use model_config_list")
    elif not models:
        advice = "add model_config_list { config { ... } }"
        if empty:
            advice = "the server starts, and waits for a reload that names some: add config { ... }"
        yield (empty or root).fault("no model is configured", advice).as_note(empty is not None)
    yield from _repetitions(models, "name", "the model")
    for config in models:
        yield from of_model(config, locate, loader)


def _repetitions(nodes: list[Node], key: str, what: str) -> Iterator[Finding]:
    seen: dict[str, int] = {}
    for node in nodes:
        name = node.value(key)
        if name in seen:
            line = node if what == "the label" else node.first(key) or node
            yield line.fault(f"{what} {name} is there twice", f"keep one; the other is on line {seen[name]}")
        seen.setdefault(name, node.line)


def base_path_fault(base: str) -> tuple[str, str] | None:
    """What is wrong with an address in the place of a base path, and what to do, if anything."""
    scheme = base.partition("://")[0] if "://" in base else "file"
    if scheme in ("file", "gs"):
        return None
    advice = "it would wait without end: copy the model to a folder, or to gs://"
    return f"the server reads no {scheme}:// (it reads folders, file:// and gs://)", advice


def of_model(config: Node, locate: Locate, loader: Loader) -> Iterator[Finding]:
    """Every fault of one model's configuration."""
    name = config.value("name")
    if not name:
        yield config.fault("a model without a name", "give it name: ...")
    yield from _platform(config)
    logging = config.first("logging_config")
    if logging is not None:
        advice = 'it has no logger of requests, "No request-logger-creator provided": remove it'
        yield logging.fault("the server ends at once on logging_config", advice)
    for label in config.all("version_labels"):
        if not label.value("key"):
            yield label.fault("a label without a name", 'give it key: "stable"')
    specific = config.first("model_version_policy", "specific")
    if specific is not None and not specific.all("versions"):
        yield specific.fault("specific names no version", "the server would load none: add versions: ...")
    base = config.first("base_path")
    if base is None or not base.text:
        yield config.fault(f"the model {name} has no base_path", "name the folder of its versions")
        return
    remote = base_path_fault(base.text)
    if remote and not (loader.reads_s3 and base.text.startswith("s3://")):
        yield base.fault(*remote)
    text, is_elsewhere = local_path(base.text).as_posix(), bool(remote) or is_remote(base.text)
    if not is_elsewhere and not PurePosixPath(text).is_absolute():
        advice = "the server refuses it: write it from / on, as the server sees it"
        if text[:1] in "$~":
            advice = "the server expands neither variables nor ~: write it from / on"
        yield base.fault(f"base_path {base.text} is relative", advice)
        return
    folder = None if is_elsewhere else locate(text)
    path = PurePosixPath(text)
    # A long number may be a date, and the folder one of versions.
    if folder is None and path.parent.name == name and re.fullmatch(r"\d{1,4}", path.name):
        advice = f"name the folder of the versions: {base.text.rstrip('/').rpartition('/')[0]}"
        yield base.fault(f"base_path {base.text} is a version", advice)
        return
    if folder is None:
        yield from _labels(config, specific)
        return
    if not folder.is_dir():
        advice = "the server would wait for it without end: export a model there or correct the path"
        yield base.fault(f"base_path {base.text} does not exist ({folder})", advice)
        return
    yield from _versions(config, base, folder, loader)


def _labels(config: Node, specific: Node | None) -> Iterator[Finding]:
    """Labels, where it cannot be known which versions there are: as many as the policy loads have a place."""
    labels = config.all("version_labels")
    yield from _repetitions(labels, "key", "the label")
    policy = config.first("model_version_policy")
    loaded = {node.number for node in specific.all("versions")} if specific else set()
    if specific is None and not (policy and policy.first("all")):
        loaded = _latest(policy, {integer(label.value("value")) or 0 for label in labels})
    for label in labels if loaded else []:
        yield from _label(label, loaded)


def _platform(config: Node) -> Iterator[Finding]:
    platform, kind = config.first("model_platform"), config.first("model_type")
    platform = platform if platform is not None and platform.text else None
    kind = None if kind is not None and kind.text in _NO_TYPE else kind
    if platform is None and kind is None:
        advice = 'the server refuses it: add model_platform: "tensorflow"'
        yield config.fault(f"the model {config.value('name')} has no model_platform", advice)
    elif platform is not None and kind is not None:
        yield kind.fault(
            "model_type is set beside model_platform", "the server refuses both: remove model_type"
        )
    elif platform is not None and platform.text != "tensorflow":
        yield platform.fault(
            f"model_platform is {platform.text!r}", 'the stock server knows "tensorflow" only'
        )
    elif kind is not None and kind.text not in _TENSORFLOW:
        advice = 'the server refuses it: write model_platform: "tensorflow" in its place'
        yield kind.fault(f"model_type is {kind.text}", advice)


def _versions(config: Node, base: Node, folder: Path, loader: Loader) -> Iterator[Finding]:
    on_disk = _taken_for_versions(folder)
    if not on_disk and any((folder / name).is_file() for name in ("saved_model.pb", "saved_model.pbtxt")):
        path = PurePosixPath(base.text or "")
        advice = f"put it into a folder that is named by a number: {path}/1"
        if path.name.isdigit():
            advice = f"name the folder of the versions: {path.parent}"
        yield base.fault(f"base_path {base.text} is a version", advice)
        return
    if not on_disk:
        advice = "the server would wait without end: export a model there"
        yield base.fault(f"no version in {base.text} ({folder})", advice)
        return
    policy = config.first("model_version_policy")
    wanted = [node for node in policy.walk() if node.name == "versions"] if policy else []
    served = _served(policy, wanted, on_disk)
    for node in wanted:
        if node.number not in on_disk:
            advice = f"export it, or choose among {joined(on_disk)}"
            yield node.fault(f"version {node.text} is not in {base.text}", advice)
    named = {node.number: node for node in wanted}
    for number in served & set(on_disk):
        yield from _complete(on_disk[number], number, named.get(number, base), loader)
    labels = config.all("version_labels")
    yield from _repetitions(labels, "key", "the label")
    for label in labels:
        yield from _label(label, served, on_disk)


def _served(policy: Node | None, wanted: list[Node], on_disk: dict[int, Path]) -> set[int]:
    if policy is not None and policy.first("specific"):
        return {node.number for node in wanted}
    if policy is not None and policy.first("all"):
        return set(on_disk)
    return _latest(policy, on_disk)


def _latest(policy: Node | None, numbers: Iterable[int]) -> set[int]:
    """Those of the versions that `latest` loads, which is also what the server does without a policy."""
    count = policy.first("latest", "num_versions") if policy else None
    return set(sorted(numbers)[-max(count.number if count else 1, 1) :])


def _taken_for_versions(folder: Path) -> dict[int, Path]:
    """What the server takes for versions, by number: files too, and a sign before the digits."""
    names = {path.name: path for path in folder.iterdir()}
    signed = {int(name): path for name, path in names.items() if re.fullmatch(r"\+?[0-9]{1,18}", name)}
    return dict(sorted({**signed, **version_folders(folder)}.items()))


def _complete(version: Path, number: int, named: Node, loader: Loader) -> Iterator[Finding]:
    graphs = [version / name for name in ("saved_model.pb", "saved_model.pbtxt")]
    graph = next((path for path in graphs if path.is_file()), None)
    if not version.is_dir():
        message = f"the server takes the file {version} for version {number}"
        yield named.fault(message, "it cannot load it: remove or rename it")
    elif graph is None and loader.takes_tflite and (version / "model.tflite").is_file():
        return
    elif graph is None or graph.stat().st_size == 0:
        message = f"version {number} is incomplete, no saved_model.pb in {version}"
        yield named.fault(message, "the server cannot load it: export it again")
    elif not (
        loader.may_read(graph, stat.S_IROTH, stat.S_IRUSR)
        and loader.may_read(version, stat.S_IXOTH, stat.S_IXUSR)
    ):
        advice = f"the server runs as another user: chmod -R o+rX {version}"
        yield named.fault(f"version {number} is not readable by others", advice)
    else:
        damage = version_files.damage(version)
        if damage:
            message = f"version {number} is damaged, {damage}"
            yield named.fault(message, "no call would be answered: copy or export it again")


def _label(label: Node, served: set[int], on_disk: Container[int] | None = None) -> Iterator[Finding]:
    """A label on a version that is not served; without `on_disk`, any version may be there."""
    version = integer(label.value("value")) or 0
    if version in served:
        return
    what, advice = "the policy does not load", "add the version to model_version_policy, or move the label"
    if on_disk is not None and version not in on_disk:
        what, advice = "is not there", f"move it to one of {joined(sorted(served), 'or')}"
    yield label.fault(f"the label {label.value('key')} is on version {version}, which {what}", advice)
