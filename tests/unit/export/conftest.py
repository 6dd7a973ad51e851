"""What tests of several files share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.unit.export.archive_host import Host, archive_host


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    """A server of an archive, which no proxy comes before."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with archive_host() as served:
        yield served
