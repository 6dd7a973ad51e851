"""Requests as the official messages and TensorFlow read them."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from slimserve import MessageTooLarge
from slimserve.wire import described, messages
from slimserve.wire.encoding import tensor_of_array, tensor_of_images, tensor_of_strings
from slimserve.wire.messages import Servable
from tensorflow.core.framework import tensor_pb2
from tensorflow_serving.apis import get_model_metadata_pb2, predict_pb2


def sent(value: object) -> tuple[tensor_pb2.TensorProto, np.ndarray]:
    """The tensor that arrives, and TensorFlow's reading of it."""
    request = messages.predict_request(Servable("m"), "s", {"x": tensor_of_array(value)})
    tensor = predict_pb2.PredictRequest.FromString(request).inputs["x"]
    return tensor, tf.io.parse_tensor(tensor.SerializeToString(), tf.dtypes.as_dtype(tensor.dtype)).numpy()


@given(
    npst.arrays(
        st.sampled_from(
            [
                "u1",
                "i1",
                "<u2",
                ">u2",
                "<i2",
                "<i4",
                ">i4",
                "<i8",
                "<u8",
                "<u4",
                "<f2",
                "<f4",
                ">f4",
                "<f8",
                "<c8",
                "<c16",
                "?",
            ]
        ),
        npst.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
    )
)
def test_any_array_arrives_as_it_is(array: np.ndarray) -> None:
    tensor, arrived = sent(array)
    assert tf.dtypes.as_dtype(tensor.dtype) == tf.dtypes.as_dtype(array.dtype.newbyteorder("="))
    np.testing.assert_array_equal(arrived, array)


@given(st.lists(st.one_of(st.binary(max_size=200), st.text(max_size=20)), min_size=1, max_size=6))
def test_strings_arrive_as_bytes(strings: list[bytes | str]) -> None:
    expected = [value.encode() if isinstance(value, str) else value for value in strings]
    assert sent(np.array(strings, object))[1].tolist() == expected


def test_a_view_that_is_not_contiguous_arrives_as_it_looks() -> None:
    array = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)[::-1, ::2]
    np.testing.assert_array_equal(sent(array)[1], array)


def test_images_arrive_as_one_batch() -> None:
    images = [np.full((2, 5, 3), value, np.uint8)[:, ::-1] for value in (1, 2, 3)]
    request = messages.predict_request(Servable("m"), "s", {"images": tensor_of_images(images)})
    tensor = predict_pb2.PredictRequest.FromString(request).inputs["images"]
    np.testing.assert_array_equal(tf.make_ndarray(tensor), np.stack(images))


def test_the_official_request_says_the_same() -> None:
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    expected = predict_pb2.PredictRequest(output_filter=["y", "z"])
    expected.model_spec.name, expected.model_spec.signature_name = "m", "s"
    expected.model_spec.version.value = 0
    expected.inputs["x"].CopyFrom(tf.make_tensor_proto(array))
    request = messages.predict_request(
        Servable("m", version=0), "s", {"x": tensor_of_array(array)}, ["y", "z"]
    )
    assert predict_pb2.PredictRequest.FromString(request) == expected


def test_a_label_is_sent_as_a_label() -> None:
    request = described.metadata_request(Servable("m", version_label="canary"))
    parsed = get_model_metadata_pb2.GetModelMetadataRequest.FromString(request)
    assert parsed.model_spec.version_label == "canary"


@pytest.mark.parametrize("value", [np.array(["2020-01-01"], "M8[D]"), [object()], np.array([1], "<f16")])
def test_an_element_type_that_tensorflow_lacks_is_a_type_error(value: object) -> None:
    with pytest.raises(TypeError):
        tensor_of_array(value)


def test_pixels_are_copied_once() -> None:
    image = np.zeros((1024, 1024, 3), np.uint8)
    tracemalloc.start()
    request = messages.predict_request(Servable("m"), "s", {"images": tensor_of_images([image])})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(request) <= peak < image.nbytes + (1 << 16)


def test_a_request_over_two_gib_is_refused_before_it_is_copied() -> None:
    half = bytes(1 << 30)
    tracemalloc.start()
    with pytest.raises(MessageTooLarge, match="2 GiB"):
        messages.predict_request(Servable("m"), "s", {"image_bytes": tensor_of_strings([half, half])})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20


@pytest.mark.parametrize(
    ("given_strings", "arrives"),
    [
        ([b"BM\0\0", b"x"], [b"BM\0\0", b"x"]),
        ([["a\0"], ["b"]], [[b"a\0"], [b"b"]]),
        (b"a\0", b"a\0"),
        (np.array([b"ab", b"c"]), [b"ab", b"c"]),
    ],
)
def test_strings_keep_the_nulls_at_their_end(given_strings: object, arrives: object) -> None:
    assert np.array(sent(given_strings)[1], object).tolist() == arrives


def test_strings_are_not_padded_to_the_longest() -> None:
    strings = [b"x" * 10_000_000, *[b"y"] * 99]
    tracemalloc.start()
    tensor_of_array(strings)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1_000_000
