"""NASNets, whose variables lie below no scope, recognised by cells that have a reduction as they were published."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from slimserve.export.checkpoint.contents import open_checkpoint
from slimserve.export.checkpoint.recognition import find_network_in
from slimserve.export.checkpoint.selection import AUXILIARY, SLOTS, STEP
from slimserve.export.errors import ExportError
from slimserve.export.networks import NETWORKS

from tests.support.broadcast import AVERAGE, averages, variables
from tests.support.checkpoints import tensorflow_v2
from tests.support.selected import Selected, refusal

MOBILE = NETWORKS["nasnet_mobile"]
NASNETS = [network for name, network in NETWORKS.items() if "nasnet" in name]


def test_what_one_nasnet_is_known_by_no_other_has() -> None:
    for network in NASNETS:
        names = network.expected_variables().keys()
        assert [other for other in NASNETS if names >= set(other.known_by)] == [network]


def test_a_published_nasnet_has_averages_alone(tmp_path: Path) -> None:
    step = {"global_step": np.int64(7)}
    selected = Selected(tensorflow_v2(tmp_path / "model.ckpt", averages(variables(MOBILE)) | step))
    assert selected.record["scope"] == ""
    assert selected.notes == "the moving averages are exported: there are no raw weights"
    assert set(selected.values.values()) == {2.0}


def test_what_a_nasnets_training_leaves_has_its_reason(tmp_path: Path) -> None:
    beside = {
        "aux_7/aux_logits/proj/weights": AUXILIARY,
        f"aux_7/aux_logits/FC/biases/{AVERAGE}": AUXILIARY,
        "conv0/weights/RMSProp_1": SLOTS,
        "cell_stem_0/comb_iter_0/left/global_step": STEP,
    }
    tensors = variables(MOBILE) | dict.fromkeys(beside, np.zeros(2, np.float32))
    found = Selected(tensorflow_v2(tmp_path / "model.ckpt", tensors)).left_over
    assert {name: reason for reason, names in found.items() for name in names} == beside


def test_a_cell_too_many_makes_it_another_network(tmp_path: Path) -> None:
    more = {"cell_12/1x1/weights": np.zeros((1, 1, 4, 4), np.float32)}
    path = tensorflow_v2(tmp_path / "model.ckpt", variables(MOBILE) | more)
    assert refusal(path).endswith(
        "it also has cell_12/1x1/weights, which nasnet_mobile never uses; where its answers do not depend on them, "
        "save a checkpoint without them"
    )


@pytest.mark.parametrize("above", ["", "FeatureExtractor/"])
def test_a_nasnet_is_recognised_below_a_scope_too(above: str, tmp_path: Path) -> None:
    tensors = {f"{above}{name}": value for name, value in variables(MOBILE).items()}
    selected = Selected(tensorflow_v2(tmp_path / "model.ckpt", tensors))
    assert selected.record["scope"] == above.rstrip("/")


def test_another_network_is_told_by_a_variable(tmp_path: Path) -> None:
    path = tensorflow_v2(tmp_path / "model.ckpt", {name: np.zeros(2, np.float32) for name in MOBILE.known_by})
    with open_checkpoint(path) as opened, pytest.raises(ExportError) as caught:
        find_network_in(opened, NETWORKS["vgg_16"])
    assert str(caught.value) == (
        f"{path} is not vgg_16: it holds nasnet_mobile, its variables are such as reduction_cell_0/1x1/weights; "
        "say --net nasnet_mobile, or leave --net out"
    )
