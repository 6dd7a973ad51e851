"""The command line of the benchmarks."""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks import engine, exporting, footprint, growth, head, network, served, table, wire
from benchmarks.peers import peers_python
from benchmarks.report import print_table
from benchmarks.results import Results, this_machine
from benchmarks.run import Run
from benchmarks.side import ROOT, BenchmarkError

BENCHMARKS: dict[str, Callable[[Run], Iterator[Any]]] = {
    "logits": network.logits,
    "served": served.served,
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
_RESULTS, _PAGE = table.RESULTS, table.PAGE
_PLOT = ROOT / "docs" / "benchmarks.png"
_KEPT = ROOT / "build" / "benchmarks.json"

_DESCRIPTION = f"""\
Measure slimserve beside what it replaces, both in turn in one run, and print the ratio of the medians.

benchmarks: {", ".join(BENCHMARKS)}

A complete run takes about an hour on 2 cores, 10 GB of memory and 5 GB in the temporary folder, and writes
benchmarks/results.json, docs/measured.md and docs/benchmarks.png; one with --quick or --only prints only. Leave the
machine alone meanwhile. What it has measured is kept: --resume goes on with a complete run that was stopped or failed
in part."""
_EPILOG = """\
examples:
  python -m benchmarks
  python -m benchmarks --quick --only encode parse-logits"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmarks; return the exit code: 0, 1 for an error, 2 for usage, 130 for Ctrl-C."""
    options = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the models are removed
    complete = not options.quick and set(options.only) == set(BENCHMARKS)
    results = Results(this_machine(options.quick, options.server), _KEPT if complete else None)
    try:
        if options.resume:
            results.resume()
        _measure(options, results)
    except BenchmarkError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        _report(options, results)
        print("stopped" + (": --resume goes on with what is left" if complete else ""), file=sys.stderr)
        return 130
    _report(options, results)
    if complete:
        _write(results, options.no_peers)
    if results.failed:
        print(f"error: failed, with the reasons above: {', '.join(results.failed)}", file=sys.stderr)
        return 1
    results.forget()
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
    parser.add_argument(
        "--server",
        type=Path,
        metavar="BINARY",
        default=shutil.which("tensorflow_model_server"),
        help="a tensorflow_model_server for `served` (default: the one on PATH, else the embedded engine)",
    )
    parser.add_argument("--resume", action="store_true", help="go on with the complete run that was stopped")
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    return parser


def _measure(options: argparse.Namespace, results: Results) -> None:
    """Run what is not in `results` yet; what fails is noted there, and the others go on."""
    console = Console(stderr=True)
    names = [name for name in dict.fromkeys(options.only) if name not in results.found]
    with (
        console.status("starting") as status,
        tempfile.TemporaryDirectory(prefix="slimserve-bench-") as folder,
    ):
        place = ""
        peers = None if options.no_peers else _peers(console, status.update)
        run = Run(
            options.quick, peers, Path(folder), lambda text: status.update(place + text), options.server
        )
        for number, name in enumerate(names, 1):
            place = f"{name} ({number} of {len(names)}): "
            start = time.monotonic()
            try:
                results.add(name, list(BENCHMARKS[name](run)))
                outcome = f"done in {time.monotonic() - start:.0f} s"
            except BenchmarkError as error:
                results.failed[name] = str(error)
                outcome = f"failed: {error}"
            console.print(place + outcome, highlight=False, markup=False)


def _peers(console: Console, say: Callable[[str], None]) -> Path | None:
    say("installing the peers")
    peers = peers_python()
    if peers is None:
        console.print("the peers could not be installed from the package registry: their rows are empty")
    return peers


def _report(options: argparse.Namespace, results: Results) -> None:
    if options.json:
        print(json.dumps(results.as_json(), indent=2))
    else:
        print_table(results.entries())


def _write(results: Results, no_peers: bool) -> None:
    """Write the results, and draw them in the peers' environment, which has matplotlib."""
    _RESULTS.write_text(json.dumps(results.as_json(), indent=2) + "\n", "utf-8")
    _PAGE.write_text(table.page(results.as_json()), "utf-8")
    if not no_peers and (peers := peers_python()):
        subprocess.run([peers, "-m", "benchmarks.plot", _RESULTS, _PLOT], cwd=ROOT, check=True)
