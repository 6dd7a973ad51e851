"""The Dockerfile of a plan."""

import json

from ..plan import Plan
from .templates import reworded, set_flags, shipped

_USER = "65532:65532"
_TLS = "/tls"
_COPY, _HEALTH = "COPY --from=", "  CMD ["


def render(plan: Plan, out: str) -> str:
    """The Dockerfile that bakes the plan's versions in."""
    head, _, rest = shipped("Dockerfile").partition("CMD [")
    command, _, tail = rest.partition("]\n")
    words = json.loads(f"[{command}]".replace("\\\n", ""))
    set_flags(words, plan)
    return "".join(
        [
            *_head(plan, out, head),
            "CMD [",
            ", \\\n     ".join(map(json.dumps, words)),
            "]\n",
            *_tail(plan, tail),
        ]
    )


def command(plan: Plan, out: str) -> str:
    """How the image is built from the folder `out`."""
    contexts = " ".join(f"--build-context {m.build_context}={m.folder}" for m in plan.models)
    return f"docker build --tag {plan.built} {contexts} {out}"


def _head(plan: Plan, out: str, text: str) -> list[str]:
    phrases = {
        "docker build --tag serving-models:1 --build-context vgg_16=models/vgg_16 serving_config": command(
            plan, out
        ),
        "cpus 2 serving-models:1": f"cpus 2 {plan.built}",
        "--memory 6g --cpus 2": f"--memory {plan.compose_memory} --cpus {plan.cores}",
    }
    phrases["FROM tensorflow/serving:2.20.0"] = f"FROM {plan.image}"
    if plan.tls:
        phrases["USER 65532:65532"] = (
            f"# A key is no part of an image: ssl.config is mounted here.\nVOLUME {_TLS}\nUSER 65532:65532"
        )
    if plan.batching:
        phrases["models.config monitoring.config"] = "models.config monitoring.config batching.config"
    copies = "".join(
        f"{_COPY}{m.build_context} --chown={_USER} {number} {m.base_path}/{number}\n"
        for m in plan.models
        for number in m.versions
    )
    lines = reworded(text, phrases).splitlines(keepends=True)
    return [copies if line.startswith(_COPY) else line for line in lines]


def _tail(plan: Plan, text: str) -> list[str]:
    check = json.dumps(["bash", "-c", plan.health_check])
    lines = text.splitlines(keepends=True)
    return [f"  CMD {check}\n" if line.startswith(_HEALTH) else line for line in lines]
