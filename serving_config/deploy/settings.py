"""models.config, batching.config, ssl.config and the Dockerfile of a plan."""

import re
from pathlib import Path

from .plan import Model, Plan, Tls

SHIPPED = Path(__file__).resolve().parent.parent
"""The folder of the shipped files, which are what `render` starts from."""
_USER = "65532:65532"


def shipped(name: str) -> str:
    """The text of a shipped file."""
    return (SHIPPED / name).read_text(encoding="utf-8")


def models_config(plan: Plan) -> str:
    """models.config for the plan's models, under the shipped explanation."""
    header = shipped("models.config").partition("model_config_list {")[0]
    return header + "model_config_list {\n" + "".join(map(_config, plan.models)) + "}\n"


def _config(model: Model) -> str:
    versions = "".join(f"        versions: {number}\n" for number in model.versions)
    return f"""\
  config {{
    name: "{model.name}"
    base_path: "{model.base_path}"
    model_platform: "tensorflow"
    model_version_policy {{
      specific {{
{versions}      }}
    }}
    version_labels {{ key: "stable" value: {model.versions[0]} }}
    version_labels {{ key: "canary" value: {model.versions[-1]} }}
  }}
"""


def batching_config(plan: Plan) -> str:
    """batching.config with a batch thread for each core."""
    return re.sub(r"(num_batch_threads \{ value: )\d+", rf"\g<1>{plan.threads}", shipped("batching.config"))


def ssl_config(tls: Tls) -> str:
    """ssl.config with the PEM text filled in."""
    header = shipped("ssl.config.template").partition("server_key:")[0]
    fields = [_pem("server_key", tls.key), _pem("server_cert", tls.certificate)]
    if tls.client_ca is not None:
        fields += [_pem("custom_ca", tls.client_ca), "client_verify: true\n"]
    return header + "".join(fields)


def _pem(name: str, text: str) -> str:
    return f"{name}:\n" + "".join(f'  "{line}\\n"\n' for line in text.strip().splitlines())


def dockerfile(plan: Plan, out: str) -> str:
    """The Dockerfile that bakes the plan's versions in."""
    text = shipped("Dockerfile")
    contexts = " ".join(f"--build-context {m.build_context}={m.folder}" for m in plan.models)
    first = plan.models[0]
    tag = f"{first.build_context.replace('_', '-')}:{first.versions[-1]}"
    text = text.replace("--build-context vgg_16=models/vgg_16 serving_config", f"{contexts} {out}")
    text = text.replace("vgg-16:1", tag)
    text = text.replace("--memory 6g --cpus 2", f"--memory {plan.compose_memory} --cpus {plan.cores}")
    if not plan.baked:
        text = text.replace("FROM tensorflow/serving:2.20.0", f"FROM {plan.image}")
    copies = "".join(
        f"COPY --from={m.build_context} --chown={_USER} {number} {m.base_path}/{number}\n"
        for m in plan.models
        for number in m.versions
    )
    text = re.sub(r"(?m)^COPY --from=.*\n", lambda _: copies, text)
    if plan.batching:
        text = text.replace(
            "models.config monitoring.config", "models.config monitoring.config batching.config"
        )
    text = with_flags(text, plan)
    return re.sub(r"(?m)^  CMD \[.*$", lambda _: f"  CMD {_exec_form(plan.health_check)}", text)


def _exec_form(script: str) -> str:
    return '["bash", "-c", "' + script.replace("\\", "\\\\") + '"]'


def with_flags(text: str, plan: Plan) -> str:
    """A deployment file's text with the plan's flags set, and its further flags after the metrics' one."""
    for name, value in plan.flags.items():
        text = re.sub(rf"(--{name}=)\d+", rf"\g<1>{value}", text)
    text = text.replace(
        "2 versions of 1 GB and 16 calls need 5.2 GB",
        f"{plan.loaded_versions} versions of 1 GB and {plan.calls} calls need {plan.needed_gb(plan.calls)} GB",
    )

    def added(match: re.Match[str]) -> str:
        indent, opening, closing = match["indent"], match["opening"], match["closing"]
        lines = [match.group()]
        for why, flag in plan.extra_flags:
            # A Dockerfile's list has no room for comments; there the flags are explained beside it.
            lines += [f"{indent}# {why}"] if why and opening == "- " else []
            lines.append(f"{indent}{opening}{flag}{closing}")
        return "\n".join(lines)

    pattern = r'(?m)^(?P<indent> +)(?P<opening>- |")--monitoring_config_file=[^\s"]+(?P<closing>(", \\)?)$'
    return re.sub(pattern, added, text)
