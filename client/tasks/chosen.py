"""Label maps among the classes that a caller chooses: by id, or by names that a version of the model has ids for."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from ..channels.steps import Flow
from ..errors import InvalidInput, ModelNotFound, ServerError, SignatureNotFound
from ..limits import brief
from ..wire.encoding import TensorParts, tensor_of_array
from ..wire.messages import Answer
from .model import Model
from .task import MOST_VERSIONS
from .tensors import did_you_mean, read_names

Classes = Sequence[int | str]

_TOO_LARGE = "classes must be class ids"  # an export's words for an id that it does not have


class Chosen:
    """The classes that compete for the pixels, as `checked` gives them; None stands for all."""

    def __init__(self, model: Model, wanted: Sequence[int | str] | None) -> None:
        self._model = model
        self._wanted = wanted
        self._ids: npt.NDArray[np.int32] | None = None
        if self._wanted is not None and not any(isinstance(each, str) for each in self._wanted):
            self._ids = _ids(self._wanted, [])

    def answer(
        self, signature: str, inputs: Mapping[str, TensorParts], deadline: float, version: int = 0
    ) -> Flow[Answer]:
        """Call a signature that makes label maps.

        A name stands for what the version that answers calls so: where another version answered than the one whose
        names were known, the call is repeated with the ids of the one that did, to that one. Of two replicas in the
        middle of an update, the next answer would be the other's.
        """
        if self._wanted is None:
            return (yield from self._model.answer(signature, inputs, deadline, version=version))
        ids, asked_of = self._ids, version
        wanted_names = {each for each in self._wanted if isinstance(each, str)}
        if ids is None:
            names = list(self._model.names)
            if not wanted_names <= set(names):
                names, asked_of = yield from self._ask_for_names(deadline, version)
            ids = _ids(self._wanted, names)
        for _ in range(MOST_VERSIONS):
            chosen = {**inputs, "classes": tensor_of_array(ids)}
            try:
                answer = yield from self._model.answer(signature, chosen, deadline, version=asked_of)
            except ModelNotFound:
                if asked_of == version:
                    raise
                asked_of = version  # any: that one has gone since
                continue
            except InvalidInput as error:
                if not wanted_names or _TOO_LARGE not in error.details:
                    raise _older(error) from error
                names, asked_of = yield from self._ask_for_names(deadline, version)
                asked, ids = ids, _ids(self._wanted, names)
                if np.array_equal(asked, ids):  # one of them was given as a number
                    raise
                continue
            # Not read again: another thread may put the names of another version there.
            self._model.names[:] = names = read_names(answer) or []
            asked, ids, asked_of = ids, _ids(self._wanted, names), version or answer.version
            self._ids = ids
            if np.array_equal(asked, ids):
                return answer
        raise ServerError(
            "the classes were chosen by name, and each answer came from another version of the model"
        )

    def _ask_for_names(self, deadline: float, version: int) -> Flow[tuple[list[str], int]]:
        """Ask for the names of all classes, and give the version that calls them so."""
        try:
            answer = yield from self._model.constant("segment", "class_names", deadline, version)
        except (SignatureNotFound, InvalidInput) as error:
            raise _older(error) from error
        return read_names(answer) or [], version or answer.version


def checked(classes: Classes | None) -> list[int | str] | None:
    """Give ids and names as Python's; None for all classes. Raises InvalidInput for what cannot be classes."""
    if classes is None:
        return None
    if isinstance(classes, (str, bytes, bytearray)):  # of bytes each would be an id
        raise InvalidInput(f"classes must be a list of ids or names, not the text {brief(classes)}")
    try:
        wanted = [each if isinstance(each, (str, bool)) else operator.index(each) for each in classes]
    except TypeError as error:
        raise InvalidInput(f"classes must be a list of ids or names: {error}") from error
    if not wanted:
        raise InvalidInput("classes is empty: name one class or more, or leave it out for all")
    if any(isinstance(each, bool) for each in wanted):
        raise InvalidInput("classes is a mask of truth values: give the ids, numpy.flatnonzero(mask)")
    for each in wanted:
        if not isinstance(each, str) and not 0 <= each < 1 << 31:
            raise InvalidInput(f"classes: a class id is a number from 0, not {brief(each)}")
    return wanted


def _ids(wanted: Sequence[int | str], names: Sequence[str]) -> npt.NDArray[np.int32]:
    """Ids of the classes, of every one that has a name which several have. Raises InvalidInput for an unknown name."""
    by_name: dict[str, list[int]] = {}
    for id, name in enumerate(names):
        by_name.setdefault(name, []).append(id)
    ids: list[int] = []
    for each in wanted:
        if isinstance(each, str) and each not in by_name:
            raise InvalidInput(f"the model has no class named {brief(each)}{did_you_mean(each, by_name)}")
        ids += by_name[each] if isinstance(each, str) else [each]
    return np.array(ids, np.int32)


def _older(error: InvalidInput | SignatureNotFound) -> InvalidInput | SignatureNotFound:
    """Say in words that the model was exported before label maps took classes and gave names."""
    signs = ("input size does not match signature", "output tensor alias not found")
    if not isinstance(error, InvalidInput) or not any(sign in error.details for sign in signs):
        return error
    return InvalidInput(
        "this model takes no classes with segment: its export is older than that, export it anew",
        code=error.code,
        details=error.details,
    )
