"""docker-compose.yml of a plan."""

import os
from pathlib import Path
from typing import Any

from ruamel.yaml.scalarstring import DoubleQuotedScalarString

from ..plan import Plan
from . import monitoring, templates


def render(plan: Plan, out: Path) -> str:
    """The compose file that stands in the folder `out`."""
    tree = templates.load("docker-compose.yml")
    tree["name"] = plan.name
    service = tree["services"]["serving"]
    service["image"] = plan.built if plan.baked else plan.image
    templates.set_flags(service["command"], plan)
    service["volumes"][0:1] = []
    for volume in reversed(_volumes(plan, out)):
        service["volumes"].insert(0, volume)
    service["healthcheck"]["test"][3] = plan.health_check.replace("$", "$$")
    resources = service["deploy"]["resources"]
    resources["limits"]["cpus"] = DoubleQuotedScalarString(str(plan.cores))
    resources["limits"]["memory"] = plan.compose_memory
    if plan.gpus:
        gpu = {"driver": "nvidia", "count": plan.gpus, "capabilities": ["gpu"]}
        resources["reservations"] = {"devices": [gpu]}
    tree["services"].update(monitoring.services(plan))
    return templates.reworded(templates.dump(tree), templates.sizing(plan))


def _volumes(plan: Plan, out: Path) -> list[dict[str, Any]]:
    sources = [] if plan.baked else [(_source(m.folder, out), m.base_path) for m in plan.models]
    if plan.tls:
        sources.append(("./tls/ssl.config", "/tls/ssl.config"))
    if plan.batching:
        sources.append(("./batching.config", "/config/batching.config"))
    return [
        {
            "type": "bind",
            "source": source,
            "target": target,
            "read_only": True,
            "bind": {"create_host_path": False},
        }
        for source, target in sources
    ]


def _source(folder: Path, out: Path) -> str:
    # A path that was given relative stays so, seen from the compose file: the tree may move as a whole.
    if folder.is_absolute():
        return str(folder)
    relative = os.path.relpath(folder, out)
    return relative if relative.startswith(".") else f"./{relative}"
