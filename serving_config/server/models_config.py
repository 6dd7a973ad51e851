"""The list of models to serve: from a models.config, from NAME=DIR pairs, or from what lies in models/."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePath
from urllib.parse import urlsplit

from google.protobuf import text_format

from ..errors import ServingConfigError
from .protocol import ModelConfig, ModelServerConfig

PLATFORM = "tensorflow"
MODELS = Path("models")
ModelsRoot = Path | Mapping[str, Path] | None
"""What /models stands for on this machine, or what each base path does; None where the paths are this machine's."""


def read(path: Path) -> ModelServerConfig:
    """The parsed text proto.

    Raises:
        ServingConfigError: the file cannot be read or is not a ModelServerConfig with a model_config_list.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise ServingConfigError(f"{path}: cannot read the models configuration: {reason}") from error
    try:
        config = text_format.Parse(text, ModelServerConfig())
    except text_format.ParseError as error:
        raise ServingConfigError(f"{path}: not a ModelServerConfig text proto: {error}") from error
    if not config.model_config_list.config:
        raise ServingConfigError(f"{path}: lists no model: add a model_config_list with a config for each")
    return config


def only(path: Path, names: Sequence[str], name: str | None) -> str:
    """The name of a model among those that a file lists; where none is given, the only one.

    Raises:
        ServingConfigError: there is none, or the choice is open.
    """
    listed = ", ".join(sorted(names))
    if name is None and len(names) > 1:
        raise ServingConfigError(f"{path} lists {listed}: say which with --model")
    if name is not None and name not in names:
        raise ServingConfigError(f"{path} lists no model {name}: it has {listed}")
    return names[0] if name is None else name


def from_folders(folders: Iterable[tuple[str, Path]]) -> ModelServerConfig:
    """The configuration that serves the latest version in each (name, folder)."""
    config = ModelServerConfig()
    for name, folder in folders:
        config.model_config_list.config.add(
            name=name, base_path=str(folder.resolve()), model_platform=PLATFORM
        )
    return config


def discover(folder: Path) -> list[tuple[str, Path]]:
    """Every sub-folder with at least one numbered version in it, by name.

    Raises:
        ServingConfigError: there is none.
    """
    if not folder.is_dir():
        raise ServingConfigError(
            f"no folder {folder}: export a model first (python -m export --ckpt vgg_16.ckpt), "
            "or name one with --model NAME=DIR"
        )
    found = []
    for child in sorted(folder.iterdir()):
        try:
            found += [(child.name, child)] if version_folders(child) else []
        except OSError as error:
            print(f"note: {child} is not served: {error.strerror}", file=sys.stderr)
    if not found:
        raise ServingConfigError(
            f"{folder}: no model with a numbered version in it (as in {folder}/vgg_16/1): export one first "
            "(python -m export --ckpt vgg_16.ckpt), or name one with --model NAME=DIR"
        )
    return found


def is_remote(base_path: str) -> bool:
    """Whether a base path is an address of Google Cloud Storage, which TensorFlow Serving reads itself."""
    return base_path.startswith("gs://")


def local_path(base_path: str) -> Path:
    """The path that a base path stands for: itself, or what a file:// address says behind its host."""
    return Path(urlsplit(base_path).path if base_path.startswith("file://") else base_path)


def counterpart(path: PurePath, models_root: Path) -> Path | None:
    """What a path below /models is below `models_root`; None of any other path."""
    return models_root / path.relative_to("/models") if path.is_relative_to("/models") else None


def on_this_machine(base_path: str, models_root: ModelsRoot) -> Path:
    """Where a base path lies here: itself, or its counterpart by `models_root`.

    Raises:
        ServingConfigError: neither exists. TensorFlow Serving would wait for it without end.
    """
    path = local_path(base_path)
    if path.is_dir():
        return path
    advice = "serve the folder itself with --model NAME=DIR"
    if is_remote(base_path):
        advice = "the embedded engine reads folders only, serve it with --engine docker or binary"
    elif isinstance(models_root, Mapping):
        if base_path in models_root and models_root[base_path].is_dir():
            return models_root[base_path]
        advice = "correct the folder of the model in slimserve.yaml"
    elif models_root is not None:
        here = counterpart(path, models_root)
        if here is not None and here.is_dir():
            return here
        advice = "name the folder that the server sees as /models with --models-root"
    raise ServingConfigError(
        f"base path {base_path} does not exist here (TensorFlow Serving would wait for it without end): "
        f"correct it, or {advice}"
    )


def translated(config: ModelServerConfig, models_root: Path) -> ModelServerConfig:
    """The list for a server that sees this machine's own paths.

    A base path below /models that does not exist becomes its counterpart below `models_root`, where that exists.
    All others stay as they are.
    """
    after = ModelServerConfig()
    after.CopyFrom(config)
    for model in after.model_config_list.config:
        path = local_path(model.base_path)
        here = counterpart(path, models_root)
        if not path.is_dir() and here is not None and here.is_dir():
            model.base_path = str(here.resolve())
    return after


def check_on_disk(
    config: ModelServerConfig, models_root: ModelsRoot = None, remote_allowed: bool = True
) -> None:
    """Refuse a list that TensorFlow Serving would wait on without end.

    Args:
        remote_allowed: whether the server reads gs:// itself; what is there is not looked at.

    Raises:
        ServingConfigError: a base path does not exist, or holds no version that the policy asks for.
    """
    for model in config.model_config_list.config:
        if remote_allowed and is_remote(model.base_path):
            continue
        folder = on_this_machine(model.base_path, models_root)
        if not wanted_versions(model, folder):
            raise ServingConfigError(
                f"model {model.name}: {folder} holds no version to serve (there is "
                f"{list(version_folders(folder)) or 'none'}): export one, or correct model_version_policy"
            )


def version_folders(base_path: Path) -> dict[int, Path]:
    """The versions under a model's folder, by number, in rising order.

    Folders whose name is no number are not versions.
    """
    try:
        children = list(base_path.iterdir())
    except NotADirectoryError:
        return {}
    versions = {int(child.name): child for child in children if _is_number(child.name) and child.is_dir()}
    return dict(sorted(versions.items()))


def wanted_versions(model: ModelConfig, folder: Path | None = None) -> dict[int, Path]:
    """The versions on disk that the model's version policy asks to serve, by number.

    Args:
        folder: where the base path lies, if not at its own name.

    Raises:
        FileNotFoundError: the folder does not exist.
    """
    on_disk = version_folders(folder or local_path(model.base_path))
    policy = model.model_version_policy
    choice = policy.WhichOneof("policy_choice")
    if choice == "all":
        return on_disk
    if choice == "specific":
        return {number: on_disk[number] for number in policy.specific.versions if number in on_disk}
    newest = list(on_disk)[-max(policy.latest.num_versions, 1) :]
    return {number: on_disk[number] for number in newest}


def _is_number(name: str) -> bool:
    return name.isascii() and name.isdigit() and int(name) < 1 << 63
