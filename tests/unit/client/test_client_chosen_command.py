"""`slimserve segment --classes` and `--groups`."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import grpc
import numpy as np
import pytest
from PIL import Image
from slimserve.cli.main import main
from slimserve.wire.protocol import GetModelMetadataResponse, PredictRequest

from tests.unit.client.conftest import GET_MODEL_METADATA, PREDICT, ScriptedServer, predict_answer

NAMES = [b"sea", b"tabby cat", b"sand", b"lynx"]
Start = Callable[..., ScriptedServer]
Output = pytest.CaptureFixture[str]


def columns(request: bytes, context: grpc.ServicerContext) -> bytes:
    """Four columns, one of each class; where classes are chosen, the last of them has the columns of the others."""
    asked = PredictRequest.FromString(request)
    if list(asked.output_filter) == ["class_names"]:
        return predict_answer(class_names=NAMES)
    labels = np.arange(40, dtype=np.uint8)[None].repeat(20, 0) // 10
    if "classes" in asked.inputs:
        chosen = np.frombuffer(asked.inputs["classes"].tensor_content, np.int32)
        labels[~np.isin(labels, chosen)] = chosen[-1]
    file = io.BytesIO()
    Image.fromarray(labels).save(file, "PNG")
    return predict_answer(label_png=[file.getvalue()], class_names=NAMES)


def describe(request: bytes, context: grpc.ServicerContext) -> bytes:
    return GetModelMetadataResponse(model_spec={"version": {"value": 1}}).SerializeToString()


@pytest.fixture
def segment(scripted: Start, tmp_path: Path, capsys: Output) -> Callable[..., list[dict[str, float]]]:
    """Segments two pictures into one folder with these options; gives the areas of each, by name."""
    server = scripted()
    server.answers = {PREDICT: columns, GET_MODEL_METADATA: describe}
    photos = tmp_path / "photos"
    photos.mkdir()
    for name in ("a", "b"):
        Image.new("RGB", (40, 20)).save(photos / f"{name}.png")

    def run(*options: object) -> list[dict[str, float]]:
        command = ["segment", photos, "-o", tmp_path / "out", "--server", server.address, "--json", *options]
        assert main(list(map(str, command))) == 0
        rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert not any("unchanged" in row for row in rows)
        return [{area["name"]: area["fraction"] for area in row["areas"]} for row in rows]

    return run


def test_only_the_classes_of_a_file_compete(
    segment: Callable[..., list[dict[str, float]]], tmp_path: Path
) -> None:
    (tmp_path / "names.txt").write_text("sand\n\n3\n")
    assert segment("--classes", tmp_path / "names.txt") == [{"sand": 0.25, "lynx": 0.75}] * 2


def test_groups_are_shown_and_another_file_of_them_does_all_again(
    segment: Callable[..., list[dict[str, float]]], tmp_path: Path
) -> None:
    (tmp_path / "groups.tsv").write_text("tabby cat\tcat\nlynx\tcat\n")
    assert segment("--groups", tmp_path / "groups.tsv") == [{"sea": 0.25, "cat": 0.5, "sand": 0.25}] * 2
    (tmp_path / "groups.tsv").write_text("sea\tbeach\nsand\tbeach\n")
    assert segment("--groups", tmp_path / "groups.tsv")[0]["beach"] == 0.5
    assert len(segment("--classes", "top")[1]) == 4


@pytest.mark.parametrize("option", ["--classes", "--groups"])
def test_a_file_that_is_not_there_is_wrong_usage(option: str, capsys: Output) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["segment", "a.png", "-o", "out", option, "nowhere.txt"])
    assert caught.value.code == 2
    assert "nowhere.txt" in capsys.readouterr().err
