"""What Client and AsyncClient share: every operation, as a flow of calls that each of them drives in its own way."""

from __future__ import annotations

import os
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import grpc
import numpy as np
import numpy.typing as npt

from .answers import (
    read_class_names,
    read_classifications,
    read_label_map,
    read_label_png,
    read_receptive_field,
)
from .arguments import check_text, check_timeout
from .channels.calls import Caller, Flow
from .channels.connection import TLS, Compression, make_connection
from .errors import InvalidInput, ModelNotFound, ServingError, SignatureNotFound
from .images.batches import batches
from .images.given import Image, PreparedImage, list_images, prepare
from .models import ModelMetadata, VersionStatus
from .tiles.stitching import Labels, segment_tiles
from .tiles.tiling import Progress, Tiling, overlap_for, pixel_limit, suggest_tiles
from .types import Analysis, Classification, Segmentation, count_pixels
from .wire import messages
from .wire.encoding import TensorParts, tensor_of_array, tensor_of_images, tensor_of_strings
from .wire.messages import Answer, Servable

_TILES_PER_SERVER = 2  # one is on its way while another is computed


class BaseClient(ABC):
    """A model on a server, or on several replicas of it.

    `server` is `host:port` (port 8500 if left out), several in a list or with commas between, or a gRPC name such as
    `dns:///vgg:8500`, behind which every address is used in turn. The newest version answers unless `version` or
    `version_label` pins one. `timeout` is the deadline of each request in seconds, retries included; `connect_timeout`
    is how long calls try while no server has answered yet (once one has, they try until their deadline).
    `tls` is True (publicly trusted certificates), the file of a CA certificate, a `TLS`, or gRPC credentials. `token`
    is sent as a bearer token, over TLS or to this machine only. `compression` is "gzip" or "deflate", for requests.

    Raises InvalidInput for arguments that cannot be.
    """

    def __init__(
        self,
        server: str | Sequence[str] = "localhost:8500",
        *,
        model: str,
        version: int | None = None,
        version_label: str | None = None,
        timeout: float = 60.0,
        connect_timeout: float = 3.0,
        tls: bool | str | os.PathLike[str] | TLS | grpc.ChannelCredentials = False,
        token: str | None = None,
        compression: Compression | None = None,
    ) -> None:
        if not model:
            raise InvalidInput("the model has no name")
        check_text("the model", model)
        check_text("the version label", version_label or "")
        if version is not None and version_label is not None:
            raise InvalidInput("version and version_label exclude each other")
        if version is not None and not 0 <= version < 1 << 63:
            raise InvalidInput(f"there is no version {version}")
        self._timeout = check_timeout(timeout)
        self._connection = make_connection(server, tls, token, compression)
        self._servable = Servable(model, version, version_label)
        self._caller = Caller(self._connection, self._servable, check_timeout(connect_timeout))
        self._class_names: dict[int, dict[int, str]] = {}  # by version
        self._open()

    @abstractmethod
    def _open(self) -> None:
        """Set up what the calls are sent on."""

    def _wait_until_ready(self, timeout: float) -> Flow[None]:
        yield from self._caller.wait_until_ready(check_timeout(timeout))

    def _status(self, timeout: float | None) -> Flow[list[VersionStatus]]:
        request = messages.status_request(self._servable)
        return messages.status_response(
            (yield from self._caller.call(messages.GET_MODEL_STATUS, request, self._deadline(timeout)))
        )

    def _metadata(self, timeout: float | None) -> Flow[ModelMetadata]:
        request = messages.metadata_request(self._servable)
        return messages.metadata_response(
            (yield from self._caller.call(messages.GET_MODEL_METADATA, request, self._deadline(timeout)))
        )

    def _predict(
        self,
        inputs: Mapping[str, npt.ArrayLike],
        signature: str,
        outputs: Sequence[str],
        timeout: float | None,
    ) -> Flow[dict[str, npt.NDArray[Any]]]:
        for what, text in (("the signature", signature), *(("output", output) for output in outputs)):
            check_text(what, text)
        tensors = {}
        for name, array in inputs.items():
            check_text("input", name)
            try:
                tensors[name] = tensor_of_array(array)
            except (TypeError, ValueError) as error:  # ValueError: ragged lists, lone surrogates
                raise InvalidInput(f"input {name!r} is not a tensor: {error}") from error
            if tensors[name].shape[:1] == (0,):
                raise InvalidInput(f"input {name!r} is an empty batch: its shape is {tensors[name].shape}")
        return (yield from self._answer(signature, tensors, self._deadline(timeout), outputs)).outputs

    def _classify(
        self, images: Image | Iterable[Image], timeout: float | None
    ) -> Flow[Classification | list[Classification]]:
        listed, single = list_images(images)
        results = []
        for batch in batches(prepare(name, image) for name, image in listed):
            results += yield from self._classify_batch(batch, timeout)
        return results[0] if single else results

    def _classify_batch(
        self, batch: list[PreparedImage], timeout: float | None
    ) -> Flow[list[Classification]]:
        try:
            signature, inputs = _image_inputs("classify", batch)
            answer = yield from self._answer(signature, inputs, self._deadline(timeout))
        except InvalidInput as error:
            if len(batch) == 1:
                raise _named(error, batch[0]) from error
        else:
            return read_classifications(answer, len(batch))
        results = []  # one image fails its neighbours: find it, or answer the rest
        for image in batch:
            results += yield from self._classify_batch([image], timeout)
        return results

    def _receptive_field(self, timeout: float | None) -> Flow[int | None]:
        """Ask for a constant of the model; its network does not run, and the image is nothing but required."""
        image = {"images": tensor_of_array(np.zeros((1, 1, 1, 3), np.uint8))}
        try:
            answer = yield from self._answer("logits", image, self._deadline(timeout), ("receptive_field",))
        except (SignatureNotFound, InvalidInput):
            return None
        return read_receptive_field(answer)

    def _tiling(
        self,
        tile: int,
        overlap: int | None,
        at_once: int | None,
        progress: Progress | None,
        timeout: float | None,
    ) -> Flow[Tiling]:
        if overlap is None:
            overlap = overlap_for((yield from self._receptive_field(timeout)))
        return Tiling(tile, overlap, at_once or _TILES_PER_SERVER * len(self._connection.targets), progress)

    def _segment(
        self,
        images: Image | Iterable[Image],
        timeout: float | None,
        tile: int | None,
        overlap: int | None,
        at_once: int | None,
        progress: Progress | None,
    ) -> Flow[Segmentation | list[Segmentation]]:
        listed, single = list_images(images)
        results = []
        for name, given in listed:
            image, deadline = prepare(name, given), self._deadline(timeout)
            tiling: Tiling | None = None
            if tile is not None and max(image.size()) > tile:
                tiling = yield from self._tiling(tile, overlap, at_once, progress, timeout)
            try:
                if tiling:
                    label_map, version = yield from self._segment_tiles(image, tiling, timeout)
                    deadline = self._deadline(timeout)
                else:
                    label_map, version = yield from self._segment_whole(image, deadline)
            except InvalidInput as error:
                raise _named(error, image, (yield from self._advice(error.details, timeout))) from error
            results.append((yield from self._segmentation(label_map, image, version, deadline)))
        return results[0] if single else results

    def _advice(self, refusal: str, timeout: float | None) -> Flow[str]:
        """Say what helps an image that the model refused, if anything does."""
        limit = pixel_limit(refusal)
        if limit is None:
            return ""
        try:
            overlap = overlap_for((yield from self._receptive_field(timeout)))
        except ServingError:  # the refusal is what its caller has to hear
            return ""
        return suggest_tiles(limit, overlap)

    def _segment_whole(self, image: PreparedImage, deadline: float) -> Flow[tuple[Labels, int]]:
        answer = yield from self._answer(*_image_inputs("segment", [image]), deadline)
        label_map = read_label_png(answer) if image.pixels is None else _read_map(answer, image.pixels)
        return label_map, answer.version

    def _segment_tiles(
        self, image: PreparedImage, tiling: Tiling, timeout: float | None
    ) -> Flow[tuple[Labels, int]]:
        def ask(pixels: npt.NDArray[np.uint8], version: int) -> Flow[tuple[Labels, int]]:
            servable = Servable(self._servable.model, version) if version else self._servable
            inputs = {"images": tensor_of_images([pixels])}
            answer = yield from self._answer("segment", inputs, self._deadline(timeout), servable=servable)
            return _read_map(answer, pixels), answer.version

        return (yield from segment_tiles(image, tiling.cut(*image.size()), tiling, ask))

    def _analyze(
        self, images: Image | Iterable[Image], timeout: float | None
    ) -> Flow[Analysis | list[Analysis]]:
        listed, single = list_images(images)
        results = []
        for name, given in listed:
            image, deadline = prepare(name, given), self._deadline(timeout)
            pixels = image.to_pixels()
            try:
                answer = yield from self._answer("", {"images": tensor_of_images([pixels])}, deadline)
            except InvalidInput as error:
                raise _named(error, image) from error
            (classification,) = read_classifications(answer, 1)
            label_map = _read_map(answer, pixels)
            segmentation = yield from self._segmentation(label_map, image, answer.version, deadline)
            results.append(Analysis(classification, segmentation))
        return results[0] if single else results

    def _segmentation(
        self, label_map: npt.NDArray[Any], image: PreparedImage, version: int, deadline: float
    ) -> Flow[Segmentation]:
        ids = np.flatnonzero(count_pixels(label_map)).tolist()
        return Segmentation(label_map, (yield from self._names(ids, version, deadline)), version, image)

    def _names(self, ids: list[int], version: int, deadline: float) -> Flow[dict[int, str]]:
        """Name classes by the signature `labels` of the version that found them; a model may lack it."""
        known = self._class_names.setdefault(version, {})
        unknown = [id for id in ids if id not in known]
        if unknown:
            inputs = {"class_ids": tensor_of_array(np.array(unknown, np.int32))}
            servable = Servable(self._servable.model, version) if version else self._servable
            try:
                answer = yield from self._answer("labels", inputs, deadline, servable=servable)
                known.update(zip(unknown, read_class_names(answer, len(unknown)), strict=True))
            except (SignatureNotFound, InvalidInput):
                known.update((id, f"class {id}") for id in unknown)
            except ModelNotFound:  # unloaded since it answered: its names may be had another time
                return {id: known.get(id, f"class {id}") for id in ids}
        return {id: known[id] for id in ids}

    def _answer(
        self,
        signature: str,
        inputs: Mapping[str, TensorParts],
        deadline: float,
        outputs: Sequence[str] = (),
        servable: Servable | None = None,
    ) -> Flow[Answer]:
        request = messages.predict_request(servable or self._servable, signature, inputs, outputs)
        answer = yield from self._caller.call(
            messages.PREDICT, request, deadline, signature or "serving_default"
        )
        return messages.predict_response(answer)

    def _deadline(self, timeout: float | None) -> float:
        return time.monotonic() + (self._timeout if timeout is None else check_timeout(timeout))


def _image_inputs(task: str, batch: Sequence[PreparedImage]) -> tuple[str, dict[str, TensorParts]]:
    """Choose the signature of `task` for the batch: encoded bytes, or pixels."""
    pixels = [image.pixels for image in batch if image.pixels is not None]
    if pixels:
        return task, {"images": tensor_of_images(pixels)}
    encoded = [image.encoded for image in batch if image.encoded is not None]
    return f"{task}_bytes", {"image_bytes": tensor_of_strings(encoded)}


def _read_map(answer: Answer, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[Any]:
    return read_label_map(answer, pixels.shape[:2])


def _named(error: InvalidInput, image: PreparedImage, advice: str = "") -> InvalidInput:
    return InvalidInput(f"{image.name}: {error}{advice}", code=error.code, details=error.details)
