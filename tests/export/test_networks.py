"""Every network: a checkpoint that tf-slim's own graph wrote is exported, served, and answers as tf-slim does."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from slimserve import Client
from slimserve.export.demo.constants import Constants
from slimserve.export.graph.kernels.portable import VariableLayers
from slimserve.export.networks import NETWORKS, Network
from slimserve.export.types import Padding
from slimserve.export.verify.reference import guided

from tests.conftest import run_module
from tests.support import slim_preprocessing as reference
from tests.support.numpy_reference import centred, mean_rounding, network_rounding
from tests.support.slim_checkpoints import SlimNetwork
from tests.support.slim_exports import (
    CLASSES,
    IMAGE,
    Exported,
    Served,
    by_command,
    exported,
    in_this_process,
    noise,
    square,
)

# What differs most: cells and a crop alone; the rest behind `make soak`.
QUICK = ("resnet_v2_50", "inception_v2")
REST = sorted(name for name, network in NETWORKS.items() if name not in QUICK and not name.startswith("fcn"))
CLASSIFYING = {"serving_default", "classify", "classify_bytes", "classify_examples", "labels", "network"}
SEGMENTING = CLASSIFYING | {"segment", "segment_bytes", "logits"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("networks")
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def quick(folder: Path) -> Iterator[Served]:
    served = Served({name: exported(name, folder, in_this_process) for name in QUICK})
    yield served
    served.close()


@pytest.fixture
def alone(name: str, tmp_path: Path) -> Iterator[Served]:
    """One network, exported as a user does, and its engine, removed behind the test."""
    served = Served({name: exported(name, tmp_path, by_command)})
    yield served
    served.close()
    shutil.rmtree(tmp_path)


def assert_probabilities(probabilities: np.ndarray, logits: np.ndarray, tolerance: float) -> None:
    """Whether their logarithms are `logits`, up to `tolerance` of the largest; float32 holds none below exp(-87)."""
    held = probabilities > 1e-37
    assert (logits[~held] < logits.max() - 80).all()
    np.testing.assert_allclose(
        centred(np.log(probabilities[held])),
        centred(logits[held]),
        rtol=0,
        atol=tolerance * np.abs(logits).max(),
    )


def check_signatures(served: Served, name: str) -> None:
    """Every signature is there, and says of IMAGE what the others say of it."""
    one = served.exports[name]
    png = tf.io.encode_png(IMAGE).numpy()
    images, encoded = IMAGE[None], np.array([png], object)
    assert set(one.report["signatures"]) == (SEGMENTING if one.network.segments else CLASSIFYING)
    default = served.call(name, "serving_default", images=images)
    ranked = served.call(name, "classify", images=images)
    assert default["class_ids"].shape == ranked["class_ids"].shape == (1, 5)
    order = np.argsort(-ranked["probabilities"][0], kind="stable")[:5]
    np.testing.assert_array_equal(ranked["class_ids"][0], order)
    np.testing.assert_array_equal(ranked["scores"][0], ranked["probabilities"][0, order])
    from_bytes = served.call(name, "classify_bytes", image_bytes=encoded)
    assert from_bytes.keys() == ranked.keys()
    np.testing.assert_array_equal(from_bytes["class_ids"], ranked["class_ids"])
    # Of the same pixels: an error of a logit is the relative error of its probability.
    same = one.rounding * np.abs(one.crops[1]).max()
    np.testing.assert_allclose(from_bytes["probabilities"], ranked["probabilities"], rtol=same)
    names = served.call(name, "labels", class_ids=ranked["class_ids"][0])["class_names"]
    np.testing.assert_array_equal(names, ranked["class_names"][0])
    examples = served.classify_examples(name, png)
    assert [each.label.encode() for each in examples] == names.tolist()
    np.testing.assert_allclose([each.score for each in examples], ranked["scores"][0], rtol=same)
    if one.network.segments:
        label_map = served.call(name, "segment", images=images)["label_map"]
        np.testing.assert_array_equal(default["label_map"], label_map)
        (label_png,) = served.call(name, "segment_bytes", image_bytes=encoded)["label_png"]
        np.testing.assert_array_equal(tf.io.decode_png(label_png)[..., 0], label_map[0])


def check_numbers(served: Served, name: str) -> None:
    """Against tf-slim, up to what float32 explains on any two processors."""
    one = served.exports[name]
    parity = one.report["parity"]
    assert max(parity["difference"], parity["probability_difference"]) <= one.rounding
    assert parity["argmax_agreement"] == 1
    exact, resized = (
        served.call(name, "classify", images=image[None])["probabilities"][0]
        for image in (square(one.network), IMAGE)
    )
    assert_probabilities(exact, one.crops[0], one.rounding)
    # Resized pixels differ in the last bit from NumPy's, which the network amplifies.
    assert_probabilities(resized, one.crops[1], one.rounding + 1e-4)
    default = served.call(name, "serving_default", images=IMAGE[None])
    if one.cells is None:
        np.testing.assert_allclose(
            default["scores"][0], np.sort(resized)[::-1][:5], rtol=one.rounding * np.abs(one.crops[1]).max()
        )
        return
    answer = served.call(name, "logits", images=IMAGE[None])
    logits = answer["logits"][0]
    np.testing.assert_array_equal(answer["labels"][0], logits.argmax(-1))
    before, behind = (one.network.window - 1) // 2, one.network.window // 2
    inside = logits[before : len(logits) - behind, before : logits.shape[1] - behind]
    assert inside.shape == one.cells.shape
    assert np.abs(inside - one.cells).max() <= one.rounding * np.abs(one.cells).max()
    ranking = reference.softmax(inside.mean(axis=(0, 1)))
    np.testing.assert_allclose(default["scores"][0], np.sort(ranking)[::-1][:5], rtol=mean_rounding(inside))
    check_label_map(default["label_map"][0], one, before)


def mean_around(cells: np.ndarray, side: int) -> np.ndarray:
    """The mean of the `side` x `side` cells around each that there are, one by one in float64."""
    reach = side // 2
    means = np.empty(cells.shape)
    for row, column in np.ndindex(cells.shape[:2]):
        rows, columns = (slice(max(at - reach, 0), at + reach + 1) for at in (row, column))
        means[row, column] = cells[rows, columns].mean(axis=(0, 1), dtype=np.float64)
    return means


def check_label_map(label_map: np.ndarray, one: Exported, before: int) -> None:
    """Between the centres of tf-slim's cells, of which the first is the `before`th of the image, and clear of ties."""
    cells = one.cells
    assert cells is not None
    margin = max(1e-4, 2 * one.rounding) * float(np.abs(cells).max())
    spacing = one.network.spacing(one.network.stride)
    rows, columns = (
        (np.arange(size) + 0.5 - one.network.centre) / spacing - before for size in label_map.shape
    )
    if one.network.name.startswith(("resnet", "mobilenet")):
        best, clear = guided_labels(mean_around(cells, 7), rows, columns, margin)
    else:
        best, clear = bilinear_labels(cells, rows, columns, margin)
    inside = [
        (place >= 0) & (place <= last - 1) for place, last in zip((rows, columns), cells.shape, strict=False)
    ]
    best, clear, labels = (each[np.ix_(*inside)] for each in (best, clear, label_map))
    assert clear.mean() > 0.95
    np.testing.assert_array_equal(labels[clear], best[clear])


def bilinear_labels(
    scores: np.ndarray, rows: np.ndarray, columns: np.ndarray, margin: float
) -> tuple[np.ndarray, np.ndarray]:
    """The labels of pixels between the cells, and which of them are clear."""
    for axis, place in enumerate((rows, columns)):
        place = np.clip(place, 0, scores.shape[axis] - 1)
        lower = np.minimum(place.astype(int), scores.shape[axis] - 2)
        share = (place - lower).reshape((-1, 1, 1) if axis == 0 else (1, -1, 1))
        scores = scores.take(lower, axis) * (1 - share) + scores.take(lower + 1, axis) * share
    second, first = np.moveaxis(np.sort(scores)[..., -2:], -1, 0)
    return scores.argmax(-1), first - second > margin


def guided_labels(
    means: np.ndarray, rows: np.ndarray, columns: np.ndarray, margin: float
) -> tuple[np.ndarray, np.ndarray]:
    """The same by the guided filter over IMAGE, of scores that are averaged over the window of a crop."""
    scores_of = guided.Filter(means, IMAGE, (rows, columns), 3, margin)
    best, lead = zip(*(scores_of(row).best() for row in range(len(rows))), strict=True)
    return np.stack(best), np.stack(lead) > guided.rounding(means, margin)


@pytest.mark.parametrize("name", QUICK)
def test_the_network_is_recognised(quick: Served, name: str) -> None:
    assert quick.exports[name].report["network"] == name


@pytest.mark.parametrize(
    ("name", "prepared"),
    [("resnet_v2_50", ("vgg", 224)), ("inception_v2", ("inception", 224))],
)
def test_how_images_are_prepared_is_said_by_the_record_and_by_the_server(
    quick: Served, name: str, prepared: tuple[str, int]
) -> None:
    report = quick.exports[name].report
    assert (report["preprocessing"]["name"], report["preprocessing"]["crop"]) == prepared
    assert any("a guess" in warning for warning in report["warnings"]) == (name != "inception_v2")
    with Client(quick.address, model=name) as client:
        metadata = client.metadata()
    assert (metadata.preprocessing, metadata.crop) == prepared


@pytest.mark.parametrize("name", QUICK)
def test_every_signature_answers(quick: Served, name: str) -> None:
    check_signatures(quick, name)


@pytest.mark.parametrize("name", QUICK)
def test_numbers_are_those_of_slim(quick: Served, name: str) -> None:
    check_numbers(quick, name)


@pytest.mark.parametrize("name", QUICK)
def test_logits_depend_on_the_image(quick: Served, name: str) -> None:
    """Random weights could have made all images alike, and every comparison an idle one."""
    probabilities = [
        quick.call(name, "classify", images=noise(250, 310, seed)[None])["probabilities"][0]
        for seed in range(2)
    ]
    spread = np.abs(quick.exports[name].crops[0]).max()
    assert 0.1 < spread < 1000
    assert np.abs(centred(np.log(probabilities[0])) - centred(np.log(probabilities[1]))).max() > 0.01 * spread


def test_tiles_share_what_the_network_sees(quick: Served) -> None:
    image = noise(96, 1024)
    cells = quick.call("resnet_v2_50", "logits", images=image[None])["logits"][0]
    # Of random weights, the two classes between which most cells are torn.
    scores = mean_around(cells, 7)
    ahead = (scores[..., :, None] > scores[..., None, :]).mean(axis=(0, 1))
    pair = np.array(np.unravel_index(np.abs(ahead - 0.5).argmin(), ahead.shape))
    with Client(quick.address, model="resnet_v2_50") as client:
        # And the six cells more that its window spans, and the six of the guided filter's.
        assert client.receptive_field() == NETWORKS["resnet_v2_50"].receptive_field + 12 * 32
        whole = client.segment(image, classes=pair)
        tiled = client.segment(image, classes=pair, tile=992)
    np.testing.assert_array_equal(tiled.label_map, whole.label_map)
    assert len(whole.areas()) > 1


def logits_of_page_and_of_slim(
    network: Network, image: np.ndarray, padding: Padding, output_stride: int
) -> tuple[np.ndarray, np.ndarray, float]:
    """Of a prepared image, with the same weights, and what float32 explains of their largest, as a fraction."""
    with SlimNetwork(network, CLASSES) as slim:
        (expected,) = slim.logits([image])
        rounding = 2 * network_rounding(slim.shapes())
        layers = VariableLayers(Constants(slim.values()), network.scope)
    run = tf.function(lambda images: network.logits(images, layers, padding, output_stride), autograph=False)
    return run(image[None])[0].numpy(), expected, rounding


@pytest.mark.parametrize(
    ("name", "output_stride"), [("resnet_v1_50", 8), pytest.param("resnet_v2_50", 16, marks=pytest.mark.soak)]
)
def test_resnets_are_dilated_as_in_slim(name: str, output_stride: int) -> None:
    network = NETWORKS[name]
    assert network.reference
    options = {**network.reference.options, "output_stride": output_stride}
    dilated = replace(network, reference=replace(network.reference, options=options))
    image = reference.padded(noise(60, 90), network)
    logits, expected, rounding = logits_of_page_and_of_slim(dilated, image, "SAME", output_stride)
    assert logits.shape == (64 // output_stride + 1, 96 // output_stride + 1, CLASSES)
    assert np.abs(logits - expected).max() <= rounding * np.abs(expected).max()


def test_alexnet_is_that_of_slim() -> None:
    """Without an export, in which its 200 MB are written and read as every network's are: `make soak` has that."""
    network = NETWORKS["alexnet_v2"]
    image = reference.padded(noise(250, 310), network)
    logits, expected, rounding = logits_of_page_and_of_slim(network, image, "VALID", network.stride)
    assert min(logits.shape[:2]) > 1
    assert logits.shape == expected.shape
    assert np.abs(logits - expected).max() <= rounding * np.abs(expected).max()


@pytest.mark.soak
@pytest.mark.parametrize("name", REST)
def test_the_other_networks_too(alone: Served, name: str) -> None:
    assert alone.exports[name].report["network"] == name
    check_signatures(alone, name)
    check_numbers(alone, name)
    said = alone.exports[name].report
    seconds = sum(said["seconds"].values())
    print(
        f"\n{name}: {said['parity']['difference']:.1e} from tf-slim, exported in {seconds:.1f} s, "
        f"{said['bytes'] / 1e6:.0f} MB"
    )


@pytest.mark.soak
@pytest.mark.parametrize("name", ["resnet_v1_50", "inception_v3"])
def test_so_do_other_targets_and_precisions(name: str, tmp_path: Path) -> None:
    portable = exported(name, tmp_path, by_command)
    checkpoint = tmp_path / f"{name}.ckpt"
    ways = {"x86": ("--target", "x86"), "bfloat16": ("--precision", "bfloat16")}
    exports = {
        way: replace(portable, report=by_command(checkpoint, tmp_path / way, *options))
        for way, options in ways.items()
    }
    served = Served(exports)
    try:
        check_signatures(served, "x86")
        check_numbers(served, "x86")
        check_signatures(served, "bfloat16")
        assert exports["bfloat16"].report["parity"]["difference"] <= 0.05
        assert exports["bfloat16"].report["bytes"] < 0.6 * portable.report["bytes"]
    finally:
        served.close()
        shutil.rmtree(tmp_path)


@pytest.mark.soak
@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("resnet_v1_50", "shortcut without ReLU"),
        ("mobilenet_v2", "expanded_conv/project without ReLU"),
        ("inception_v3", "held against float32 in label maps"),
    ],
)
def test_8_bits_are_refused_in_one_line(name: str, reason: str, tmp_path: Path) -> None:
    with SlimNetwork(NETWORKS[name], CLASSES) as slim:
        checkpoint = slim.save(tmp_path / f"{name}.ckpt")
    for index in range(10):
        tf.io.write_file(str(tmp_path / "photos" / f"{index}.png"), tf.io.encode_png(noise(300, 300, index)))
    options = ("--out", tmp_path / "out", "--precision", "int8", "--calibrate", tmp_path / "photos")
    result = run_module("export", "--ckpt", checkpoint, *options)
    assert result.returncode == 1
    assert re.fullmatch(rf"error: .*{reason}.*--precision bfloat16.*\n", result.stderr)
    assert not (tmp_path / "out").exists()
