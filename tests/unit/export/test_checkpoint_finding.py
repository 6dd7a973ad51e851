"""Which files a path means: state files, renamed, copied and moved checkpoints."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from slimserve.export.checkpoint.contents import open_checkpoint

from tests.support.archives import archive, member
from tests.support.checkpoints import refusal, tensorflow_v1, tensorflow_v2

OLD = {"vgg_16/x": np.zeros(3, np.float32)}
NEW = {"vgg_16/x": np.ones(3, np.float32)}


@pytest.fixture(autouse=True)
def temporary_files_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "unpacked").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "unpacked"))


@pytest.fixture
def train(tmp_path: Path) -> Path:
    """An empty training folder."""
    (tmp_path / "train").mkdir()
    return tmp_path / "train"


def state(folder: Path, path: str | Path, name: str = "checkpoint") -> Path:
    """Write a `checkpoint` file as TensorFlow does."""
    quoted = str(path).replace("\\", "\\\\")
    (folder / name).write_text(f'model_checkpoint_path: "{quoted}"\nall_model_checkpoint_paths: "{quoted}"\n')
    return folder / name


def is_new(path: str | Path) -> bool:
    """Whether the checkpoint that is read is the new one of the two."""
    with open_checkpoint(path) as checkpoint:
        return bool(checkpoint.read("vgg_16/x").all())


def notes(path: Path) -> str:
    with open_checkpoint(path) as checkpoint:
        return "; ".join(checkpoint.notes)


class TestStateFile:
    @pytest.fixture
    def original(self, tmp_path: Path) -> Path:
        (tmp_path / "original").mkdir()
        tensorflow_v2(tmp_path / "original" / "model.ckpt-3000", OLD)
        return tmp_path / "original" / "model.ckpt-3000"

    def test_a_later_step_that_it_does_not_name_is_said(self, train: Path) -> None:
        """As after a run that started again, or where it was copied before the training ended."""
        tensorflow_v2(train / "model.ckpt-70", NEW)
        tensorflow_v2(train / "model.ckpt-5000", OLD)
        state(train, "model.ckpt-70")
        assert is_new(train)
        assert notes(train) == (
            f"checkpoint names model.ckpt-70; {train / 'model.ckpt-5000'} beside it has a later step: give that one "
            "to --ckpt if it is meant"
        )
        state(train, "model.ckpt-5000")
        assert notes(train) == ""

    @pytest.mark.parametrize("write", [tensorflow_v1, tensorflow_v2])
    def test_what_lies_beside_it_comes_before_the_old_path(
        self, write: Callable[..., Path], original: Path, train: Path
    ) -> None:
        write(train / "model.ckpt-3000", NEW)
        state(train, original)
        assert is_new(train)
        assert notes(train).endswith("model.ckpt-3000 beside it is read")

    def test_the_old_path_is_read_where_nothing_lies_beside_and_said(
        self, original: Path, train: Path
    ) -> None:
        state(train, original)
        assert not is_new(train)
        assert notes(train).endswith(f"{original} is read")

    @pytest.mark.parametrize(
        "path",
        [
            "D:\\train\\model.ckpt-3000",
            "D:/train/model.ckpt-3000",
            "\\\\nas\\train\\model.ckpt-3000",
            "runs\\model.ckpt-3000",
        ],
    )
    def test_a_path_of_windows_means_the_name_behind_the_last_separator(self, path: str, train: Path) -> None:
        tensorflow_v2(train / "model.ckpt-3000", NEW)
        state(train, path)
        assert is_new(train)

    def test_backslashes_that_an_editor_left_alone_are_none_of_escapes(self, train: Path) -> None:
        tensorflow_v2(train / "new.ckpt-3000", NEW)
        (train / "checkpoint").write_bytes(
            b'\xef\xbb\xbfmodel_checkpoint_path: "D:\\train\\new.ckpt-3000"\r\n'
        )
        assert is_new(train)

    def test_one_that_powershell_wrote_is_read(self, train: Path) -> None:
        tensorflow_v2(train / "model.ckpt-3000", NEW)
        (train / "checkpoint").write_bytes('model_checkpoint_path: "model.ckpt-3000"\r\n'.encode("utf-16"))
        assert is_new(train)

    def test_a_relative_path_below_the_folder_is_followed(self, train: Path) -> None:
        (train / "best").mkdir()
        tensorflow_v2(train / "best" / "model.ckpt-1", NEW)
        tensorflow_v2(train / "model.ckpt-1", OLD)
        state(train, "best/model.ckpt-1")
        assert is_new(train)

    @pytest.mark.parametrize("name", ["checkpoint", "checkpoint.txt"])
    def test_given_itself_it_means_what_its_folder_means(self, name: str, train: Path) -> None:
        tensorflow_v2(train / "model.ckpt-1", NEW)
        tensorflow_v2(train / "model.ckpt-2", OLD)
        assert is_new(state(train, "model.ckpt-1", name))

    def test_one_that_names_what_is_gone_brings_up_what_is_there(self, train: Path) -> None:
        for step in (5, 900, 1000):
            tensorflow_v2(train / f"model.ckpt-{step}", OLD)
        state(train, "model.ckpt-2000")
        assert refusal(train).endswith(
            f"names model.ckpt-2000, which is not there: name one of those that are there ({train}/model.ckpt-1000, "
            f"{train}/model.ckpt-900, {train}/model.ckpt-5)"
        )

    @pytest.mark.parametrize("named", ["checkpoint", ".", "../train", ""])
    def test_one_that_names_itself_or_a_folder_is_refused(self, named: str, train: Path) -> None:
        state(train, named)
        assert "checkpoint" in refusal(train)

    def test_a_checkpoint_called_checkpoint_is_one(self, train: Path) -> None:
        assert is_new(tensorflow_v1(train / "checkpoint", NEW).parent)


class TestArchive:
    def packed(self, folder: Path, name: str = "train.tar.gz") -> Path:
        members = (member(f"train/{file.name}", file.read_bytes()) for file in sorted(folder.iterdir()))
        return archive(folder.parent / name, *members)

    def test_the_state_file_of_a_training_folder_in_it_is_obeyed(self, train: Path) -> None:
        for step, tensors in ((1, OLD), (2, NEW), (3, OLD)):
            tensorflow_v2(train / f"model.ckpt-{step}", tensors)
        state(train, "/home/somebody/train/model.ckpt-2")
        assert is_new(self.packed(train))

    def test_no_state_file_in_it_leads_out_of_it(self, train: Path, tmp_path: Path) -> None:
        outside = tensorflow_v2(tmp_path / "outside.ckpt-9", OLD)
        tensorflow_v2(train / "model.ckpt-1", NEW)
        tensorflow_v2(train / "model.ckpt-2", NEW)
        state(train, outside)
        assert "which is not there" in refusal(self.packed(train))

    def test_the_only_checkpoint_in_it_is_read_whatever_the_state_file_says(self, train: Path) -> None:
        tensorflow_v2(train / "model.ckpt-2", NEW)
        state(train, "/gone/model.ckpt-9")
        path = self.packed(train)
        assert is_new(path)
        assert "which is not in the archive: model.ckpt-2, the only one, is read" in notes(path)

    def test_several_without_a_state_file_are_to_be_unpacked(self, train: Path) -> None:
        for step in (1, 2):
            tensorflow_v2(train / f"model.ckpt-{step}", OLD)
        assert "holds 2 checkpoints: unpack it, then name one" in refusal(self.packed(train))

    def test_v1_shards_in_it_are_read(self, train: Path) -> None:
        for number, name in enumerate(("vgg_16/x", "vgg_16/y")):
            tensorflow_v1(train / f"model-0000{number}-of-00002", {name: np.ones(2, np.float32)})
        assert is_new(self.packed(train, "model.tar"))


class TestNames:
    @pytest.fixture(autouse=True)
    def steps(self, train: Path) -> None:
        for step, tensors in ((20, OLD), (3000, NEW)):
            tensorflow_v2(train / f"model.ckpt-{step}", tensors)
            (train / f"model.ckpt-{step}.meta").write_bytes(b"\n\x05graph")

    @pytest.mark.parametrize(
        "given", ["model.ckpt", "model.ckpt-", "model.ckpt-3000.", "model.ckpt-3001", "model-3000"]
    )
    def test_a_step_left_out_or_mistyped_brings_up_the_prefix(self, given: str, train: Path) -> None:
        assert refusal(train / given).endswith(f"did you mean {train}/model.ckpt-3000?")

    def test_a_data_file_that_is_not_there_is_no_shard_of_v1(self, train: Path) -> None:
        assert "data-00000-of-00002 does not exist: did you mean" in refusal(
            train / "model.ckpt-3000.data-00000-of-00002"
        )

    def test_no_name_at_all_is_told(self) -> None:
        assert refusal("") == "no checkpoint is named: give a file, a prefix or a folder"

    def test_names_far_from_all_there_are_bring_up_what_there_is(self, train: Path) -> None:
        assert refusal(train / "x").endswith(f"{train} holds model.ckpt-3000, model.ckpt-20")

    def test_an_empty_file_of_the_prefixs_name_is_passed_over(self, train: Path) -> None:
        (train / "model.ckpt-3000").touch()
        assert is_new(train / "model.ckpt-3000")
        assert "model.ckpt-3000 itself is no table" in notes(train / "model.ckpt-3000")

    @pytest.mark.parametrize("name", ["model.ckpt-3000", "weights.bin"])
    def test_a_renamed_data_file_is_told_by_its_size(self, name: str, train: Path) -> None:
        data = "model.ckpt-3000.data-00000-of-00001"
        os.rename(train / data, train / name)
        assert refusal(train / "model.ckpt-3000").endswith(
            f"its data file {data} is missing; {name} beside it has the right size: rename it to {data}"
        )

    @pytest.mark.parametrize("behind", [".txt", " (1)", ".1"])
    def test_an_index_with_something_behind_its_suffix_is_to_be_called_as_its_data(
        self, behind: str, train: Path
    ) -> None:
        tensorflow_v2(train / "model.ckpt-3000", NEW)
        (train / "model.ckpt-3000.index").rename(train / f"model.ckpt-3000.index{behind}")
        assert (
            "rename it to model.ckpt-3000.index, beside its data model.ckpt-3000.data-00000-of-00001"
            in refusal(train / f"model.ckpt-3000.index{behind}")
        )

    @pytest.mark.parametrize("part", ["index", "data-00000-of-00001"])
    @pytest.mark.parametrize(
        ("target", "advice"),
        [
            ("../.git/annex/objects/x", "run `git annex get`"),
            ("/gone/model", "bring that file, or copy it here"),
        ],
    )
    def test_a_link_that_leads_nowhere_is_told(
        self, part: str, target: str, advice: str, train: Path
    ) -> None:
        tensorflow_v2(train / "model.ckpt-3000", NEW)
        (train / f"model.ckpt-3000.{part}").unlink()
        (train / f"model.ckpt-3000.{part}").symlink_to(target)
        for given in ("", f".{part}"):
            said = refusal(train / f"model.ckpt-3000{given}")
            assert f"is a link to {target}, which is not there: {advice}" in said

    def test_a_renamed_index_is_told(self, train: Path) -> None:
        os.rename(train / "model.ckpt-3000.index", train / "model.ckpt-3000")
        assert "is the index of a checkpoint, without .index at the end of its name" in refusal(
            train / "model.ckpt-3000"
        )

    def test_a_whole_checkpoint_renamed_or_moved_is_read(self, train: Path, tmp_path: Path) -> None:
        for part in ("index", "data-00000-of-00001"):
            os.rename(train / f"model.ckpt-3000.{part}", tmp_path / f"streets v2.{part}")
        assert is_new(tmp_path / "streets v2")

    def test_a_home_that_the_shell_did_not_write_out_is_found(
        self, train: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HOME", str(train))
        assert is_new("~/model.ckpt-3000")

    def test_a_graph_without_its_checkpoint_asks_for_it(self, tmp_path: Path) -> None:
        (tmp_path / "model.ckpt.meta").write_bytes(b"\n\x05graph")
        says = "a graph without weights; copy model.ckpt.index and its .data files too"
        assert says.replace(";", ":") in refusal(tmp_path / "model.ckpt.meta")


class TestFolder:
    def test_data_without_its_index_asks_for_it(self, train: Path) -> None:
        tensorflow_v2(train / "model.ckpt-3", OLD)
        (train / "model.ckpt-3.index").unlink()
        assert refusal(train).endswith(
            "model.ckpt-3.data-00000-of-00001 is there, but not model.ckpt-3.index; copy it too"
        )

    def test_a_checkpoint_one_folder_below_is_pointed_to(self, train: Path) -> None:
        tensorflow_v2(train / "model.ckpt-3", OLD)
        assert refusal(train.parent).endswith(f"holds no checkpoint itself: give {train}")

    def test_texts_and_hidden_files_in_it_are_not_its_matter(self, train: Path) -> None:
        (train / ".git").write_text("gitdir: elsewhere\n")
        (train / ".weights.npy").write_bytes(b"\x93NUMPY\x01\0")
        (train / "notes.json").write_text("{}")
        assert refusal(train).endswith(
            "holds no checkpoint: give the folder with model.ckpt-STEP.index and its "
            ".data files, or a V1 file"
        )

    def test_a_model_that_was_exported_is_told(self, train: Path) -> None:
        (train / "3").mkdir()
        (train / "3" / "saved_model.pb").write_bytes(b"\x08\x01\x12")
        assert f"holds no checkpoint but a SavedModel already, {train / '3'}: serve it as it is" in refusal(
            train
        )

    def test_what_else_it_holds_is_named(self, train: Path) -> None:
        (train / "vgg.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(99))
        assert "vgg.h5 is not a TensorFlow checkpoint but an HDF5 file" in refusal(train)

    def test_several_checkpoints_are_named_the_latest_first(self, train: Path) -> None:
        for step in (9, 10, 100):
            tensorflow_v2(train / f"model.ckpt-{step}", OLD)
        assert refusal(train).endswith("name one of them (model.ckpt-100, model.ckpt-10, model.ckpt-9)")

    def unfinished(self, folder: Path, name: str) -> Path:
        """What a save that was killed leaves: an index under a name for the time being, of the same first bytes."""
        (file := folder / f"{name}.index.tempstate1234567890").write_bytes(
            (tensorflow_v2(folder.parent / name, OLD).parent / f"{name}.index").read_bytes()
        )
        return file

    def test_what_an_unfinished_save_left_is_no_second_checkpoint_and_it_is_said(self, train: Path) -> None:
        tensorflow_v2(train / "model.ckpt-3", NEW)
        self.unfinished(train, "model.ckpt-4")
        assert is_new(train)
        assert notes(train) == (
            "model.ckpt-4.index.tempstate1234567890, which a save that did not end left behind, is not read"
        )

    def test_what_an_unfinished_save_left_is_no_checkpoint(self, train: Path) -> None:
        self.unfinished(train, "model.ckpt-4")
        assert refusal(train).endswith(
            "holds no checkpoint but model.ckpt-4.index.tempstate1234567890, which a save that did not end left behind"
        )

    def test_what_an_unfinished_save_left_is_not_to_be_renamed(self, train: Path) -> None:
        assert refusal(self.unfinished(train, "model.ckpt-4")).endswith(
            "was left behind by a save that did not end: give another checkpoint"
        )
