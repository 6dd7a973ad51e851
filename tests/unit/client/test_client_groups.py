"""Groups of classes in label maps, against the same done pixel by pixel."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from slimserve import Client, InvalidInput
from slimserve.tasks.groups import check_groups, merge, read_groups
from slimserve.testing import Model, Server

NAMES = ["tabby", "sky", "cat", "lynx", "crane", "crane"]
LABELS = np.random.default_rng(0).integers(0, len(NAMES), (9, 11)).astype(np.uint8)


@pytest.mark.parametrize(
    ("groups", "found"),
    [
        ({"tabby": "feline", "lynx": "feline"}, ["feline", "sky", "cat", "feline", "crane", "crane"]),
        ({"tabby": "cat"}, ["cat", "sky", "cat", "lynx", "crane", "crane"]),
        ({"sky": "blue"}, ["tabby", "blue", "cat", "lynx", "crane", "crane"]),
        ({"tabby": "lynx", "lynx": "cat", "cat": "lynx"}, ["lynx", "sky", "lynx", "cat", "crane", "crane"]),
    ],
)
def test_each_pixel_gets_the_group_of_its_class(groups: dict[str, str], found: list[str]) -> None:
    labels, renamed = merge(LABELS, NAMES, groups)
    assert labels.dtype == LABELS.dtype
    for label, before in zip(labels.flat, LABELS.flat, strict=True):
        assert renamed[label] == found[before]


def test_a_group_has_one_label_and_others_keep_theirs() -> None:
    labels, renamed = merge(LABELS, NAMES, {"tabby": "feline", "lynx": "feline", "cat": "feline"})
    assert renamed == ["feline", "sky", "feline", "feline", "crane", "crane"]
    np.testing.assert_array_equal(labels, np.array([0, 1, 0, 0, 4, 5])[LABELS])


def test_classes_of_one_name_that_are_in_no_group_stay_apart() -> None:
    labels, _ = merge(LABELS, NAMES, {"tabby": "feline"})
    assert {4, 5} <= set(np.unique(labels))


def test_a_class_that_the_model_lacks_is_named() -> None:
    with pytest.raises(
        InvalidInput, match="no class named 'tabbi' to put in the group 'cat': did you mean 'tabby'"
    ):
        check_groups(NAMES, {"lynx": "cat", "tabbi": "cat"})


def test_groups_that_the_model_lacks_are_refused_at_the_first_tile() -> None:
    image = np.zeros((64, 2000, 3), np.uint8)
    with Server(Model(NAMES)) as server, Client(server.address, model="model") as client:
        with pytest.raises(InvalidInput, match="the image: the model has no class named 'tabbi'"):
            client.segment(image, tile=640, groups={"tabbi": "cat"})
        assert [call.signature for call in server.calls].count("segment") == 1


def test_a_file_says_the_groups(tmp_path: Path) -> None:
    file = tmp_path / "groups.tsv"
    file.write_text("\ufefftabby, tabby cat\tcat\n\nEgyptian cat\t cat\r\n", "utf-8")
    assert read_groups(file) == read_groups(str(file)) == {"tabby, tabby cat": "cat", "Egyptian cat": "cat"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tabby cat\n", "line 1: write the name of a class, a tab, and its group"),
        ("tabby\tcat\nlynx\t\n", "line 2: write the name"),
        ("tabby\tcat\tpet\n", "line 1: write the name"),
        ("tabby\tcat\ntabby\tdog\n", "line 2: 'tabby' is in the group 'cat' already"),
    ],
)
def test_a_line_that_says_no_group_is_named(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "groups.tsv"
    file.write_text(text, "utf-8")
    with pytest.raises(InvalidInput, match=message):
        read_groups(file)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"the groups of .*nothing\.tsv cannot be read"):
        read_groups(tmp_path / "nothing.tsv")


@pytest.mark.parametrize("text", ["", "\n \n"])
def test_a_file_without_groups_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "groups.tsv"
    file.write_text(text)
    with pytest.raises(InvalidInput, match=r"groups\.tsv holds no groups: a line is the name of a class"):
        read_groups(file)
