"""What the command line writes where a terminal shows its progress: answers on stdout, all of them and whole."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from tests.unit.client.conftest import PREDICT, ScriptedServer, predict_answer

ROOT = Path(__file__).parents[3]
Start = Callable[..., ScriptedServer]


@pytest.fixture
def words(scripted: Start, tmp_path: Path) -> list[str]:
    """`classify` over three images, which a scripted server answers."""
    server = scripted()
    answer = predict_answer(class_ids=[[4, 2]], class_names=[["cat", "dog"]], scores=[[0.75, 0.25]])
    server.answers[PREDICT] = lambda request, context: answer
    photos = tmp_path / "photos"
    photos.mkdir()
    for name in ("a.png", "b.png", "c.png"):
        Image.new("RGB", (8, 8)).save(photos / name)
    return ["classify", str(photos), "--server", server.address]


def on_a_terminal(words: list[str], stdout: Path | None) -> bytes:
    """Run the client with stderr a terminal, and stdout a file or the same terminal; what the terminal got."""
    terminal, its_end = os.openpty()
    shown: list[bytes] = []

    def read() -> None:
        with contextlib.suppress(OSError):  # the other end is closed
            while part := os.read(terminal, 1 << 16):
                shown.append(part)

    reader = threading.Thread(target=read)
    with open(stdout or os.devnull, "wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "client", *words],
            cwd=ROOT,
            env=os.environ | {"TERM": "xterm", "COLUMNS": "400"},
            stdout=file if stdout else its_end,
            stderr=its_end,
        )
    os.close(its_end)
    reader.start()
    status = process.wait(30)
    reader.join()
    os.close(terminal)
    assert status == 0, b"".join(shown)
    return b"".join(shown)


def test_answers_go_to_a_file_while_a_terminal_shows_the_progress(words: list[str], tmp_path: Path) -> None:
    shown = on_a_terminal(words, tmp_path / "answers.txt")
    lines = (tmp_path / "answers.txt").read_text().splitlines()
    assert [line.partition(": ")[2] for line in lines] == ["cat 75.0 %, dog 25.0 %"] * 3
    assert b"3/3" in shown
    assert b"cat" not in shown


def test_json_goes_to_a_file_while_a_terminal_shows_the_progress(words: list[str], tmp_path: Path) -> None:
    on_a_terminal([*words, "--json"], tmp_path / "answers.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "answers.jsonl").read_text().splitlines()]
    assert [row["predictions"][0]["name"] for row in rows] == ["cat"] * 3


def test_answers_on_the_terminal_pass_above_the_bar(words: list[str]) -> None:
    shown = on_a_terminal(words, None)
    assert shown.count(b"cat 75.0 %, dog 25.0 %") == 3
    assert b"3/3" in shown


def test_json_on_the_terminal_is_nothing_but_json(words: list[str]) -> None:
    rows = [json.loads(line) for line in on_a_terminal([*words, "--json"], None).splitlines()]
    assert len(rows) == 3
