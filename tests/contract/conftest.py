"""The contract: what a server of models answers, and the client's answers against those of the official stubs.

The suite starts embedded engines of its own. Two variables make it ask any other server, and leave nothing out:

SLIMSERVE_SERVER=host:port
    The address of a server, without TLS, of the models in SLIMSERVE_MODELS. It is asked, never reloaded or stopped.
SLIMSERVE_MODELS=folder
    The models: copies of those in tests/contract/recorded/models; vgg_16, which `python -m export` wrote; and what
    tests.contract.generated_models writes. Where the last two are not in it, engines of the suite's own serve them.
    Without SLIMSERVE_SERVER, engines of the suite's own serve the folder.

    cp -r tests/contract/recorded/models folder && cp -r models/vgg_16 folder
    python -m tests.contract.generated_models folder 300
    python -m tests.contract.models_config folder > models.config
    tensorflow_model_server --port=8500 --model_config_file=models.config --allow_version_labels_for_unavailable_models
    SLIMSERVE_SERVER=localhost:8500 SLIMSERVE_MODELS=folder python -m pytest -m 'soak or not soak' tests/contract
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.contract.models_config import models_config
from tests.support.recorded import RECORDED
from tests.support.serving import Serving

SERVER = os.environ.get("SLIMSERVE_SERVER", "")
MODELS = Path(os.environ.get("SLIMSERVE_MODELS") or RECORDED / "models").resolve()


def pytest_report_header() -> str:
    return f"contract: {SERVER or 'embedded engines'}, models in {MODELS}"


@contextmanager
def _serving(config: Path, *options: str) -> Iterator[str]:
    """Start an engine; give its address."""
    server = Serving("--engine", "embedded", "--models-config", config, "--port", 0, *options)
    try:
        yield server.address
    finally:
        server.close()


@pytest.fixture(scope="session")
def recorded_config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The models.config of the recorded cases, with this machine's paths."""
    path = tmp_path_factory.mktemp("contract") / "models.config"
    path.write_text(models_config(MODELS))
    return path


@pytest.fixture(scope="session")
def server(recorded_config: Path) -> Iterator[str]:
    """Address of a server with the models and labels of the recorded cases."""
    if SERVER:
        yield SERVER
    else:
        with _serving(recorded_config) as address:
            yield address


@pytest.fixture(scope="session")
def server_of_tensor_content(recorded_config: Path) -> Iterator[str]:
    """Address of one that answers with tensor_content, where the suite may choose."""
    if SERVER:
        yield SERVER
    else:
        with _serving(recorded_config, "--tensor-content") as address:
            yield address


@pytest.fixture(scope="session")
def vgg_16(request: pytest.FixtureRequest) -> str:
    """Address of a server with an exported vgg_16."""
    return str(request.getfixturevalue("server" if (MODELS / "vgg_16").is_dir() else "engine"))


@pytest.fixture(scope="session")
def vgg_16_of_tensor_content(narrow_models: Path) -> Iterator[str]:
    """Address of one that answers with tensor_content, as the shipped files start it, where the suite may choose."""
    if SERVER and (MODELS / "vgg_16").is_dir():
        yield SERVER
    else:
        model = f"vgg_16={narrow_models / 'vgg_16'}"
        server = Serving("--engine", "embedded", "--model", model, "--port", 0, "--tensor-content")
        try:
            yield server.address
        finally:
            server.close()
