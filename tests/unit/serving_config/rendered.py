"""A working directory with a model to render deployments of, and what is in a rendered folder."""

from pathlib import Path

import trustme
from ruamel.yaml import YAML


def add_version(model: str, version: int) -> None:
    """A version's folder, as far as `render` and `check` look at it."""
    graph = Path("models") / model / str(version) / "saved_model.pb"
    graph.parent.mkdir(parents=True, exist_ok=True)
    graph.write_bytes(b"\x12\x00")


def add_certificates() -> None:
    """key.pem, cert.pem and ca.pem."""
    authority = trustme.CA()
    certificate = authority.issue_cert("serving.example")
    certificate.private_key_pem.write_to_path("key.pem")
    certificate.cert_chain_pems[0].write_to_path("cert.pem")
    authority.cert_pem.write_to_path("ca.pem")


def written(folder: str) -> dict[str, str]:
    """The files below a folder that are not hidden, by their paths in it."""
    paths = [path for path in Path(folder).rglob("*") if path.is_file() and path.name != ".rendered.json"]
    return {str(path.relative_to(folder)): path.read_text() for path in paths}


def tree(path: str) -> dict:
    return YAML(typ="safe").load(Path(path))
