"""Every NASNet against slim's own code: the same variables, and the same logits of them at two sizes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from slimserve.export.checkpoint.selection import AUXILIARY, STEP
from slimserve.export.demo.constants import Constants
from slimserve.export.graph.kernels.portable import VariableLayers
from slimserve.export.networks import NETWORKS
from slimserve.export.networks.rounding import tolerance
from slimserve.export.weights.recipes import load_variables

from tests.published import slim_source
from tests.support.checkpoints import tensorflow_v2
from tests.support.selected import Selected
from tests.support.slim_checkpoints import random_weights

pytestmark = [pytest.mark.soak, pytest.mark.timeout(1800)]

CLASSES = 11
NASNETS = [name for name in NETWORKS if "nasnet" in name]


@pytest.mark.parametrize("size", ["crop", "odd"])
@pytest.mark.parametrize("name", NASNETS)
def test_variables_and_logits_are_those_of_slims_code(name: str, size: str) -> None:
    network = NETWORKS[name]
    weights = random_weights(network, CLASSES)
    height, width = (network.crop, network.crop) if size == "crop" else (97, 130)
    pixels = np.random.default_rng(1).uniform(-1, 1, (1, height, width, 3)).astype(np.float32)
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        logits = slim_source.build(name, tf.constant(pixels), CLASSES)
        variables = {variable.op.name: variable for variable in tf.compat.v1.global_variables()}
        shapes = {variable: tuple(of.shape.as_list()) for variable, of in variables.items()}
        assert shapes == {variable: value.shape for variable, value in weights.items()}
        load_variables(variables, weights.items(), session)
        expected = session.run(logits)[0]
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        layers = VariableLayers(Constants(weights), network.scope)
        found = session.run(network.logits(tf.constant(pixels), layers, "VALID", network.stride))[0, 0, 0]
    assert np.abs(expected - expected.mean()).max() > 0.05 * np.abs(expected).max()
    difference = np.abs(found - expected).max() / np.abs(expected).max()
    print(f"\n{name} of {height}x{width}: {difference:.1e} from slim's own code")
    assert difference <= tolerance(network, "float32")


@pytest.mark.parametrize("name", [name for name in NASNETS if name.endswith("mobile")])
def test_what_slims_training_adds_is_left_out_with_its_reason(name: str, tmp_path: Path) -> None:
    network = NETWORKS[name]
    with tf.Graph().as_default():
        images = tf.zeros([1, network.crop, network.crop, 3])
        slim_source.build(name, images, CLASSES, is_training=True)
        shapes = {variable.op.name: variable.shape.as_list() for variable in tf.compat.v1.global_variables()}
    tensors = {variable: np.broadcast_to(np.float32(1), shape) for variable, shape in shapes.items()}
    found = Selected(tensorflow_v2(tmp_path / "model.ckpt", tensors))
    assert found.left_over.keys() <= {AUXILIARY, STEP}
    assert len(found.left_over[AUXILIARY]) == 12
