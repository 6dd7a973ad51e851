"""The Dockerfile of a plan."""

import json

from .plan import Plan
from .templates import reworded, set_flags, shipped

_USER = "65532:65532"
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


def _head(plan: Plan, out: str, text: str) -> list[str]:
    contexts = " ".join(f"--build-context {m.build_context}={m.folder}" for m in plan.models)
    first = plan.models[0]
    phrases = {
        "--build-context vgg_16=models/vgg_16 serving_config": f"{contexts} {out}",
        "vgg-16:1": f"{first.build_context.replace('_', '-')}:{first.versions[-1]}",
        "--memory 6g --cpus 2": f"--memory {plan.compose_memory} --cpus {plan.cores}",
    }
    if not plan.baked:
        phrases["FROM tensorflow/serving:2.20.0"] = f"FROM {plan.image}"
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
