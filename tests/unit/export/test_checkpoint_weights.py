"""Which weights of a checkpoint are exported: the set, the scope, what is converted, and what is refused."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pytest
from slimserve.export.checkpoint.contents import open_checkpoint
from slimserve.export.checkpoint.recognition import find_network_in
from slimserve.export.checkpoint.selection import (
    AUXILIARY,
    BESIDE,
    MEAN,
    NORMALIZATION,
    OTHER_SET,
    OUTSIDE,
    RANGES,
    SCALARS,
    SLOTS,
    STEP,
)
from slimserve.export.errors import ExportError
from slimserve.export.networks import NETWORKS

from tests.support.broadcast import AVERAGE, Tensors, averages
from tests.support.checkpoints import tensorflow_v2
from tests.support.selected import Selected, listing, refusal, tensors


def halves(value: np.ndarray) -> Iterable[tuple[int, np.ndarray]]:
    return enumerate(np.array_split(value, 2, axis=-1))


def statistics(of: Mapping[str, np.ndarray]) -> set[str]:
    return {name for name in of if name.endswith(("moving_mean", "moving_variance"))}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


class TestSets:
    def test_of_two_complete_ones_one_must_be_chosen(self, folder: Path) -> None:
        raw = tensors()
        path = tensorflow_v2(folder / "model", raw | averages(raw))
        assert refusal(path) == (
            f"{path} holds two sets of weights, the raw ones and their moving averages, which slim's evaluation "
            "restores: say --weights averages or --weights raw"
        )
        for wanted, value in (("averages", 2.0), ("raw", 1.0)):
            chosen = Selected(path, wanted)
            assert set(chosen.values.values()) == {value}
            assert chosen.record["weights"] == wanted
            assert "as --weights says" in chosen.notes
            assert len(chosen.left_over[OTHER_SET]) == len(raw)

    def test_averages_of_trainable_variables_come_with_the_raw_statistics(self, folder: Path) -> None:
        """As ExponentialMovingAverage.variables_to_restore() does of a graph with batch normalization."""
        raw = tensors()
        trainable = {name: value for name, value in raw.items() if name not in statistics(raw)}
        path = tensorflow_v2(folder / "model", raw | averages(trainable))
        assert "holds two sets" in refusal(path)
        values = Selected(path, "averages").values
        assert {name for name, value in values.items() if value == 1.0} == statistics(raw)

    def test_averages_of_some_statistics_are_taken_where_they_are(self, folder: Path) -> None:
        raw = tensors()
        without = min(statistics(raw))
        averaged = averages({name: value for name, value in raw.items() if name != without})
        values = Selected(tensorflow_v2(folder / "model", raw | averaged), "averages").values
        assert {name for name, value in values.items() if value == 1.0} == {without}

    def test_averages_alone_are_taken_and_said(self, folder: Path) -> None:
        chosen = Selected(tensorflow_v2(folder / "model", averages(tensors())))
        assert set(chosen.values.values()) == {2.0}
        assert chosen.notes == "the moving averages are exported: there are no raw weights"

    def test_averages_and_the_raw_statistics_alone_are_taken(self, folder: Path) -> None:
        raw = tensors()
        kept = {name: raw.pop(name) for name in statistics(raw)}
        chosen = Selected(tensorflow_v2(folder / "model", averages(raw) | kept))
        assert (chosen.set, set(chosen.values.values())) == ("averages", {1.0, 2.0})

    def test_averages_of_a_part_leave_the_raw_ones_and_it_is_said(self, folder: Path) -> None:
        raw = tensors()
        head = {name: value for name, value in raw.items() if "/Logits/" in name}
        path = tensorflow_v2(folder / "model", raw | averages(head))
        chosen = Selected(path)
        assert set(chosen.values.values()) == {1.0}
        assert "the raw weights are exported: there are moving averages too, but not of" in chosen.notes
        assert "lacks the moving averages of InceptionV1/Conv2d_1a_7x7/weights" in refusal(path, "averages")
        assert refusal(path, "averages").endswith("--weights raw exports the raw weights")

    def test_averages_asked_of_a_checkpoint_without_any_are_refused(self, folder: Path) -> None:
        path = tensorflow_v2(folder / "model", tensors())
        assert refusal(path, "averages").endswith(
            "holds no moving averages: leave --weights out, or say --weights raw"
        )
        assert Selected(path, "raw").notes == ""

    def test_two_incomplete_ones_are_no_network(self, folder: Path) -> None:
        raw = tensors()
        head = "InceptionV1/Logits/Conv2d_0c_1x1/biases"
        del raw[head]
        path = tensorflow_v2(folder / "model", raw | averages(raw))
        assert refusal(path) == (
            f"{path} lacks {head}: it is no complete inception_v1; where it was trained without them, save zeros "
            "(beta, biases) or ones (gamma) by these names too"
        )

    def test_averages_by_another_name_are_not_taken_for_an_optimizers_and_it_is_said(
        self, folder: Path
    ) -> None:
        raw = tensors()
        beside = {f"{name}/Smoothed": value + 1 for name, value in raw.items()}
        slots = {f"{name}/Adam_1": value for name, value in raw.items()}
        chosen = Selected(tensorflow_v2(folder / "model", raw | beside | slots))
        assert set(chosen.values.values()) == {1.0}
        assert set(chosen.left_over[BESIDE]) == set(beside)
        assert set(chosen.left_over[SLOTS]) == set(slots)
        assert f"{len(raw)} tensors that lie beside variables are not exported" in chosen.notes
        assert "moving averages by another name" in chosen.notes

    def test_averages_below_another_scope_are_not_exported_and_it_is_said(self, folder: Path) -> None:
        """As where they were made within `with tf.variable_scope("train")`."""
        raw = tensors()
        trainable = {name: value for name, value in raw.items() if name not in statistics(raw)}
        apart = {f"train/{name}": value for name, value in averages(trainable).items()}
        chosen = Selected(tensorflow_v2(folder / "model", raw | apart))
        assert set(chosen.values.values()) == {1.0}
        assert (
            f"{len(trainable)} moving averages lie outside of the network's scope, such as train/"
            in chosen.notes
        )

    def test_parts_that_were_saved_by_names_of_their_own_are_named(self, folder: Path) -> None:
        raw = tensors()
        parts = {f"{name}/part_{part}": half for name, value in raw.items() for part, half in halves(value)}
        path = tensorflow_v2(folder / "model", parts)
        assert re.search(
            r"lacks .*/part_\d is a part saved by a name of its own: save the variables", refusal(path)
        )


class TestScopes:
    def below(self, scope: str, of: Mapping[str, np.ndarray]) -> Tensors:
        return {f"{scope}/{name}": value for name, value in of.items()}

    @pytest.mark.parametrize("scope", ["tower_0", "train/clone_0", "model"])
    def test_the_only_one_that_fits_is_guessed_and_said(self, scope: str, folder: Path) -> None:
        path = tensorflow_v2(folder / "model", self.below(scope, tensors()) | {"global_step": np.int64(7)})
        chosen = Selected(path)
        assert set(chosen.values) == set(tensors())
        assert chosen.record["scope"] == scope
        assert chosen.notes == (
            f"the variables of inception_v1 are below {scope}/InceptionV1/, as --scope {scope} says"
        )

    def test_the_networks_own_scope_twice_is_found(self, folder: Path) -> None:
        chosen = Selected(tensorflow_v2(folder / "model", self.below("InceptionV1", tensors())))
        assert chosen.notes.startswith(
            "the variables of inception_v1 are below InceptionV1/InceptionV1/, as --scope"
        )

    @pytest.mark.parametrize("scope", ["tower_1", "tower_1/", "tower_1/InceptionV1"])
    def test_of_several_one_must_be_chosen(self, scope: str, folder: Path) -> None:
        both = self.below("tower_0", tensors()) | self.below("tower_1", tensors(value=3.0))
        path = tensorflow_v2(folder / "model", both)
        assert refusal(path) == (
            f"{path} holds 2 networks: say --scope tower_0 for inception_v1 or --scope tower_1 for inception_v1"
        )
        assert set(Selected(path, scope=scope).values.values()) == {3.0}

    def test_one_without_a_scope_comes_first_and_the_others_are_said(self, folder: Path) -> None:
        path = tensorflow_v2(folder / "model", tensors() | self.below("teacher", tensors(value=3.0)))
        assert set(Selected(path).values.values()) == {1.0}
        assert (
            "is there below teacher/ too, which is left out: --scope teacher exports" in Selected(path).notes
        )
        assert set(Selected(path, scope="teacher").values.values()) == {3.0}
        assert set(Selected(path, scope="").values.values()) == {1.0}

    def test_a_scope_that_holds_nothing_brings_up_the_one_that_does(self, folder: Path) -> None:
        path = tensorflow_v2(folder / "model", self.below("tower_0", tensors()))
        assert refusal(path, scope="tower_9") == (
            f"{path} holds no network below tower_9/; say --scope tower_0 for inception_v1"
        )

    def test_another_network_below_a_scope_is_called_by_its_name(self, folder: Path) -> None:
        path = tensorflow_v2(folder / "model", self.below("tower_0", tensors()))
        with open_checkpoint(path) as checkpoint, pytest.raises(ExportError) as caught:
            find_network_in(checkpoint, NETWORKS["vgg_16"])
        assert str(caught.value) == (
            f"{path} is not vgg_16: it holds inception_v1, its variables start with tower_0/"
        )

    @pytest.mark.parametrize("name", ["inception_v1", "alexnet_v2", "overfeat"])
    def test_a_scope_in_place_of_the_networks_own_is_guessed(self, name: str) -> None:
        """Of AlexNet and OverFeat, whose variables have the same names, the shapes tell."""
        shapes = {
            variable.replace(f"{NETWORKS[name].scope}/", "my_net/"): value.shape
            for variable, value in tensors(NETWORKS[name]).items()
        }
        place = find_network_in(listing(shapes))
        assert (place.network.name, place.scope) == (name, "my_net")

    @pytest.mark.parametrize(
        ("stride", "net"), [(8, "resnet_v1_50"), (16, "resnet_v1_101"), (32, "resnet_v1_50")]
    )
    def test_tf_image_segmentations_resnets_say_their_output_stride(self, stride: int, net: str) -> None:
        names = NETWORKS[net].expected_variables()
        place = find_network_in(listing({f"{net}_{stride}s/{name}": (1,) for name in names}))
        assert (place.network.name, place.output_stride) == (net, stride)

    @pytest.mark.parametrize("above", ["", "tower_0/"])
    @pytest.mark.parametrize("behind", ["", f"/{AVERAGE}"])
    def test_the_width_is_that_of_the_variables(self, above: str, behind: str) -> None:
        half = {
            name: tuple(side // 2 if side > 5 else side for side in value.shape)
            for name, value in tensors(NETWORKS["mobilenet_v1"]).items()
        }
        shapes = {f"{above}{name}{behind}": shape for name, shape in half.items()}
        if not behind:  # a leftover average of another shape says nothing
            shapes[f"{above}MobilenetV1/Conv2d_0/weights/{AVERAGE}"] = (2,)
        place = find_network_in(listing(shapes))
        assert place.network.expected_variables() != NETWORKS["mobilenet_v1"].expected_variables()
        assert place.notes[-1] == "the variables are those of a mobilenet_v1 of width 0.5"

    def test_averages_below_a_scope_are_found(self, folder: Path) -> None:
        raw = self.below("tower_0", tensors())
        path = tensorflow_v2(folder / "model", raw | averages(raw))
        assert set(Selected(path, "averages").values.values()) == {2.0}

    def test_vgg_16_inside_an_fcn_is_the_fcn(self) -> None:
        names = NETWORKS["fcn_8s"].expected_variables()
        assert find_network_in(listing({f"tower/{name}": (1,) for name in names})).network.name == "fcn_8s"

    def test_an_incomplete_network_below_a_scope_is_called_so(self, folder: Path) -> None:
        found = self.below("tower_0", tensors())
        del found["tower_0/InceptionV1/Logits/Conv2d_0c_1x1/biases"]
        assert (
            "lacks tower_0/InceptionV1/Logits/Conv2d_0c_1x1/biases: it is no complete inception_v1"
            in refusal(tensorflow_v2(folder / "model", found))
        )


def test_what_is_left_over_has_its_reason(folder: Path) -> None:
    raw = tensors()
    first = next(iter(raw))
    beside = {
        f"{first}/Momentum": SLOTS,
        f"{first}/Adam_1": SLOTS,
        f"{first}/RMSProp": SLOTS,
        f"{first}/Momentum/{AVERAGE}": SLOTS,
        "InceptionV1/Conv2d_1a_7x7/act_quant/min": RANGES,
        "InceptionV1/InceptionV1/Conv2d_1a_7x7/weights_quant/InceptionV1/weights_quant/max/biased": RANGES,
        "InceptionV1/Conv2d_1a_7x7/BatchNorm/renorm_stddev_weight": NORMALIZATION,
        "InceptionV1/Conv2d_1a_7x7/BatchNorm/moving_mean/biased": NORMALIZATION,
        "InceptionV1/Conv2d_1a_7x7/BatchNorm/InceptionV1/moving_variance/local_step": NORMALIZATION,
        f"{first}/{AVERAGE}": OTHER_SET,
        "InceptionV1/AuxLogits/Conv2d_2b/weights": AUXILIARY,
        "InceptionV1/mean_rgb": MEAN,
        "global_step": STEP,
        "beta1_power": STEP,
        "input/queue": OUTSIDE,
        "student_quant/conv/weights": OUTSIDE,
    }
    path = tensorflow_v2(folder / "model", raw | dict.fromkeys(beside, np.zeros(2, np.float32)))
    found = Selected(path).left_over
    assert {name: reason for reason, names in found.items() for name in names} == beside


def test_training_with_quantization_in_mind_exports_the_floats_and_says_so(folder: Path) -> None:
    ranges = {f"InceptionV1/Mixed_3b/act_quant/{end}": np.float32(6) for end in ("min", "max")}
    chosen = Selected(tensorflow_v2(folder / "model", tensors() | ranges))
    assert set(chosen.values.values()) == {1.0}
    assert chosen.notes.startswith("2 ranges of training with quantization in mind are left out: answers are")


@pytest.mark.parametrize(
    "scalar", [np.float32(0.9), np.int64(7), np.bool_(True)], ids=["a float", "a counter", "a flag"]
)
def test_a_single_number_in_the_scope_is_left_out_and_named(scalar: np.generic, folder: Path) -> None:
    chosen = Selected(tensorflow_v2(folder / "model", tensors() | {"InceptionV1/Variable": scalar}))
    assert chosen.left_over == {SCALARS: ["InceptionV1/Variable"]}
    assert chosen.notes == (
        "single numbers in the network's scope are left out, as no network of slim has such variables: "
        "InceptionV1/Variable"
    )


@pytest.mark.parametrize("behind", ["Momentum", AVERAGE])
def test_a_single_number_that_was_trained_could_be_the_networks(behind: str, folder: Path) -> None:
    factor = {"InceptionV1/scale": np.float32(0.9), f"InceptionV1/scale/{behind}": np.float32(0.1)}
    path = tensorflow_v2(folder / "model", tensors() | factor)
    assert "it also has InceptionV1/scale, " in refusal(path, "raw")


@pytest.mark.parametrize(
    ("beside", "says"),
    [
        (
            ("Conv2d_1a_7x7/mask", "Conv2d_1a_7x7/threshold"),
            "it was pruned, and its weights count only where",
        ),
        (
            ("Conv2d_1a_7x7/weights/mask", "Conv2d_1a_7x7/weights/threshold"),
            "it was pruned, and its weights count only where",
        ),
        (
            ("Conv2d_1a_7x7/mask", "Conv2d_1a_7x7/old_weight", "Conv2d_1a_7x7/gradient"),
            "multiply each layer's weights by its mask, and save the network's variables alone",
        ),
        (("Conv2d_1a_7x7/BatchNorm/gamma",), "multiply each layer's weights and moving_mean by its gamma"),
        (
            ("Logits_of_makes/weights",),
            "where its answers do not depend on them, save a checkpoint without them",
        ),
    ],
)
def test_variables_of_another_training_say_which_and_what_to_do(
    beside: tuple[str, ...], says: str, folder: Path
) -> None:
    more = {f"InceptionV1/{name}": np.ones(64, np.float32) for name in beside}
    assert says in refusal(tensorflow_v2(folder / "model", tensors() | more))


@pytest.mark.parametrize(
    ("tensor", "name", "step"),
    [
        (np.int64(12), "model.ckpt-3", 12),
        (np.int32(12), "model", 12),
        (None, "model.ckpt-3", 3),
        (None, "model", None),
    ],
)
def test_the_step_is_the_checkpoints_own_or_its_names(
    tensor: np.integer | None, name: str, step: int | None, folder: Path
) -> None:
    more = {} if tensor is None else {"global_step": np.asarray(tensor)}
    chosen = Selected(tensorflow_v2(folder / name, tensors() | more))
    assert chosen.record["step"] == step
    assert chosen.record["file"] == str(folder / name)
