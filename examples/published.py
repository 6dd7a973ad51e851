"""The first screen of README: two photographs side by side, their classes and their regions, by published weights.

    python -m examples.published

It needs the package index; the weights may also be an archive that `python -m export fetch` brought. The photographs
are scikit-image's: chelsea, by Stefan van der Walt, and coffee, by Rachel Michetti, both CC0.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image
from slimserve import Client

from . import published_materials as materials
from .demo import console, run, server

FOLDER = Path("demo") / "published"
FETCHED = Path("checkpoints") / f"{materials.NAME}.tgz"
SCENE, REGIONS = FOLDER / "photographs.jpg", FOLDER / "regions.png"
_HEIGHT = 300  # pixels of the scene
_LEAST = 0.01  # probability in a photograph of a class that competes for the pixels
_GROUPS = {"Egyptian cat": "cat", "tabby, tabby cat": "cat", "tiger cat": "cat"}


def main() -> int:
    """Export the published MobileNet unless that is done, serve it, and write what it says of the photographs."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    folder, model = materials.photographs(), FOLDER / "models" / "mobilenet_v1"
    photographs = [folder / "chelsea.png", folder / "coffee.png"]
    if not (model / "1").exists():
        checkpoint = FETCHED if FETCHED.exists() else materials.checkpoint(FOLDER)
        run("export", "--ckpt", checkpoint, "--out", model)
    Image.fromarray(np.hstack([_of_one_height(each) for each in photographs])).save(SCENE, quality=90)
    with server("mobilenet_v1", model) as address, Client(address, model="mobilenet_v1") as client:
        likely = set()
        for photograph in photographs:
            ranking = client.classify(photograph).predictions
            console.print(
                f"{photograph.name}: " + ", ".join(f"{one.name} {one.score:.2f}" for one in ranking)
            )
            likely |= {one.id for one in ranking if one.score >= _LEAST}
        scene = client.segment(SCENE, classes=sorted(likely), groups=_GROUPS)
    console.print("regions: " + ", ".join(f"{area.name} {area.fraction:.1%}" for area in scene.areas()))
    scene.overlay().quantize(256, method=Image.Quantize.MAXCOVERAGE).save(REGIONS, optimize=True)
    return 0


def _of_one_height(photograph: Path) -> np.ndarray:
    with Image.open(photograph) as picture:
        size = (round(picture.width * _HEIGHT / picture.height), _HEIGHT)
        return np.asarray(picture.convert("RGB").resize(size, Image.Resampling.LANCZOS))


if __name__ == "__main__":
    sys.exit(main())
