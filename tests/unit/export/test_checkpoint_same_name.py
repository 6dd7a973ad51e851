"""Several checkpoints of one name, as old and new runs leave them: which is read, and what is said of the others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from slimserve.export.checkpoint.contents import open_checkpoint

from tests.support.archives import archive, member
from tests.support.checkpoints import refusal, tensorflow_v1, tensorflow_v2

OLD = {"vgg_16/x": np.zeros(3, np.float32)}
NEW = {"vgg_16/x": np.ones(3, np.float32)}


def read(path: Path) -> tuple[bool, tuple[str, ...]]:
    """Whether the checkpoint that is read is the new one of the two, and what is said."""
    with open_checkpoint(path) as checkpoint:
        return bool(checkpoint.read("vgg_16/x").all()), checkpoint.notes


def shards(prefix: Path, count: int, tensors: dict[str, np.ndarray]) -> None:
    """Write a V1 checkpoint in shards, all but the first of which hold another variable."""
    for number in range(count):
        held = {f"vgg_16/y{number}": np.zeros(1, np.float32)} if number else tensors
        tensorflow_v1(prefix.with_name(f"{prefix.name}-{number:05d}-of-{count:05d}"), held)


class TestBothFormats:
    """A published V1 file, and beside it what a Saver wrote to the same name."""

    @pytest.fixture
    def model(self, tmp_path: Path) -> Path:
        (tmp_path / "train").mkdir()
        tensorflow_v1(tmp_path / "train" / "vgg_16.ckpt", OLD)
        return tensorflow_v2(tmp_path / "train" / "vgg_16.ckpt", NEW)

    @pytest.mark.parametrize("given", ["vgg_16.ckpt", "vgg_16.ckpt.index", ".", "checkpoint"])
    def test_v2_is_read_as_tensorflow_reads_it(self, given: str, model: Path) -> None:
        (model.parent / "checkpoint").write_text('model_checkpoint_path: "vgg_16.ckpt"\n')
        assert tf.train.load_variable(str(model), "vgg_16/x").all()
        assert read(model.parent / given)[0]

    def test_v2_is_read_of_an_archive_too(self, model: Path, tmp_path: Path) -> None:
        members = (member(file.name, file.read_bytes()) for file in sorted(model.parent.iterdir()))
        new, notes = read(archive(tmp_path / "vgg_16.tar", *members))
        assert new
        assert "vgg_16.ckpt itself is a table" in notes[0]

    def test_the_file_that_is_passed_over_is_said(self, model: Path) -> None:
        assert read(model)[1] == (
            "vgg_16.ckpt itself is a table, as checkpoints of format V1 are: vgg_16.ckpt.index and its data are read, "
            "as TensorFlow reads them; to export that file, move it into a folder of its own",
        )

    def test_the_file_in_a_folder_of_its_own_is_read(self, model: Path, tmp_path: Path) -> None:
        assert read(model.rename(tmp_path / "vgg_16.ckpt")) == (False, ())


class TestShards:
    @pytest.mark.parametrize("write", [tensorflow_v1, tensorflow_v2])
    def test_those_beside_a_whole_checkpoint_are_passed_over_and_it_is_said(
        self, write: Callable[..., Path], tmp_path: Path
    ) -> None:
        shards(tmp_path / "model", 2, OLD)
        assert read(write(tmp_path / "model", NEW)) == (
            True,
            ("shards of the same name are passed over, model-?????-of-00002",),
        )

    @pytest.mark.parametrize("given", ["model", "."])
    def test_those_of_two_runs_are_told_apart_by_the_user(self, given: str, tmp_path: Path) -> None:
        shards(tmp_path / "model", 2, NEW)
        shards(tmp_path / "model", 3, OLD)
        assert refusal(tmp_path / given) == (
            f"{tmp_path}/model is there in 2 and in 3 shards, which several runs saved: name the one you mean, "
            f"'{tmp_path}/model-?????-of-00002' or '{tmp_path}/model-?????-of-00003'"
        )

    @pytest.mark.parametrize("given", ["model-?????-of-00002", "model-00001-of-00002", "checkpoint"])
    def test_of_two_runs_the_one_that_is_named_is_read(self, given: str, tmp_path: Path) -> None:
        shards(tmp_path / "model", 2, NEW)
        shards(tmp_path / "model", 3, OLD)
        (tmp_path / "checkpoint").write_text('model_checkpoint_path: "model-?????-of-00002"\n')
        assert read(tmp_path / given)[0]
