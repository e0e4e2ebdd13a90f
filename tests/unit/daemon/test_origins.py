"""A daemon with a table of origins: read beside its start, handed over by a reload, shown in its answers."""

from __future__ import annotations

import asyncio

import pytest

from teagent.config.load import load
from teagent.daemon.app import App
from teagent.daemon.figures import figures
from tests.fakes import bmp as b
from tests.integration.running import ENVIRONMENT, Site, free_port
from tests.unit.daemon.test_handlers import ask

pytestmark = pytest.mark.asyncio


@pytest.fixture
def place(place: Site) -> Site:
    (place.directory / "origins.csv").write_text("prefix,asn\n192.0.2.0/24,64501\n2001:db8::/32,64502\n")
    place.window = "60s\n  origins: {path: origins.csv, reload: 1h}"
    place.write()
    return place


async def until_read(app: App) -> None:
    assert app.intake.origins is not None
    while app.intake.origins.table is None:
        await app.clock.sleep(0.005)


async def test_the_table_is_read_beside_the_start_and_told_of(app: App, place: Site) -> None:
    await until_read(app)
    origins = (await ask(app, "exporter.list"))["origins"]
    assert isinstance(origins, dict)
    assert origins | {"loaded_at": None} == {
        "path": str(place.directory / "origins.csv"),
        "loaded_at": None,
        "ipv4": 1,
        "ipv6": 1,
        "problem": None,
    }
    told = {(figure.name, figure.labels): figure.value for figure in figures(app)}
    assert told["teagent_origins_prefixes", ("ipv4",)] == 1
    app.ingest.drain()
    assert app.ingest._builder.origins is app.intake.origins.table  # type: ignore[union-attr]


async def test_a_reload_hands_the_table_over_as_long_as_it_is_the_same_file(app: App, place: Site) -> None:
    await until_read(app)
    same = App(load(place.config, environment=ENVIRONMENT), before=app)
    assert same.intake.origins is app.intake.origins
    place.window = "60s\n  origins: {path: other.csv}"
    place.write()
    other = App(load(place.config, environment=ENVIRONMENT), before=app)
    assert other.intake.origins is not app.intake.origins
    place.window = "60s"
    place.write()
    assert App(load(place.config, environment=ENVIRONMENT), before=app).intake.origins is None


async def test_a_file_that_is_not_there_keeps_no_daemon_from_starting(place: Site) -> None:
    (place.directory / "origins.csv").unlink()
    app = App(load(place.config, environment=ENVIRONMENT))
    await app.start()
    assert app.intake.origins is not None
    while not app.intake.origins.problem:
        await app.clock.sleep(0.005)
    origins = (await ask(app, "exporter.list"))["origins"]
    assert isinstance(origins, dict)
    assert origins["ipv4"] is None
    assert "no such file" in str(origins["problem"])
    await app.stop(reverting=False)


async def test_routers_tell_origins_by_bmp(place: Site) -> None:
    place.window = "60s\n  origins: {bmp: true}"
    place.extra = f'{place.extra}\nbmp: {{listen: "127.0.0.1:{free_port()}"}}'
    place.write()
    app = App(load(place.config, environment=ENVIRONMENT))
    await app.start()
    assert app.bmp is not None
    assert app.intake.origins is not None
    _, writer = await asyncio.open_connection("127.0.0.1", app.bmp.port)
    writer.write(
        b.peer_up("192.0.2.9") + b.monitoring(b.update(["10.0.0.0/8"], path=[64501]), "192.0.2.9", view="post_policy")
    )
    while not sum(row.messages for row in app.bmp.health()) >= 2:
        await app.clock.sleep(0.005)
    await app.intake.origins.reload()
    assert app.intake.origins.table is not None
    assert app.intake.origins.table.prefixes == {4: 1, 6: 0}
    kept = App(load(place.config, environment=ENVIRONMENT), before=app)
    assert kept.intake.origins is app.intake.origins
    writer.close()
    await app.stop(reverting=False)
