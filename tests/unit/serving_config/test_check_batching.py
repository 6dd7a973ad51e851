"""Sizes of batches in batching.config: what the real server loads, and what it refuses or never answers."""

import pytest

from tests.unit.serving_config.field_cases import check, messages

pytestmark = pytest.mark.usefixtures("empty_folder")

SPLIT = "enable_large_batch_splitting { value: true }"
NO_SIZE = "batches are split, and no size is given"


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        (f"max_batch_size {{ value: 64 }} {SPLIT} allowed_batch_sizes: [8, 64]", []),
        (
            f"max_batch_size {{ value: 64 }} {SPLIT} max_execution_batch_size {{ value: 8 }} "
            "allowed_batch_sizes: [1, 8, 64]",
            [],
        ),
        (
            f"max_batch_size {{ value: 64 }} {SPLIT} max_execution_batch_size {{ value: 8 }} "
            "allowed_batch_sizes: [4, 8]",
            ["the last of allowed_batch_sizes is 8 and max_batch_size is 64"],
        ),
        (f"{SPLIT} max_execution_batch_size {{ value: 8 }}", []),
        (SPLIT, [NO_SIZE]),
        (
            f"max_batch_size {{ value: 8 }} {SPLIT} max_execution_batch_size {{ value: 0 }}",
            ["max_execution_batch_size is 0"],
        ),
        (
            f"max_batch_size {{ value: 8 }} {SPLIT} max_execution_batch_size {{ value: 16 }}",
            ["max_execution_batch_size is 16, above max_batch_size 8"],
        ),
        ("enable_large_batch_splitting { value: false } max_execution_batch_size { value: 0 }", []),
    ],
)
def test_the_last_size_is_the_largest_batch_and_parts_have_a_size(text: str, faults: list[str]) -> None:
    assert messages(batching__config=text) == faults


@pytest.mark.parametrize(
    ("sizes", "size"), [("[4, 2, 8]", "2"), ("[4, 4, 8]", "4"), ("[0, 8]", "0"), ("[-1, 8]", "-1")]
)
def test_a_size_that_no_batch_gets_is_a_note(sizes: str, size: str) -> None:
    result = check(batching__config=f"max_batch_size {{ value: 8 }} allowed_batch_sizes: {sizes}")
    assert result.findings == []
    (note,) = result.notes
    assert f"the size {size} of allowed_batch_sizes is never used" in note
