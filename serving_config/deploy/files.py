"""Every file of a deployment, as text, from its wanted state."""

from collections.abc import Sequence
from pathlib import Path

from google.protobuf import text_format

from ..server.protocol import ModelServerConfig
from .contents import (
    compose_file,
    config_files,
    image_build,
    manifests,
    models_config_text,
    monitoring,
    templates,
)
from .plan import Plan
from .wanted import FILE, Wanted

PRIVATE = "tls"
"""The folder of what only its owner may enter."""
MODELS_CONFIG = "models.config"


def render(wanted: Wanted, plan: Plan) -> dict[str, str]:
    """The files by their paths below the deployment's folder."""
    out = wanted.out
    files = {
        FILE: wanted.text,
        MODELS_CONFIG: _models_config(plan, out),
        "monitoring.config": templates.shipped("monitoring.config"),
    }
    if plan.batching:
        files["batching.config"] = templates.shipped("batching.config")
    if plan.tls:
        files["tls/ssl.config"] = config_files.ssl_config(plan.tls)
        files["tls/.gitignore"] = "*\n"
    if "docker" in wanted.targets:
        files["docker-compose.yml"] = compose_file.render(plan, out)
    if "kubernetes" in wanted.targets:
        files.update(manifests.render(plan, str(out), _patches(out)))
    if plan.monitoring:
        files.update(monitoring.files(plan, wanted.targets))
    files["Dockerfile"] = image_build.render(plan, str(out))
    return files


def next_commands(out: Path, plan: Plan, targets: Sequence[str]) -> list[str]:
    """What the operator runs next."""
    commands = []
    builds = "kubernetes" in targets and plan.is_built
    if builds or plan.baked:
        commands.append(image_build.command(plan, str(out)))
    if "docker" in targets:
        names = ["docker-compose.yml", "docker-compose.override.yml"]
        files = [f"--file {out / name}" for name in names if name == names[0] or (out / name).exists()]
        commands.append(f"docker compose {' '.join(files)} up --detach --wait")
    if "kubernetes" in targets:
        commands.append(f"kubectl apply --kustomize {out}")
    return commands


def _models_config(plan: Plan, out: Path) -> str:
    """models.config; one that is there keeps its comments where it differs in versions and labels alone."""
    text = config_files.models_config(plan)
    there = out / MODELS_CONFIG
    if there.is_file():
        config = text_format.Parse(text, ModelServerConfig())
        return models_config_text.edited(there.read_text(encoding="utf-8"), config) or text
    return text


def _patches(out: Path) -> list[str]:
    """The operator's own patches, by their paths below the folder."""
    return sorted(f"patches/{path.name}" for path in (out / "patches").glob("*.yaml"))
