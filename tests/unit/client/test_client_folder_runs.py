"""`segment` over a folder: what is done is done, what failed is listed, what was stopped goes on."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import grpc
import numpy as np
import pytest
from PIL import Image
from slimserve.cli.journal import Journal, observe
from slimserve.cli.main import main
from slimserve.wire.protocol import GetModelMetadataResponse, PredictRequest

from tests.unit.client.conftest import GET_MODEL_METADATA, PREDICT, ScriptedServer, predict_answer

ROOT = Path(__file__).parents[3]
Start = Callable[..., ScriptedServer]
Output = pytest.CaptureFixture[str]


class Model:
    """A scripted model: the left half of each image is class 0, the right half class 1; `images` it was asked."""

    def __init__(self, server: ScriptedServer) -> None:
        self.version = 1
        self.images = 0
        self.address = server.address
        server.answers = {PREDICT: self.predict, GET_MODEL_METADATA: self.describe}

    def describe(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        response = GetModelMetadataResponse(model_spec={"version": {"value": self.version}})
        return response.SerializeToString()

    def predict(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        asked = PredictRequest.FromString(request)
        if asked.model_spec.signature_name == "labels":
            return predict_answer(self.version, class_names=[b"left", b"right"])
        if asked.model_spec.signature_name == "logits":
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, 'Serving signature key "logits" not found.')
        self.images += 1
        (encoded,) = asked.inputs["image_bytes"].string_val
        try:
            width, height = Image.open(io.BytesIO(encoded)).size
        except OSError:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "no image")
        labels = np.zeros((height, width), np.uint8)
        labels[:, width // 2 :] = 1
        file = io.BytesIO()
        Image.fromarray(labels).save(file, "PNG")
        return predict_answer(self.version, label_png=[file.getvalue()])


@pytest.fixture
def model(scripted: Start) -> Model:
    return Model(scripted())


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for index, name in enumerate(("a.png", "b.png", "c.png")):
        Image.new("RGB", (40 + index, 30), (200, 90, 40)).save(folder / name)
    return folder


@pytest.fixture
def run(model: Model, photos: Path, tmp_path: Path, capsys: Output) -> Callable[..., list[dict[str, object]]]:
    """Segment the photos; the rows of --json. The model counts the images it is asked from 0."""

    def run(*options: str, status: int = 0) -> list[dict[str, object]]:
        model.images = 0
        capsys.readouterr()
        words = ["segment", str(photos), "-o", str(tmp_path / "out"), "--server", model.address, "--json"]
        assert main([*words, *options]) == status
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    return run


def test_what_is_done_is_not_done_again(
    run: Callable[..., list[dict[str, object]]], model: Model, tmp_path: Path
) -> None:
    first = run()
    assert model.images == 3
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*.png")}
    second = run("--report", str(tmp_path / "report.html"))
    assert model.images == 0
    assert second == [{**row, "unchanged": True} for row in first]
    assert {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*.png")} == before
    assert (tmp_path / "report.html").read_text().count("<article") == 3


def change_an_image(model: Model, photos: Path, out: Path) -> None:
    Image.new("RGB", (40, 30), (0, 0, 0)).save(photos / "a.png")


def remove_an_overlay(model: Model, photos: Path, out: Path) -> None:
    (out / "b.png.overlay.png").unlink()


def truncate_an_overlay(model: Model, photos: Path, out: Path) -> None:
    os.truncate(out / "c.png.overlay.png", 100)


def tear_the_last_line(model: Model, photos: Path, out: Path) -> None:
    journal = out / "segmentation.jsonl"
    os.truncate(journal, journal.stat().st_size - 10)


def damage_an_answer(model: Model, photos: Path, out: Path) -> None:
    journal = out / "segmentation.jsonl"
    lines = journal.read_text().splitlines()
    journal.write_text(
        "\n".join(["{}", "[]", "7", *lines[:2], lines[2].replace('"id": 1', '"id": "x"')]) + "\n"
    )


def serve_another_version(model: Model, photos: Path, out: Path) -> None:
    model.version = 2


def change_nothing(model: Model, photos: Path, out: Path) -> None: ...


@pytest.mark.parametrize(
    ("change", "options", "again"),
    [
        (change_an_image, [], 1),
        (remove_an_overlay, [], 1),
        (truncate_an_overlay, [], 1),
        (tear_the_last_line, [], 1),
        (damage_an_answer, [], 1),
        (serve_another_version, [], 3),
        (change_nothing, ["--overwrite"], 3),
        (change_nothing, ["--label-map"], 3),
        (change_nothing, ["--tile", "2048"], 3),
    ],
)
def test_what_has_changed_is_done_again(
    run: Callable[..., list[dict[str, object]]],
    model: Model,
    photos: Path,
    tmp_path: Path,
    change: Callable[[Model, Path, Path], None],
    options: list[str],
    again: int,
) -> None:
    run()
    change(model, photos, tmp_path / "out")
    rows = run(*options)
    assert model.images == again
    assert sum("unchanged" not in row for row in rows) == again
    run(*[option for option in options if option != "--overwrite"])
    assert model.images == 0


def test_what_another_server_did_is_done_again(
    run: Callable[..., list[dict[str, object]]], model: Model, scripted: Start
) -> None:
    run()
    other = Model(scripted())
    rows = run("--server", other.address)
    assert other.images == 3
    assert not any("unchanged" in row for row in rows)


@pytest.mark.parametrize("out", ["photos/out", "photos"])
def test_results_within_the_folder_are_not_taken_for_images(
    model: Model, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (40, 30)).save(photos / "holiday.overlay.png")  # of no image's name: no result
    words = ["segment", "photos", "-o", out, "--label-map", "--server", model.address]
    assert main(words) == 0
    assert model.images == 4
    assert main([*words, "--overwrite"]) == 0
    assert model.images == 8


def test_a_name_too_long_for_its_result_is_an_error_of_that_image(
    model: Model, photos: Path, tmp_path: Path, capsys: Output
) -> None:
    long = "l" * 251 + ".png"
    (photos / "a.png").rename(photos / long)
    (photos / "b.png").rename(photos / ("m" * 239 + ".png"))  # as long as it may be beside `.overlay.png`
    words = ["segment", str(photos), "-o", str(tmp_path / "out"), "--server", model.address]
    assert main(words) == 1
    errors = capsys.readouterr().err.splitlines()
    assert "rename the image" in errors[0]
    assert errors[0].startswith(f"error: {photos / long}: ")
    assert errors[1] == "error: 1 of 3 images have no answer"


@pytest.mark.parametrize(
    "report", ["photos/a.png", "out/a.png.overlay.png", "out/segmentation.jsonl", "other.jpg", "photos/plain"]
)
def test_a_report_never_replaces_another_file_of_the_run(
    photos: Path, tmp_path: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch, report: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (photos / "plain").write_bytes((photos / "a.png").read_bytes())
    words = ["segment", "photos", "photos/plain", "-o", "out", "--server", "localhost:1"]
    assert main([*words, "--report", report]) == 1
    assert f"the report {report} would overwrite" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_two_images_of_one_name_keep_their_own_results(
    run: Callable[..., list[dict[str, object]]], model: Model, photos: Path, tmp_path: Path
) -> None:
    run()
    drawn = (tmp_path / "out" / "a.png.overlay.png").read_bytes()
    (photos / "A").mkdir()  # comes first, and takes the name of the result that a.png had
    Image.new("RGB", (80, 30)).save(photos / "A" / "a.png")
    rows = run()
    assert model.images == 2
    assert [Path(str(row["overlay"])).read_bytes() == drawn for row in rows[:2]] == [False, True]
    run()
    assert model.images == 0


def test_failures_are_listed_and_tried_again(
    model: Model, photos: Path, tmp_path: Path, capsys: Output
) -> None:
    whole = (photos / "b.png").read_bytes()
    (photos / "b.png").write_bytes(whole[:20])
    report = tmp_path / "pages" / "report.html"
    words = ["segment", str(photos), "-o", str(tmp_path / "out"), "--server", model.address]
    assert main([*words, "--report", str(report)]) == 1
    output = capsys.readouterr()
    assert "b.png" in output.err.splitlines()[0]
    assert "1 of 3 images" in output.err.splitlines()[1]
    assert output.out.splitlines()[-1] == str(report)
    assert "1 without an answer" in report.read_text()
    (photos / "b.png").write_bytes(whole)
    assert main(words) == 0
    assert model.images == 4
    assert "2 of 3 images were done before" in capsys.readouterr().err


def test_ctrl_c_keeps_what_is_done(model: Model, photos: Path, tmp_path: Path, scripted: Start) -> None:
    server, out, two_done = scripted(), tmp_path / "out", threading.Event()

    def answer(request: bytes, context: grpc.ServicerContext) -> bytes:
        if model.images < 2:
            return model.predict(request, context)
        two_done.set()
        while context.is_active():
            time.sleep(0.01)
        return b""

    server.answers = {PREDICT: answer, GET_MODEL_METADATA: model.describe}
    command = [sys.executable, "-m", "client", "segment", str(photos), "-o", str(out), "--concurrency", "1"]
    process = subprocess.Popen(
        [*command, "--server", server.address], cwd=ROOT, stderr=subprocess.PIPE, text=True
    )
    assert two_done.wait(20)
    os.kill(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 130
    assert errors.splitlines() == ["stopped: 2 images done; the same command goes on from there"]
    assert sorted(path.name for path in out.iterdir()) == [
        "a.png.overlay.png",
        "b.png.overlay.png",
        "segmentation.jsonl",
    ]
    model.images = 0
    server.answers = {PREDICT: model.predict, GET_MODEL_METADATA: model.describe}
    assert main(["segment", str(photos), "-o", str(out), "--server", server.address]) == 0
    assert model.images == 1


def test_a_run_that_is_killed_leaves_whole_results_alone(
    run: Callable[..., list[dict[str, object]]], model: Model, photos: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    for index in range(30):
        Image.new("RGB", (600, 400), (200, index, 40)).save(photos / f"{index}.png")
    command = [
        sys.executable,
        "-m",
        "client",
        "segment",
        str(photos),
        "-o",
        str(out),
        "--server",
        model.address,
    ]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    process.kill()
    process.communicate()
    found = [path for path in out.glob("*.png") if not path.name.startswith(".")]
    for path in found:
        Image.open(path).load()
    rows = run()
    assert 0 < model.images < 33
    assert sum("unchanged" in row for row in rows) == 33 - model.images


def test_what_a_run_does_while_another_into_the_folder_begins_is_kept(photos: Path) -> None:
    path, image = photos / "segmentation.jsonl", photos / "a.png"
    with Journal(path, {}, dict) as first, Journal(path, {}, dict):
        first.add("a.png", observe(image), {}, {"areas": []})
    assert Journal(path, {}, dict).find("a.png", image, {}) == {"areas": []}


def test_one_image_that_is_named_is_always_done(model: Model, photos: Path, tmp_path: Path) -> None:
    words = ["segment", str(photos / "a.png"), "-o", str(tmp_path / "out"), "--server", model.address]
    assert main(words) == main(words) == 0
    assert model.images == 2
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a.png.overlay.png"]


def test_a_file_name_that_is_not_text_is_no_obstacle(
    run: Callable[..., list[dict[str, object]]], photos: Path, tmp_path: Path, capsys: Output, model: Model
) -> None:
    os.rename(photos / "c.png", os.fsencode(photos) + b"/\xff.png")
    rows = run("--report", str(tmp_path / "report.html"))
    assert str(rows[2]["image"]).endswith("\udcff.png")
    assert "\ufffd.png" in (tmp_path / "report.html").read_text()
    words = ["segment", str(photos), "-o", str(tmp_path / "out"), "--overwrite", "--server", model.address]
    assert main(words) == 0
    assert r"\udcff.png" in capsys.readouterr().out


def test_a_report_without_any_picture_is_a_page(
    run: Callable[..., list[dict[str, object]]], photos: Path, tmp_path: Path
) -> None:
    for image in photos.iterdir():
        image.write_bytes(image.read_bytes()[:20])
    rows = run("--report", str(tmp_path / "report.html"), status=1)
    page = (tmp_path / "report.html").read_text()
    assert all("error" in row for row in rows)
    assert re.search("0 images in .*>3 without an answer", page)
    assert page.endswith("</html>\n")
