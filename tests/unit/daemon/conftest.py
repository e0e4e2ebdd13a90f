"""A daemon in this process: everything real, its one router gone."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from teagent.config.load import load
from teagent.daemon.app import App
from tests.integration.running import ENVIRONMENT, Router, Site, free_port, site


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A flow socket looks up five times a second whether it is to end: with every test it adds up."""
    monkeypatch.setattr("teagent.adapters.flow.intake_thread.STOP_WITHIN_SECONDS", 0.01)


@pytest.fixture
def place() -> Iterator[Site]:
    """Polls a port of loopback where nobody is, once a minute."""
    with site() as made:
        made.routers = [Router("edge1", "127.0.0.1", free_port())]
        made.links = [("transit-a", "edge1", "eth1"), ("transit-b", "edge1", "eth2")]
        made.poll = "{interval: 60s, timeout: 200ms, retries: 0, stale_after: 90s}"
        made.window = "60s"
        made.metrics_port = 0  # its server takes half a second to stop
        made.policy = made.policy.replace("for: 5s", "for: 60s").replace("for: 30s", "for: 180s")
        made.policy = made.policy.replace("window: 90s", "window: 10m")
        made.write()
        yield made


def inert(place: Site) -> App:
    return App(load(place.config, environment=ENVIRONMENT))


@pytest_asyncio.fixture
async def app(place: Site) -> AsyncIterator[App]:
    app = inert(place)
    await app.start()
    yield app
    await app.stop(reverting=False)
