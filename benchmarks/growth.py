"""How cost grows: with the image's side, with the batch, with the number of classes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from benchmarks.head import SIDE
from benchmarks.rows import Figure, Series
from benchmarks.run import Run
from benchmarks.side import Side, interleave


def image_side(run: Run) -> Iterator[Series]:
    """`segment` from 128 to 2048 pixels a side."""
    folder = str(run.exported(run.demo_checkpoint))
    sides = (128, 256, 512, 1024) if run.quick else (128, 256, 512, 1024, 2048)
    points = tuple((side, _signature(run, folder, "segment", "label_map", side=side)) for side in sides)
    yield Series("segment", "image side, pixels", points)


def batch(run: Run) -> Iterator[Series]:
    """`classify` with 1 to 16 images of 256x256."""
    folder = str(run.exported(run.demo_checkpoint))
    sizes = (1, 2, 4, 8, 16)
    points = tuple(
        (size, _signature(run, folder, "classify", "probabilities", side=256, batch=size)) for size in sizes
    )
    yield Series("classify", "images in a batch", points)


def classes(run: Run) -> Iterator[Series]:
    """The head alone at 1024x1024 pixels, 2 to 1000 classes, ours and the dense one."""
    counts = (2, 8, 21, 150) if run.quick else (2, 8, 21, 150, 1000)
    found: dict[str, list[tuple[int, Figure]]] = {"ours": [], "dense": []}
    for count in counts:
        run.say(f"head, {count} classes")
        arguments = {"kind": "natural", "side": SIDE, "classes": count}
        with (
            Side("benchmarks.models:head", method="ours", **arguments) as ours,
            Side("benchmarks.models:head", method="dense", **arguments) as dense,
        ):
            taken = interleave({"ours": ours, "dense": dense}, run.rounds(7))
        for name, steps in taken.items():
            found[name].append((count, Figure.of([step.seconds for step in steps], "seconds")))
    yield Series("head alone, natural score maps", "classes", tuple(found["ours"]))
    yield Series("tf.image.resize and argmax", "classes", tuple(found["dense"]))


def _signature(run: Run, folder: str, name: str, output: str, **arguments: Any) -> Figure:
    run.say(f"{name}, " + ", ".join(f"{key} {value}" for key, value in arguments.items()))
    with Side("benchmarks.models:signature", folder=folder, name=name, output=output, **arguments) as side:
        taken = interleave({name: side}, run.rounds(7))[name]
    return Figure.of([step.seconds for step in taken], "seconds")
