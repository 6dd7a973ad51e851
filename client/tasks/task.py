"""What is asked of images, one or many: an answer or an error for each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, TypeAlias, TypeVar

from ..channels.steps import Flow
from ..errors import ServingError
from ..images.given import Image
from ..limits import check_timeout
from ..types import StreamItem
from .model import Model

T = TypeVar("T")

MOST_VERSIONS = 3  # that an image may meet, in a roll-out and back

Named: TypeAlias = "tuple[str, Image]"
"""An image as it was given, and its name for messages."""


Placed: TypeAlias = "tuple[int, Named]"
"""With its place among the images, from 0."""


class Task(Generic[T]):
    """What is asked of images, and the seconds that each request may take; None for the client's own.

    Raises InvalidInput for what is no number of seconds.
    """

    together = 1
    """How many images a request can have."""

    def __init__(self, model: Model, timeout: float | None) -> None:
        if timeout is not None:
            check_timeout(timeout)
        self.model, self.timeout = model, timeout

    def answer(self, images: Sequence[Named]) -> Flow[list[T | ServingError]]:
        """Ask for these images, whose errors are theirs alone: for each in a request of its own."""
        outcomes: list[T | ServingError] = []
        for image in images:
            try:
                outcomes.append((yield from self.answer_one(image)))
            except ServingError as error:
                outcomes.append(error)
        return outcomes

    def answer_one(self, named: Named) -> Flow[T]:
        """Ask for one image."""
        raise NotImplementedError


def items_of(images: Sequence[Placed], outcomes: Sequence[T | ServingError]) -> list[StreamItem[T]]:
    """Put what became of images beside them."""
    return [
        StreamItem(index, image, outcome, None)
        if isinstance(outcome, ServingError)
        else StreamItem(index, image, None, outcome)
        for (index, (_, image)), outcome in zip(images, outcomes, strict=True)
    ]


def only(outcomes: Sequence[T | ServingError]) -> T:
    """Give the one answer. Raises the error where there is none."""
    (outcome,) = outcomes
    if isinstance(outcome, ServingError):
        raise outcome
    return outcome
