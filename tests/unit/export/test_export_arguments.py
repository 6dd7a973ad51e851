"""Arguments that `python -m export` and `python -m export.demo` refuse, and how."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from slimserve.export import cli
from slimserve.export.cli.export_options import export_parser
from slimserve.export.cli.other_tools import OTHER_TOOLS
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


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--checkpoint_path", "x"],
            "there is no --checkpoint_path here: --ckpt CHECKPOINT names the checkpoint",
        ),
        (["--train_dir=x"], "there is no --train_dir here: --ckpt CHECKPOINT"),
        (["--ckpt", "x", "--model_name", "vgg_16"], "and --net NETWORK says which is meant"),
        (["--ckpt", "x", "--num_classes", "5"], "leave it out, for the checkpoint's variables say it"),
        (["--ckpt", "x", "--output_stride", "16"], "--output_stride is spelt --output-stride here"),
        (["--ckpt", "x", "--image_size", "224"], "--crop N is the side of what is classified"),
        (["--ckpt", "x", "--dataset_dir", "d"], "--labels FILE has the class names"),
        (["--ckpt", "x", "-o", "d"], "there is no -o here: --out DIR names the model's folder"),
        (["--ckpt", "x", "--max-pixel", "9"], "there is no --max-pixel: did you mean --max-pixels?"),
        (["--ckpt", "x", "--tpu"], "there is no --tpu: --help lists the options"),
        (["--ckpt", "x", "--net", "vgg16"], "argument --net: unknown network 'vgg16': did you mean vgg_16"),
        (["--ckpt", "x", "--net", "zzz"], "unknown network 'zzz': choose one of alexnet_v2, "),
        (["vgg_16.ckpt"], "did you mean `python -m export --ckpt vgg_16.ckpt`?"),
        (["insepct", "x"], "did you mean `python -m export inspect`?"),
        (["list"], "did you mean `python -m export fetch --list`?"),
        (["inspect", "--ckpt", "x"], "there is no --ckpt here: the checkpoint stands without an option"),
        (["fetch", "vgg_16", "--out", "x"], "there is no --out here: --into DIR says where it is put"),
        (["fetch", "--all"], "--list shows their names"),
    ],
)
def test_what_is_no_option_here_is_answered_by_what_to_type(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    refused(cli.main, arguments, capsys, message)


def test_the_demo_names_the_file_that_stands_without_an_option(capsys: pytest.CaptureFixture[str]) -> None:
    refused(demo_checkpoint.main, ["--out", "x.ckpt"], capsys, "the file to write stands without an option")


def test_a_negative_number_is_a_value_and_no_option(capsys: pytest.CaptureFixture[str]) -> None:
    refused(cli.main, ["--ckpt", "x", "--crop", "-1"], capsys, "must be a whole number, 1 or more, not '-1'")


@pytest.mark.parametrize("name", OTHER_TOOLS)
def test_an_option_of_another_tool_is_answered_by_options_that_there_are(name: str) -> None:
    parser = export_parser("export")
    options = re.findall(r"^  (--[a-z-]+)", parser.format_help(), re.MULTILINE)
    assert f"--{name}" not in options
    assert set(re.findall(r"--[a-z-]+", OTHER_TOOLS[name])) <= set(options)


@pytest.mark.parametrize("option", ["--out", "--labels", "--verify", "--calibrate"])
def test_a_path_of_no_name_is_not_the_working_folder(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    refused(cli.main, ["--ckpt", "no.ckpt", f"{option}="], capsys, f"argument {option}: is empty")


def test_a_tilde_that_the_shell_left_is_the_home_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    options = export_parser("export").parse(
        ["--ckpt=c", "--out=~/models", "--labels=~/names.txt", "--verify=~nobody_here/x"]
    )
    assert options.out == tmp_path / "models"
    assert options.labels == tmp_path / "names.txt"
    assert options.verify == Path("~nobody_here/x")


def refused(
    main: Callable[[list[str]], int], arguments: list[str], capsys: pytest.CaptureFixture[str], message: str
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    told = capsys.readouterr()
    assert message in told.err
    assert "--help" in told.err
    assert (told.out, told.err.count("\n")) == ("", 1)
