"""Arguments that `python -m export` and `python -m export.demo` refuse, and how."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from slimserve.export import cli
from slimserve.export.demo import __main__ as demo_checkpoint


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--top-k", "abc", "must be a whole number, 1 or more, not 'abc'"),
        ("--max-pixels", "0", "must be a whole number, 1 or more, not '0'"),
        ("--version", "1.5", "must be a whole number, 1 or more, not '1.5'"),
        ("--version", str(2**63), "must be 9223372036854775807 at most"),
        ("--accept-agreement", "most", "must be a percentage, 0 to 100, not 'most'"),
        ("--accept-agreement", "101", "must be a percentage, 0 to 100, not '101'"),
    ],
)
def test_argument_out_of_range_is_refused_in_words(
    option: str, value: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    refused(cli.main, ["--ckpt", "no.ckpt", option, value], capsys, f"argument {option}: {message}")


@pytest.mark.parametrize("value", ["abc", "-1"])
def test_seed_that_is_no_number_is_refused_in_words(value: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["no.ckpt", f"--seed={value}"]
    refused(demo_checkpoint.main, arguments, capsys, f"must be a whole number, 0 or more, not '{value}'")


def refused(
    main: Callable[[list[str]], int], arguments: list[str], capsys: pytest.CaptureFixture[str], message: str
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert message in capsys.readouterr().err
