"""A model on a server, or on several replicas of it, and what can be asked of any model, as flows of calls."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..channels.calls import Caller
from ..channels.steps import Flow, Metadata
from ..errors import InvalidInput, ModelNotFound, SignatureNotFound
from ..limits import brief, check_text, check_timeout
from ..wire import messages
from ..wire.encoding import TensorParts, tensor_of_array
from ..wire.messages import Answer, Servable
from .tensors import read_class_names, read_receptive_field

if TYPE_CHECKING:
    from ..wire.described import ModelMetadata, VersionStatus


class Model:
    """One servable behind a caller; `timeout` is the deadline in seconds of requests that do not bring their own.

    `names` are those of all classes that an answer brought last: another version's may differ.
    """

    def __init__(self, caller: Caller, timeout: float) -> None:
        self._caller = caller
        self._servable = caller.servable
        self._timeout = timeout
        self.names: list[str] = []
        self._class_names: dict[int, dict[int, str]] = {}  # by version

    def with_metadata(self, metadata: Metadata) -> Model:
        """Give the same model, whose requests bring this metadata too; names that are known stay known."""
        model = copy.copy(self)
        model._caller = self._caller._replace(own=metadata)
        return model

    def deadline(self, timeout: float | None) -> float:
        """Give the time of `time.monotonic()` until which a request that begins now may take."""
        return time.monotonic() + (self._timeout if timeout is None else check_timeout(timeout))

    def answer(
        self,
        signature: str,
        inputs: Mapping[str, TensorParts],
        deadline: float,
        outputs: Sequence[str] = (),
        version: int = 0,
    ) -> Flow[Answer]:
        """Call a signature, of `version` where that is not 0."""
        servable = Servable(self._servable.model, version) if version else self._servable
        request = messages.predict_request(servable, signature, inputs, outputs)
        reply = yield from self._caller.call(
            messages.PREDICT, request, deadline, signature or "serving_default", version
        )
        answer = messages.predict_response(reply.data)
        reply.replica.version = answer.version
        return answer

    def wait_until_ready(self, timeout: float, replicas: int | None) -> Flow[None]:
        """Ask for the model until all replicas have it, or so many."""
        from ..channels.readiness import wait_until_ready

        yield from wait_until_ready(self._caller, check_timeout(timeout), replicas)

    def status(self, timeout: float | None) -> Flow[list[VersionStatus]]:
        """Ask for the states of the model's versions."""
        from ..wire import described

        request = described.status_request(self._servable)
        reply = yield from self._caller.call(messages.GET_MODEL_STATUS, request, self.deadline(timeout))
        return described.status_response(reply.data)

    def metadata(self, timeout: float | None) -> Flow[ModelMetadata]:
        """Ask for the model's version and signatures."""
        from ..wire import described

        request = described.metadata_request(self._servable)
        reply = yield from self._caller.call(described.GET_MODEL_METADATA, request, self.deadline(timeout))
        return described.metadata_response(reply.data)

    def predict(
        self,
        inputs: Mapping[str, npt.ArrayLike],
        signature: str,
        outputs: Sequence[str],
        timeout: float | None,
    ) -> Flow[dict[str, npt.NDArray[Any]]]:
        """Call a signature with any arrays."""
        if not isinstance(inputs, Mapping):
            raise InvalidInput(
                f"the inputs are arrays by name, such as {{'images': array}}, not a {type(inputs).__name__}"
            )
        if isinstance(outputs, str):
            raise InvalidInput(f"outputs is a list of names, outputs=[{brief(outputs)}], not a text")
        if not isinstance(outputs, Iterable):
            raise InvalidInput(f"outputs is a list of names, not {brief(outputs)}")
        outputs = tuple(outputs)
        check_text("the signature", signature)
        for output in outputs:
            check_text("the name of an output", output)
        tensors = {}
        for name, array in inputs.items():
            check_text("the name of an input", name)
            try:
                tensors[name] = tensor_of_array(array)
            except Exception as error:  # another library's array may raise anything when it becomes numpy's
                raise InvalidInput(f"input {brief(name)} is not a tensor: {error}") from error
            if tensors[name].shape[:1] == (0,):
                raise InvalidInput(
                    f"input {brief(name)} is an empty batch: its shape is {tensors[name].shape}"
                )
        return (yield from self.answer(signature, tensors, self.deadline(timeout), outputs)).outputs

    def constant(self, signature: str, output: str, deadline: float, version: int = 0) -> Flow[Answer]:
        """Ask for a constant of the model; its network does not run, and the image is nothing but required."""
        image = {"images": tensor_of_array(np.zeros((1, 1, 1, 3), np.uint8))}
        return (yield from self.answer(signature, image, deadline, (output,), version))

    def receptive_field(self, timeout: float | None) -> Flow[int | None]:
        """Ask how many pixels a side decide a cell of a label map; None where the model lacks the signature."""
        try:
            answer = yield from self.constant("logits", "receptive_field", self.deadline(timeout))
        except (SignatureNotFound, InvalidInput):
            return None
        return read_receptive_field(answer)

    def class_names(self, ids: list[int], version: int, deadline: float) -> Flow[dict[int, str]]:
        """Name classes by the signature `labels` of the version that found them; a model may lack it."""
        known = self._class_names.setdefault(version, {})
        unknown = [id for id in ids if id not in known]
        if unknown:
            inputs = {"class_ids": tensor_of_array(np.array(unknown, np.int32))}
            try:
                answer = yield from self.answer("labels", inputs, deadline, version=version)
                known.update(zip(unknown, read_class_names(answer, len(unknown)), strict=True))
            except (SignatureNotFound, InvalidInput):
                known.update((id, f"class {id}") for id in unknown)
            except ModelNotFound:  # unloaded since it answered: its names may be had another time
                return {id: known.get(id, f"class {id}") for id in ids}
        return {id: known[id] for id in ids}
