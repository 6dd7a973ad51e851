"""`check` of a version's files: whole, cut off, or not what their export wrote."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from slimserve.serving_config.check.configs.version_files import damage

from tests.support.recorded import RECORDED

WITH_VARIABLES = next(RECORDED.glob("models/*/*/variables")).parent


@pytest.fixture
def version(tmp_path: Path) -> Path:
    """A version that TensorFlow wrote, with the sizes of its files recorded."""
    folder = tmp_path / "1"
    shutil.copytree(WITH_VARIABLES, folder)
    files = {str(f.relative_to(folder)): f.stat().st_size for f in folder.rglob("*") if f.is_file()}
    (folder / "assets.extra").mkdir(exist_ok=True)
    (folder / "assets.extra/export.json").write_text(json.dumps({"files": files}))
    return folder


def cut(file: Path, size: int) -> None:
    file.write_bytes(file.read_bytes()[:size])


@pytest.mark.parametrize("path", sorted(RECORDED.glob("models/*/*")), ids=lambda path: str(path)[-12:])
def test_what_tensorflow_wrote_is_whole(path: Path) -> None:
    assert damage(path) is None


def test_what_fits_its_record_is_whole(version: Path) -> None:
    assert damage(version) is None


@pytest.mark.parametrize("number", [0, 1])
def test_shards_of_another_save_may_lie_beside_whole_ones(version: Path, number: int) -> None:
    (version / f"variables/variables.data-0000{number}-of-00002").write_bytes(b"")
    assert damage(version) is None


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (lambda v: cut(v / "saved_model.pb", 5), "saved_model.pb in {v} has 5 bytes, and its export wrote"),
        (
            lambda v: cut(v / "variables/variables.data-00000-of-00001", 3),
            "has 3 bytes, and its export wrote",
        ),
        (lambda v: (v / "variables/variables.index").unlink(), "variables/variables.index is missing in {v}"),
    ],
    ids=["graph", "variables", "index"],
)
def test_what_does_not_fit_its_record_is_said(
    version: Path, harm: Callable[[Path], None], words: str
) -> None:
    harm(version)
    assert words.format(v=version) in str(damage(version))


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (lambda v: cut(v / "saved_model.pb", 5), "is cut off or no SavedModel, it has 5 bytes"),
        (lambda v: (v / "saved_model.pb").write_bytes(b"\x08\x01"), "is cut off or no SavedModel"),
        (lambda v: (v / "saved_model.pb").write_bytes(b"graph"), "is cut off or no SavedModel"),
        (lambda v: cut(v / "variables/variables.index", 40), "variables.index is cut off, it has 40 bytes"),
        (lambda v: (v / "variables/variables.data-00000-of-00001").unlink(), "lacks files of variables"),
        (
            lambda v: shutil.rmtree(v / "variables"),
            "its graph has variables, and {v}/variables/variables.index",
        ),
    ],
    ids=["5 bytes", "no meta graph", "text", "index", "no shard", "no variables"],
)
def test_what_has_no_record_is_judged_by_its_form(
    version: Path, harm: Callable[[Path], None], words: str
) -> None:
    shutil.rmtree(version / "assets.extra")
    harm(version)
    assert words.format(v=version) in str(damage(version))


def test_a_shard_of_another_copy_does_no_harm(version: Path) -> None:
    shard = version / "variables/variables.data-00000-of-00001"
    shutil.copy(shard, shard.with_name("variables.data-00000-of-00003"))
    assert damage(version) is None
