"""What lies outside of the network's scope: other networks, another last layer, averages, masks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from slimserve.export.networks import NETWORKS, Network

from tests.support.broadcast import Tensors, averages
from tests.support.checkpoints import tensorflow_v2
from tests.support.selected import Selected, refusal, tensors

FIRST = next(iter(tensors()))
STUDENT = NETWORKS["mobilenet_v1"]


def below(scope: str, of: Mapping[str, np.ndarray]) -> Tensors:
    return {f"{scope}/{name}": value for name, value in of.items()}


class TestNetworks:
    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        """A checkpoint of a teacher and of a student."""
        student = below("student", tensors(STUDENT, value=3.0))
        return tensorflow_v2(tmp_path / "model", tensors() | student)

    def test_one_of_another_kind_is_said_with_the_options_that_mean_it(self, path: Path) -> None:
        chosen = Selected(path)
        assert set(chosen.values.values()) == {1.0}
        assert (
            "mobilenet_v1 is there below student/ too, which is left out: --net mobilenet_v1 --scope student exports "
            "that one"
        ) in chosen.notes
        assert chosen.warnings == ""

    @pytest.mark.parametrize(("net", "scope"), [(STUDENT, "student"), (STUDENT, None), (None, "student")])
    def test_the_options_mean_it(self, net: Network | None, scope: str | None, path: Path) -> None:
        chosen = Selected(path, scope=scope, net=net)
        assert set(chosen.values.values()) == {3.0}
        assert (
            "inception_v1 is there too, which is left out: --net inception_v1 exports that one"
            in chosen.notes
        )

    def test_one_without_a_scope_that_is_left_out_is_said(self, tmp_path: Path) -> None:
        path = tensorflow_v2(tmp_path / "model", tensors() | below("teacher", tensors(value=3.0)))
        notes = Selected(path, scope="teacher").notes
        assert "inception_v1 is there too, which is left out: --scope '' exports that one" in notes

    def test_a_nasnet_below_no_scope_hides_no_other(self, tmp_path: Path) -> None:
        path = tensorflow_v2(
            tmp_path / "model", tensors(NETWORKS["nasnet_mobile"]) | below("x", tensors(STUDENT))
        )
        assert "mobilenet_v1 is there below x/ too" in Selected(path).notes


class TestLastLayer:
    @pytest.mark.parametrize("name", ["new_fc/weights", "dense/kernel", "head/InceptionV9/Logits"])
    def test_another_one_is_warned_of(self, name: str, tmp_path: Path) -> None:
        path = tensorflow_v2(tmp_path / "model", tensors() | {name: np.ones((1024, 5), np.float32)})
        assert Selected(path).warnings == (
            f"1 variables outside of inception_v1's scope are not exported ({name}): answers are those of its own last "
            "layer, InceptionV1/Logits/Conv2d_0c_1x1; where another was trained in its place, save that one by this "
            "name"
        )

    def test_what_training_keeps_is_none(self, tmp_path: Path) -> None:
        floats = {
            "new_fc/weights": np.ones((1024, 5)),
            "new_fc/weights/Momentum": np.ones((1024, 5)),
            f"train/{FIRST}/Adam_1": tensors()[FIRST],
            f"train/{FIRST}/vr": np.ones(7),
            "learning_rate": np.ones(()),
            "train/beta1_power": np.ones(()),
        }
        beside = {name: np.asarray(value, np.float32) for name, value in floats.items()}
        beside |= {
            "train/global_step": np.int64(7),
            "epochs": np.ones(3, np.int32),
            "files": np.array(["a", "b"]),
        }
        chosen = Selected(tensorflow_v2(tmp_path / "model", tensors() | beside))
        assert "scope are not exported (new_fc/weights): " in chosen.warnings
        assert chosen.notes == ""


class TestCopies:
    @pytest.mark.parametrize("name", ["avg/{}/avg", "ema/{}", "train/{}/Smoothed"])
    def test_averages_by_another_name_in_a_scope_of_their_own_are_said(
        self, name: str, tmp_path: Path
    ) -> None:
        trainable = {of: value for of, value in tensors().items() if "moving" not in of}
        path = tensorflow_v2(
            tmp_path / "model", tensors() | {name.format(of): value for of, value in trainable.items()}
        )
        chosen = Selected(path)
        assert f"{len(trainable)} tensors outside of the network's scope are named after its" in chosen.notes
        assert chosen.warnings == ""

    def test_averages_of_another_network_are_not_its_own(self, tmp_path: Path) -> None:
        student = tensors(STUDENT)
        path = tensorflow_v2(tmp_path / "model", tensors() | below("student", student | averages(student)))
        assert "moving averages lie outside" not in Selected(path).notes


class TestMasks:
    def test_those_of_the_networks_filters_are_refused(self, tmp_path: Path) -> None:
        masks = {f"pruning/{FIRST.removesuffix('weights')}mask": tensors()[FIRST]}
        assert (
            "it also has pruning/InceptionV1/Conv2d_1a_7x7/mask, which inception_v1 never uses: it was pruned"
            in (refusal(tensorflow_v2(tmp_path / "model", tensors() | masks)))
        )

    def test_one_of_another_shape_is_no_mask_of_the_network(self, tmp_path: Path) -> None:
        path = tensorflow_v2(tmp_path / "model", tensors() | {"attention/mask": np.ones((9, 9), np.float32)})
        assert "attention/mask" in Selected(path).warnings

    def test_those_of_another_network_are_not_its_own(self, tmp_path: Path) -> None:
        student = tensors(STUDENT) | {"MobilenetV1/Conv2d_0/mask": tensors()[FIRST]}
        path = tensorflow_v2(tmp_path / "model", tensors() | below("student", student))
        assert "mobilenet_v1 is there below student/ too" in Selected(path).notes
        assert "it was pruned" in refusal(path, scope="student")
