"""A model on a running engine and its models.config, for the tests of the roll-out commands."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from google.protobuf import text_format
from slimserve.serving_config.cli import main
from slimserve.serving_config.server import models_config

from tests.unit.serving_config.engine_calls import AFFINE, Caller, listing

Start = Callable[..., Caller]


class Deployment:
    """A model with three versions on disk, version 1 served as stable and canary, and its models.config."""

    def __init__(self, folder: Path, start_engine: Start) -> None:
        self.base_path = folder / "affine"
        shutil.copytree(AFFINE, self.base_path)
        self.file = folder / "models.config"
        config = listing(self.base_path, 1, labels={"stable": 1, "canary": 1})
        text = text_format.MessageToString(config).replace("  config {", "  # Inside.\n  config {")
        self.file.write_text("# Ours.\n# Do not lose this.\n" + text)
        self.caller = start_engine(config)
        self.address = self.caller.address

    def command(self, *words: object) -> list[str]:
        """The words of a roll-out command on this model."""
        return [*map(str, words), "--server", self.address, "--models-config", str(self.file)]

    def run(self, *words: object) -> int:
        return main(self.command(*words))

    def labels(self) -> dict[str, int]:
        """As the file has them."""
        return dict(models_config.read(self.file).model_config_list.config[0].version_labels)

    def listed(self) -> list[int]:
        policy = models_config.read(self.file).model_config_list.config[0].model_version_policy
        return list(policy.specific.versions)

    def answer(self, label: str) -> list[float]:
        return self.caller.predict("affine", [1.0], label=label).tolist()

    def unpinned_answer(self) -> list[float]:
        return self.caller.predict("affine", [1.0]).tolist()


def error_line(capsys: pytest.CaptureFixture[str]) -> str:
    """The only line on stderr."""
    (line,) = capsys.readouterr().err.splitlines()
    return line
