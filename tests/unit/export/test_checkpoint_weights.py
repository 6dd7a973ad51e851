"""Which weights of a checkpoint are exported: the set, the scope, what is converted, and what is refused."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
import tensorflow as tf
from slimserve.export.checkpoint.contents import Checkpoint, open_checkpoint
from slimserve.export.checkpoint.formats.tensor_spec import TensorSpec
from slimserve.export.checkpoint.recognition import find_network_in
from slimserve.export.checkpoint.selection import (
    AUXILIARY,
    MEAN,
    OTHER_SET,
    OUTSIDE,
    SLOTS,
    STEP,
    left_over,
    select,
)
from slimserve.export.checkpoint.weight_sets import NetworkWeights
from slimserve.export.errors import ExportError
from slimserve.export.networks import NETWORKS, Network
from slimserve.export.types import WeightSet

from tests.support.broadcast import AVERAGE, Tensors, averages, variables
from tests.support.checkpoints import tensorflow_v1, tensorflow_v2

NET = NETWORKS["inception_v1"]


def tensors(network: Network = NET, value: float = 1.0) -> Tensors:
    return variables(network, value=value)


def statistics(of: Mapping[str, np.ndarray]) -> set[str]:
    return {name for name in of if name.endswith(("moving_mean", "moving_variance"))}


def listing(shapes: Mapping[str, tuple[int, ...]]) -> Checkpoint:
    """What stands for a checkpoint that only lists its tensors."""
    specs = {name: TensorSpec(shape, np.dtype(np.float32)) for name, shape in shapes.items()}
    return cast(Checkpoint, SimpleNamespace(path=Path("model"), tensors=specs))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


class Selected:
    """The weights selected of a written checkpoint; what was read of each variable is one value."""

    def __init__(
        self,
        path: Path,
        weights: WeightSet | None = None,
        scope: str | None = None,
        net: Network | None = None,
    ) -> None:
        with open_checkpoint(path) as checkpoint:
            found: NetworkWeights = select(checkpoint, find_network_in(checkpoint, net, scope), weights)
            self.values = {name: float(value.flat[0]) for name, value in found.read_all(found.tensors)}
            self.left_over, self.record = left_over(found), found.record()
        self.set = found.set
        self.notes = "; ".join(found.notes)


def refusal(path: Path, weights: WeightSet | None = None, scope: str | None = None) -> str:
    with pytest.raises(ExportError) as caught:
        Selected(path, weights, scope)
    return str(caught.value)


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
        assert "the moving averages are exported: there are raw weights too, but not of" in chosen.notes

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
        assert refusal(path) == f"{path} lacks {head}: it is no complete inception_v1"


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
        place = find_network_in(listing({f"{above}{name}{behind}": shape for name, shape in half.items()}))
        assert place.network.expected_variables() != NETWORKS["mobilenet_v1"].expected_variables()
        assert place.network.width == 0.5
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


class TestTypes:
    @pytest.mark.parametrize(
        ("dtype", "says"),
        [
            (np.float16, "variables are float16: widened to float32"),
            (tf.bfloat16.as_numpy_dtype, "variables are bfloat16: widened to float32"),
            (np.float64, "variables are float64: narrowed to float32"),
        ],
    )
    def test_other_floats_become_float32_and_it_is_said(self, dtype: type, says: str, folder: Path) -> None:
        found = {name: value.astype(dtype) for name, value in tensors(value=1.5).items()}
        chosen = Selected(tensorflow_v2(folder / "model", found))
        assert set(chosen.values.values()) == {1.5}
        assert says in chosen.notes

    @pytest.mark.parametrize("dtype", [np.float16, np.float64])
    def test_they_do_in_v1_files(self, dtype: type, folder: Path) -> None:
        name = "InceptionV1/Logits/Conv2d_0c_1x1/biases"
        found = tensors() | {name: np.full(5, 0.1, dtype)}
        chosen = Selected(tensorflow_v1(folder / "model", found))
        assert chosen.values[name] == np.float32(dtype(0.1))
        assert chosen.notes.startswith("1 variables are float")

    def test_converted_variables_go_to_sinks_as_float32(self, folder: Path) -> None:
        name = "InceptionV1/Logits/Conv2d_0c_1x1/weights"
        values = np.random.default_rng(1).standard_normal((1, 1, 1024, 5))
        path = tensorflow_v2(folder / "model", tensors() | {name: values})
        parts: list[bytes] = []
        done: list[int] = []
        with open_checkpoint(path) as checkpoint:
            found = select(checkpoint, find_network_in(checkpoint))
            sink = {name: lambda piece: parts.append(piece.tobytes())}
            assert not list(found.read_all([name], done.append, sink))
        assert b"".join(parts) == values.astype(np.float32).tobytes()
        assert done[-1] == found.tensors[name].nbytes

    @pytest.mark.parametrize("through_a_sink", [True, False])
    @pytest.mark.parametrize(
        ("value", "says"),
        [
            (np.float32(np.nan), "holds NaN or infinite values, 2 of 5: training diverged"),
            (np.float32(-np.inf), "holds NaN or infinite values, 2 of 5"),
            (np.float64(1e300), "holds NaN or infinite values, 2 of 5 once it is float32"),
        ],
    )
    def test_values_that_are_no_numbers_are_named_where_they_are(
        self, value: np.floating, says: str, through_a_sink: bool, folder: Path
    ) -> None:
        name = "InceptionV1/Logits/Conv2d_0c_1x1/biases"
        found = tensors() | {name: np.array([1, value, 2, value, 3], value.dtype)}
        with open_checkpoint(tensorflow_v2(folder / "model", found)) as checkpoint:
            chosen = select(checkpoint, find_network_in(checkpoint))
            sinks = {name: lambda piece: None} if through_a_sink else {}
            with pytest.raises(ExportError) as caught:
                list(chosen.read_all(chosen.tensors, sinks=sinks))
        assert str(caught.value).startswith(f"{name} in {folder / 'model'} {says}")


def test_what_is_left_over_has_its_reason(folder: Path) -> None:
    raw = tensors()
    first = next(iter(raw))
    beside = {
        f"{first}/Momentum": SLOTS,
        f"{first}/Adam_1": SLOTS,
        f"{first}/RMSProp": SLOTS,
        f"{first}/{AVERAGE}": OTHER_SET,
        "InceptionV1/AuxLogits/Conv2d_2b/weights": AUXILIARY,
        "InceptionV1/mean_rgb": MEAN,
        "global_step": STEP,
        "beta1_power": STEP,
        "input/queue": OUTSIDE,
    }
    path = tensorflow_v2(folder / "model", raw | dict.fromkeys(beside, np.zeros(2, np.float32)))
    found = Selected(path).left_over
    assert {name: reason for reason, names in found.items() for name in names} == beside


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
