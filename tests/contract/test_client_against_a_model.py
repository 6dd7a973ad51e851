"""A real model behind a real server: the client's answers against those the official stubs get."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from slimserve import AsyncClient, Client, InvalidInput, ModelNotFound, SignatureNotFound
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from tests.support.numpy_reference import centred, float32_rounding
from tests.support.tensors import values


@pytest.fixture(scope="module")
def vgg(vgg_16: str) -> Iterator[Client]:
    with Client(vgg_16, model="vgg_16") as client:
        yield client


@pytest.fixture(scope="module")
def pixels(demo_scene: Path) -> np.ndarray:
    """The demo's picture in a size that takes little time and is no multiple of 32: uint8 [150,203,3]."""
    return np.asarray(Image.open(demo_scene).convert("RGB").resize((203, 150)))


@pytest.fixture(scope="module")
def png(pixels: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("images") / "scene.png"
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture(scope="module")
def official(vgg_16: str) -> Iterator[Any]:
    """Calls a signature with TensorFlow's tensors and the official stubs."""
    with grpc.insecure_channel(vgg_16, [("grpc.max_receive_message_length", -1)]) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)

        def call(signature: str, **inputs: Any) -> dict[str, np.ndarray]:
            request = predict_pb2.PredictRequest()
            request.model_spec.name, request.model_spec.signature_name = "vgg_16", signature
            for name, value in inputs.items():
                request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
            outputs = stub.Predict(request, timeout=60).outputs
            return {name: values(tensor) for name, tensor in outputs.items()}

        yield call


def assert_same(probabilities: np.ndarray, expected: np.ndarray) -> None:
    """Whether two requests computed the same in float32: their logits differ by no more than VGG-16's sums may."""
    terms = [9 * channels for channels in (3, 64, 64, 128, 128, *(256,) * 3, *(512,) * 5)]
    logits = centred(np.log(expected))
    rounding = 2 * float32_rounding([*terms, 49 * 512, 4096, 4096])
    assert np.abs(centred(np.log(probabilities)) - logits).max() <= rounding * np.abs(logits).max()


def test_every_way_to_give_an_image_is_the_same_image(vgg: Client, png: Path, pixels: np.ndarray) -> None:
    ways = [png, str(png), png.read_bytes(), pixels, Image.fromarray(pixels)]
    answers = [vgg.classify(way) for way in ways]
    for answer in answers[1:]:
        assert [prediction.id for prediction in answer.predictions] == [p.id for p in answers[0].predictions]
        assert_same(answer.probabilities, answers[0].probabilities)


def test_classify_answers_as_the_official_stubs(vgg: Client, png: Path, official: Any) -> None:
    expected = official("classify_bytes", image_bytes=[png.read_bytes()])
    answer = vgg.classify(png)
    assert [prediction.name.encode() for prediction in answer.predictions] == expected["class_names"][
        0
    ].tolist()
    assert [prediction.id for prediction in answer.predictions] == expected["class_ids"][0].tolist()
    np.testing.assert_array_equal([p.score for p in answer.predictions], expected["scores"][0].astype(float))
    np.testing.assert_array_equal(answer.probabilities, expected["probabilities"][0])
    assert answer.top == answer.predictions[0]
    assert answer.model_version == 1


def test_segment_of_a_file_answers_as_the_official_stubs(vgg: Client, png: Path, official: Any) -> None:
    expected = official("segment_bytes", image_bytes=[png.read_bytes()])["label_png"][0]
    np.testing.assert_array_equal(vgg.segment(png).label_map, np.asarray(Image.open(io.BytesIO(expected))))


def test_segment_of_pixels_answers_as_the_official_stubs(
    vgg: Client, pixels: np.ndarray, official: Any
) -> None:
    np.testing.assert_array_equal(
        vgg.segment(pixels).label_map, official("segment", images=pixels[None])["label_map"][0]
    )


def test_analyze_is_both_in_one_pass(vgg: Client, png: Path, pixels: np.ndarray, official: Any) -> None:
    expected = official("serving_default", images=pixels[None])
    for image in (png, pixels):
        both = vgg.analyze(image)
        np.testing.assert_array_equal(both.segmentation.label_map, expected["label_map"][0])
        assert both.classification.top.id == expected["class_ids"][0, 0]
        assert both.classification.top.score == expected["scores"][0, 0]
        assert both.classification.probabilities is None


def test_any_signature_answers_as_the_official_stubs(vgg: Client, pixels: np.ndarray, official: Any) -> None:
    expected = official("logits", images=pixels[None])
    answer = vgg.predict({"images": pixels[None]}, signature="logits")
    assert answer.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(answer[name], array)
    assert vgg.predict({"images": pixels[None]}, signature="logits", outputs=["labels"]).keys() == {"labels"}


def test_the_areas_are_those_of_the_label_map_with_the_models_names(
    vgg: Client, pixels: np.ndarray, official: Any
) -> None:
    scene = vgg.segment(pixels)
    ids, counts = np.unique(scene.label_map, return_counts=True)
    names = official("labels", class_ids=ids.astype(np.int32))["class_names"]
    expected = {
        int(id): (name.decode(), count / pixels[..., 0].size)
        for id, name, count in zip(ids, names, counts, strict=True)
    }
    areas = scene.areas()
    assert {area.id: (area.name, area.fraction) for area in areas} == expected
    assert [area.fraction for area in areas] == sorted((area.fraction for area in areas), reverse=True)


def test_an_answer_brings_the_names_of_its_classes(vgg: Client, pixels: np.ndarray, official: Any) -> None:
    ids = np.arange(10, dtype=np.int32)
    names = official("labels", class_ids=ids)["class_names"].tolist()
    assert official("segment", images=pixels[None])["class_names"].tolist() == names
    assert official("serving_default", images=pixels[None])["label_names"].tolist() == names


def test_only_the_classes_chosen_are_on_the_label_map(
    vgg: Client, png: Path, pixels: np.ndarray, official: Any
) -> None:
    names = official("labels", class_ids=np.array([2, 5], np.int32))["class_names"]
    expected = official("segment", images=pixels[None], classes=np.array([5, 2], np.int32))["label_map"][0]
    assert set(np.unique(expected)) <= {2, 5}
    for image in (png, pixels):
        scene = vgg.segment(image, classes=[name.decode() for name in names])
        np.testing.assert_array_equal(scene.label_map, expected)


@pytest.mark.parametrize(
    ("classes", "words"), [([10], "from 0 to 9, not 10"), ([-1], "from 0"), ([], "is empty")]
)
def test_what_names_no_class_is_refused(
    official: Any, pixels: np.ndarray, classes: list[int], words: str
) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        official("segment", images=pixels[None], classes=np.array(classes, np.int32))
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert words in caught.value.details()


@pytest.mark.parametrize("size", [(1, 1), (31, 33), (97, 333)])
def test_images_of_any_size_are_segmented_at_their_size(
    vgg: Client, pixels: np.ndarray, size: tuple[int, int]
) -> None:
    image = Image.fromarray(pixels).resize(size[::-1])
    file = io.BytesIO()
    image.save(file, "PNG")
    assert vgg.segment(np.asarray(image)).label_map.shape == size
    assert vgg.segment(file.getvalue()).label_map.shape == size


def test_a_list_of_any_sizes_and_kinds_is_answered_in_order(
    vgg: Client, png: Path, pixels: np.ndarray
) -> None:
    images = [png, pixels[:64, :80], pixels[:80, :64], Image.fromarray(pixels[:64, :80]), png.read_bytes()]
    answers = vgg.classify(images)
    alone = [vgg.classify(image) for image in images]
    for answer, expected in zip(answers, alone, strict=True):
        assert_same(answer.probabilities, expected.probabilities)
    assert [scene.label_map.shape for scene in vgg.segment(images)] == [
        (150, 203),
        (64, 80),
        (80, 64),
        (64, 80),
        (150, 203),
    ]


def test_an_image_turned_by_exif_is_seen_upright(vgg: Client, pixels: np.ndarray) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # display it turned a quarter clockwise
    file = io.BytesIO()
    Image.fromarray(np.rot90(pixels)).save(file, "PNG", exif=exif)
    np.testing.assert_array_equal(vgg.segment(file.getvalue()).label_map, vgg.segment(pixels).label_map)


@pytest.mark.parametrize("task", ["classify", "segment"])
def test_a_bad_image_in_a_list_is_named(vgg: Client, png: Path, tmp_path: Path, task: str) -> None:
    truncated = tmp_path / "truncated.png"
    truncated.write_bytes(png.read_bytes()[:2000])
    with pytest.raises(InvalidInput, match=r"images\[1\] \(.*truncated\.png\)") as caught:
        getattr(vgg, task)([png, truncated, png])
    assert caught.value.code is grpc.StatusCode.INVALID_ARGUMENT


def test_what_is_not_served_is_named(vgg_16: str, vgg: Client, pixels: np.ndarray) -> None:
    with Client(vgg_16, model="vgg_19") as other, pytest.raises(ModelNotFound, match="vgg_19"):
        other.classify(pixels)
    with (
        Client(vgg_16, model="vgg_16", version=99) as other,
        pytest.raises(ModelNotFound, match="version 99"),
    ):
        other.classify(pixels)
    with pytest.raises(SignatureNotFound, match="nonsense"):
        vgg.predict({"images": pixels[None]}, signature="nonsense")


def test_metadata_and_status_describe_the_model(vgg: Client) -> None:
    metadata = vgg.metadata()
    assert (metadata.name, metadata.version) == ("vgg_16", 1)
    assert (metadata.preprocessing, metadata.crop) == ("vgg", 224)
    segment = metadata.signatures["segment"]
    assert str(segment.inputs["images"]) == "uint8 [?, ?, ?, 3]"
    assert segment.outputs["label_map"].dtype == "uint8"
    (version,) = vgg.status()
    assert (version.version, version.state, version.error_code) == (1, "AVAILABLE", 0)
    vgg.wait_until_ready(5)


async def test_the_async_client_answers_the_same(
    vgg_16: str, vgg: Client, png: Path, pixels: np.ndarray
) -> None:
    async with AsyncClient(vgg_16, model="vgg_16") as client:
        await client.wait_until_ready(5)
        classified, segmented, analyzed, listed = await asyncio.gather(
            client.classify(png), client.segment(png), client.analyze(pixels), client.classify([png, pixels])
        )
        outputs = await client.predict({"images": pixels[None]}, signature="segment")
        assert (await client.metadata()) == vgg.metadata()
        assert (await client.status()) == vgg.status()
    assert classified.predictions == vgg.classify(png).predictions
    np.testing.assert_array_equal(segmented.label_map, vgg.segment(png).label_map)
    np.testing.assert_array_equal(analyzed.segmentation.label_map, segmented.label_map)
    np.testing.assert_array_equal(outputs["label_map"][0], segmented.label_map)
    assert [answer.top.id for answer in listed] == [classified.top.id] * 2
