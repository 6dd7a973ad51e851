"""What the calls of both faces take by name, for type checkers: nothing imports this when a program runs."""

from __future__ import annotations

from typing import Literal, TypedDict

from ..channels.connections.headers import GivenMetadata
from ..tasks.chosen import Classes
from ..tasks.groups import GivenGroups
from ..tasks.tiling import Progress


class CallOptions(TypedDict, total=False):
    """What every call takes; `Client.segment` explains it."""

    timeout: float | None
    metadata: GivenMetadata | None


class SegmentOptions(CallOptions, total=False):
    """What `segment` takes beside the images; `Client.segment` explains it."""

    tile: int | None
    overlap: int | None
    tiles_at_once: int | None
    progress: Progress | None
    classes: Classes | Literal["top"] | None
    groups: GivenGroups | None


class StreamOptions(CallOptions, total=False):
    """What `stream` takes beside the images and the task; `Client.stream` explains it."""

    concurrency: int | None
    ordered: bool


class SegmentStreamOptions(StreamOptions, total=False):
    """What `stream` takes for the task "segment"."""

    tile: int | None
    overlap: int | None
    classes: Classes | Literal["top"] | None
    groups: GivenGroups | None
