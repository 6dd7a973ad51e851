"""The servers that the suite asks."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.recorded import RECORDED
from tests.support.serving import Serving


@pytest.fixture(scope="session")
def conformance_config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The models.config of the recorded cases, with this machine's paths."""
    text = (RECORDED / "models.config").read_text().replace("MODELS", str(RECORDED / "models"))
    path = tmp_path_factory.mktemp("conformance") / "models.config"
    path.write_text(text)
    return path


@pytest.fixture(scope="session")
def conformance_server(conformance_config: Path) -> Iterator[Serving]:
    """The embedded engine with the models and labels of the recorded cases; do not reload or stop it."""
    server = Serving("--engine", "embedded", "--models-config", conformance_config, "--port", 0)
    yield server
    server.close()


@pytest.fixture(scope="session")
def conformance_server_tensor_content(conformance_config: Path) -> Iterator[Serving]:
    """The same, answering with tensor_content."""
    server = Serving(
        "--engine", "embedded", "--models-config", conformance_config, "--port", 0, "--tensor-content"
    )
    yield server
    server.close()
