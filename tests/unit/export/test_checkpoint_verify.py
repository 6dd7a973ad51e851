"""A checkpoint is compared with the network before anything is built, and what does not fit is named."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from slimserve.export.checkpoint.contents import open_checkpoint
from slimserve.export.checkpoint.recognition import find_network_in
from slimserve.export.checkpoint.selection import select
from slimserve.export.errors import ExportError
from slimserve.export.networks import Network, find_network

from tests.support.checkpoints import small_tensors, tensorflow_v1, tensorflow_v2

TENSORS = small_tensors()
EXPECTED: dict[str, tuple[int | None, ...]] = {
    name: array.shape for name, array in TENSORS.items() if name not in ("global_step", "vgg_16/mean_rgb")
}
EXPECTED |= {"vgg_16/fc8/weights": (1, 1, 24, None), "vgg_16/fc8/biases": (None,)}


class _Vgg16InSmall(Network):
    def expected_variables(self) -> dict[str, tuple[int | None, ...]]:
        return EXPECTED


_FIELDS = {field.name: getattr(find_network("vgg_16"), field.name) for field in fields(Network)}
VGG_16_IN_SMALL = _Vgg16InSmall(**_FIELDS)


def changed(**tensors: np.ndarray | None) -> dict[str, np.ndarray]:
    """The tensors of a sound checkpoint with some replaced, added or (None) left out; __ stands for /."""
    named = {name.replace("__", "/"): array for name, array in tensors.items()}
    return {name: array for name, array in (TENSORS | named).items() if array is not None}


def verified(path: Path) -> None:
    with open_checkpoint(path) as checkpoint:
        select(checkpoint, find_network_in(checkpoint, VGG_16_IN_SMALL))


def complaint(path: Path) -> str:
    with pytest.raises(ExportError) as caught:
        verified(path)
    return str(caught.value)


def test_a_full_size_checkpoint_is_accepted(demo_checkpoint: Path) -> None:
    with open_checkpoint(demo_checkpoint) as checkpoint:
        select(checkpoint, find_network_in(checkpoint))


@pytest.mark.parametrize("classes", [2, 3, 1000])
def test_any_number_of_classes_from_2_is_accepted(classes: int, tmp_path: Path) -> None:
    tensors = changed(
        vgg_16__fc8__weights=np.zeros((1, 1, 24, classes), np.float32),
        vgg_16__fc8__biases=np.zeros(classes, np.float32),
    )
    verified(tensorflow_v1(tmp_path / "model", tensors))


def test_one_class_is_refused_in_words(tmp_path: Path) -> None:
    tensors = changed(
        vgg_16__fc8__weights=np.zeros((1, 1, 24, 1), np.float32),
        vgg_16__fc8__biases=np.zeros(1, np.float32),
    )
    path = tensorflow_v1(tmp_path / "model", tensors)
    assert complaint(path).startswith(
        f"{path} has one class, as a sigmoid for yes or no has: every answer would be"
    )


def test_more_classes_than_a_label_can_tell_are_refused(tmp_path: Path) -> None:
    tensors = changed(
        vgg_16__fc8__weights=np.zeros((1, 1, 24, 65_537), np.float32),
        vgg_16__fc8__biases=np.zeros(65_537, np.float32),
    )
    assert "has 65,537 classes: label maps hold up to 65,536" in complaint(
        tensorflow_v1(tmp_path / "model", tensors)
    )


def test_slots_moving_averages_and_other_scopes_are_ignored(tmp_path: Path) -> None:
    slot = np.zeros(2, np.float32)
    tensors = changed(
        vgg_16__fc8__weights__Momentum=slot,
        vgg_16__fc8__weights__Adam_1=slot,
        vgg_16__fc8__biases__ExponentialMovingAverage=slot,
        beta1_power=slot,
        train__loss=slot,
    )
    verified(tensorflow_v1(tmp_path / "model", tensors))


def test_missing_tensors_are_named(tmp_path: Path) -> None:
    path = tensorflow_v1(tmp_path / "model", changed(vgg_16__fc6__weights=None, vgg_16__fc6__biases=None))
    assert complaint(path) == f"{path} lacks vgg_16/fc6/weights, vgg_16/fc6/biases: it is no complete vgg_16"


def test_a_checkpoint_without_its_last_layer_is_called_so(tmp_path: Path) -> None:
    path = tensorflow_v1(tmp_path / "model", changed(vgg_16__fc8__weights=None, vgg_16__fc8__biases=None))
    assert complaint(path) == (
        f"{path} lacks vgg_16/fc8/weights, vgg_16/fc8/biases: it is vgg_16 without its last layer; export a "
        "checkpoint of the training, which has all of it"
    )


def test_a_layer_by_another_name_is_named_beside_what_it_stands_for(tmp_path: Path) -> None:
    kernel = TENSORS["vgg_16/fc6/weights"]
    path = tensorflow_v1(tmp_path / "model", changed(vgg_16__fc6__weights=None, vgg_16__fc6__kernel=kernel))
    assert complaint(path).endswith(
        "it is no complete vgg_16; vgg_16/fc6/kernel has the shape of the first, by a name that slim does not give"
    )


def test_a_layer_below_another_scope_is_named_too(tmp_path: Path) -> None:
    kernel = TENSORS["vgg_16/fc8/weights"]
    tensors = changed(vgg_16__fc8__weights=None, vgg_16__fc8__biases=None, head__fc8__weights=kernel)
    tensors["/absolute"] = np.zeros((1, 1, 24, 5), np.float32)
    assert "; head/fc8/weights has the shape of the first" in complaint(
        tensorflow_v1(tmp_path / "model", tensors)
    )


def test_a_last_layer_without_biases_can_be_given_zeros(tmp_path: Path) -> None:
    tensors = changed(vgg_16__fc8__biases=None, elsewhere__vector=np.zeros(5, np.float32))
    assert complaint(tensorflow_v1(tmp_path / "model", tensors)).endswith(
        "where it was trained without them, save zeros (beta, biases) or ones (gamma) by these names too"
    )


def test_names_of_tensors_in_place_of_variables_are_called_so(tmp_path: Path) -> None:
    stored = {f"{name}:0": value for name, value in TENSORS.items()}
    assert "its names end with :0, as tensors' do" in complaint(tensorflow_v1(tmp_path / "model", stored))


def test_a_detector_is_called_one(tmp_path: Path) -> None:
    backbone = changed(vgg_16__fc8__weights=None, vgg_16__fc8__biases=None)
    stored = {f"FeatureExtractor/{name}": value for name, value in backbone.items()}
    path = tensorflow_v1(tmp_path / "model", stored | {"BoxPredictor_0/x": np.zeros(2, np.float32)})
    assert "it is a detector of the Object Detection API with a vgg_16 inside" in complaint(path)


def test_variables_of_keras_below_slims_scope_are_called_so(tmp_path: Path) -> None:
    stored = {f"{name}/.ATTRIBUTES/VARIABLE_VALUE": value for name, value in TENSORS.items()}
    assert complaint(tensorflow_v1(tmp_path / "model", stored)).endswith(
        "tf.train.Checkpoint or Keras wrote it, not slim: save it with tf.compat.v1.train.Saver"
    )


def test_a_wrong_shape_is_named_beside_the_right_one(tmp_path: Path) -> None:
    path = tensorflow_v1(tmp_path / "model", changed(vgg_16__fc6__weights=np.zeros((1, 2, 3), np.float32)))
    assert (
        complaint(path)
        == f"vgg_16/fc6/weights in {path} has shape [1, 2, 3], and vgg_16 needs [7, 7, 16, 24]"
    )


def test_a_wrong_shape_of_the_classifier_says_which_size_is_free(tmp_path: Path) -> None:
    path = tensorflow_v1(tmp_path / "model", changed(vgg_16__fc8__weights=np.zeros((24, 5), np.float32)))
    assert "has shape [24, 5], and vgg_16 needs [1, 1, 24, classes]" in complaint(path)


@pytest.mark.parametrize(
    ("variable", "shape", "says"),
    [
        (
            "fc6",
            (7 * 7 * 16, 24),
            ": reshape it to [7, 7, 16, 24] (its rows must stand for rows, columns, channels)",
        ),
        ("fc8", (24, 5), ": reshape it to [1, 1, 24, 5]"),
    ],
)
def test_a_matrix_in_place_of_filters_says_how_to_reshape_it(
    variable: str, shape: tuple[int, ...], says: str, tmp_path: Path
) -> None:
    matrix = {f"vgg_16/{variable}/weights": np.zeros(shape, np.float32)}
    assert complaint(tensorflow_v1(tmp_path / "model", TENSORS | matrix)).endswith(says)


@pytest.mark.parametrize(
    ("channels", "says"),
    [
        (
            1,
            ": it was trained on gray images, and images here are RGB; multiply it by 0.299, 0.587 and 0.114",
        ),
        (4, ": it was trained on images of 4 channels, and images here have three, RGB; train it on RGB"),
    ],
)
def test_a_first_filter_for_other_images_says_what_they_are(channels: int, says: str, tmp_path: Path) -> None:
    first = {"vgg_16/conv1/conv1_1/weights": np.zeros((3, 3, channels, 16), np.float32)}
    assert f"needs [3, 3, 3, 16]{says}" in complaint(tensorflow_v1(tmp_path / "model", TENSORS | first))


def test_a_matrix_of_another_size_is_not_to_be_reshaped(tmp_path: Path) -> None:
    path = tensorflow_v1(tmp_path / "model", changed(vgg_16__fc6__weights=np.zeros((7 * 7, 24), np.float32)))
    assert complaint(path).endswith("has shape [49, 24], and vgg_16 needs [7, 7, 16, 24]")


def test_a_wrong_dtype_is_named(tmp_path: Path) -> None:
    whole = TENSORS["vgg_16/fc6/weights"].astype(np.int32)
    path = tensorflow_v1(tmp_path / "model", changed(vgg_16__fc6__weights=whole))
    assert complaint(path) == f"vgg_16/fc6/weights in {path} is int32, and vgg_16 needs float32"


def test_numbers_of_classes_that_contradict_each_other_are_refused(tmp_path: Path) -> None:
    path = tensorflow_v1(tmp_path / "model", changed(vgg_16__fc8__biases=np.zeros(4, np.float32)))
    assert complaint(path) == (
        f"{path} has another number of classes from layer to layer: vgg_16/fc8/weights has shape [1, 1, 24, 5], "
        "vgg_16/fc8/biases has shape [4]"
    )


def test_a_checkpoint_without_classes_is_refused(tmp_path: Path) -> None:
    tensors = changed(
        vgg_16__fc8__weights=np.zeros((1, 1, 24, 0), np.float32),
        vgg_16__fc8__biases=np.zeros(0, np.float32),
    )
    assert "vgg_16 needs [1, 1, 24, classes]" in complaint(tensorflow_v1(tmp_path / "model", tensors))


def test_a_variable_that_the_network_never_uses_is_refused(tmp_path: Path) -> None:
    path = tensorflow_v1(tmp_path / "model", changed(vgg_16__fc9__weights=np.zeros(2, np.float32)))
    assert "it also has vgg_16/fc9/weights, which vgg_16 never uses" in complaint(path)


def test_batch_normalization_beside_biases_is_not_to_be_left_out(tmp_path: Path) -> None:
    """As where its beta was renamed to biases."""
    statistics = np.zeros(24, np.float32)
    tensors = changed(
        vgg_16__fc6__BatchNorm__moving_mean=statistics, vgg_16__fc6__BatchNorm__moving_variance=statistics
    )
    assert (
        "which vgg_16 never uses: it was trained with batch normalization (vgg_16/fc6/BatchNorm), which"
        in complaint(tensorflow_v1(tmp_path / "model", tensors))
    )


def test_another_networks_checkpoint_is_recognised(tmp_path: Path) -> None:
    tensors = {
        "EfficientNet/Conv2d_0/weights": np.zeros((7, 7, 3, 64), np.float32),
        "global_step": np.array(1, np.int64),
    }
    path = tensorflow_v1(tmp_path / "mobilenet.ckpt", tensors)
    assert complaint(path) == f"{path} is not vgg_16: its variables start with EfficientNet/"


def test_an_object_based_checkpoint_is_recognised(tmp_path: Path) -> None:
    path = tmp_path / "keras"
    tf.train.Checkpoint(weights=tf.Variable([1.0])).write(str(path))
    assert "was written by tf.train.Checkpoint or Keras, not by slim" in complaint(path)


def test_a_checkpoint_of_loose_names_is_told_what_is_missing(tmp_path: Path) -> None:
    path = tensorflow_v2(tmp_path / "model", {"w": np.zeros(2, np.float32)})
    assert complaint(path) == f"{path} is not vgg_16: its variables are such as w"
