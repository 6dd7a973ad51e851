"""Versions and labels change in the text of a models.config, and nothing else does."""

from pathlib import Path

import pytest
import slimserve.serving_config
from google.protobuf import text_format
from slimserve.serving_config.deploy.contents.models_config_text import changed
from slimserve.serving_config.server.protocol import ModelServerConfig

SHIPPED = (Path(slimserve.serving_config.__file__).parent / "models.config").read_text()
TEXT = """\
# At the head.
model_config_list {
  # Before the model.
  config {
    name: "a"  # its name
    base_path: "/models/a"
    model_platform: "tensorflow"
    model_version_policy { # which versions
      specific {
        # The one that is sold.
        versions: 1  # since May
        versions: 2
      }
    }
    version_labels { key: "stable" value: 1 }  # callers pin it
    version_labels {
      key: "canary"
      value: 2
    }
    # At the end.
  }
  config: { name: 'b', base_path: "/models/b"; model_platform: "tensorflow" }
}
"""


def config(text: str, versions: list[int], labels: dict[str, int]) -> ModelServerConfig:
    message = text_format.Parse(text, ModelServerConfig())
    model = message.model_config_list.config[0]
    model.model_version_policy.specific.versions[:] = versions
    model.ClearField("version_labels")
    for label, version in labels.items():
        model.version_labels[label] = version
    return message


@pytest.mark.parametrize("text", [TEXT, SHIPPED], ids=["commented", "shipped"])
@pytest.mark.parametrize(
    ("versions", "labels"),
    [
        ([1, 2], {"stable": 1, "canary": 2}),
        ([1, 2, 3], {"stable": 2, "canary": 3, "previous": 1}),
        ([3], {"stable": 3, "canary": 3}),
        ([1, 2], {}),
        ([1], {"stable": 1}),
    ],
)
def test_the_text_says_what_the_message_does_and_keeps_its_comments(
    text: str, versions: list[int], labels: dict[str, int]
) -> None:
    wanted = config(text, versions, labels)
    after, kept = changed(text, wanted)
    assert text_format.Parse(after, ModelServerConfig()) == wanted
    assert kept
    gone = set(text.splitlines()) - set(after.splitlines())
    assert not [
        line
        for line in gone
        if not any(word in line for word in ("versions:", "version_labels", "key:", "value:"))
    ]


def test_only_the_lines_of_what_changes_change() -> None:
    after, _ = changed(TEXT, config(TEXT, [1, 2, 3], {"stable": 1, "canary": 3}))
    assert after == TEXT.replace(
        "        versions: 2\n", "        versions: 2\n        versions: 3\n"
    ).replace("value: 2\n", "value: 3\n")


def test_nothing_changes_where_nothing_is_asked() -> None:
    assert changed(TEXT, config(TEXT, [1, 2], {"stable": 1, "canary": 2})) == (TEXT, True)


@pytest.mark.parametrize(
    "unusual", ["versions: [1, 2]", "versions: 1 versions: 2", "versions: 0x1 versions: 02"]
)
def test_what_is_written_in_an_unusual_way_still_says_what_the_message_does(unusual: str) -> None:
    text = TEXT.replace("versions: 1  # since May\n        versions: 2", unusual)
    wanted = config(text, [1, 2, 3], {"stable": 1, "canary": 3})
    after, kept = changed(text, wanted)
    assert text_format.Parse(after, ModelServerConfig()) == wanted
    assert after.startswith("# At the head.\n")
    assert kept is ("# At the end." in after)
