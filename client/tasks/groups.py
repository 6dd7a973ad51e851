"""Groups of classes: regions of several classes, such as three kinds of cats, become regions of one."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import InvalidInput, ServerError
from ..limits import brief, brief_path
from .tensors import did_you_mean

GivenGroups = Mapping[str, str] | str | os.PathLike[str]
"""The group of a class, by the class's name, or a file of lines name<TAB>group."""


def read_groups(given: GivenGroups) -> dict[str, str]:
    """Read the group of each class that has one, by name. Raises InvalidInput for a file that does not say it."""
    if isinstance(given, Mapping):
        for name, group in given.items():
            if not (isinstance(name, str) and isinstance(group, str) and name and group):
                raise InvalidInput(
                    f"groups give the group of each class, such as {{'tabby': 'cat'}}, not {brief({name: group})}"
                )
        return dict(given)
    if not isinstance(given, (str, os.PathLike)):
        raise InvalidInput(f"groups are a mapping of class to group, or a file of them, not {brief(given)}")
    try:
        with open(given, encoding="utf-8-sig") as file:
            lines = file.read().splitlines()
    except OSError as error:
        raise InvalidInput(f"the groups of {brief_path(given)} cannot be read: {error.strerror}") from error
    except ValueError as error:  # not UTF-8, or a name that no file can have
        raise InvalidInput(f"the groups of {brief_path(given)} cannot be read: {error!s:.200}") from error
    groups: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        where = f"{brief_path(given)}, line {number}"
        name, _, group = (part.strip() for part in line.partition("\t"))
        if not (name and group) or "\t" in group:
            raise InvalidInput(f"{where}: write the name of a class, a tab, and its group")
        if groups.setdefault(name, group) != group:
            raise InvalidInput(f"{where}: {brief(name)} is in the group {brief(groups[name])} already")
    if not groups:
        raise InvalidInput(
            f"{brief_path(given)} holds no groups: a line is the name of a class, a tab, and its group"
        )
    return groups


def check_groups(names: Sequence[str], groups: Mapping[str, str]) -> None:
    """Raise InvalidInput where no class is called as one that is put in a group; `names` are of all classes."""
    known = set(names)
    for name in groups:
        if name not in known:
            near = did_you_mean(name, names)
            raise InvalidInput(
                f"the model has no class named {brief(name)} to put in the group {brief(groups[name])}{near}"
            )


def merge(
    label_map: npt.NDArray[Any], names: Sequence[str], groups: Mapping[str, str]
) -> tuple[npt.NDArray[Any], list[str]]:
    """Give the classes of a group one label, the lowest id of them, and that the group's name.

    A class that is called as a group is belongs to it.

    Args:
        label_map: uint8 or uint16 [H,W].
        names: of all classes, by id.
        groups: by name of the class, as `check_groups` takes them.

    Returns:
        The label map, and the names of all classes by id.

    Raises:
        ServerError: a label has no name.
    """
    if label_map.max() >= len(names):
        raise ServerError(
            f"the label map holds class {label_map.max()}, and the answer names {len(names)} classes"
        )
    table, first = np.arange(len(names), dtype=label_map.dtype), dict[str, int]()
    renamed = [groups.get(name, name) for name in names]
    for id, group in enumerate(renamed):
        if group in groups.values():
            table[id] = first.setdefault(group, id)
    return table[label_map], renamed
