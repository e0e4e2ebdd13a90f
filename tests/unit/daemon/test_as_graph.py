"""A daemon with an AS graph: read beside its start, our links grafted on, handed over by a reload, shown in answers."""

from __future__ import annotations

import pytest

from teagent.config.load import load
from teagent.daemon.app import App
from teagent.daemon.figures import figures
from tests.integration.running import ENVIRONMENT, Site
from tests.unit.daemon.test_handlers import ask

pytestmark = pytest.mark.asyncio

KEY = "as_graph: {path: as-rel.txt, reload: 1h}"


@pytest.fixture
def place(place: Site) -> Site:
    # transit-a's neighbor is in it, transit-b's is not.
    (place.directory / "as-rel.txt").write_text("1|64501|-1\n1|7|-1\n")
    place.extra = KEY
    place.write()
    return place


async def shown(app: App) -> dict[str, object]:
    graph = (await ask(app, "status"))["as_graph"]
    assert isinstance(graph, dict)
    return graph | {"loaded_at": None}


async def until_read(app: App) -> None:
    while app.predicting.predictor.topology is None:
        await app.clock.sleep(0.005)


async def test_the_graph_is_read_beside_the_start_and_told_of(app: App, place: Site) -> None:
    await until_read(app)
    assert await shown(app) == {
        "path": str(place.directory / "as-rel.txt"),
        "loaded_at": None,
        "ases": 3,
        "unknown_neighbors": ["transit-b"],
        "problem": None,
    }
    assert {(f.name, f.value) for f in figures(app)} >= {("teagent_as_graph_ases", 3)}
    problems = (await ask(app, "check"))["problems"]
    assert isinstance(problems, list)
    assert "the neighbor of link transit-b is not in the AS graph" in str(problems)


async def test_our_links_count_as_configured(app: App) -> None:
    await until_read(app)
    assert app.predicting.predictor.topology is not None
    routes = app.predicting.predictor.topology.propagator.propagate([{"transit-a": 0, "transit-b": 0}])
    by_as = dict(zip(routes.graph.asn.tolist(), routes.ingress[0].tolist(), strict=True))
    assert routes.links_of(by_as[7]) == ("transit-a",)


async def test_a_reload_hands_the_graph_over_as_long_as_it_is_the_same_file(app: App, place: Site) -> None:
    await until_read(app)
    assert (
        App(load(place.config, environment=ENVIRONMENT), before=app).predicting.predictor.as_graphs
        is app.predicting.predictor.as_graphs
    )
    place.extra = KEY.replace("as-rel", "other")
    place.write()
    other = App(load(place.config, environment=ENVIRONMENT), before=app).predicting.predictor
    assert other.as_graphs is not app.predicting.predictor.as_graphs


async def test_a_graph_that_has_changed_is_read_again(app: App, place: Site) -> None:
    await until_read(app)
    (place.directory / "as-rel.txt").write_text("1|64501|-1\n1|64502|-1\n1|7|-1\n")
    await app.predicting.predictor.reload()
    assert (await shown(app))["unknown_neighbors"] == []


async def test_a_file_that_is_not_there_is_a_problem_and_keeps_no_daemon_from_starting(place: Site) -> None:
    (place.directory / "as-rel.txt").unlink()
    app = App(load(place.config, environment=ENVIRONMENT))
    await app.start()
    assert app.predicting.predictor.as_graphs is not None
    while not app.predicting.predictor.as_graphs.problem:
        await app.clock.sleep(0.005)
    assert (await shown(app))["ases"] is None
    assert "as-rel.txt cannot be read: no such file" in str((await ask(app, "check"))["problems"])
    await app.stop(reverting=False)


async def test_without_the_key_there_is_none(place: Site) -> None:
    place.extra = ""
    place.write()
    app = App(load(place.config, environment=ENVIRONMENT))
    await app.start()
    assert (await ask(app, "status"))["as_graph"] is None
    await app.stop(reverting=False)
