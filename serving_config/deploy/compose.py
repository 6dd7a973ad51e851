"""docker-compose.yml of a plan."""

import os
import re
from pathlib import Path
from typing import Any

from ruamel.yaml.scalarstring import DoubleQuotedScalarString

from . import yaml_edit
from .plan import STOCK_IMAGE, Plan
from .settings import with_flags


def render(plan: Plan, out: Path) -> str:
    """The compose file that stands in the folder `out`."""
    tree = yaml_edit.load("docker-compose.yml")
    tree["name"] = plan.name
    services = tree["services"]
    service = services["serving"]
    service["image"] = plan.image
    service["volumes"][0:1] = []
    for volume in reversed(_volumes(plan, out)):
        service["volumes"].insert(0, volume)
    service["healthcheck"]["test"][3] = plan.health_check.replace("$", "$$")
    _gpu_image(services, plan)
    for each in services.values():
        limits = each["deploy"]["resources"]["limits"]
        limits["cpus"] = DoubleQuotedScalarString(str(plan.cores))
        limits["memory"] = plan.compose_memory
    text = with_flags(yaml_edit.dump(tree), plan)
    return text if "serving-gpu" in services else re.sub(r"(?m)^#.*serving-gpu.*\n", "", text)


def _gpu_image(services: Any, plan: Plan) -> None:
    repository, _, tag = plan.image.partition(":")
    if repository == STOCK_IMAGE.partition(":")[0] and tag and "@" not in tag:
        services["serving-gpu"]["image"] = f"{repository}:{tag.removesuffix('-gpu')}-gpu"
    else:
        del services["serving-gpu"]  # what another image, or a digest, has beside it for GPUs is not known


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
