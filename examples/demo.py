"""The whole path on one machine: checkpoint, export, server, and a picture that came back over gRPC.

Run it with `make demo`, or with `make demo KEEP=1`: then the report opens, and the server runs until Ctrl-C. What it
makes lies in the folder demo/; a second run takes what is there.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager, suppress
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
REPORT = FOLDER / "report.html"

console = Console(highlight=False, soft_wrap=True)


def main(arguments: list[str]) -> int:
    """Run every step; with `--keep`, leave the server to the user until Ctrl-C. Return the exit code."""
    keep = arguments == ["--keep"]
    FOLDER.mkdir(exist_ok=True)
    try:
        if not CHECKPOINT.exists():
            run("export.demo", CHECKPOINT)
        if not (MODEL / "1").exists():
            run("export", "--ckpt", CHECKPOINT, "--out", MODEL)
        Image.fromarray(demo_scene()[0]).save(SCENE, quality=92)
        with server("vgg_16", MODEL) as address:
            with Client(address, model="vgg_16") as client:
                show(client.classify(SCENE).predictions[0].name, client.analyze(SCENE))
            if keep:
                leave_to_the_user(address)
        if not keep:
            console.print("`make demo KEEP=1` leaves the server running, and says what to type next")
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
def server(name: str, model: Path) -> Iterator[str]:
    """Serve a model with the embedded engine on a free port; yield the address."""
    arguments = ["serving_config", "up", "--engine", "embedded", "--port", "0", "--model", f"{name}={model}"]
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


def leave_to_the_user(address: str) -> None:
    """Open the report, say what to type next, and wait for Ctrl-C."""
    run("client", "segment", SCENE, "--server", address, "-o", FOLDER, "--report", REPORT)
    opened = can_show_a_browser() and webbrowser.open(REPORT.resolve().as_uri())
    console.print(f"the report is {REPORT}{'' if opened else ': open it in a browser'}")
    console.print(f"\n{next_steps(address)}\n\nThe server runs until Ctrl-C.")
    with suppress(KeyboardInterrupt):
        signal.pause()


def can_show_a_browser() -> bool:
    """Whether there is a desktop; elsewhere a browser would take the terminal, or there is none."""
    return sys.platform == "darwin" or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def next_steps(address: str) -> str:
    """What to type next, in another terminal, while the server at `address` runs."""
    return f"""\
What next? In another terminal, in this folder:

  . .venv/bin/activate

Your own picture:
  python -m client classify PICTURE --server {address}
  python -m client segment PICTURE --server {address} -o out --report out/report.html

Your own checkpoint, a file of slim's or the folder of a training run:
  python -m export inspect CHECKPOINT
  python -m export --ckpt CHECKPOINT
  python -m serving_config up

One that was published:
  python -m export fetch --list"""


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
    sys.exit(main(sys.argv[1:]))
