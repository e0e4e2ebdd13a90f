"""Every figure is one that the table of metrics knows, with its labels; what is not known is absent, not zero."""

from __future__ import annotations

from collections import defaultdict

import pytest

from teagent.adapters.metrics import METRICS
from teagent.config.load import load
from teagent.daemon.app import App
from teagent.daemon.figures import figures
from teagent.errors import SnmpTimeout
from teagent.model.proposal import ProposalState
from tests.fakes import sflow
from tests.fakes.netflow import netflow5, record5
from tests.fakes.proposals import example_proposal
from tests.integration.running import ENVIRONMENT, Site, send

pytestmark = pytest.mark.asyncio

KNOWN = {spec.name: spec for spec in METRICS}
Taken = dict[str, dict[tuple[str, ...], float]]


def taken(app: App) -> Taken:
    found: Taken = defaultdict(dict)
    for figure in figures(app):
        assert figure.name in KNOWN
        assert len(figure.labels) == len(KNOWN[figure.name].labels), figure
        assert figure.labels not in found[figure.name], figure
        found[figure.name][figure.labels] = figure.value
    return found


async def test_a_daemon_that_knows_nothing_yet_says_so(app: App) -> None:
    await app.observer.poll()
    found = taken(app)
    assert found["teagent_dry_run"] == {(): 1}
    assert found["teagent_link_no_data"] == {("transit-a",): 1, ("transit-b",): 1}
    assert found["teagent_router_up"] == {("edge1",): 0}
    assert found["teagent_poll_failures_total"][()] >= 1
    for absent in ("teagent_link_in_bps", "teagent_matrix_age_seconds", "teagent_relay_up", "teagent_overrides"):
        assert absent not in found


async def test_datagrams_are_counted_by_exporter_and_strangers_apart(app: App, place: Site) -> None:
    send(place.flows_port, [netflow5(record5(src=1, dst=2)), b"nonsense"])
    send(place.flows_port, [b"stranger"], source="127.0.0.9")
    while (
        sum(h.datagrams for h in app.intake.flows.exporters()) < 2 or not app.intake.flows.dropped()["unknown_exporter"]
    ):
        await app.clock.sleep(0.005)
    found = taken(app)
    assert found["teagent_flow_datagrams_total"] == {("127.0.0.1",): 2}
    assert found["teagent_flow_records_total"] == {("127.0.0.1",): 1}
    assert sum(found["teagent_flow_undecoded_total"].values()) == 1
    assert found["teagent_flow_dropped_total"]["unknown_exporter",] == 1
    assert app.intake.listener is not None
    assert app.intake.listener.last_unknown() == "127.0.0.9"


async def test_what_an_sflow_agent_dropped_is_counted(app: App, place: Site) -> None:
    frame = sflow.sampled_header(sflow.ethernet(sflow.ipv4("10.0.0.1", "198.51.100.1", sflow.udp(1, 2))))
    samples = [sflow.flow_sample(frame, sequence=n, drops=drops) for n, drops in ((1, 0), (2, 8))]
    send(place.flows_port, [sflow.datagram(*samples)])
    while not any(h.samples for h in app.intake.flows.exporters()):
        await app.clock.sleep(0.005)
    found = taken(app)
    assert found["teagent_flow_samples_dropped_total"] == {("127.0.0.1",): 8}
    assert found["teagent_flow_samples_lost_total"] == {("127.0.0.1",): 0}
    assert found["teagent_flow_samples_missing_share"] == {("127.0.0.1",): 0.8}
    assert found["teagent_flow_exporter_doubts"] == {("127.0.0.1",): 1}


async def test_proposals_are_counted_by_state(app: App) -> None:
    app.book._keep(example_proposal(state=ProposalState.STUCK))
    found = taken(app)
    assert found["teagent_proposals"]["stuck",] == found["teagent_proposals_stuck"][()] == 1
    assert found["teagent_proposals"]["pending",] == 0
    assert ("reverted",) not in found["teagent_proposals"]


async def test_live_a_relay_that_is_away_is_a_figure(place: Site) -> None:
    place.bgp = "dry_run: false"
    place.write()
    app = App(load(place.config, environment=ENVIRONMENT))
    await app.start()
    try:
        found = taken(app)
        assert found["teagent_relay_up"] == {(): 0}
        assert "teagent_overrides" not in found
    finally:
        await app.stop(reverting=False)


async def test_jobs_are_counted_by_outcome(app: App) -> None:
    while not app.jobs.counters["beat", "ok"]:
        await app.clock.sleep(0.005)
    found = taken(app)
    assert found["teagent_jobs_total"]["beat", "ok"] >= 1
    assert ("beat",) in found["teagent_job_seconds"]


async def test_figures_of_a_lost_router_are_absent_and_not_zero(app: App) -> None:
    app.observer._lost("edge1", SnmpTimeout("edge1 does not answer"))
    found = taken(app)
    assert "teagent_link_in_bps" not in found
    assert found["teagent_link_no_data"]["transit-a",] == 1


async def test_every_metric_that_needs_action_says_which() -> None:
    assert all(spec.action for spec in METRICS if spec.name.endswith(("failures_total", "stuck", "no_data")))


async def test_a_witness_session_that_is_down_is_told_apart_from_bmp(place: Site) -> None:
    place.config.write_text(
        place.config.read_text().replace("vendor: frr,", "vendor: frr, witness_session: {local_address: 127.0.0.9},")
    )
    app = App(load(place.config, environment=ENVIRONMENT))
    await app.start()
    found = taken(app)
    await app.stop(reverting=False)
    assert found["teagent_witness_session_up"] == {("edge1",): 0}
    assert found["teagent_witness_session_undecoded_total"] == {("edge1",): 0}
    assert "teagent_bmp_up" not in found
