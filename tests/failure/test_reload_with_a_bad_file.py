"""A bad file is reloaded while something is announced: the old configuration stays, and no router hears of it."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from teagent.config.load import load
from teagent.daemon.run import Process
from teagent.errors import ConfigError, TeagentError
from tests.integration.running import ENVIRONMENT, Router, Site, free_port, site

pytestmark = pytest.mark.asyncio

BAD = {
    "not YAML": ("version: 1", "version: [1"),
    "an unknown key": ("decide:", "decode:"),
    "a prefix that is none": ("198.51.100.0/24", "198.51.100.0/33"),
    "a prepend count where an ASN belongs": ("asn: 64510", "asn: 3 times"),
    "a link without its router": ("router: edge1, interface: eth0", "router: edge9, interface: eth0"),
}


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    routers = [Router(name="edge1", address="127.0.0.1", port=free_port())]
    links = [("transit-a", "edge1", "eth0"), ("transit-b", "edge1", "eth1")]
    with site(routers=routers, links=links) as where:
        where.bgp = "dry_run: false"
        where.write()
        yield where


async def running(place: Site) -> tuple[Process, object]:
    from teagent.daemon.app import build

    process = Process(place.config)
    app = build(place.config, on_reload=process._reload)
    await app.start()
    return process, app


@pytest.mark.parametrize("what", BAD)
async def test_the_old_configuration_stays_in_force(place: Site, what: str) -> None:
    process, app = await running(place)
    try:
        digest = app.config.digest
        allowed = app.config.bgp.allow_list.read_bytes()
        old, new = BAD[what]
        text = place.config.read_text(encoding="utf-8")
        assert old in text
        place.config.write_text(text.replace(old, new), encoding="utf-8")
        with pytest.raises(ConfigError):
            app.request_reload("kim")
        assert await process._exchange(app, "signal") is app
        assert app.config.digest == digest
        assert app.config.bgp.allow_list.read_bytes() == allowed
    finally:
        await app.stop(reverting=False)


async def test_a_file_that_vanished_is_a_bad_one(place: Site) -> None:
    process, app = await running(place)
    try:
        place.config.unlink()
        assert await process._exchange(app, "signal") is app
    finally:
        await app.stop(reverting=False)


@pytest.mark.skipif(os.getuid() != 0, reason="another user's allow-list takes root")
async def test_a_file_that_would_let_out_more_is_not_taken_until_the_operator_installs_it(place: Site) -> None:
    process, app = await running(place)
    try:
        place.bgp = "dry_run: false\n  max_prepend: 5\n  allow_list_owner: nobody"
        text = place.text().replace(f"  allow_list_owner: {place.allow_list_owner}\n", "", 1)
        place.config.write_text(text, encoding="utf-8")
        load(place.config, environment=ENVIRONMENT)
        with pytest.raises(TeagentError, match="only nobody may write it"):
            app.request_reload("kim")
        assert await process._exchange(app, "signal") is app
    finally:
        await app.stop(reverting=False)
