"""The verdict of `check` on files that a test writes."""

from pathlib import Path

from slimserve.serving_config.check.inspection import Result, inspect

STOCK = "tensorflow/serving:2.20.0"
MODEL = 'model_config_list { config { name: "a" base_path: "/models/a" model_platform: "tensorflow" } }'


def check(**files: str) -> Result:
    """The verdict on files of one folder; `__` in a name stands for a dot."""
    for name, text in files.items():
        path = Path("deploy", name.replace("__", "."))
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return inspect([Path("deploy")], None, [])


def messages(**files: str) -> list[str]:
    return [finding.message for finding in check(**files).findings]


def compose(service: str, rest: str = "") -> list[str]:
    """The faults of a compose file with one service of the stock image."""
    return messages(compose__yml=f"services:\n  s: {{image: '{STOCK}', init: true, {service}}}\n{rest}")
