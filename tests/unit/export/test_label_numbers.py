"""Numbers in a labels file: they order the classes, or are part of the names, or the file is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from slimserve.export.errors import ExportError

from tests.support.label_files import read


@pytest.mark.parametrize(
    ("content", "how"),
    [
        ("2\ttree\n0\troad\n1\thouse\n", "numbers and names with a tab"),
        ("tree\t2\nroad\t0\nhouse\t1\n", "names and numbers with a tab"),
        ("2;tree\n0;road\n1;house\n", "numbers and names with a semicolon"),
        ("tree;2\nroad;0\nhouse;1\n", "names and numbers with a semicolon"),
        ("2|tree\n0|road\n1|house\n", "numbers and names with a bar"),
        ('"2","tree"\n"0","road"\n"1","house"\n', "numbers and names with a comma"),
        ("2:tree\n0:road\n1:house\n", "numbers and names with a colon"),
        ("tree: 2\nroad: 0\nhouse: 1\n", "names and numbers with a colon"),
        ("2=tree\n0=road\n1=house\n", "numbers and names with an equals sign"),
        ("tree=2\nroad=0\nhouse=1\n", "names and numbers with an equals sign"),
        ("2 - tree\n0 - road\n1 - house\n", "numbers and names with a dash"),
        ("2) tree\n0) road\n1) house\n", "numbers and names with a bracket"),
        ("2. tree\n0. road\n1. house\n", "numbers and names with a full stop"),
        ("2 tree\n0 road\n1 house\n", "numbers and names with a space"),
        ("tree 2\nroad 0\nhouse 1\n", "names and numbers with a space"),
        ("road 0\nhouse 1\ntree 2\n", "names and numbers with a space"),
    ],
)
def test_numbers_beside_the_names_order_the_classes(content: str, how: str, tmp_path: Path) -> None:
    labels = read(tmp_path, content)
    assert (labels.identifiers, labels.names) == (("0", "1", "2"), ("road", "house", "tree"))
    assert labels.source.endswith(f"labels.txt, read as {how} between")


def test_numbers_within_quotes_order_the_classes(tmp_path: Path) -> None:
    labels = read(tmp_path, '"2 tree"\n"0 road"\n"1 house"\n')
    assert labels.names == ("road", "house", "tree")
    assert labels.source.endswith("read without the quotes, as numbers and names with a space between")


def test_names_with_commas_of_their_own_stand_behind_their_numbers(tmp_path: Path) -> None:
    assert read(tmp_path, '2,tree, oak\n0,road\n1,"house, hut"\n').names == (
        "road",
        "house, hut",
        "tree, oak",
    )


def test_scientific_names_behind_a_comma_in_every_line_are_no_further_column(tmp_path: Path) -> None:
    content = "2,tench, Tinca tinca\n0,cod, Gadus morhua\n1,perch, Perca fluviatilis\n"
    assert read(tmp_path, content).names[0] == "cod, Gadus morhua"


def test_a_few_names_that_repeat_leave_the_numbers_numbers(tmp_path: Path) -> None:
    content = "2 crane\n0 daisy\n1 crane\n4 lily\n3 pansy\n"
    assert read(tmp_path, content, 5).names == ("daisy", "crane", "crane", "pansy", "lily")


@pytest.mark.parametrize("between", [",", "\t", ";"])
def test_three_columns_are_number_identifier_and_name(between: str, tmp_path: Path) -> None:
    content = "2,n03,tree\n0,n01,road\n1,n02,house\n".replace(",", between)
    labels = read(tmp_path, content)
    assert labels.identifiers == ("n01", "n02", "n03")
    assert labels.names == ("road", "house", "tree")
    assert "read as numbers, identifiers and names with a " in labels.source


@pytest.mark.parametrize(
    "content",
    [
        "0,road,street\n1,house,hut\n2,tree,oak\n",
        "0;road;#ff0000\n1;house;#00ff00\n2;tree;#0000ff\n",
        "0\tn01\troad\tstreet\n1\tn02\thouse\thut\n2\tn03\ttree\toak\n",
    ],
)
def test_columns_that_may_be_anything_are_refused(content: str, tmp_path: Path) -> None:
    with pytest.raises(
        ExportError, match="has more than two columns: leave each class's number and its name"
    ):
        read(tmp_path, content)


@pytest.mark.parametrize("between", [",", "\t"])
def test_of_two_columns_of_numbers_the_one_that_counts_the_lines_numbers_the_classes(
    between: str, tmp_path: Path
) -> None:
    """As Keras orders folders called 0 to 10, by the alphabet."""
    names = ("0", "1", "10", "2", "3", "4", "5", "6", "7", "8", "9")
    content = "".join(f"{number}{between}{name}\n" for number, name in enumerate(names))
    assert read(tmp_path, content, 11).names == names


def test_a_second_column_that_counts_the_lines_numbers_the_classes(tmp_path: Path) -> None:
    assert read(tmp_path, "2,0\n0,1\n1,2\n").names == ("2", "0", "1")


@pytest.mark.parametrize("content", ["2,1\n0,2\n1,0\n", "2\t0\n0\t1\n1\t2\n"])
def test_two_columns_that_may_both_number_the_classes_are_refused(content: str, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="has two numbers in each line, both from 0 to 2"):
        read(tmp_path, content)


def test_numbers_behind_a_tab_are_names_where_they_number_no_classes(tmp_path: Path) -> None:
    labels = read(tmp_path, "n1\t10\nn2\t20\nn3\t30\n")
    assert (labels.identifiers, labels.names) == (("n1", "n2", "n3"), ("10", "20", "30"))
    assert labels.source.endswith("read as identifiers and names")


def test_names_behind_identifiers_keep_their_numbers(tmp_path: Path) -> None:
    assert read(tmp_path, "n1\tclass 2\nn2\tclass 0\nn3\tclass 1\n").names == (
        "class 2",
        "class 0",
        "class 1",
    )


@pytest.mark.parametrize(
    "content",
    [
        "class 0\nclass 1\nclass 2\n",
        "class 1\nclass 2\nclass 3\n",
        "class:0\nclass:1\nclass:2\n",
        "class_0\nclass_1\nclass_2\n",
        "background 0\nclass 1\nclass 2\n",
        "0 people\n1 person\n2 people\n",
        "1. Liga\n2. Liga\n3. Liga\n",
        "0\n1\n2\n",
        "Boeing 747\nAirbus 320\nBoeing 737\n",
        "scale 1:24\nscale 1:12\nscale 1:6\n",
        "0-5 years\n6-10 years\n11-20 years\n",
    ],
)
def test_numbers_that_are_part_of_the_names_are_kept(content: str, tmp_path: Path) -> None:
    labels = read(tmp_path, content)
    assert labels.names == tuple(content.splitlines())
    assert labels.source.endswith("labels.txt")


@pytest.mark.parametrize(
    "content",
    [
        "class 2\nclass 0\nclass 1\n",
        "class_3\nclass_1\nclass_2\n",
        "2.0,tree\n0.0,road\n1.0,house\n",
        "tree (2)\nroad (0)\nhouse (1)\n",
        "2. tree\n0 road\n1) house\n",
        "2\n0\n1\n",
        "class 2: tree\nclass 0: road\nclass 1: house\n",
    ],
)
def test_numbers_in_names_that_contradict_the_order_of_the_lines_are_refused(
    content: str, tmp_path: Path
) -> None:
    with pytest.raises(ExportError, match=r"line 1 has the number \d: .* come in another order; write"):
        read(tmp_path, content)


@pytest.mark.parametrize("between", [" ", ",", "\t"])
def test_one_line_without_a_number_does_not_put_the_others_into_the_order_of_the_lines(
    between: str, tmp_path: Path
) -> None:
    in_order, in_another = (
        "background\n" + "".join(f"{number}{between}{name}\n" for number, name in classes)
        for classes in ([(0, "road"), (1, "tree")], [(1, "tree"), (0, "road")])
    )
    assert read(tmp_path, in_order).names[0] == "background"
    with pytest.raises(ExportError, match=r"line 2 has the number 1: .* come in another order"):
        read(tmp_path, in_another)


def test_a_number_and_a_tab_before_each_name_is_the_way_out(tmp_path: Path) -> None:
    assert read(tmp_path, "0\tclass 2\n1\tclass 0\n2\tclass 1\n").names == ("class 2", "class 0", "class 1")


@pytest.mark.parametrize(
    "content",
    [
        "1;road\n2;house\n3;tree\n",
        "road|5\nhouse|6\ntree|8\n",
        "1\troad\n2\thouse\n3\ttree\n",
        "road\t1\nhouse\t2\ntree\t3\n",
        "road: 1\nhouse: 2\ntree: 3\n",
        "1. road\n2. house\n3. tree\n",
        "road 3\nhouse 1\ntree 2\n",
        "3,tree, oak\n1,road\n2,house\n",
    ],
)
def test_numbers_beside_names_that_do_not_count_from_0_are_refused(content: str, tmp_path: Path) -> None:
    with pytest.raises(
        ExportError, match=r"line 1 numbers its class \d, and the numbers of all lines are not 0"
    ):
        read(tmp_path, content)


def test_a_heading_above_semicolons_is_named(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="line 1 is a heading, 'id;name': take it out"):
        read(tmp_path, "id;name\n2;tree\n0;road\n1;house\n")
