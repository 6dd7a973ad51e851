"""The first screen of README: photographs, their classes and their regions, by weights that slim published.

    python -m examples.published

It needs the package index, or, for the weights alone, an archive that `python -m export fetch` brought. The photographs
are scikit-image's: chelsea, by Stefan van der Walt, and coffee, by Rachel Michetti, both CC0.
"""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image
from slimserve import Client

from . import published_materials as materials
from .demo import console, run, server

FOLDER = Path("demo") / "published"
FETCHED = Path("checkpoints") / f"{materials.NAME}.tgz"
PHOTOGRAPHS = ("chelsea.png", "coffee.png")
_WIDTH = 480  # pixels of a picture on the page
_LEAST = 0.01  # probability in the whole photograph of a class that competes for its pixels


def main() -> int:
    """Export the published MobileNet unless that is done, serve it, and write what it says of the photographs."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    photographs, model = materials.photographs(), FOLDER / "models" / "mobilenet_v1"
    if not (model / "1").exists():
        checkpoint = FETCHED if FETCHED.exists() else materials.checkpoint(FOLDER)
        run("export", "--ckpt", checkpoint, "--out", model)
    with server("mobilenet_v1", model) as address, Client(address, model="mobilenet_v1") as client:
        for name in PHOTOGRAPHS:
            show(client, photographs / name)
    return 0


def show(client: Client, photograph: Path) -> None:
    """Print the classes of a photograph, and save it beside its regions."""
    with Image.open(photograph) as picture:
        small = picture.convert("RGB")
    small = small.resize((_WIDTH, round(small.height * _WIDTH / small.width)), Image.Resampling.LANCZOS)
    small.save(FOLDER / f"{photograph.stem}.jpg", quality=88)
    likely = [said for said in client.classify(photograph).predictions if said.score >= _LEAST]
    scene = client.segment(photograph, classes=[said.id for said in likely])
    scene.overlay().quantize(256, method=Image.Quantize.MAXCOVERAGE).save(
        FOLDER / f"{photograph.stem}_regions.png", optimize=True
    )
    console.print(f"\n{photograph.name}: {', '.join(f'{said.name} {said.score:.2f}' for said in likely)}")
    console.print("regions: " + ", ".join(f"{area.name} {area.fraction:.0%}" for area in scene.areas()))


if __name__ == "__main__":
    sys.exit(main())
