"""What may be wrong with a server that is there: it is slow, full, or answers with a status of any kind.

What may be wrong with the way to it stands in `link`. A model that has no such version needs no fault: withdraw it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import grpc

from ..errors import ServingError


@dataclass(frozen=True)
class Call:
    """A call as the server sees it.

    Attributes:
        method: "Predict", "GetModelMetadata", "GetModelStatus", or the last part of another method's name.
        model: the name of the model that is asked.
        version: the number that is asked for; None where the newest is, or a label.
        version_label: the label that is asked for, "" for none.
        signature: of a Predict call, "serving_default" where it names none.
        metadata: what travelled with it, such as {"authorization": "Bearer ..."}; the names are in lower case.
        wait: waits for so many seconds, or for an event; ends early where nobody waits for the answer any more.
    """

    method: str
    model: str
    version: int | None
    version_label: str
    signature: str
    metadata: Mapping[str, str | bytes]
    wait: Callable[[float | threading.Event], None] = field(repr=False, compare=False)


Fault: TypeAlias = Callable[[Call], None]
"""Called before a call is answered: it may wait, or raise a ServingError, whose code and text are then the status."""


@dataclass(frozen=True)
class Delay:
    """Answers late: after so many seconds, or when the test sets an event."""

    until: float | threading.Event

    def __call__(self, call: Call) -> None:
        """Wait."""
        call.wait(self.until)


@dataclass(frozen=True)
class Status:
    """Answers with a status, such as `Status(grpc.StatusCode.UNAVAILABLE, "starting")`."""

    code: grpc.StatusCode
    details: str = ""

    def __call__(self, call: Call) -> None:
        """Raise it."""
        raise ServingError(self.details, code=self.code)


class Full(Status):
    """Refuses at once, as TensorFlow Serving does when all its threads are busy: it has no queue."""

    def __init__(self) -> None:
        super().__init__(grpc.StatusCode.RESOURCE_EXHAUSTED, "Server Threadpool Exhausted")
