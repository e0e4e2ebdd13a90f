from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.running import Router, Site, free_port, site


@pytest.fixture
def place() -> Iterator[Site]:
    """A router that nobody answers for, and two links at it."""
    with site() as where:
        where.routers = [Router("edge1", "127.0.0.1", free_port())]
        where.links = [("transit-a", "edge1", "lo"), ("transit-b", "edge1", "lo1")]
        where.write()
        yield where
