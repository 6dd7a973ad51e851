"""The command line of the benchmarks."""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks import engine, exporting, footprint, growth, head, network, wire
from benchmarks.peers import peers_python
from benchmarks.rows import Row, Series, as_json, fraction
from benchmarks.run import Run
from benchmarks.side import ROOT, BenchmarkError

BENCHMARKS: dict[str, Callable[[Run], Iterator[Any]]] = {
    "logits": network.logits,
    "openvino": network.openvino,
    "load": network.load,
    "on-disk": network.on_disk,
    "head": head.against_network,
    "head-dense": head.against_dense,
    "parse-label-map": wire.parse_label_map,
    "parse-logits": wire.parse_logits,
    "encode": wire.encode,
    "import": footprint.import_client,
    "installed-size": footprint.installed_size,
    "export": exporting.export,
    "engine": engine.end_to_end,
    "image-side": growth.image_side,
    "batch": growth.batch,
    "classes": growth.classes,
}
_RESULTS = ROOT / "benchmarks" / "results.json"
_PLOT = ROOT / "docs" / "benchmarks.png"

_DESCRIPTION = f"""\
Measure slimserve beside what it replaces, both in turn in one run, and print the ratio of the medians.

benchmarks: {", ".join(BENCHMARKS)}

A complete run writes benchmarks/results.json and docs/benchmarks.png; one with --quick or --only prints only.
Leave the machine alone meanwhile. Models and checkpoints take 3 GB in the temporary folder."""
_EPILOG = """\
examples:
  python -m benchmarks
  python -m benchmarks --quick --only encode parse-logits"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmarks; return the exit code: 0, 1 for an error, 2 for usage, 130 for Ctrl-C."""
    options = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the models are removed
    try:
        _run(options)
    except BenchmarkError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped: nothing was written", file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--quick", action="store_true", help="3 repetitions, nothing beyond 1024x1024 pixels")
    parser.add_argument(
        "--only", nargs="+", choices=BENCHMARKS, metavar="NAME", default=list(BENCHMARKS), help="only these"
    )
    parser.add_argument(
        "--no-peers",
        action="store_true",
        help="install nothing: rows beside ovmsclient and the plot are left out",
    )
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    return parser


def _run(options: argparse.Namespace) -> None:
    console = Console(stderr=True)
    complete = not options.quick and set(options.only) == set(BENCHMARKS)
    with (
        console.status("starting") as status,
        tempfile.TemporaryDirectory(prefix="slimserve-bench-") as folder,
    ):
        peers = None
        if not options.no_peers:
            status.update("installing the peers")
            peers = peers_python()
            if peers is None:
                console.print(
                    "the peers could not be installed from the package registry: their rows are empty"
                )
        run = Run(options.quick, peers, Path(folder), status.update)
        found: list[Row | Series] = []
        for name in dict.fromkeys(options.only):
            found += BENCHMARKS[name](run)
            console.print(f"{name}: done", highlight=False)
    results = {
        "machine": _machine(options.quick),
        "rows": [as_json(entry) for entry in found if isinstance(entry, Row)],
        "series": [as_json(entry) for entry in found if isinstance(entry, Series)],
    }
    if options.json:
        print(json.dumps(results, indent=2))
    else:
        _print(found)
    if complete:
        _RESULTS.write_text(json.dumps(results, indent=2) + "\n", "utf-8")
        if peers:
            subprocess.run([peers, "-m", "benchmarks.plot", _RESULTS, _PLOT], cwd=ROOT, check=True)


def _print(found: Sequence[Row | Series]) -> None:
    console = Console() if sys.stdout.isatty() else Console(width=180)
    rows = [entry for entry in found if isinstance(entry, Row)]
    if rows:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for name in ("ratio", "target", ""):
            table.add_column(name, no_wrap=True)
        for name in ("what", "ours", "against", "theirs"):
            table.add_column(name)
        for row in rows:
            verdict = {None: "", True: "[green]met[/]", False: "[red]missed[/]"}[row.met]
            ratio = "" if row.ratio is None else fraction(row.ratio)
            target = f"at most {fraction(row.at_most)}" if row.at_most else ""
            table.add_row(
                ratio,
                target,
                verdict,
                row.what,
                str(row.ours or "not available"),
                row.against,
                str(row.theirs or "not available"),
            )
        console.print(table)
        console.print("ours as a fraction of theirs; medians, first to third quartile in brackets")
        for row in rows:
            if row.note:
                console.print(f"{row.what}: {row.note}", highlight=False, markup=False)
    for series in (entry for entry in found if isinstance(entry, Series)):
        table = Table(series.against, series.what, box=box.SIMPLE_HEAD)
        for at, figure in series.points:
            table.add_row(str(at), str(figure))
        console.print(table)


def _machine(quick: bool) -> dict[str, Any]:
    cpu = Path("/proc/cpuinfo").read_text()
    model = next((line.partition(":")[2].strip() for line in cpu.splitlines() if "model name" in line), "")
    packages = ("tensorflow", "tf-slim", "numpy", "grpcio", "protobuf")
    return {
        "date": datetime.now(timezone.utc).date().isoformat(),
        "processor": model or platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in packages},
        "quick": quick,
    }
