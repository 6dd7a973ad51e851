"""What the tests share is made once for the same sources, and anew for others."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support import sources
from tests.support.kept import Keeper
from tests.support.sources import ROOT

ONE, OTHER = "0123456789abcdef", "fedcba9876543210"


class Maker:
    """Writes a file of so many bytes; counts how often."""

    def __init__(self, size: int = 3) -> None:
        self.size, self.times = size, 0

    def __call__(self, folder: Path) -> None:
        self.times += 1
        (folder / "deep").mkdir()
        (folder / "deep" / "file").write_bytes(b"x" * self.size)


@pytest.fixture
def new_run(tmp_path: Path) -> Iterator[Callable[..., Keeper]]:
    keepers: list[Keeper] = []

    def new(**options: int) -> Keeper:
        """What a run, or a worker, has."""
        keepers.append(Keeper(tmp_path, **options))
        return keepers[-1]

    yield new
    for keeper in keepers:
        keeper.close()


def test_the_next_run_takes_what_is_there(new_run: Callable[..., Keeper]) -> None:
    maker = Maker()
    folders = [new_run().get("model", ONE, maker) for _ in range(3)]
    assert maker.times == len(set(folders)) == 1
    assert (folders[0] / "deep" / "file").read_bytes() == b"xxx"


def test_another_key_is_made_and_the_old_one_removed(new_run: Callable[..., Keeper], tmp_path: Path) -> None:
    first = new_run()
    old = first.get("model", ONE, Maker())
    first.close()
    new = new_run().get("model", OTHER, Maker())
    assert not old.exists()
    assert {path.name for path in tmp_path.iterdir()} == {
        new.name, f"{new.name}.files", f"{new.name}.use", "model.lock"
    }  # fmt: skip


def test_what_another_run_uses_is_not_removed(new_run: Callable[..., Keeper]) -> None:
    used = new_run().get("model", ONE, Maker())
    new_run().get("model", OTHER, Maker())
    assert (used / "deep" / "file").exists()


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: (folder / "deep" / "file").write_text("y"),
        lambda folder: (folder / "deep" / "file").unlink(),
        lambda folder: (folder / "more").touch(),
        lambda folder: os.utime(folder / "deep" / "file", (0, 0)),
    ],
)
def test_what_a_test_has_changed_is_made_anew(
    new_run: Callable[..., Keeper], change: Callable[[Path], object]
) -> None:
    maker = Maker()
    change(new_run().get("model", ONE, maker))
    folder = new_run().get("model", ONE, maker)
    assert maker.times == 2
    assert [path.name for path in folder.iterdir()] == ["deep"]
    assert (folder / "deep" / "file").read_bytes() == b"xxx"


def test_what_could_not_be_made_is_tried_again(new_run: Callable[..., Keeper]) -> None:
    def fail(folder: Path) -> None:
        (folder / "half").touch()
        raise RuntimeError

    with pytest.raises(RuntimeError):
        new_run().get("model", ONE, fail)
    assert [path.name for path in new_run().get("model", ONE, Maker()).iterdir()] == ["deep"]


def test_the_entries_used_longest_ago_make_room(new_run: Callable[..., Keeper]) -> None:
    first = new_run(largest=100)
    folders = [first.get(name, ONE, Maker(40)) for name in ("first", "second")]
    os.utime(folders[1].with_name(f"second-{ONE}.use"), (0, 0))
    first.close()
    new_run(largest=100).get("third", ONE, Maker(40))
    assert [folder.exists() for folder in folders] == [True, False]


def test_two_workers_make_it_once(tmp_path: Path) -> None:
    code = f"""
import time
from pathlib import Path
from tests.support.kept import Keeper
def make(folder):
    print("made")
    time.sleep(0.5)
Keeper(Path({str(tmp_path)!r})).get("model", {ONE!r}, make)
"""
    workers = [
        subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    assert sorted(worker.communicate()[0] for worker in workers) == ["", "made\n"]
    assert [worker.returncode for worker in workers] == [0, 0]


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A room with a module `made`, which imports `used` in a function, which is beside `other` and reads `data.tsv`."""
    files = {
        "__init__.py": "from .other import everything",
        "made.py": "def make():\n    from .inner import used",
        "inner/__init__.py": "",
        "inner/used.py": "from .. import errors",
        "inner/data.tsv": "1",
        "errors.py": "",
        "other.py": "",
        "pages/__init__.py": "import pkgutil",
        "pages/page.py": "",
    }
    for name, text in files.items():
        (tmp_path / "room" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "room" / name).write_text(text)
    monkeypatch.setattr(sources, "ROOT", tmp_path)
    monkeypatch.setattr(sources, "_ROOMS", {"slimserve.room": tmp_path / "room"})
    return tmp_path / "room"


@pytest.mark.parametrize("changed", ["made.py", "inner/used.py", "inner/data.tsv", "errors.py"])
def test_a_key_changes_with_what_is_imported(checkout: Path, changed: str) -> None:
    before = sources.digest(["slimserve.room.made"])
    (checkout / changed).write_text("x = 1")
    assert sources.digest(["slimserve.room.made"]) != before


@pytest.mark.parametrize("changed", ["other.py", "pages/page.py"])
def test_a_key_does_not_change_with_the_rest(checkout: Path, changed: str) -> None:
    before = sources.digest(["slimserve.room.made"])
    (checkout / changed).write_text("x = 1")
    assert sources.digest(["slimserve.room.made"]) == before


def test_a_package_that_imports_all_its_modules_depends_on_them(checkout: Path) -> None:
    assert checkout / "pages" / "page.py" in sources.sources(["slimserve.room.pages"])


def test_a_key_changes_with_arguments_and_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = [sources.digest([]), sources.digest([], "--geometry"), sources.digest([], "--geometry", "valid")]
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    keys.append(sources.digest([]))
    assert len(set(keys)) == len(keys)
