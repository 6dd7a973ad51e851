"""A checkpoint in, a published version folder out."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from importlib import metadata
from pathlib import Path
from time import monotonic
from typing import Any

import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2

from export.agreement import REQUIRED, Agreement, compare_with_float
from export.calibration import PERCENTILE, Images, calibrate, find_images
from export.checkpoint import Checkpoint, open_checkpoint, verify
from export.errors import ExportError
from export.float_model import FloatModel
from export.graph_options import GraphOptions
from export.kernels import Obstacle, obstacle, runs_on
from export.labels import Labels, find_labels
from export.networks import Network
from export.parity import Parity, compare_with_slim
from export.publication import draft_version
from export.recognition import network_of
from export.savedmodel import build_saved_model, with_graph_of, write_saved_model
from export.warmup import write_warmup_requests

_ROOM = 16 * 2**20  # bytes beside the variables: graph, assets, warm-up requests
Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class Export:
    """A finished export.

    Attributes:
        path: the version folder.
        signatures: by name, as the model's MetaGraphDef has them.
        record: what assets.extra/export.json holds.
        parity: how it compares with tf-slim.
        agreement: of 8 bits with float32, where the precision is int8.
        warning: what the user should know, or None.
        bytes: size of the version folder.
        seconds: by step, in order.
    """

    path: Path
    signatures: dict[str, meta_graph_pb2.SignatureDef]
    record: dict[str, Any]
    parity: Parity
    agreement: Agreement | None
    warning: str | None
    bytes: int
    seconds: dict[str, float]


def export_checkpoint(
    checkpoint_path: str | Path,
    out: Path | None = None,
    *,
    network: Network | None = None,
    labels_file: str | Path | None = None,
    version: int | None = None,
    options: GraphOptions | None = None,
    calibrate_on: Path | None = None,
    required_agreement: float = REQUIRED,
    untested: bool = False,
    progress: Progress = lambda step, fraction: None,
) -> Export:
    """Write the checkpoint as a new version of the model in the folder `out`.

    Args:
        checkpoint_path: a slim checkpoint, see `export.checkpoint`.
        out: the model's folder; the version folder appears in it once it is complete and compared with tf-slim. None
            for models/<network>.
        network: the one whose variables the checkpoint holds unless given.
        labels_file: see `export.labels`.
        version: a number that is not taken, or None for the next one.
        options: of the graph; where this machine can't run --target x86, the target is portable unless `untested`.
        calibrate_on: a folder of images; only for int8, which needs it.
        required_agreement: of int8 with float32 on images held out, per cent of the label maps' pixels.
        untested: export even what this processor can't run.
        progress: called with the step's name and how much of it is done, 0 to 1.

    Raises:
        ExportError: anything that the user can mend; nothing is left in `out` then.
    """
    options, warning = _feasible(options or GraphOptions(), untested)
    images = find_images(calibrate_on) if calibrate_on else None
    clock = _Clock(progress)
    with ThreadPoolExecutor(1) as hashing, ExitStack() as stack:
        with clock.step("open the checkpoint"):
            checkpoint = stack.enter_context(
                open_checkpoint(
                    checkpoint_path, lambda done, total: progress("open the checkpoint", done / total)
                )
            )
            network = network_of(checkpoint, network)
            options = options.of(network)
            expected = network.expected_variables()
            verify(checkpoint, expected, network.name, network.scope)
            shapes = {name: checkpoint.tensors[name].shape for name in expected}
            classes = network.classes(shapes)
            labels = find_labels(labels_file, checkpoint_path, classes)
        ranges = agreement = None
        if images:
            with clock.step("calibrate"):
                # Refuses networks that 8 bits are not for, before the images take their time.
                build_saved_model(network, shapes, labels.names, options, defaultdict(lambda: 1.0))
                float_model = stack.enter_context(FloatModel(checkpoint, network, labels.names, options))
                ranges = calibrate(float_model, images.calibrating, partial(progress, "calibrate"))
        with clock.step("build the graph"):
            model = build_saved_model(network, shapes, labels.names, options, ranges)
        out = out or Path("models") / network.name
        with draft_version(out, version, model.bytes + _ROOM) as draft:
            sha256 = hashing.submit(checkpoint.sha256)
            with clock.step("write the variables"), _disk_errors(out):
                sources = {source for recipe in model.stored.values() for source in recipe.sources}
                size = sum(checkpoint.tensors[source].nbytes for source in sources)
                tensors = checkpoint.read_all(
                    sources, lambda done: progress("write the variables", done / size)
                )
                write_saved_model(draft.folder, model, tensors)
                _write_labels(draft.folder, labels)
                write_warmup_requests(draft.folder, network)
            with clock.step("compare with tf-slim"):
                compared = draft.folder
                if options.target == "x86" and warning:
                    emulated = build_saved_model(network, shapes, labels.names, options, emulated=True)
                    compared = stack.enter_context(with_graph_of(emulated, draft.folder))
                parity = compare_with_slim(compared, checkpoint, network, classes, options)
                parity.require()
            if images:
                with clock.step("compare with float32"):
                    agreement = compare_with_float(
                        draft.folder, float_model, images.held_out, partial(progress, "compare with float32")
                    )
                    agreement.require(required_agreement)
            with clock.step("publish"):
                record = _record(checkpoint, sha256.result(), network, labels, options, parity)
                record |= {"runs_on": runs_on(options), "warning": warning}
                if images:
                    record["calibration"] = _calibration_record(images, ranges, agreement)
                (draft.folder / "assets.extra" / "export.json").write_text(
                    json.dumps(record, indent=2) + "\n", "utf-8"
                )
                path = draft.publish()
    signatures = dict(model.proto.meta_graphs[0].signature_def)
    written = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    return Export(path, signatures, record, parity, agreement, warning, written, clock.seconds)


def _feasible(options: GraphOptions, untested: bool) -> tuple[GraphOptions, str | None]:
    """Options that can be exported on this machine, and a warning where it can't run them."""
    found = obstacle(options)
    if found is None:
        return options, None
    if options.precision == "int8":
        raise ExportError(
            f"{found.value}, and int8 is calibrated and compared by running it: export on a machine like the server's, "
            "or with --precision bfloat16"
        )
    if untested and found is Obstacle.PROCESSOR:
        return (
            options,
            f"{found.value}: exported untested, compared through ops that round in the same places",
        )
    warning = (
        f"{found.value}: exported for --target portable instead, which runs everywhere; for --target x86 export on a "
        "machine like the server's, or add --untested"
    )
    return replace(options, target="portable"), warning


class _Clock:
    """Seconds of each step."""

    def __init__(self, progress: Progress) -> None:
        self.seconds: dict[str, float] = {}
        self._progress = progress

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        start = monotonic()
        self._progress(name, 0.0)
        yield
        self._progress(name, 1.0)
        self.seconds[name] = monotonic() - start


@contextmanager
def _disk_errors(out: Path) -> Iterator[None]:
    """TensorFlow reports a full disk in its own exceptions."""
    try:
        yield
    except tf.errors.OpError as error:
        reason = error.message.rpartition(";")[2].strip() or error.message
        raise ExportError(f"cannot write to {out}: {reason}") from error


def _write_labels(folder: Path, labels: Labels) -> None:
    (folder / "assets").mkdir()
    (folder / "assets" / "labels.tsv").write_text(labels.to_tsv(), "utf-8")


def _calibration_record(
    images: Images, ranges: Mapping[str, float] | None, agreement: Agreement | None
) -> dict[str, Any]:
    return {
        "images": len(images.calibrating),
        "percentile": PERCENTILE,
        "ranges": ranges,
        "agreement": asdict(agreement) if agreement else None,
    }


def _record(
    checkpoint: Checkpoint,
    sha256: str,
    network: Network,
    labels: Labels,
    options: GraphOptions,
    parity: Parity,
) -> dict[str, Any]:
    versions = {name: metadata.version(name) for name in ("slimserve", "tensorflow", "tf-slim", "numpy")}
    return {
        "checkpoint": {
            "path": str(checkpoint.path),
            "format": checkpoint.format,
            "bytes": checkpoint.size,
            "sha256": sha256,
        },
        "network": network.name,
        "segments": network.segments,
        "classes": len(labels.names),
        "labels": labels.source,
        "options": asdict(options),
        "parity": asdict(parity),
        "versions": versions,
    }
