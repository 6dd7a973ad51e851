"""Types and shapes of variables: what is converted to float32 and said, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from slimserve.export.checkpoint.contents import open_checkpoint
from slimserve.export.checkpoint.recognition import find_network_in
from slimserve.export.checkpoint.selection import (
    select,
)
from slimserve.export.errors import ExportError

from tests.support.checkpoints import tensorflow_v1, tensorflow_v2
from tests.support.selected import Selected, tensors


class TestTypes:
    @pytest.mark.parametrize(
        ("dtype", "says"),
        [
            (np.float16, "variables are float16: widened to float32"),
            (tf.bfloat16.as_numpy_dtype, "variables are bfloat16: widened to float32"),
            (np.float64, "variables are float64: narrowed to float32"),
        ],
    )
    def test_other_floats_become_float32_and_it_is_said(self, dtype: type, says: str, tmp_path: Path) -> None:
        found = {name: value.astype(dtype) for name, value in tensors(value=1.5).items()}
        chosen = Selected(tensorflow_v2(tmp_path / "model", found))
        assert set(chosen.values.values()) == {1.5}
        assert says in chosen.notes

    def test_quantized_numbers_are_called_by_what_they_are_stored_as(self, tmp_path: Path) -> None:
        name = "InceptionV1/Logits/Conv2d_0c_1x1/weights"
        quantized: Any = tf.bitcast(tf.zeros(tensors()[name].shape, tf.int8), tf.qint8)
        found = tensors() | {name: quantized}
        with pytest.raises(ExportError, match=f"{name} in .* is int8, and inception_v1 needs float32"):
            Selected(tensorflow_v2(tmp_path / "model", found))

    @pytest.mark.parametrize("dtype", [np.float16, np.float64])
    def test_they_do_in_v1_files(self, dtype: type, tmp_path: Path) -> None:
        name = "InceptionV1/Logits/Conv2d_0c_1x1/biases"
        found = tensors() | {name: np.full(5, 0.1, dtype)}
        chosen = Selected(tensorflow_v1(tmp_path / "model", found))
        assert chosen.values[name] == np.float32(dtype(0.1))
        assert chosen.notes.startswith("1 variables are float")

    def test_converted_variables_go_to_sinks_as_float32(self, tmp_path: Path) -> None:
        name = "InceptionV1/Logits/Conv2d_0c_1x1/weights"
        values = np.random.default_rng(1).standard_normal((1, 1, 1024, 5))
        path = tensorflow_v2(tmp_path / "model", tensors() | {name: values})
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
        self, value: np.floating, says: str, through_a_sink: bool, tmp_path: Path
    ) -> None:
        name = "InceptionV1/Logits/Conv2d_0c_1x1/biases"
        found = tensors() | {name: np.array([1, value, 2, value, 3], value.dtype)}
        with open_checkpoint(tensorflow_v2(tmp_path / "model", found)) as checkpoint:
            chosen = select(checkpoint, find_network_in(checkpoint))
            sinks = {name: lambda piece: None} if through_a_sink else {}
            with pytest.raises(ExportError) as caught:
                list(chosen.read_all(chosen.tensors, sinks=sinks))
        assert str(caught.value).startswith(f"{name} in {tmp_path / 'model'} {says}")

    def test_negative_variances_are_named(self, tmp_path: Path) -> None:
        name = "InceptionV1/Conv2d_1a_7x7/BatchNorm/moving_variance"
        found = tensors(value=0.5)
        found[name] = np.where(np.arange(found[name].size) < 3, -0.5, 0.5).astype(np.float32)
        path = tensorflow_v2(tmp_path / "model", found)
        with open_checkpoint(path) as checkpoint, pytest.raises(ExportError) as caught:
            list((chosen := select(checkpoint, find_network_in(checkpoint))).read_all(chosen.tensors))
        assert str(caught.value).startswith(
            f"{name} in {path} holds negative variances, 3 of 64, which no training"
        )

    def test_a_variance_that_rounding_took_below_zero_is_taken(self, tmp_path: Path) -> None:
        found = {
            name: np.full_like(value, -1e-9) if name.endswith("moving_variance") else value
            for name, value in tensors(value=0.5).items()
        }
        assert Selected(tensorflow_v2(tmp_path / "model", found))
