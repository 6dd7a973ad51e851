"""The command line, as its user meets it."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import numpy as np
import pytest
from PIL import Image
from slimserve import Client
from slimserve.cli.files import find_images
from slimserve.cli.main import main
from slimserve.testing import Server

from tests.unit.client.conftest import GET_MODEL_STATUS, PREDICT, ScriptedServer, predict_answer, refusing

ROOT = Path(__file__).parents[3]
Start = Callable[..., ScriptedServer]
Output = pytest.CaptureFixture[str]


@pytest.fixture
def photos(demo_scene: Path, tmp_path: Path) -> Path:
    """A folder with three small images, one of them in a subfolder, and a file that is none."""
    picture = Image.open(demo_scene).resize((96, 64))
    folder = tmp_path / "photos"
    (folder / "more").mkdir(parents=True)
    for path in ("a.jpg", "b.PNG", "more/a.jpg"):
        picture.save(folder / path)
    (folder / "notes.txt").write_text("no image")
    return folder


def error_line(output: Output) -> str:
    """What stands on stderr, which must be one line."""
    lines = output.readouterr().err.splitlines()
    assert len(lines) == 1
    return lines[0]


def test_an_option_that_a_command_lacks_is_answered_with_its_usage(capsys: Output) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["classify", "cat.jpg", "--address", "localhost:8500"])
    assert caught.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith("usage: python -m client classify")
    assert "--server HOST:PORT" in said
    assert said.endswith("unrecognized arguments: --address localhost:8500\n")


def test_classify_one_image_ranks_its_classes(engine: str, photos: Path, capsys: Output) -> None:
    assert main(["classify", str(photos / "a.jpg"), "--server", engine]) == 0
    with Client(engine, model="vgg_16") as client:
        best = client.classify(photos / "a.jpg").top
    rows = capsys.readouterr().out.splitlines()
    assert any(best.name in row and f"{100 * best.score:.2f} %" in row for row in rows)


def test_classify_a_folder_answers_a_line_for_each_image(engine: str, photos: Path, capsys: Output) -> None:
    assert main(["classify", str(photos), "--server", engine]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(": ")[0] for line in lines] == [
        str(photos / name) for name in ("a.jpg", "b.PNG", "more/a.jpg")
    ]


def test_json_is_one_object_a_line(engine: str, photos: Path, capsys: Output) -> None:
    assert main(["classify", str(photos), "--server", engine, "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["image"] for row in rows] == [str(photos / name) for name in ("a.jpg", "b.PNG", "more/a.jpg")]
    assert rows[0]["predictions"][0].keys() == {"name", "id", "score"}
    assert rows[0]["model_version"] == 1


def test_segment_writes_overlays_and_label_maps(
    engine: str, photos: Path, tmp_path: Path, capsys: Output
) -> None:
    out = tmp_path / "out"
    assert main(["segment", str(photos), "-o", str(out), "--label-map", "--server", engine, "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    names = ["a.jpg", "b.PNG", "a.jpg-2"]
    assert {path.name for path in out.iterdir()} == {
        "segmentation.jsonl",
        *(f"{name}.{kind}.png" for name in names for kind in ("overlay", "labels")),
    }
    with Client(engine, model="vgg_16") as client:
        expected = client.segment(photos / "b.PNG")
    np.testing.assert_array_equal(np.asarray(Image.open(out / "b.PNG.labels.png")), expected.label_map)
    assert Image.open(out / "b.PNG.overlay.png").tobytes() == expected.overlay().tobytes()
    assert (rows[1]["height"], rows[1]["width"]) == (64, 96)
    assert rows[1]["areas"] == [area._asdict() for area in expected.areas()]


def test_segment_one_image_shows_its_areas(engine: str, photos: Path, tmp_path: Path, capsys: Output) -> None:
    out = tmp_path / "out"
    assert main(["segment", str(photos / "a.jpg"), "-o", str(out), "--server", engine]) == 0
    shown = capsys.readouterr().out
    assert "area" in shown
    assert shown.splitlines()[-1] == str(out / "a.jpg.overlay.png")


def test_an_image_is_never_overwritten(photos: Path, capsys: Output) -> None:
    taken = photos / "a.jpg.overlay.png"
    Image.new("RGB", (4, 4)).save(taken)
    before = taken.read_bytes()
    assert main(["segment", str(photos), str(taken), "-o", str(photos), "--server", "localhost:1"]) == 1
    assert "would be overwritten" in error_line(capsys)
    assert taken.read_bytes() == before


def test_a_bad_image_is_reported_and_the_others_answered(engine: str, photos: Path, capsys: Output) -> None:
    (photos / "b.PNG").write_bytes((photos / "b.PNG").read_bytes()[:500])
    assert main(["classify", str(photos), "--server", engine, "--json"]) == 1
    output = capsys.readouterr()
    rows = [json.loads(line) for line in output.out.splitlines()]
    assert ["error" in row for row in rows] == [False, True, False]
    assert "b.PNG" in output.err.splitlines()[0]
    assert "1 of 3 images" in output.err.splitlines()[1]


def test_a_folder_without_images_is_one_clear_line(tmp_path: Path, capsys: Output) -> None:
    assert main(["classify", str(tmp_path)]) == 1
    assert "holds no images" in error_line(capsys)


def test_a_missing_file_is_one_clear_line(capsys: Output) -> None:
    assert main(["classify", "nowhere.jpg"]) == 1
    assert "no file or folder nowhere.jpg" in error_line(capsys)


def test_no_server_is_one_clear_line_within_seconds(photos: Path, capsys: Output) -> None:
    begun = time.monotonic()
    assert main(["classify", str(photos), "--server", "localhost:1"]) == 1
    assert time.monotonic() - begun < 10
    assert "is the server running" in error_line(capsys)


@pytest.mark.parametrize(
    ("options", "message"), [(["--model", "vgg_19"], "vgg_19"), (["--version", "99"], "version 99")]
)
def test_what_is_not_served_is_one_clear_line(
    engine: str, photos: Path, capsys: Output, options: list[str], message: str
) -> None:
    assert main(["classify", str(photos / "a.jpg"), "--server", engine, *options]) == 1
    assert message in error_line(capsys)


def test_a_token_file_that_is_missing_is_one_clear_line(photos: Path, capsys: Output) -> None:
    assert main(["classify", str(photos), "--token-file", "nowhere.txt"]) == 1
    assert error_line(capsys) == "error: the token file nowhere.txt cannot be read: No such file or directory"


def test_a_file_that_is_missing_is_told_in_words_alone(tmp_path: Path, capsys: Output) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    (tmp_path / "truth.csv").write_text("a.png,cat\n")
    words = ["evaluate", str(tmp_path), "--truth", str(tmp_path / "truth.csv"), "--labels", "nowhere.tsv"]
    with Server() as server:
        assert (
            main([*words, "--server", server.address, "--model", "model", "-o", str(tmp_path / "out")]) == 1
        )
    assert capsys.readouterr().err.splitlines()[-1] == "error: nowhere.tsv: No such file or directory"


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["classify"],
        ["segment", "a.jpg"],
        ["classify", "a.jpg", "--version", "1", "--version-label", "stable"],
        ["classify", "a.jpg", "--concurrency", "0"],
    ],
)
def test_wrong_usage_exits_with_2(words: list[str], capsys: Output) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2


@pytest.mark.parametrize("command", ["classify", "segment", "status", "metadata", "bench"])
def test_help_explains_each_command(command: str, capsys: Output) -> None:
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    assert "--server" in capsys.readouterr().out


def test_status_and_metadata_describe_the_model(engine: str, capsys: Output) -> None:
    assert main(["status", "--server", engine, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["state"] == "AVAILABLE"
    assert main(["status", "--server", engine]) == 0
    assert "AVAILABLE" in capsys.readouterr().out
    assert main(["metadata", "--server", engine, "--json"]) == 0
    assert (
        json.loads(capsys.readouterr().out)["signatures"]["segment"]["inputs"]["images"]["dtype"] == "uint8"
    )
    assert main(["metadata", "--server", engine]) == 0
    assert "uint8 [?, ?, ?, 3]" in capsys.readouterr().out


def test_status_of_a_model_without_an_available_version_exits_with_1(scripted: Start, capsys: Output) -> None:
    server = scripted()
    server.answers[GET_MODEL_STATUS] = lambda request, context: b""
    assert main(["status", "--server", server.address, "--json"]) == 1


def test_scores_that_are_no_numbers_are_null_in_json(scripted: Start, photos: Path, capsys: Output) -> None:
    server = scripted()
    answer = predict_answer(class_ids=[[1, 2]], class_names=[["a", "b"]], scores=[[np.nan, np.inf]])
    server.answers[PREDICT] = lambda request, context: answer
    assert main(["classify", str(photos / "a.jpg"), "--server", server.address, "--json"]) == 0
    row = json.loads(capsys.readouterr().out)
    assert [prediction["score"] for prediction in row["predictions"]] == [None, None]


def test_an_error_of_the_server_names_the_image(scripted: Start, photos: Path, capsys: Output) -> None:
    server = scripted()
    server.answers[PREDICT] = refusing(grpc.StatusCode.INTERNAL, "out of luck")
    assert main(["classify", str(photos), "--server", server.address, "--concurrency", "1"]) == 1
    first = capsys.readouterr().err.splitlines()[0]
    assert first == f"error: {photos / 'a.jpg'}: the server failed with INTERNAL: out of luck"


def test_a_folder_that_cannot_be_read_is_one_clear_line(
    photos: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    scan = os.scandir

    def refuse(folder: str) -> Iterator[os.DirEntry[str]]:  # the tests may run as root, whom nothing refuses
        if Path(folder) == photos / "more":
            raise PermissionError(errno.EACCES, "Permission denied", str(folder))
        return scan(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    assert main(["classify", str(photos), "--server", "localhost:1"]) == 1
    assert f"{photos / 'more'} cannot be read: Permission denied" in error_line(capsys)


def test_a_pipe_in_a_folder_is_no_image(photos: Path) -> None:
    os.mkfifo(photos / "endless.jpg")
    assert [path.name for path in find_images([photos])] == ["a.jpg", "b.PNG", "a.jpg"]


def test_bench_names_the_image_that_is_none(photos: Path, capsys: Output) -> None:
    (photos / "bad.jpg").write_text("no image")
    assert main(["bench", str(photos / "bad.jpg"), "--server", "localhost:1"]) == 1
    assert f"{photos / 'bad.jpg'}: the image is not a JPEG" in error_line(capsys)


def test_bench_reads_no_more_images_than_it_sends(scripted: Start, photos: Path, capsys: Output) -> None:
    (photos / "b.PNG").unlink()
    (photos / "b.PNG").symlink_to("nowhere")  # reading it would fail
    server = scripted()
    server.answers[PREDICT] = lambda request, context: predict_answer(
        class_ids=[[1]], class_names=[["a"]], scores=[[1.0]]
    )
    assert main(["bench", str(photos), "--requests", "1", "--server", server.address, "--json"]) == 0


def test_bench_measures(engine: str, photos: Path, capsys: Output) -> None:
    words = ["bench", str(photos / "a.jpg"), "--server", engine, "--requests", "2", "--concurrency", "2"]
    assert main([*words, "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert 0 < figures["median_ms"] <= figures["p95_ms"] <= figures["p99_ms"]
    assert main(words) == 0
    assert "median_ms" in capsys.readouterr().out


def test_debug_shows_where(capsys: Output) -> None:
    with pytest.raises(Exception, match="nowhere"):
        main(["classify", "nowhere.jpg", "--debug"])


def test_without_rich_json_still_works(scripted: Start, tmp_path: Path) -> None:
    server = scripted()
    server.answers[PREDICT] = refusing(grpc.StatusCode.INVALID_ARGUMENT, "bad image")
    (tmp_path / "a.bmp").write_bytes(b"BM image")
    script = (
        "import sys, importlib.util as util\n"
        "find = util.find_spec\n"
        "util.find_spec = lambda name, *rest: None if name == 'rich' else find(name, *rest)\n"
        "from slimserve.cli.main import main\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    command = [sys.executable, "-c", script, "classify", str(tmp_path / "a.bmp"), "--server", server.address]
    plain = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert plain.returncode == 1
    assert "pip install '.[images]' in the clone" in plain.stderr
    scripted_json = subprocess.run(
        [*command, "--json"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert "bad image" in json.loads(scripted_json.stdout)["error"]


def test_ctrl_c_stops_with_130(scripted: Start, tmp_path: Path) -> None:
    server, asked = scripted(), threading.Event()

    def wait(request: bytes, context: grpc.ServicerContext) -> bytes:
        asked.set()
        while context.is_active():
            time.sleep(0.01)
        return b""

    server.answers[PREDICT] = wait
    for index in range(8):
        (tmp_path / f"{index}.bmp").write_bytes(b"BM image")
    command = [sys.executable, "-m", "client", "classify", str(tmp_path), "--server", server.address]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    assert asked.wait(20)
    os.kill(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 130
    assert errors.splitlines() == ["stopped"]
