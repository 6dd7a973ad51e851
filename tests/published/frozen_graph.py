"""The published MobileNet as its authors froze it: what exports of its weights are compared with."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from examples import published_materials as materials


class FrozenGraph:
    """The frozen graph in a session: a program that shares nothing with the exporter."""

    def __init__(self) -> None:
        graph = materials.frozen_graph()
        weights = materials.values(graph)
        self._matrix = weights["MobilenetV1/Logits/Conv2d_1c_1x1/weights"][0, 0]
        self._biases = weights["MobilenetV1/Logits/Conv2d_1c_1x1/biases"]
        self._session = tf.compat.v1.Session(graph=tf.Graph())
        with self._session.graph.as_default():
            self._input = tf.compat.v1.placeholder(tf.float32, [1, None, None, 3])
            tf.import_graph_def(graph, {"input:0": self._input}, name="")
        scope = "MobilenetV1/MobilenetV1/Conv2d_13_pointwise"
        self._features = self._session.graph.get_tensor_by_name(f"{scope}/Relu6:0")
        self._logits = self._session.graph.get_tensor_by_name("MobilenetV1/Logits/SpatialSqueeze:0")

    def logits(self, crop: np.ndarray) -> np.ndarray:
        """Float [1001] of a prepared crop [H, W, 3]; for sides other than 224, which the graph pools, by NumPy."""
        fed = {self._input: crop[None]}
        if crop.shape[:2] == (224, 224):
            return np.asarray(self._session.run(self._logits, fed))[0]
        features = self._session.run(self._features, fed)[0]
        return np.asarray(features.mean(axis=(0, 1), dtype=np.float64) @ self._matrix + self._biases)
