"""The list of models to serve: from a models.config, from NAME=DIR pairs, or from what lies in models/.

The messages are TensorFlow Serving's own (config/model_server_config.proto); importing them does not import
TensorFlow.
"""

from collections.abc import Iterable
from pathlib import Path

from google.protobuf import text_format
from tensorflow_serving.config.model_server_config_pb2 import ModelConfig, ModelServerConfig

from serving_config.errors import ServingConfigError

PLATFORM = "tensorflow"


def read(path: Path) -> ModelServerConfig:
    """The parsed text proto.

    Raises:
        ServingConfigError: the file cannot be read or is not a ModelServerConfig with a model_config_list.
    """
    try:
        text = path.read_text()
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
    found = [(child.name, child) for child in sorted(folder.iterdir()) if version_folders(child)]
    if not found:
        raise ServingConfigError(
            f"{folder}: no model with a numbered version in it (as in {folder}/vgg_16/1): export one first "
            "(python -m export --ckpt vgg_16.ckpt), or name one with --model NAME=DIR"
        )
    return found


def version_folders(base_path: Path) -> dict[int, Path]:
    """The versions under a model's folder, by number; folders whose name is no number are not versions."""
    try:
        children = list(base_path.iterdir())
    except NotADirectoryError:
        return {}
    return {int(child.name): child for child in sorted(children) if _is_number(child.name) and child.is_dir()}


def wanted_versions(model: ModelConfig) -> dict[int, Path]:
    """The versions on disk that the model's version policy asks to serve, by number.

    Raises:
        FileNotFoundError: the base path does not exist.
    """
    on_disk = version_folders(Path(model.base_path))
    policy = model.model_version_policy
    choice = policy.WhichOneof("policy_choice")
    if choice == "all":
        return on_disk
    if choice == "specific":
        return {number: on_disk[number] for number in policy.specific.versions if number in on_disk}
    newest = sorted(on_disk, reverse=True)[: max(policy.latest.num_versions, 1)]
    return {number: on_disk[number] for number in newest}


def _is_number(name: str) -> bool:
    return name.isascii() and name.isdigit() and int(name) < 1 << 63
