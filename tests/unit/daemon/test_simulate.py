"""What-ifs asked of a daemon, and the same offline on what it saved."""

from __future__ import annotations

import base64
from datetime import timedelta

import pytest

from teagent.adapters.snapshot_file import unpack
from teagent.daemon.app import App
from teagent.engine.choose.digest import snapshot_digest
from teagent.errors import NotFound, Refused
from teagent.model.bgp import parse_prefix
from teagent.model.traffic import Demand, Source, build_matrix
from tests.integration.running import Site
from tests.unit.daemon.test_handlers import ask

pytestmark = pytest.mark.asyncio

PREFIX = parse_prefix("198.51.100.0/24")
WISH = f"prepend {PREFIX} transit-a 3"


@pytest.fixture
def place(place: Site) -> Site:
    (place.directory / "as-rel.txt").write_text("64501|100|-1\n64502|100|-1\n64501|101|-1\n")
    place.extra = "as_graph: {path: as-rel.txt}"
    place.write()
    return place


@pytest.fixture
def measured(app: App) -> App:
    """Both links are idle to SNMP, whose agent is gone; flows are there."""
    now = app.clock.now()
    rows = [Demand(source=Source(asn=asn), prefix=PREFIX, link="transit-a", bps=8e6) for asn in (100, 101)]
    app.ingest._latest["window"] = build_matrix(rows, at=now - timedelta(seconds=1), seconds=60)  # type: ignore[index]
    return app


async def test_a_what_if_tells_senders_by_the_graph(measured: App) -> None:
    while measured.predicting.predictor.topology is None:
        await measured.clock.sleep(0.005)
    found = await ask(measured, "simulate.compute", changes=[WISH])
    assert found["changes"] == [
        {"action": "modify", "prefix": str(PREFIX), "link": "transit-a", "before_prepend": 0, "after_prepend": 3}
    ]
    dry_run = found["dry_run"]
    assert isinstance(dry_run, dict)
    assert [(row["link"], row["sources"]) for row in dry_run["cannot_move"]] == [("transit-a", 1)]
    assert measured.book.all() == []


async def test_a_saved_snapshot_has_all_of_it(measured: App) -> None:
    while measured.predicting.predictor.topology is None:
        await measured.clock.sleep(0.005)
    answer = await ask(measured, "snapshot.take")
    saved = unpack(base64.b64decode(str(answer["file"])), name="file")
    assert snapshot_digest(saved.snapshot) == answer["snapshot_digest"]
    assert saved.as_graph is not None
    assert 101 in saved.as_graph


@pytest.mark.parametrize(
    ("text", "kind"), [("home 192.0.2.0/24", NotFound), ("nonsense", Refused), (f"prepend {PREFIX} ix 1", NotFound)]
)
async def test_what_cannot_be_is_refused(measured: App, text: str, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        await ask(measured, "simulate.compute", changes=[text])


async def test_nothing_to_simulate_is_refused(measured: App) -> None:
    with pytest.raises(Refused, match="has no changes"):
        await ask(measured, "simulate.compute", changes=[])


async def test_without_flows_there_is_nothing_to_predict_from(app: App) -> None:
    with pytest.raises(Refused, match="there is no traffic matrix"):
        await ask(app, "simulate.compute", changes=[WISH])


async def test_what_is_proposed_waits_for_approval_in_the_name_of_who_asked(measured: App) -> None:
    policy = next(iter(measured.policies))
    with pytest.raises(Refused, match="telemetry_trusted"):  # the agent is gone
        await ask(measured, "simulate.compute", changes=[WISH], propose=policy)
    with pytest.raises(NotFound, match="there is no policy other"):
        await ask(measured, "simulate.compute", changes=[WISH], propose="other")
    assert measured.book.all() == []


async def test_while_frozen_nothing_is_proposed(measured: App) -> None:
    await ask(measured, "freeze", reason="a storm")
    with pytest.raises(Refused, match="frozen"):
        await ask(measured, "simulate.compute", changes=[WISH], propose=next(iter(measured.policies)))
    assert (await ask(measured, "simulate.compute", changes=[WISH]))["proposal"] is None


async def test_experiments_that_are_not_configured_are_refused(app: App) -> None:
    with pytest.raises(Refused, match="experiments are not configured"):
        await ask(app, "experiment.plan")


async def test_what_was_never_learned_is_not_believed(measured: App) -> None:
    measured.predicting.predictor.model = None
    with pytest.raises(Refused, match="nothing was learned yet"):
        await ask(measured, "ingress.show", asn=100)


async def test_without_scores_the_list_is_empty(app: App) -> None:
    found = await ask(app, "scorecard.list")
    assert (found["scorecards"], found["widening"]) == ([], 1.0)


async def test_with_the_graph_alone_there_is_a_belief_with_its_reasons(measured: App) -> None:
    while measured.predicting.predictor.model is None:
        await measured.clock.sleep(0.005)
    [found] = (await ask(measured, "ingress.show", asn=101))["senders"]  # type: ignore[misc]
    assert found["seen_on"] == "transit-a"
    assert any("in the AS graph transit-a is nearest" in reason for reason in found["why"])
