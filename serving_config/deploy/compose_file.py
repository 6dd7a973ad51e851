"""docker-compose.yml of a plan."""

import os
from pathlib import Path
from typing import Any

from ruamel.yaml.scalarstring import DoubleQuotedScalarString

from . import templates
from .plan import STOCK_IMAGE, Plan

_GPU_COMMAND = "up --detach --wait serving-gpu     the same on an NVIDIA GPU, on ports 8510 and 8511"


def render(plan: Plan, out: Path) -> str:
    """The compose file that stands in the folder `out`."""
    tree = templates.load("docker-compose.yml")
    phrases = templates.sizing(plan)
    tree["name"] = plan.name
    services = tree["services"]
    service = services["serving"]
    service["image"] = plan.image
    templates.set_flags(service["command"], plan)
    service["volumes"][0:1] = []
    for volume in reversed(_volumes(plan, out)):
        service["volumes"].insert(0, volume)
    service["healthcheck"]["test"][3] = plan.health_check.replace("$", "$$")
    gpu_image = _gpu_image(plan.image)
    if gpu_image:
        services["serving-gpu"]["image"] = gpu_image
    else:
        del services["serving-gpu"]
        phrases[f"#   docker compose {_GPU_COMMAND}\n"] = ""
    for each in services.values():
        limits = each["deploy"]["resources"]["limits"]
        limits["cpus"] = DoubleQuotedScalarString(str(plan.cores))
        limits["memory"] = plan.compose_memory
    return templates.reworded(templates.dump(tree), phrases)


def _gpu_image(image: str) -> str | None:
    """The image for GPUs beside a stock image; what another image, or a digest, has beside it is not known."""
    repository, _, tag = image.partition(":")
    if repository != STOCK_IMAGE.partition(":")[0] or not tag or "@" in tag:
        return None
    return f"{repository}:{tag.removesuffix('-gpu')}-gpu"


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
