"""Names on the command line: what is no file, what a terminal obeys, where results and answers cannot go."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import grpc
import pytest
from PIL import Image
from slimserve.cli.main import main
from slimserve.wire.messages import GET_MODEL_STATUS

from tests.unit.client.conftest import PREDICT, ScriptedServer, predict_answer

ROOT = Path(__file__).parents[3]
Start = Callable[..., ScriptedServer]
Output = pytest.CaptureFixture[str]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder with an image, and a file that is none."""
    Image.new("RGB", (96, 64)).save(tmp_path / "a.jpg")
    (tmp_path / "notes.txt").write_text("no image")
    return tmp_path


def error_line(output: Output) -> str:
    """What stands on stderr, which must be one line."""
    (line,) = output.readouterr().err.splitlines()
    return line


@pytest.mark.parametrize(
    "arguments",
    [
        ["segment", "a.jpg", "--out="],
        ["segment", "a.jpg", "-o", "out", "--report="],
        ["evaluate", "", "--truth", "t.csv"],
        ["evaluate", ".", "--truth="],
        ["status", "--tls-ca="],
        ["status", "--token-file="],
    ],
)
def test_an_empty_path_is_not_the_working_folder(arguments: list[str], capsys: Output) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "the path is empty: is a variable of the shell not set?" in capsys.readouterr().err


def test_a_tilde_behind_an_equals_sign_is_the_home_folder(
    photos: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    monkeypatch.setenv("HOME", str(photos))
    assert main(["status", "--token-file=~/none"]) == 1
    assert f"the token file {photos / 'none'} cannot be read" in error_line(capsys)


@pytest.mark.parametrize(
    ("image", "says"),
    [
        (
            "https://example.com/cat.png",
            "https://example.com/cat.png is an address, and the client fetches none: name a",
        ),
        (
            "data:image/png;base64," + "iVBORw0KGgo" * 100,
            "... is a data URI: name a file, or a folder of them",
        ),
        ("", "the name of an image is empty: is a variable of the shell not set?"),
    ],
)
def test_what_is_no_file_is_refused_in_few_words(image: str, says: str, capsys: Output) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["classify", image])
    assert caught.value.code == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert says in last
    assert len(last) < 200


def test_a_name_longer_than_names_can_be_is_one_clear_line(capsys: Output) -> None:
    assert main(["classify", "x" * 300]) == 1
    assert error_line(capsys).endswith(f"there is no file or folder {'x' * 60}...")


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("-", "name a file; what is piped in is /dev/stdin, except on Windows"),
        ("photos/*.jpg", "but not in quotes, nor on Windows; name the folder"),
        ("cat-[0-9].png", "but not in quotes, nor on Windows; name the folder"),
    ],
)
def test_a_name_that_only_shells_know_says_what_to_do(name: str, advice: str, capsys: Output) -> None:
    assert main(["classify", name]) == 1
    line = error_line(capsys)
    assert f"there is no file or folder {name}: " in line
    assert line.endswith(advice)


def test_results_are_not_written_into_a_file(photos: Path, capsys: Output) -> None:
    out = photos / "notes.txt"
    assert main(["segment", str(photos / "a.jpg"), "-o", str(out)]) == 1
    assert f"{out} is a file, not a folder" in error_line(capsys)


@pytest.mark.parametrize("report", [".", "new", "new/out"])
def test_a_report_that_is_a_folder_or_will_be_one_is_one_clear_line(
    photos: Path, capsys: Output, report: str
) -> None:
    words = ["segment", str(photos), "-o", str(photos / "new" / "out"), "--server", "localhost:1"]
    assert main([*words, "--report", str(photos / report)]) == 1
    assert "name a file" in capsys.readouterr().err


def test_names_do_not_command_the_terminal(scripted: Start, photos: Path, capsys: Output) -> None:
    server = scripted()
    answer = {"class_ids": [[1]], "scores": [[0.5]], "class_names": [["cat\x1b[2J"]]}
    server.answers[PREDICT] = lambda request, context: predict_answer(**answer)
    (photos / "red\x1b[31m.jpg").write_bytes((photos / "a.jpg").read_bytes())
    assert main(["classify", str(photos), "--server", server.address]) == 0
    shown = capsys.readouterr().out
    assert "\x1b" not in shown
    assert r"red\x1b[31m.jpg: cat\x1b[2J 50.0 %" in shown


def test_errors_do_not_command_the_terminal(scripted: Start, photos: Path, capsys: Output) -> None:
    server = scripted()

    def refuse(request: object, context: grpc.ServicerContext) -> bytes:
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, "full\x1b]0;title\x07\rdone")

    server.answers[GET_MODEL_STATUS] = refuse
    assert main(["status", "--server", server.address]) == 1
    assert error_line(capsys).endswith(r"FAILED_PRECONDITION: full\x1b]0;title\x07\rdone")
    assert main(["classify", str(photos / "a\x1b[2Jb")]) == 1
    assert error_line(capsys).endswith(r"there is no file or folder " + str(photos) + r"/a\x1b[2Jb")


def test_what_evaluate_leaves_out_does_not_command_the_terminal(photos: Path, capsys: Output) -> None:
    (photos / "red\x1b[31m.jpg").write_bytes((photos / "a.jpg").read_bytes())
    (photos / "truth.csv").write_text("a.jpg,cat\n")
    unreachable = ["--server", "localhost:1", "--connect-timeout", "0.1"]
    main(["evaluate", str(photos), "--truth", str(photos / "truth.csv"), *unreachable])
    shown = capsys.readouterr().err
    assert "\x1b" not in shown
    assert r"left out: " + str(photos) + r"/red\x1b[31m.jpg" in shown


@pytest.mark.skipif(os.name == "nt", reason="Windows' shell closes no stdout")
def test_a_stdout_that_is_closed_is_no_error(scripted: Start, photos: Path) -> None:
    server = scripted()
    answer = {"class_ids": [[1]], "scores": [[0.5]], "class_names": [["cat"]]}
    server.answers[PREDICT] = lambda request, context: predict_answer(**answer)
    command = f"exec {sys.executable} -m client classify {photos}/a.jpg --server {server.address} >&-"
    done = subprocess.run(["sh", "-c", command], cwd=ROOT, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
