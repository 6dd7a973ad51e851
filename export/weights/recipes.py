"""The variables of a SavedModel: which there are, and how each is made of the checkpoint's tensors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import tensorflow as tf

from ..types import Array, Shape, Tensor

_AT_ONCE = 32 * 2**20  # bytes


@dataclass(frozen=True)
class Recipe:
    """How a value is made of the checkpoint's tensors."""

    shape: Shape  # of the value
    sources: tuple[str, ...]  # names of the tensors it is made of
    make: Callable[..., Array]  # takes their values in that order; `np.asarray` for a copy of the only source

    def then(self, change: Callable[[Array], Array], shape: Shape | None = None) -> Recipe:
        """Return the recipe that also applies `change`, which keeps the shape unless another is given."""
        shape = self.shape if shape is None else shape
        return Recipe(shape, self.sources, lambda *values: change(self.make(*values)))

    def combined(self, other: Recipe, combine: Callable[[Array, Array], Array]) -> Recipe:
        """Return the recipe of what `combine` makes, in this one's shape, of what both make."""
        count = len(self.sources)

        def make(*values: Array) -> Array:
            return combine(self.make(*values[:count]), other.make(*values[count:]))

        return Recipe(self.shape, self.sources + other.sources, make)


class Variables(Protocol):
    """Where layers get the values from that they work with."""

    def copy_of(self, tensor: str) -> Recipe:
        """Return the recipe of a tensor of the checkpoint as it is."""

    def get(self, name: str, recipe: Recipe, dtype: tf.DType = tf.float32) -> Tensor:
        """Return what `recipe` makes, of type `dtype`, known as `name`."""


class ModelVariables:
    """The variables that the layers of the current graph ask for, each once however many layers share it."""

    def __init__(self, shapes: Mapping[str, Shape]) -> None:
        """Make variables of checkpoint tensors of these shapes."""
        self.stored: dict[str, Recipe] = {}  # how to make those asked for so far, by name
        self.variables: dict[str, tf.Variable] = {}
        self._shapes = shapes

    def copy_of(self, tensor: str) -> Recipe:
        return Recipe(self._shapes[tensor], (tensor,), np.asarray)

    def get(self, name: str, recipe: Recipe, dtype: tf.DType = tf.float32) -> Tensor:
        if name not in self.variables:
            self.stored[name] = recipe
            self.variables[name] = tf.compat.v1.get_variable(
                name, recipe.shape, dtype, tf.zeros_initializer(), use_resource=True
            )
        return self.variables[name]


def copies(stored: Mapping[str, Recipe]) -> dict[str, str]:
    """Return the variables that are copies of a tensor, by its name, where nothing else is made of that tensor."""
    uses = Counter(source for recipe in stored.values() for source in recipe.sources)
    return {
        recipe.sources[0]: name
        for name, recipe in stored.items()
        if recipe.make is np.asarray and uses[recipe.sources[0]] == 1
    }


def make_variables(
    stored: Mapping[str, Recipe], tensors: Iterable[tuple[str, Array]]
) -> Iterator[tuple[str, Array]]:
    """Yield every variable by name as soon as all that it is made of has been read.

    Args:
        stored: how to make the variables, by name.
        tensors: of the checkpoint, in any order; each is let go once no variable waits for it.
    """
    waiting = dict(stored)
    held: dict[str, Array] = {}
    for tensor, value in tensors:
        held[tensor] = value
        del value
        for name in [name for name, recipe in waiting.items() if held.keys() >= set(recipe.sources)]:
            recipe = waiting.pop(name)
            yield name, recipe.make(*(held[source] for source in recipe.sources))
        needed = {source for recipe in waiting.values() for source in recipe.sources}
        for source in held.keys() - needed:
            del held[source]


def load_variables(
    variables: Mapping[str, tf.Variable],
    tensors: Iterable[tuple[str, Array]],
    session: tf.compat.v1.Session,
) -> None:
    """Give variables of the session's graph their values, by name; some 32 MB of small ones at once, for speed."""
    waiting: dict[str, Array] = {}

    def flush() -> None:
        initializers = [variables[name].initializer for name in waiting]
        feed = {op.inputs[1]: value for op, value in zip(initializers, waiting.values(), strict=True)}
        session.run(initializers, feed)
        waiting.clear()

    for name, value in tensors:
        waiting[name] = value
        del value
        if sum(array.nbytes for array in waiting.values()) >= _AT_ONCE:
            flush()
    flush()
