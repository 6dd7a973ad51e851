"""Exports at the edge of what can be: an untrained head, too small a limit, an interrupt when all is done."""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from slimserve.export import cli, pipeline
from slimserve.export.demo.checkpoint_writer import write_checkpoint
from slimserve.export.networks import NETWORKS
from slimserve.export.savedmodel import publication

from tests.support.small_network import CLASSES, SMALL, small_weights


@pytest.fixture
def export(call: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Any]:
    """`python -m export --net small --out OUT` with these arguments, in this process."""
    monkeypatch.setitem(NETWORKS, SMALL.name, SMALL)
    return functools.partial(call, cli.main, "--net", "small", "--out", tmp_path / "small")


def test_a_head_of_zeros_is_exported_with_a_warning(export: Callable[..., Any], tmp_path: Path) -> None:
    zeros = {
        name: np.zeros_like(value) for name, value in small_weights().items() if name.startswith("small/fc8/")
    }
    write_checkpoint(tmp_path / "untrained.ckpt", small_weights() | zeros)
    result = export("--ckpt", tmp_path / "untrained.ckpt", "--json")
    assert result.stderr.startswith("warning: the network gives different images the same scores")
    assert json.loads(result.stdout)["parity"]["difference"] == 0
    assert json.loads(result.stdout)["classes"] == CLASSES


def test_scores_that_differ_by_rounding_alone_are_warned_of(
    export: Callable[..., Any], tmp_path: Path
) -> None:
    deaf = small_weights()
    deaf["small/fc8/weights"] *= np.float32(1e-7)
    deaf["small/fc8/biases"] = np.array([1, 2, 3], np.float32)
    write_checkpoint(tmp_path / "deaf.ckpt", deaf)
    result = export("--ckpt", tmp_path / "deaf.ckpt", "--json")
    assert 1e-7 < json.loads(result.stdout)["parity"]["variation"] < 1e-5
    assert result.stderr.startswith("warning: the network gives different images the same scores")


def test_features_too_faint_for_float16_are_no_fault_of_the_exporter(
    export: Callable[..., Any], tmp_path: Path
) -> None:
    faint = {
        name: value * np.float32({"weights": 1, "biases": 0}[name.rpartition("/")[2]])
        for name, value in small_weights().items()
    }
    faint["small/conv1/weights"] *= np.float32(1e-12)
    write_checkpoint(tmp_path / "faint.ckpt", faint)
    result = export("--ckpt", tmp_path / "faint.ckpt", "--precision", "float16")
    assert "differs from its reference by 1 of the largest logit" in result.stderr
    assert result.stderr.endswith("loses too much in float16, export it with --precision float32\n")


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (["--max-pixels", 2**31], "--max-pixels must lie between 1 and 2147483647"),
        (["--geometry", "valid", "--max-pixels", 50_175], "--max-pixels must lie between 50176 and"),
        (["--max-request-pixels", 4_194_303], "--max-request-pixels must be 4194304 or more"),
        (["--crop", 9000, "--preprocessing", "inception"], "--max-request-pixels must be 81000000 or more"),
        (["--max-images", 2**31], "--max-images must be 2147483647 at most"),
    ],
)
def test_a_limit_that_no_image_could_keep_is_refused(
    export: Callable[..., Any], small_network: Path, tmp_path: Path, limits: list[Any], words: str
) -> None:
    result = export("--ckpt", small_network, *limits)
    assert result.returncode == 1
    assert result.stderr.startswith(f"error: {words}")
    assert not (tmp_path / "small").exists()


@pytest.mark.parametrize("limit", [1000, pytest.param(55_000, marks=pytest.mark.soak)])
def test_a_small_limit_exports_and_is_compared_on_smaller_images(
    export: Callable[..., Any], small_network: Path, limit: int
) -> None:
    result = export("--ckpt", small_network, "--max-pixels", limit, "--json")
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["options"]["max_request_pixels"] == 4 * 2048 * 2048


def test_a_place_where_nothing_can_be_written_is_refused_before_anything_is_built(
    export: Callable[..., Any], small_network: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "build_saved_model", lambda *plan: pytest.fail("the graph was built"))
    file = tmp_path / "notes.txt"
    file.write_text("mine")
    (tmp_path / "small" / "3").mkdir(parents=True)
    for options, words in (
        (["--out", file], f"{file} is no folder"),
        (["--out", file / "below"], f"{file} is no folder, so {file / 'below'} cannot be one"),
        (["--out", tmp_path / ("x" * 300)], f"cannot write to {tmp_path / ('x' * 300)}: File name too long"),
        (["--version", 3], f"{tmp_path / 'small' / '3'} is already there"),
    ):
        result = export("--ckpt", small_network, *options)
        assert (result.returncode, result.stderr.startswith(f"error: {words}")) == (1, True), result.stderr
    assert sorted(path.name for path in tmp_path.iterdir() if path != small_network) == ["notes.txt", "small"]


def test_an_interrupt_after_the_version_appeared_says_so(
    export: Callable[..., Any], small_network: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = tmp_path / "small" / "1"

    def interrupted_sync(path: Path) -> None:
        if version.exists():
            raise KeyboardInterrupt
        descriptor = os.open(path, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)

    monkeypatch.setattr(publication, "_sync", interrupted_sync)
    result = export("--ckpt", small_network)
    assert (result.returncode, result.stderr) == (130, f"stopped: {version} was published before\n")
    assert (version / "saved_model.pb").is_file()
