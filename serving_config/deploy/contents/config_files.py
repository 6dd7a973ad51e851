"""models.config and ssl.config of a plan."""

from ...server.tls import ServerTls
from ..plan import Model, Plan
from .templates import shipped


def models_config(plan: Plan) -> str:
    """models.config for the plan's models, under the shipped explanation."""
    header = shipped("models.config").partition("model_config_list {")[0]
    return header + "model_config_list {\n" + "".join(map(_config, plan.models)) + "}\n"


def _config(model: Model) -> str:
    versions = "".join(f"        versions: {number}\n" for number in model.versions)
    labels = "".join(
        f'    version_labels {{ key: "{label}" value: {version} }}\n'
        for label, version in model.labels.items()
    )
    return f"""\
  config {{
    name: "{model.name}"
    base_path: "{model.base_path}"
    model_platform: "tensorflow"
    model_version_policy {{
      specific {{
{versions}      }}
    }}
{labels}  }}
"""


def ssl_config(tls: ServerTls) -> str:
    """ssl.config with the PEM text filled in."""
    return shipped("ssl.config.template").partition("server_key:")[0] + tls.fields()
