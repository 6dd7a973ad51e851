"""Where class names come from, and how their files are read."""

from __future__ import annotations

from pathlib import Path

import pytest
from slimserve.export.checkpoint.contents import open_checkpoint
from slimserve.export.demo.checkpoint_writer import write_checkpoint
from slimserve.export.errors import ExportError
from slimserve.export.networks import NETWORKS
from slimserve.export.plan.options import GraphOptions
from slimserve.export.plan.plan import Plan
from slimserve.export.weights.labels import find_labels

from tests.support.label_files import read
from tests.support.small_network import SMALL, small_weights


def test_byte_order_mark_is_no_part_of_the_first_name(tmp_path: Path) -> None:
    assert read(tmp_path, b"\xef\xbb\xbfroad\nhouse\ntree\n").names == ("road", "house", "tree")


def test_numbers_of_slims_own_labels_file_are_no_part_of_the_names(tmp_path: Path) -> None:
    labels = read(tmp_path, "0:daisy\n1:sun: flower\n2:daisy\n")
    assert labels.names == ("daisy", "sun: flower", "daisy")
    assert labels.identifiers == ("0", "1", "2")


def test_names_that_begin_with_other_numbers_are_kept(tmp_path: Path) -> None:
    assert read(tmp_path, "1:24 model\n1:12 model\n4:3 screen\n").names[0] == "1:24 model"


def test_number_without_a_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="line 2 is empty"):
        read(tmp_path, "0:daisy\n1:\n2:tulip\n")


def test_numbers_that_do_not_come_in_order_say_which_class_is_meant(tmp_path: Path) -> None:
    assert read(tmp_path, "2:tree\n0: road\r\n1:house\n").names == ("road", "house", "tree")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (
            "5:grass\n6:road\n7:sky\n",
            "line 1 numbers its class 5, and the numbers of all lines are not 0 to 2",
        ),
        ("1:grass\n2:road\n3:sky\n", "line 1 numbers its class 1"),
        ("0:grass\n1:road\n1:sky\n", "line 1 numbers its class 0"),
        ("grass\n5: road\nsky\n", "line 2 numbers its class 5"),
    ],
)
def test_numbers_that_are_not_those_of_the_classes_are_refused(
    content: str, says: str, tmp_path: Path
) -> None:
    with pytest.raises(ExportError, match=says):
        read(tmp_path, content)


def test_names_may_repeat_and_are_told_apart_by_numbers(tmp_path: Path) -> None:
    labels = read(tmp_path, "crane\nheron\ncrane\n")
    assert labels.names == ("crane", "heron", "crane")
    assert labels.identifiers == ("0", "1", "2")


def test_names_beside_identifiers_may_repeat(tmp_path: Path) -> None:
    labels = read(tmp_path, "n1\tcrane\nn2\theron\nn3\tcrane\n")
    assert labels.names == ("crane", "heron", "crane")
    assert labels.identifiers == ("n1", "n2", "n3")


def test_repeated_identifier_is_refused_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(
        ExportError, match="line 2 repeats the identifier 'n1' of line 1: give it one of its own"
    ):
        read(tmp_path, "n1\tcrane\nn1\theron\nn3\tstork\n")


@pytest.mark.parametrize(
    ("content", "how"),
    [
        ("1,house\n0,road\n2,tree\n", "as numbers and names with a comma between"),
        ("road, 0\nhouse, 1\ntree, 2\n", "as names and numbers with a comma between"),
        ("road\t0\nhouse\t1\ntree\t2\n", "as names and numbers with a tab between"),
        ("0 road\n1 house\n2 tree\n", "as numbers and names with a space between"),
        ('"road"\n"house"\n"tree"\n', "without the quotes"),
        ('["road", "house", "tree"]', "as JSON"),
        ('{"0": "road", "2": "tree", "1": "house"}', "as JSON"),
        ('{"road": 0, "tree": 2, "house": 1}', "as JSON"),
        ("{0: 'road',\n 1: 'house',\n 2: 'tree'}\n", "as Python"),
        ("['road', 'house', 'tree']", "as Python"),
        ("- road\n- 'house'\n- tree\n", "as a list in YAML"),
        ("names:\n  - road\n  - house\n  - tree\n", "as a list in YAML"),
        ("- 2: tree\n- 0: road\n- 1: house\n", "as a list in YAML, numbers and names with a colon between"),
        ("names:\n  2: tree\n  0: 'road'\n  1: house\n", "as YAML, numbers and names with a colon between"),
        (
            '{"id": 2, "name": "tree"}\n{"id": 0, "name": "road"}\n{"id": 1, "name": "house"}\n',
            "as lines of JSON",
        ),
        ('[{"id": 2, "name": "tree"}, {"id": 0, "name": "road"}, {"id": 1, "name": "house"}]', "as JSON"),
        ('[[2, "tree"], [0, "road"], [1, "house"]]', "as JSON"),
        ('[["2", "tree"], ["0", "road"], ["1", "house"]]', "as JSON"),
        ('[["tree", 2], ["road", 0], ["house", 1]]', "as JSON"),
        ("[('n01', 'road'), ('n02', 'house'), ('n03', 'tree')]", "as Python"),
    ],
)
def test_what_other_programs_write_is_read_and_it_is_said(content: str, how: str, tmp_path: Path) -> None:
    labels = read(tmp_path, content)
    assert labels.names == ("road", "house", "tree")
    assert labels.source.endswith(f"labels.txt, read {how}")


def test_caffes_synsets_and_kerass_index_have_identifiers(tmp_path: Path) -> None:
    synsets = read(tmp_path, "n00000001 road, way\nn00000002 house\nn00000003 tree\n")
    index = read(tmp_path, '{"0": ["n1", "road"], "1": ["n2", "house"], "2": ["n3", "tree"]}')
    assert synsets.identifiers == ("n00000001", "n00000002", "n00000003")
    assert synsets.names[0] == "road, way"
    assert (index.identifiers, index.names) == (("n1", "n2", "n3"), ("road", "house", "tree"))


def test_quotes_that_csv_puts_around_some_names_are_none_of_theirs(tmp_path: Path) -> None:
    labels = read(tmp_path, '"tench, Tinca tinca"\n"the ""red"" kite"\n"Big" Ben\n')
    assert labels.names == ("tench, Tinca tinca", 'the "red" kite', '"Big" Ben')
    assert labels.source.endswith("labels.txt, read without the quotes")


@pytest.mark.parametrize("content", ["0: road\n1: tree\n", '["road", "tree"]', '{"0": "road", "1": "tree"}'])
def test_where_the_background_goes_is_said_of_numbered_names_too(content: str, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="let 'background' be the first, and where the others have numbers"):
        read(tmp_path, content)


def test_pairs_of_words_are_identifiers_and_names(tmp_path: Path) -> None:
    labels = read(tmp_path, '[["n01", "road"], ["n02", "house"], ["n03", "tree"]]')
    assert (labels.identifiers, labels.names) == (("n01", "n02", "n03"), ("road", "house", "tree"))


@pytest.mark.parametrize(
    "content",
    ["tench, Tinca tinca\nray, skate\ncod, fish\n", "3 euro\n5 euro\n10 euro\n", "0,5 l\n0,7 l\n1 l\n"],
)
def test_commas_and_numbers_that_name_no_class_are_kept(content: str, tmp_path: Path) -> None:
    labels = read(tmp_path, content)
    assert labels.names == tuple(content.splitlines())
    assert labels.source.endswith("labels.txt")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("id,name\n0,road\n1,house\n2,tree\n", "line 1 is a heading, 'id,name': take it out"),
        ("1,road\n2,house\n3,tree\n", "line 1 numbers its class 1"),
        ("1 road\n2 house\n3 tree\n", "line 1 numbers its class 1"),
        ("item {\n  id: 1\n  name: 'road'\n}\n", "is a label map of the Object Detection API"),
        ("\nitem {\n  id: 1\n  name: 'road'\n}\n", "is a label map of the Object Detection API"),
        ("# streets\n\nitem {\n  id: 1\n}\n", "is a label map of the Object Detection API"),
        ("item\n{\n  id: 1\n}\n", "is a label map of the Object Detection API"),
        ("names = ['road',\n'house',\n'tree',\n]", "end in commas, as code has them"),
        ("{'road', 'house', 'tree'}", "is Python, but neither a list of names nor"),
        ("road\n\nhouse\ntree\n", "line 2 is empty"),
        ("road\nho\0use\ntree\n", "line 2 holds the control character"),
        ('{"road": 0, "house": 1, "tree": [2]}', "is JSON, but neither a list of names nor"),
        ('{"road": 0, "house": 1, "tree": 3}', "not 0 to 2"),
        ("path: streets\nnames:\n  0: road\n  1: house\n  2: tree\n", "is YAML that has more than `names:`"),
        ("names: [road, house, tree]\n", "is YAML that has more than `names:`"),
        ("names:\n  1: road\n  2: house\n  3: tree\n", "line 2 numbers its class 1, .* are not 0 to 2"),
        ("n1\troad\tway\nn2\thouse\thut\nn3\ttree\toak\n", "line 1 has more than one tab"),
        ('["road\\tway", "house", "tree"]', "a name is text without tabs"),
        ('[["n1", "road\\tway"], ["n2", "house"], ["n3", "tree"]]', "a name is text without tabs"),
        ('[["road", 1, 2], ["house", 2, 3], ["tree", 3, 4]]', "is JSON, but neither a list of names nor"),
        ('[[1, "road"], [2, "house"], [3, "tree"]]', "line 1 numbers its class 1"),
        ("[1, 2, 3]", "is JSON, but neither a list of names nor"),
        ("road\nhouse\ntree\n".encode("utf-16"), "is UTF-16: save it as UTF-8"),
        ("stra\xdfe\nhouse\ntree\n".encode("latin-1"), "is not UTF-8: save it as UTF-8"),
    ],
)
def test_other_kinds_are_refused_by_name(content: str | bytes, says: str, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=says):
        read(tmp_path, content)


@pytest.mark.parametrize("given", ["model.ckpt-300", "model.ckpt-300.index", "."])
def test_names_beside_a_prefix_are_found_however_it_is_given(tmp_path: Path, given: str) -> None:
    write_checkpoint(tmp_path / "model.ckpt-300", small_weights(), "V2")
    (tmp_path / "model.ckpt-300.labels.tsv").write_text("road\nhouse\ntree\n")
    with open_checkpoint(tmp_path / given) as checkpoint:
        plan = Plan.of(checkpoint, GraphOptions(), SMALL)
    assert plan.labels.names == ("road", "house", "tree")


def voc_colour(number: int) -> str:
    """VOC's own rule: three bits of the number at a time go to red, green and blue, the lowest to the highest."""
    rgb = [
        sum((number >> (3 * step + channel) & 1) << (7 - step) for step in range(8)) for channel in range(3)
    ]
    return "#" + bytes(rgb).hex()


@pytest.mark.parametrize(
    ("classes", "source", "some"),
    [
        (21, "PASCAL VOC 2012", {0: "background", 8: "cat", 15: "person", 20: "tv monitor"}),
        (19, "Cityscapes", {0: "road", 6: "traffic light", 11: "person", 18: "bicycle"}),
        (151, "ADE20K", {0: "other", 1: "wall", 13: "person", 76: "swivel chair", 150: "flag"}),
    ],
)
def test_deeplabs_classes_are_those_of_its_data_sets(classes: int, source: str, some: dict[int, str]) -> None:
    """By the numbers that the truth has."""
    labels = find_labels(None, [], classes, NETWORKS["deeplab_xception_65"].data_sets)
    assert labels.source == source
    assert labels.identifiers == tuple(map(str, range(classes)))
    assert {number: labels.names[number] for number in some} == some
    assert len(set(labels.names)) == classes
    assert len(labels.colours_to_tsv().splitlines()) == classes


def test_colours_are_those_that_the_data_sets_define() -> None:
    voc, streets, scenes = (
        find_labels(None, [], classes, NETWORKS["deeplab_mobilenet_v2"].data_sets)
        for classes in (21, 19, 151)
    )
    assert voc.colours == tuple(map(voc_colour, range(21)))
    known = {
        "road": "#804080",
        "sidewalk": "#f423e8",
        "sky": "#4682b4",
        "person": "#dc143c",
        "car": "#00008e",
    }
    assert {name: streets.colours[streets.names.index(name)] for name in known} == known
    known = {"other": "#000000", "wall": "#787878", "sky": "#06e6e6", "person": "#96053d", "flag": "#5c00ff"}
    assert {name: scenes.colours[scenes.names.index(name)] for name in known} == known


def test_as_many_classes_of_another_network_have_numbers() -> None:
    assert find_labels(None, [], 21, NETWORKS["vgg_16"].data_sets).source == "numbers (no labels file)"
