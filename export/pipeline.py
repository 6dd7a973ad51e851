"""A checkpoint in, a published version folder out: read, choose, build, write, verify, publish."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any

import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2

from .checkpoint.contents import open_checkpoint
from .checkpoint.statistics import statistics_warnings
from .errors import ExportError
from .graph.kernels.choice import feasible
from .graph.kernels.int8 import require_layers_in_8_bits
from .plan.options import Request
from .plan.plan import Plan
from .record import calibration_record, export_record, file_sizes
from .savedmodel.publication import draft_version, require_place
from .savedmodel.session_overrides import write_session_overrides
from .savedmodel.warmup import write_warmup_requests
from .savedmodel.write import Model, build_saved_model, with_graph_of, write_saved_model
from .types import Progress, StepProgress
from .verify.agreement import Agreement, compare_with_float
from .verify.calibration import FloatModel, calibrate, find_images
from .verify.folder import images_in, label_maps_among
from .verify.parity import Parity, compare_with_reference
from .verify.photos import Photos, compare_on_photos
from .weights.recipes import ModelVariables

_ROOM = 16 * 2**20  # bytes beside the variables: graph, assets, warm-up requests
_MOST_PIXELS = 2**31 - 1  # tensors of the graph are indexed by int32


@dataclass(frozen=True)
class Export:
    """A finished export.

    Attributes:
        path: the version folder.
        signatures: by name, as the model's MetaGraphDef has them.
        record: what assets.extra/export.json holds.
        parity: how it compares with its reference.
        agreement: of 8 bits with float32, where the precision is int8.
        photos: how it compares on the user's own images, where some were given.
        warnings: what the user should know.
        bytes: size of the version folder.
        seconds: by step, in order.
    """

    path: Path
    signatures: dict[str, meta_graph_pb2.SignatureDef]
    record: dict[str, Any]
    parity: Parity
    agreement: Agreement | None
    photos: Photos | None
    warnings: tuple[str, ...]
    bytes: int
    seconds: dict[str, float]


def export_checkpoint(
    request: Request,
    progress: Progress = lambda step, fraction: None,
    published: Callable[[Path], None] = lambda path: None,
) -> Export:
    """Write the checkpoint as a new version of a model.

    The version folder appears once it is complete and compared with its reference, in 8 bits with float32 too.

    Args:
        request: what is asked for.
        progress: called with the step's name and how much of it is done, 0 to 1.
        published: called with the version folder once it is there, whatever happens then.

    Raises:
        ExportError: anything that the user can mend; nothing is left in the model's folder then.
    """
    options, warning = feasible(request.graph, request.untested)
    images = find_images(request.calibrate) if request.calibrate else None
    photos = images_in(request.verify, "--verify", 1, "like those to be served") if request.verify else None
    clock = _Clock(progress)
    with ThreadPoolExecutor(1) as hashing, ExitStack() as stack:
        with clock.step("open the checkpoint") as step:
            checkpoint = stack.enter_context(
                open_checkpoint(request.checkpoint, lambda done, total: step(done / total))
            )
            plan = Plan.of(
                checkpoint, options, request.network, request.labels, request.scope, request.weights
            )
            _check_limits(plan)
            out = request.out or Path("models") / plan.network.name
            require_place(out, request.version)
        sha256 = hashing.submit(checkpoint.sha256)
        statistics = float_model = agreement = verified = None
        if images:
            with clock.step("calibrate") as step:
                require_layers_in_8_bits(plan.network, ModelVariables(plan.shapes), plan.options)
                float_model = stack.enter_context(FloatModel(plan))
                statistics = calibrate(float_model, images.calibrating, step)
        with clock.step("build the graph"):
            model = build_saved_model(plan, statistics)
        with draft_version(out, request.version, model.bytes + _ROOM) as draft:
            with clock.step("write the variables") as step, _disk_errors(out):
                _write(draft.folder, plan, model, step)
            with _runnable(draft.folder, plan, options.target == "x86" and warning is not None) as folder:
                with clock.step("compare with the reference"):
                    parity = compare_with_reference(folder, plan)
                    parity.require(options.precision)
                if photos:
                    with clock.step("compare on your images") as step:
                        verified = compare_on_photos(folder, plan, photos[0], step)
                        verified.require(options.precision, request.accept_agreement)
            if images and float_model:
                with clock.step("compare with float32") as step:
                    agreement = compare_with_float(draft.folder, float_model, images.held_out, step)
                    agreement.require(request.accept_agreement)
            with clock.step("publish"):
                warnings = (*([warning] if warning else []), *plan.warnings, *parity.warnings())
                if images:
                    warnings += tuple(label_maps_among(images.all, "--calibrate"))
                if photos:
                    warnings += tuple(label_maps_among(photos[0], "--verify"))
                if verified:
                    warnings += tuple(verified.warnings(options.precision))
                warnings += statistics_warnings(plan.checkpoint)
                if agreement:
                    warnings += tuple(agreement.warnings(request.accept_agreement))
                record = export_record(plan, sha256.result(), parity, warnings)
                if images and statistics and agreement:
                    record["calibration"] = calibration_record(images, statistics, agreement)
                if verified and photos:
                    record["verified_on"] = {"files_left_out": photos[1]} | verified.record()
                _write_record(draft.folder, record, model)
                path = draft.publish(published)
    signatures = dict(model.proto.meta_graphs[0].signature_def)
    written = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    return Export(path, signatures, record, parity, agreement, verified, warnings, written, clock.seconds)


def _check_limits(plan: Plan) -> None:
    options = plan.options
    # Without padding the network takes no image that is smaller than its crop.
    least = plan.network.least_side**2 if options.geometry == "valid" else 1
    if not least <= options.max_pixels <= _MOST_PIXELS:
        raise ExportError(f"--max-pixels must lie between {least} and {_MOST_PIXELS}")
    if options.max_images > _MOST_PIXELS:
        raise ExportError(f"--max-images must be {_MOST_PIXELS} at most")
    largest = max(options.max_pixels, options.crop**2)
    if options.max_request_pixels < largest:
        of = "--max-pixels" if largest == options.max_pixels else "--crop"
        raise ExportError(
            f"--max-request-pixels must be {largest} or more, as one image may have so many ({of})"
        )


def _write(folder: Path, plan: Plan, model: Model, progress: StepProgress) -> None:
    """Write all of the version but its record."""
    write_saved_model(folder, model, plan.checkpoint, progress)
    (folder / "assets").mkdir()
    (folder / "assets" / "labels.tsv").write_text(plan.labels.to_tsv(), "utf-8")
    if plan.labels.colours:
        (folder / "assets" / "colours.tsv").write_text(plan.labels.colours_to_tsv(), "utf-8")
    write_warmup_requests(folder, plan.network, plan.options.max_pixels)
    if plan.options.target == "x86":
        write_session_overrides(folder)


def _write_record(folder: Path, record: dict[str, Any], model: Model) -> None:
    """Write the record, last of all files, with the sizes of all others."""
    record |= {"files": file_sizes(folder), "memory_bytes": model.memory_bytes}
    (folder / "assets.extra" / "export.json").write_text(json.dumps(record, indent=2) + "\n", "utf-8")


def _runnable(folder: Path, plan: Plan, untested: bool) -> AbstractContextManager[Path]:
    """The SavedModel; of one that can't be run here, the same variables under ops that round as its own do."""
    if untested:
        return with_graph_of(build_saved_model(plan, emulated=True), folder)
    return nullcontext(folder)


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
