"""A models.config that is kept in step with the server: read, changed, and replaced whole."""

import os
import tempfile
from pathlib import Path

from google.protobuf import text_format
from tensorflow_serving.config.model_server_config_pb2 import ModelConfig, ModelServerConfig

from serving_config import models_config
from serving_config.errors import ServingConfigError


class ConfigFile:
    """The file at `path`; `config` is its content until `save` replaces it.

    Raises:
        ServingConfigError: the file cannot be read, or is no list of models.
    """

    def __init__(self, path: Path) -> None:
        # A link is followed, so that the rename replaces the file and not the link.
        self.path = path.resolve()
        self.config = models_config.read(path)

    def model(self, name: str | None) -> ModelConfig:
        """The model of that name, or the only one.

        Raises:
            ServingConfigError: there is none, or the choice is open.
        """
        models = self.config.model_config_list.config
        names = ", ".join(sorted(model.name for model in models))
        if name is None and len(models) > 1:
            raise ServingConfigError(f"{self.path} lists {names}: say which with --model")
        for model in models:
            if name in (None, model.name):
                return model
        raise ServingConfigError(f"{self.path} lists no model {name}: it has {names}")

    def save(self, config: ModelServerConfig) -> None:
        """Replace the file in one step, keeping the comment at its head; a crash leaves the old one whole.

        Raises:
            ServingConfigError: the folder cannot be written.
        """
        text = _head(self.path.read_text()) + text_format.MessageToString(config)
        try:
            with tempfile.NamedTemporaryFile(
                "w", dir=self.path.parent, prefix=".models-", delete=False
            ) as new:
                new.write(text)
                new.flush()
                os.fsync(new.fileno())
            os.chmod(new.name, self.path.stat().st_mode)
            os.replace(new.name, self.path)
        except OSError as error:
            raise ServingConfigError(
                f"{self.path}: cannot be replaced ({error.strerror}): the server has the new labels, but a restart "
                "would bring back the old ones; make the folder writable and repeat the command"
            ) from error
        self.config = config


def _head(text: str) -> str:
    lines = []
    for line in text.splitlines(keepends=True):
        if line.strip() and not line.lstrip().startswith("#"):
            break
        lines.append(line)
    return "".join(lines)
