"""A checkpoint in, a published version folder out."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2

from .checkpoint.contents import Checkpoint, open_checkpoint, verify
from .checkpoint.recognition import network_of
from .errors import ExportError
from .kernels.choice import feasible
from .networks import Network
from .options import GraphOptions
from .record import export_record
from .savedmodel.publication import draft_version
from .savedmodel.warmup import write_warmup_requests
from .savedmodel.write import Model, build_saved_model, with_graph_of, write_saved_model
from .types import Progress, Shape, StepProgress
from .verify.agreement import REQUIRED, Agreement, compare_with_float
from .verify.calibration import PERCENTILE, FloatModel, Images, calibrate, find_images
from .verify.parity import Parity, compare_with_slim, pixels_compared
from .weights.labels import Labels, find_labels
from .weights.quantization import Statistics

_ROOM = 16 * 2**20  # bytes beside the variables: graph, assets, warm-up requests
_MOST_PIXELS = 2**31 - 1  # tensors of the graph are indexed by int32


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
    published: Callable[[Path], None] = lambda path: None,
) -> Export:
    """Write the checkpoint as a new version of the model in the folder `out`.

    Args:
        checkpoint_path: a slim checkpoint, see `export.checkpoint.contents`.
        out: the model's folder; the version folder appears in it once it is complete and compared with tf-slim. None
            for models/<network>.
        network: the one whose variables the checkpoint holds unless given.
        labels_file: see `export.weights.labels`.
        version: a number that is not taken, or None for the next one.
        options: of the graph; where this machine can't run --target x86, the target is portable unless `untested`.
        calibrate_on: a folder of images; only for int8, which needs it.
        required_agreement: of int8 with float32 on images held out, per cent of the label maps' pixels.
        untested: export even what this processor can't run.
        progress: called with the step's name and how much of it is done, 0 to 1.
        published: called with the version folder once it is there, whatever happens then.

    Raises:
        ExportError: anything that the user can mend; nothing is left in `out` then.
    """
    options, warning = feasible(options or GraphOptions(), untested)
    images = find_images(calibrate_on) if calibrate_on else None
    clock = _Clock(progress)
    with ThreadPoolExecutor(1) as hashing, ExitStack() as stack:
        with clock.step("open the checkpoint") as step:
            checkpoint = stack.enter_context(
                open_checkpoint(checkpoint_path, lambda done, total: step(done / total))
            )
            source = _Source.of(checkpoint, network, labels_file, options)
        sha256 = hashing.submit(checkpoint.sha256)
        calibration = agreement = None
        if images:
            with clock.step("calibrate") as step:
                calibration = _calibrated(source, images, stack, step)
        with clock.step("build the graph"):
            model = source.model(calibration.statistics if calibration else None)
        out = out or Path("models") / source.network.name
        with draft_version(out, version, model.bytes + _ROOM) as draft:
            with clock.step("write the variables") as step, _disk_errors(out):
                _write(draft.folder, source, model, step)
            with clock.step("compare with tf-slim"):
                untested = options.target == "x86" and warning is not None
                parity = _compared_with_slim(draft.folder, source, untested=untested)
            if calibration:
                with clock.step("compare with float32") as step:
                    agreement = calibration.compare(draft.folder, step)
                    agreement.require(required_agreement)
            with clock.step("publish"):
                record = export_record(
                    checkpoint,
                    sha256.result(),
                    source.network,
                    source.labels,
                    source.options,
                    parity,
                    warning,
                )
                if calibration and agreement:
                    record["calibration"] = calibration.record(agreement)
                (draft.folder / "assets.extra" / "export.json").write_text(
                    json.dumps(record, indent=2) + "\n", "utf-8"
                )
                path = draft.publish(published)
    signatures = dict(model.proto.meta_graphs[0].signature_def)
    written = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    return Export(path, signatures, record, parity, agreement, warning, written, clock.seconds)


@dataclass(frozen=True)
class _Source:
    """What is exported.

    Attributes:
        checkpoint: open.
        network: whose variables it holds.
        labels: names of its classes.
        options: the network's own.
        shapes: of the network's variables in the checkpoint, by name.
    """

    checkpoint: Checkpoint
    network: Network
    labels: Labels
    options: GraphOptions
    shapes: Mapping[str, Shape]

    @classmethod
    def of(
        cls,
        checkpoint: Checkpoint,
        network: Network | None,
        labels_file: str | Path | None,
        options: GraphOptions,
    ) -> _Source:
        """Check every variable of the network; it is recognised unless given."""
        network = network_of(checkpoint, network)
        options = options.of(network)
        _check_limit(options.max_pixels, network)
        expected = network.expected_variables()
        verify(checkpoint, expected, network.name, network.scope)
        shapes = {name: checkpoint.tensors[name].shape for name in expected}
        labels = find_labels(labels_file, (checkpoint.path, checkpoint.file), network.classes(shapes))
        return cls(checkpoint, network, labels, options, shapes)

    def model(self, statistics: Mapping[str, Statistics] | None = None, *, emulated: bool = False) -> Model:
        """Build the graph; see `build_saved_model`."""
        return build_saved_model(
            self.network, self.shapes, self.labels.names, self.options, statistics, emulated=emulated
        )


def _check_limit(max_pixels: int, network: Network) -> None:
    least = pixels_compared(network)
    if not least <= max_pixels <= _MOST_PIXELS:
        raise ExportError(
            f"--max-pixels must lie between {least}, as {network.name} is compared with tf-slim on images of that "
            f"size, and {_MOST_PIXELS}"
        )


@dataclass(frozen=True)
class _Calibration:
    """What 8 bits are made with and held against.

    Attributes:
        images: that it was made with, and others.
        model: the float32 network.
        statistics: of the convolutions, by scope.
    """

    images: Images
    model: FloatModel
    statistics: Mapping[str, Statistics]

    def compare(self, folder: Path, progress: StepProgress) -> Agreement:
        """Compare the SavedModel with float32 on the images held out."""
        return compare_with_float(folder, self.model, self.images.held_out, progress)

    def record(self, agreement: Agreement) -> dict[str, Any]:
        """What the record says of it."""
        return {
            "images": len(self.images.calibrating),
            "percentile": PERCENTILE,
            "ranges": {scope: known.range for scope, known in self.statistics.items()},
            "agreement": asdict(agreement),
        }


def _calibrated(source: _Source, images: Images, stack: ExitStack, progress: StepProgress) -> _Calibration:
    # Refuses networks that 8 bits are not for, before the images take their time.
    source.model(defaultdict(lambda: Statistics(1.0, np.zeros(1))))
    model = stack.enter_context(
        FloatModel(source.checkpoint, source.network, source.labels.names, source.options)
    )
    return _Calibration(images, model, calibrate(model, images.calibrating, progress))


def _write(folder: Path, source: _Source, model: Model, progress: StepProgress) -> None:
    """Write all of the version but its record."""
    write_saved_model(folder, model, source.checkpoint, progress)
    (folder / "assets").mkdir()
    (folder / "assets" / "labels.tsv").write_text(source.labels.to_tsv(), "utf-8")
    write_warmup_requests(folder, source.network)


def _compared_with_slim(folder: Path, source: _Source, *, untested: bool) -> Parity:
    """Compare the SavedModel with tf-slim; one that can't be run here through ops that can."""
    with ExitStack() as stack:
        if untested:
            folder = stack.enter_context(with_graph_of(source.model(emulated=True), folder))
        classes = len(source.labels.names)
        parity = compare_with_slim(folder, source.checkpoint, source.network, classes, source.options)
    parity.require()
    return parity


class _Clock:
    """Seconds of each step."""

    def __init__(self, progress: Progress) -> None:
        self.seconds: dict[str, float] = {}
        self._progress = progress

    @contextmanager
    def step(self, name: str) -> Iterator[StepProgress]:
        """Time what is done inside; yield what to call with the fraction of it that is done."""
        start = monotonic()
        done = partial(self._progress, name)
        done(0.0)
        yield done
        done(1.0)
        self.seconds[name] = monotonic() - start


@contextmanager
def _disk_errors(out: Path) -> Iterator[None]:
    """TensorFlow reports a full disk in its own exceptions."""
    try:
        yield
    except tf.errors.OpError as error:
        reason = error.message.rpartition(";")[2].strip() or error.message
        raise ExportError(f"cannot write to {out}: {reason}") from error
