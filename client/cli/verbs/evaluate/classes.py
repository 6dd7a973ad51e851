"""The classes of a model, and which of them a text of the truth means."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from .... import Client, InvalidInput, SignatureNotFound


class Classes:
    """Names by id, and identifiers by id where a file gives them.

    `find` looks for a name first, then for an identifier, then for a number. Raises InvalidInput for a name that
    several classes have.
    """

    def __init__(self, names: Sequence[str], identifiers: Sequence[str] = ()) -> None:
        self.names = tuple(names)
        self._named: dict[str, list[int]] = {}
        for id, name in enumerate(self.names):
            self._named.setdefault(name, []).append(id)
        self._identified = {identifier: id for id, identifier in enumerate(identifiers)}

    def __len__(self) -> int:
        return len(self.names)

    def find(self, text: str) -> int | None:
        """Give the id of the class that the text means, None where the model has none."""
        ids = self._named.get(text, [])
        if len(ids) > 1:
            numbers = " and ".join(map(str, ids))
            raise InvalidInput(f"the model has several classes called {text!r}: use their numbers, {numbers}")
        if ids:
            return ids[0]
        if text in self._identified:
            return self._identified[text]
        return int(text) if text.isdecimal() and int(text) < len(self.names) else None

    def name(self, id: int) -> str:
        """Name a class; one that the model does not have by its number."""
        return self.names[id] if id < len(self.names) else f"class {id}, which the model does not have"

    def like(self, text: str) -> str:
        """Suggest the class whose name is most like the text; empty where none is."""
        close = difflib.get_close_matches(text, self.names, 1, 0.7)
        close = close or [name for name in self.names if text.casefold() in name.casefold()][:1]
        return f" (is it {close[0]!r}?)" if close else ""


def ask_classes(client: Client, labels: Path | None) -> Classes:
    """Ask a model for the names of its classes; `labels` is a file `identifier<TAB>name` with their identifiers.

    Raises InvalidInput where the model does not say how many it has, or the file is of other classes.
    """
    signatures = client.metadata().signatures
    shapes = [
        signatures[signature].outputs[output].shape
        for signature, output in (("classify", "probabilities"), ("logits", "logits"))
        if signature in signatures and output in signatures[signature].outputs
    ]
    count = next((shape[-1] for shape in shapes if shape and shape[-1]), None)
    if count is None:
        raise InvalidInput("the model does not say how many classes it has: export it by slimserve")
    try:
        answer = client.predict({"class_ids": np.arange(count, dtype=np.int32)}, signature="labels")
        names = [bytes(name).decode(errors="replace") for name in answer["class_names"]]
    except SignatureNotFound:
        names = [f"class {id}" for id in range(count)]
    return Classes(names, _identifiers(labels, names) if labels else ())


def _identifiers(labels: Path, names: Sequence[str]) -> list[str]:
    try:
        lines = labels.read_text("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise InvalidInput(f"the labels file {labels} is not UTF-8 text") from error
    rows = [line.split("\t") for line in lines if line.strip()]
    if any(len(row) != 2 for row in rows):
        raise InvalidInput(f"the labels file {labels} must have identifier<TAB>name in each line")
    if [row[1].strip() for row in rows] != list(names):
        raise InvalidInput(
            f"the labels file {labels} names other classes than the model does: take assets/labels.tsv of its export"
        )
    return [row[0].strip() for row in rows]
