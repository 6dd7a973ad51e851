"""The whole path on one machine: checkpoint, export, server, and a picture that came back over gRPC.

Run it with `make demo`. What it makes lies in the folder demo/; a second run takes what is there.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from rich.console import Console
from rich.table import Table
from slimserve import Analysis, Client
from slimserve.export.demo.landscape import demo_scene

FOLDER = Path("demo")
CHECKPOINT = FOLDER / "vgg_16.ckpt"
MODEL = FOLDER / "models" / "vgg_16"
SCENE = FOLDER / "scene.jpg"
OVERLAY = FOLDER / "overlay.png"

console = Console(highlight=False, soft_wrap=True)


def main() -> int:
    """Run every step; return the exit code."""
    FOLDER.mkdir(exist_ok=True)
    try:
        if not CHECKPOINT.exists():
            run("export.demo", CHECKPOINT)
        if not (MODEL / "1").exists():
            run("export", "--ckpt", CHECKPOINT, "--out", MODEL)
        Image.fromarray(demo_scene()[0]).save(SCENE, quality=92)
        with server() as address, Client(address, model="vgg_16") as client:
            show(client.classify(SCENE).predictions[0].name, client.analyze(SCENE))
    except subprocess.CalledProcessError as error:
        console.print(f"[red]failed:[/] {' '.join(error.cmd[1:])}")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def run(module: str, *arguments: str | Path) -> None:
    """Run `python -m module arguments`, shown first as a user would type it."""
    command = [sys.executable, "-m", module, *map(str, arguments)]
    console.print(f"\n[bold]$ python -m {' '.join(command[2:])}[/]")
    subprocess.run(command, check=True)


@contextmanager
def server() -> Iterator[str]:
    """Serve the model with the embedded engine on a free port; yield the address."""
    arguments = ["serving_config", "up", "--engine", "embedded", "--port", "0", "--model", f"vgg_16={MODEL}"]
    console.print(f"\n[bold]$ python -m {' '.join(arguments)}[/]")
    command = [sys.executable, "-m", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                print(line, end="", flush=True)
                if line.startswith("ready: "):
                    yield line.split()[-1]
                    break
            else:
                raise subprocess.CalledProcessError(process.wait(), command)
        finally:
            process.terminate()


def show(top_of_crop: str, answer: Analysis) -> None:
    """Print the ranking and the areas, and save the overlay."""
    ranking = Table("class", "score", title="classify", title_justify="left")
    for prediction in answer.classification.predictions:
        ranking.add_row(prediction.name, f"{prediction.score:.3f}")
    areas = Table("class", "area", title="segment", title_justify="left")
    for area in answer.segmentation.areas():
        areas.add_row(area.name, f"{area.fraction:.1%}")
    console.print("", ranking, areas)
    # 256 colours are a third of the bytes; this method keeps the legend's colours, however small its share.
    picture = answer.segmentation.overlay().quantize(256, method=Image.Quantize.MAXCOVERAGE)
    picture.save(OVERLAY, optimize=True)
    console.print(f"the middle of the picture shows {top_of_crop}; the picture with its regions is {OVERLAY}")


if __name__ == "__main__":
    sys.exit(main())
