"""What runs in the workers on TensorFlow's side: models written and signatures run. Factories for `Side`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

Step = Callable[[], np.ndarray]


def image(side: int, batch: int = 1) -> np.ndarray:
    """Coarse coloured blocks under noise, uint8 [batch, side, side, 3]."""
    rng = np.random.default_rng(0)
    blocks = rng.integers(0, 256, (batch, side // 64 + 1, side // 64 + 1, 3))
    pixels = blocks.repeat(64, axis=1).repeat(64, axis=2)[:, :side, :side]
    return np.clip(pixels + rng.normal(0, 24, pixels.shape), 0, 255).astype(np.uint8)


def write_random_checkpoint(file: str, classes: int) -> None:
    """Write a V1 checkpoint with random weights."""
    from slimserve.export.demo.checkpoint_writer import write_checkpoint
    from slimserve.export.demo.random_weights import random_checkpoint

    write_checkpoint(file, random_checkpoint(classes), "V1")


def write_plain(checkpoint: str, folder: str) -> None:
    """Write what restoring tf-slim's VGG-16 and calling SavedModelBuilder give: signature `logits`, fc6 VALID."""
    import tensorflow as tf
    import tf_slim
    from slimserve.export.networks.pages.vgg import VGG_16
    from tf_slim.nets import vgg

    tf1 = tf.compat.v1
    with tf.Graph().as_default(), tf1.Session() as session:
        images = tf1.placeholder(tf.uint8, [None, None, None, 3], name="images")
        net = tf.cast(images, tf.float32) - tf.constant(VGG_16.preprocessing.mean_rgb)
        classes = tf.train.load_checkpoint(checkpoint).get_variable_to_shape_map()["vgg_16/fc8/biases"][0]
        logits, _ = vgg.vgg_16(net, num_classes=classes, is_training=False, spatial_squeeze=False)
        tf1.train.Saver(tf_slim.get_model_variables()).restore(session, checkpoint)
        signature = tf1.saved_model.predict_signature_def({"images": images}, {"logits": logits})
        builder = tf1.saved_model.Builder(folder)
        builder.add_meta_graph_and_variables(session, ["serve"], {"logits": signature})
        builder.save()


def signature(folder: str, name: str, output: str, side: int, batch: int = 1) -> Step:
    """Load a SavedModel in a session and run one of its signatures on `image(side, batch)`."""
    import tensorflow as tf

    session = tf.compat.v1.Session(graph=tf.Graph())
    with session.graph.as_default():
        loaded = tf.compat.v1.saved_model.load(session, ["serve"], folder)
    definition = loaded.signature_def[name]
    run = session.make_callable(definition.outputs[output].name, [definition.inputs["images"].name])
    pixels = image(side, batch)
    return lambda: np.asarray(run(pixels))


def loading(folder: str, side: int) -> Step:
    """Load a SavedModel in a new session, which stays, and run `logits` once on `image(side)`."""
    import tensorflow as tf

    tf.compat.v1.Session().close()  # what TensorFlow does once in a process
    loaded: list[Step] = []  # what memory is measured with

    def step() -> np.ndarray:
        loaded.append(signature(folder, "logits", "logits", side))
        return loaded[-1]()

    return step


def write_photos(folder: str, count: int) -> None:
    """Write PNG files of `image(320)` in other colours each."""
    from PIL import Image

    for index in range(count):
        Image.fromarray(np.roll(image(320)[0], (index, 64 * index), axis=(2, 0))).save(
            f"{folder}/{index}.png"
        )


def score_maps(kind: str, cells: int, classes: int) -> np.ndarray:
    """Logits float32 [cells, cells, classes] as large as a trained network's.

    natural: noise seen through a 7x7 window, as fc6 sees its features: neighbouring cells have much in common.
    undecided: noise, so that every class may win somewhere in nearly every cell: the worst case.
    """
    rng = np.random.default_rng(0)
    if kind == "undecided":
        return rng.normal(0, 2.5, (cells, cells, classes)).astype(np.float32)
    noise = rng.normal(0, 2.5, (cells + 6, cells + 6, classes)).astype(np.float32)
    rows = sum(noise[shift : shift + cells] for shift in range(7))
    window: np.ndarray = sum(rows[:, shift : shift + cells] for shift in range(7)) / 7
    return window


def head(method: str, kind: str, side: int, classes: int) -> Step:
    """The label map of `score_maps` at side x side pixels, by `ours` or `dense` (resize, then argmax)."""
    import tensorflow as tf
    from slimserve.export.graph.heads.label_map import bilinear_label_map, label_dtype, stretched_places

    session = tf.compat.v1.Session(graph=tf.Graph())
    with session.graph.as_default():
        logits = tf.compat.v1.placeholder(tf.float32, [None, None, classes])
        size = tf.constant([side, side])
        if method == "ours":
            best = bilinear_label_map(logits, stretched_places(size, tf.shape(logits)[:2]))
        else:
            best = tf.argmax(tf.image.resize(logits[None], size)[0], axis=-1, output_type=tf.int32)
        label_map = tf.cast(best, label_dtype(classes))
        run = session.make_callable(label_map, [logits])
    scores = score_maps(kind, side // 32, classes)
    return lambda: np.asarray(run(scores))


def embedded_engine(address: str, side: int) -> Step:
    """Segment `image(side)` through our client."""
    from slimserve import Client

    client = Client(address, model="vgg_16")
    client.wait_until_ready()
    pixels = image(side)[0]
    return lambda: client.segment(pixels).label_map[None]


def export(checkpoint: str, out: str, parity: bool) -> Callable[[], dict[str, float]]:
    """Import all that an export needs, then export once a step: seconds by part. `parity`: compare with tf-slim."""
    from unittest import mock

    from slimserve.export.cli.command_line import import_tensorflow

    import_tensorflow()
    from slimserve.export import pipeline as exporter
    from slimserve.export.plan.options import Request
    from slimserve.export.verify.parity import Parity

    def step() -> dict[str, float]:
        return exporter.export_checkpoint(Request(checkpoint, Path(out))).seconds

    def step_without() -> dict[str, float]:
        with mock.patch.object(
            exporter, "compare_with_reference", return_value=Parity(0.0, 0.0, 1.0, 1, 1.0)
        ):
            return step()

    return step if parity else step_without


def copy_with_fsync(source: str, target: str) -> Callable[[], None]:
    """Copy a file and wait until it is on the disk."""
    import os
    import shutil

    def step() -> None:
        shutil.copyfile(source, target)
        with open(target, "rb") as copied:
            os.fsync(copied.fileno())

    return step
