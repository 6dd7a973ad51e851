"""Classification: images ranked in batches, and one that is refused told from its neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..channels.steps import Flow
from ..errors import InvalidInput, ServingError
from ..images import pillow
from ..images.batches import MOST_IMAGES, batches
from ..images.given import PreparedImage, prepare
from ..images.refused import decoded, pixel_limit, shrunk
from ..types import Classification
from .task import Named, Task
from .tensors import image_inputs, naming, read_classifications


class Classify(Task[Classification]):
    """Ranks the classes of images."""

    together = MOST_IMAGES

    def answer(self, images: Sequence[Named]) -> Flow[list[Classification | ServingError]]:
        """Classify images, in one request where they fit in one."""
        prepared: list[PreparedImage | ServingError] = []
        for name, image in images:
            try:
                prepared.append(shrunk(prepare(name, image)))
            except ServingError as error:
                prepared.append(error)
        answered: list[Classification | ServingError] = []
        for batch in batches(image for image in prepared if isinstance(image, PreparedImage)):
            answered += yield from self._answer_batch(batch)
        answers = iter(answered)
        return [image if isinstance(image, ServingError) else next(answers) for image in prepared]

    def _answer_batch(self, batch: list[PreparedImage]) -> Flow[list[Classification | ServingError]]:
        try:
            inputs = image_inputs("classify", batch)
            answer = yield from self.model.answer(*inputs, self.model.deadline(self.timeout))
            results = read_classifications(answer, len(batch))
        except InvalidInput as error:
            if len(batch) == 1:
                return [(yield from self._answer_otherwise(batch[0], error))]
        except ServingError as error:
            return [error] * len(batch)
        else:
            return [
                replace(result, sent_size=image.size()) if image.original_size else result
                for result, image in zip(results, batch, strict=True)
            ]
        answers: list[Classification | ServingError] = []  # one image fails its neighbours: find it
        for image in batch:
            answers += yield from self._answer_batch([image])
        return answers

    def _answer_otherwise(
        self, image: PreparedImage, error: InvalidInput
    ) -> Flow[Classification | ServingError]:
        """Send an image that was refused in pixels, or smaller, where that helps."""
        limit = pixel_limit(error.details)
        other = decoded(image, error.details) if limit is None else shrunk(image, limit)
        if other is None or other is image:
            needs = "; with Pillow the client shrinks it: pip install '.[images]' in the clone"
            return naming(error, image, needs if limit and not pillow.is_there() else "")
        (result,) = yield from self._answer_batch([other])
        return result
