"""The daemon's state as metrics, taken on the event loop."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING

from teagent import __version__
from teagent.adapters.metrics import Figure
from teagent.model.link import NoData, Utilisation
from teagent.model.proposal import FINAL, ProposalState
from teagent.model.scorecard import ScoreKind
from teagent.model.witness import ProofState, WitnessKind

if TYPE_CHECKING:
    from teagent.daemon.app import App


def figures(app: App) -> Iterator[Figure]:
    """One figure for each row of adapters.metrics.METRICS that has a value now."""
    yield Figure("teagent_info", 1, (__version__,))
    yield Figure("teagent_dry_run", app.config.bgp.dry_run)
    yield Figure("teagent_frozen", app.freeze.frozen)
    yield from _links(app)
    yield from _routers(app)
    yield from _flows(app)
    yield from _as_graph(app)
    yield from _predictions(app)
    yield from _decisions(app)
    yield from _routes(app)
    yield from _proofs(app)
    yield from _advisor(app)
    for (job, outcome), count in app.jobs.counters.items():
        yield Figure("teagent_jobs_total", count, (job, outcome))
    for job, seconds in app.jobs.seconds.items():
        yield Figure("teagent_job_seconds", seconds, (job,))


def _advisor(app: App) -> Iterator[Figure]:
    if app.advising is None:
        return
    caller = app.advising.caller
    yield Figure("teagent_advisor_up", not caller.trouble)
    for outcome, count in caller.counters.items():
        if outcome != "store_failures":
            yield Figure("teagent_advisor_calls_total", count, (outcome,))
    for outcome in ("advised", "abstained"):
        yield Figure("teagent_advisor_proposals_total", app.advising.counters[outcome], (outcome,))
    yield Figure("teagent_advisor_calls_today", caller.day.calls)
    yield Figure("teagent_advisor_tokens_today", caller.day.prompt_tokens, ("prompt",))
    yield Figure("teagent_advisor_tokens_today", caller.day.tokens, ("answer",))
    yield Figure("teagent_advisor_seconds_today", caller.day.seconds)


def _links(app: App) -> Iterator[Figure]:
    for name, reading in app.observer.readings(app.clock.now()).items():
        yield Figure("teagent_link_capacity_bps", app.config.network.links[name].capacity_bps, (name,))
        yield Figure("teagent_link_no_data", isinstance(reading, NoData), (name,))
        if isinstance(reading, Utilisation):
            yield Figure("teagent_link_in_bps", reading.in_bps, (name,))
            yield Figure("teagent_link_out_bps", reading.out_bps, (name,))


def _routers(app: App) -> Iterator[Figure]:
    for health in app.observer.health():
        yield Figure("teagent_router_up", not health.reason and health.polls > 0, (health.router,))
        yield Figure("teagent_router_poll_seconds", health.seconds, (health.router,))
        yield Figure("teagent_router_poll_pdus", health.pdus, (health.router,))
    yield Figure("teagent_polls_total", app.observer.counters["polls"])
    yield Figure("teagent_poll_failures_total", app.observer.counters["poll_failures"])
    writers = (
        app.observer,
        app.ingest,
        app.decider,
        app.prover,
        app.predicting.evidence,
        app.predicting.scorecards,
        *(() if app.advising is None else (app.advising, app.advising.caller)),
    )
    yield Figure("teagent_store_failures_total", sum(writer.counters["store_failures"] for writer in writers))


def _flows(app: App) -> Iterator[Figure]:
    now = app.clock.now()
    for health in app.ingest.exporters():
        yield Figure("teagent_flow_datagrams_total", health.datagrams, (health.exporter,))
        yield Figure("teagent_flow_records_total", health.records, (health.exporter,))
        yield Figure("teagent_flow_lost_total", health.lost, (health.exporter,))
        if health.samples:
            yield Figure("teagent_flow_samples_lost_total", health.samples_lost, (health.exporter,))
            yield Figure("teagent_flow_samples_dropped_total", health.samples_dropped, (health.exporter,))
        yield Figure("teagent_flow_sequence_gaps_total", health.sequence_gaps, (health.exporter,))
        for reason, count in health.undecoded.items():
            yield Figure("teagent_flow_undecoded_total", count, (health.exporter, reason))
    yield from _exporters(app, now)
    for reason, count in app.intake.flows.dropped().items():
        yield Figure("teagent_flow_dropped_total", count, (reason,))
    matrix = app.ingest.latest(now)
    if isinstance(matrix, NoData):
        return
    yield Figure("teagent_matrix_sources", len(matrix.sources))
    yield Figure("teagent_matrix_age_seconds", (now - matrix.at).total_seconds())
    for link, coverage in matrix.coverage.items():
        if coverage is not None:
            yield Figure("teagent_link_flow_coverage", coverage, (link,))


def _exporters(app: App, now: datetime) -> Iterator[Figure]:
    doubts = app.ingest.exporter_doubts(now)
    for name, found in app.exporter_watch.figures().items():
        if found.heard:
            yield Figure("teagent_flow_exporter_silent_seconds", (now - found.heard_at).total_seconds(), (name,))
            yield Figure("teagent_flow_sampling_unknown", not found.sampling_known, (name,))
            yield Figure("teagent_flow_future_share", found.future_share, (name,))
        if found.template_at is not None:
            yield Figure("teagent_flow_template_age_seconds", (now - found.template_at).total_seconds(), (name,))
        for metric, value in (
            ("teagent_flow_lost_share", found.lost_share),
            ("teagent_flow_samples_missing_share", found.samples_missing_share),
            ("teagent_flow_undecoded_share", found.undecoded_share),
            ("teagent_flow_clock_skew_seconds", found.clock_skew_seconds),
            ("teagent_flow_active_timeout_seconds", found.active_timeout_seconds),
        ):
            if value is not None:
                yield Figure(metric, value, (name,))
        yield Figure("teagent_flow_exporter_doubts", len(doubts.get(name, ())), (name,))
    for link in app.config.network.links:
        yield Figure("teagent_link_counted_once", link in app.ingest.counted_once, (link,))
    if app.intake.origins is not None:
        yield Figure("teagent_origins_failures_total", app.intake.origins.counters["failures"])
        if app.intake.origins.table is not None:
            for family, count in app.intake.origins.table.prefixes.items():
                yield Figure("teagent_origins_prefixes", count, (f"ipv{family}",))


def _as_graph(app: App) -> Iterator[Figure]:
    graphs = app.predicting.predictor.as_graphs
    if graphs is None:
        return
    yield Figure("teagent_as_graph_failures_total", graphs.counters["failures"])
    if graphs.value is not None:
        yield Figure("teagent_as_graph_ases", len(graphs.value))


def _predictions(app: App) -> Iterator[Figure]:
    predicting = app.predicting
    yield Figure("teagent_observations_total", predicting.evidence.counters["observations"])
    yield Figure("teagent_bands_widening", predicting.predictor.widening)
    if predicting.predictor.model is not None:
        yield Figure("teagent_ingress_senders", len(predicting.predictor.model.asn))
    last = {card.kind: card for card in predicting.scorecards.last}
    for kind in ScoreKind:
        yield Figure("teagent_scores_total", predicting.scorecards.counters[kind.value], (kind.value,))
        if kind in last:
            yield Figure("teagent_prediction_top1", last[kind].top1, (kind.value,))
            yield Figure("teagent_prediction_misprojected", last[kind].misprojected, (kind.value,))


def _decisions(app: App) -> Iterator[Figure]:
    for decision in app.decider.last().values():
        for trigger in decision.triggers:
            yield Figure("teagent_policy_firing", trigger.firing, (decision.policy, trigger.link))
    states = Counter(proposal.state for proposal in app.book.live())
    for state in ProposalState:
        if state not in FINAL:
            yield Figure("teagent_proposals", states[state], (state.value,))
        yield Figure("teagent_proposal_transitions_total", app.book.counters[f"to_{state.value}"], (state.value,))
    yield Figure("teagent_proposals_stuck", states[ProposalState.STUCK])


def _proofs(app: App) -> Iterator[Figure]:
    if app.speaker is not None:
        for state in ProofState:
            yield Figure("teagent_proofs", app.prover.count(state), (state.value,))
        yield Figure("teagent_proofs_rejected_total", app.prover.counters[ProofState.REJECTED.value])
        yield Figure("teagent_stray_overrides", len(app.prover.stray()))
    for outcome, name in (("asked", "repeats"), ("failed", "repeat_failures")):
        yield Figure("teagent_repeats_total", app.prover.counters[name], (outcome,))
    for health in () if app.witness is None else app.witness.health():
        if health.kind is WitnessKind.IBGP:
            yield Figure("teagent_witness_session_up", health.connected, (health.router,))
            yield Figure("teagent_witness_session_messages_total", health.messages, (health.router,))
            yield Figure("teagent_witness_session_undecoded_total", health.undecoded, (health.router,))
    if app.bmp is None:
        return
    yield Figure("teagent_bmp_strangers_total", app.bmp.counters["strangers"])
    for health in app.bmp.health():
        yield Figure("teagent_bmp_up", health.connected, (health.router,))
        yield Figure("teagent_bmp_messages_total", health.messages, (health.router,))
        yield Figure("teagent_bmp_undecoded_total", health.undecoded, (health.router,))
        yield Figure("teagent_bmp_sessions", sum(bool(session.up) for session in health.sessions), (health.router,))


def _routes(app: App) -> Iterator[Figure]:
    if app.reconciler is None:
        return
    for action in ("put_back", "withdrawn", "failures"):
        yield Figure("teagent_reconciled_total", app.reconciler.counters[action], (action,))
    state = app.routes.state
    yield Figure("teagent_relay_up", not isinstance(state, NoData))
    if isinstance(state, NoData):
        return
    yield Figure("teagent_overrides", len(state.overrides))
    for neighbor in state.neighbors:
        yield Figure("teagent_bgp_session_up", neighbor.state == "up", (neighbor.address,))
