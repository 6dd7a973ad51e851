"""What one TensorFlow makes of a checkpoint, and how it answers: `python -m tests.unit.packaging.one_tensorflow`.

It runs in the environment of that TensorFlow. `export CKPT PHOTOS OUT` writes the small network in every way, each to
OUT/WAY. `answer EXPORTS OUT` runs each EXPORTS/VERSION/WAY in a session, and keeps its outputs in OUT/VERSION-WAY.npz.
Both print, as JSON, what each is refused with, or "".
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
from pathlib import Path

import numpy as np
import tensorflow as tf

from tests.support.saved_model import SavedModel

WAYS = {
    "portable_float32": (),
    "portable_bfloat16": ("--precision", "bfloat16"),
    "x86_float32": ("--target", "x86"),
    "x86_bfloat16": ("--target", "x86", "--precision", "bfloat16"),
    "x86_int8": ("--target", "x86", "--precision", "int8", "--accept-agreement", "50"),
}


def export(checkpoint: Path, photos: Path, out: Path) -> dict[str, str]:
    from tests.support.small_network import know_the_small_network, main

    know_the_small_network()
    refused = {}
    for way, options in WAYS.items():
        calibrate = ["--calibrate", str(photos)] if way.endswith("int8") else []
        given = ["--net", "small", "--ckpt", str(checkpoint), "--out", str(out / way), *options, *calibrate]
        said = io.StringIO()
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(said):
            status = main(given)
        refused[way] = said.getvalue().strip().splitlines()[-1] if status else ""
    return refused


def image() -> np.ndarray:
    return np.random.default_rng(4).integers(0, 256, (1, 75, 100, 3), np.uint8)


def answer(exports: Path, out: Path) -> dict[str, str]:
    png = np.array([tf.io.encode_png(image()[0]).numpy()], object)
    refused = {}
    for version in sorted(exports.glob("*/*/1")):
        name = f"{version.parents[1].name}-{version.parents[0].name}"
        try:
            with SavedModel(version) as model:
                outputs = {
                    **model("logits", images=image()),
                    **model("segment", images=image()),
                    **model("classify_bytes", image_bytes=png),
                }
            np.savez(out / f"{name}.npz", **outputs)
            refused[name] = ""
        except (tf.errors.OpError, ValueError, TypeError) as error:
            refused[name] = f"{type(error).__name__}: {str(error).splitlines()[0]}"
    return refused


if __name__ == "__main__":
    verb, *paths = sys.argv[1:]
    print(json.dumps({"export": export, "answer": answer}[verb](*map(Path, paths))))
