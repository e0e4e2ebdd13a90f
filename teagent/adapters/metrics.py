"""Prometheus metrics: one table that says what there is, and a server that shows the last figures taken.

Figures are taken on the event loop and handed over as a whole, so that a scrape, which runs in a thread of its own,
never reads state that is changing.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from teagent.errors import TeagentError


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricSpec:
    """`kind` is gauge or counter; `action` says what an operator does about a bad value."""

    name: str
    kind: str
    labels: tuple[str, ...]
    meaning: str
    action: str = ""


@dataclass(frozen=True, slots=True)
class Figure:
    name: str
    value: float
    labels: tuple[str, ...] = ()


def _gauge(name: str, labels: str, meaning: str, action: str = "") -> MetricSpec:
    return MetricSpec(name=name, kind="gauge", labels=tuple(labels.split()), meaning=meaning, action=action)


def _counter(name: str, labels: str, meaning: str, action: str = "") -> MetricSpec:
    return MetricSpec(name=name, kind="counter", labels=tuple(labels.split()), meaning=meaning, action=action)


_DOUBTS = "teagent exporter; docs/reference/flows.md"

METRICS: tuple[MetricSpec, ...] = (
    _gauge("teagent_info", "version", "1, labelled with the version that runs"),
    _gauge("teagent_dry_run", "", "1 while bgp.dry_run keeps everything off the wire", "docs/how-to/go-live.md"),
    _gauge("teagent_frozen", "", "1 while frozen", "teagent status says by whom and why; teagent thaw ends it"),
    _gauge("teagent_link_in_bps", "link", "load towards us; absent while there is no data"),
    _gauge("teagent_link_out_bps", "link", "load from us; absent while there is no data"),
    _gauge("teagent_link_capacity_bps", "link", "capacity from the configuration"),
    _gauge("teagent_link_no_data", "link", "1 while the link has no reading", "teagent router; teagent link NAME"),
    _gauge(
        "teagent_link_flow_coverage",
        "link",
        "flow bytes / interface bytes in the last window; near 1",
        "teagent matrix",
    ),
    _gauge("teagent_router_up", "router", "1 while polling the router gives data", "teagent router"),
    _gauge("teagent_router_poll_seconds", "router", "how long the last poll took"),
    _gauge("teagent_router_poll_pdus", "router", "requests that the last poll took"),
    _counter("teagent_polls_total", "", "polls of a router"),
    _counter("teagent_poll_failures_total", "", "polls that gave no data", "teagent router"),
    _counter("teagent_flow_datagrams_total", "exporter", "datagrams taken"),
    _counter("teagent_flow_records_total", "exporter", "records decoded"),
    _counter(
        "teagent_flow_lost_total",
        "exporter",
        "records or datagrams missing by sequence number",
        "the way from the exporter",
    ),
    _counter("teagent_flow_undecoded_total", "exporter reason", "what could not be decoded", "teagent exporter"),
    _counter(
        "teagent_flow_dropped_total",
        "reason",
        "datagrams dropped before decoding, by reason",
        "docs/reference/flows.md",
    ),
    _counter("teagent_flow_sequence_gaps_total", "exporter", "times that something was missing by sequence number"),
    _gauge("teagent_flow_lost_share", "exporter", "share lost on the way, over the last few minutes", _DOUBTS),
    _counter(
        "teagent_flow_samples_lost_total", "exporter", "sFlow samples missing by their own sequence numbers", _DOUBTS
    ),
    _counter("teagent_flow_samples_dropped_total", "exporter", "sFlow samples that the agent says it dropped", _DOUBTS),
    _gauge(
        "teagent_flow_samples_missing_share", "exporter", "share of sFlow samples dropped or lost, as above", _DOUBTS
    ),
    _gauge("teagent_flow_undecoded_share", "exporter", "share not decoded, over the last few minutes", _DOUBTS),
    _gauge("teagent_flow_exporter_silent_seconds", "exporter", "since its last datagram; absent before one", _DOUBTS),
    _gauge("teagent_flow_template_age_seconds", "exporter", "since its last template; absent without any", _DOUBTS),
    _gauge("teagent_flow_clock_skew_seconds", "exporter", "its clock less ours", _DOUBTS),
    _gauge("teagent_flow_active_timeout_seconds", "exporter", "how much time its records sum up", _DOUBTS),
    _gauge("teagent_flow_future_share", "exporter", "share of records that end in the future", _DOUBTS),
    _gauge("teagent_flow_sampling_unknown", "exporter", "1 while it does not say its sampling rate", _DOUBTS),
    _gauge("teagent_flow_exporter_doubts", "exporter", "reasons not to trust it", "teagent exporter"),
    _gauge("teagent_link_counted_once", "link", "1 while egress records of its flows are left out as duplicates"),
    _gauge("teagent_origins_prefixes", "family", "prefixes or ranges in the table of origins", "flows.origins"),
    _counter("teagent_origins_failures_total", "", "times that it could not be read", "the log says why"),
    _gauge("teagent_as_graph_ases", "", "ASes in the AS graph; absent until it was read", "as_graph"),
    _counter("teagent_as_graph_failures_total", "", "times that it could not be read", "the log says why"),
    _counter("teagent_observations_total", "", "windows that the ingress model learned from"),
    _gauge("teagent_ingress_senders", "", "senders with a place of their own in the ingress model"),
    _counter("teagent_scores_total", "kind", "predictions held against what happened"),
    _gauge(
        "teagent_prediction_top1",
        "kind",
        "share of bytes on the likeliest link, in the last score",
        "teagent scorecard",
    ),
    _gauge(
        "teagent_prediction_misprojected",
        "kind",
        "share of the traffic that came by another link than expected, in the last score; alert above 0.05",
        "teagent scorecard",
    ),
    _gauge("teagent_bands_widening", "", "how many times as wide bands are made, for earlier errors"),
    _gauge("teagent_matrix_sources", "", "sources in the last traffic matrix"),
    _gauge("teagent_matrix_age_seconds", "", "age of the last traffic matrix; absent without one", "teagent exporter"),
    _gauge(
        "teagent_policy_firing",
        "policy link",
        "1 while the policy's trigger fires on the link",
        "teagent policy NAME explain",
    ),
    _gauge("teagent_proposals", "state", "proposals that are not final, by state", "pending: teagent proposal"),
    _gauge("teagent_proposals_stuck", "", "proposals that could not be taken back", "docs/how-to/respond-to-stuck.md"),
    _counter("teagent_proposal_transitions_total", "state", "times a proposal came into the state"),
    _gauge("teagent_relay_up", "", "1 while the relay answers", "systemctl status exabgp-teagent"),
    _gauge(
        "teagent_bgp_session_up",
        "neighbor",
        "1 while ExaBGP's session with the neighbor is up",
        "the router; teagent status",
    ),
    _gauge("teagent_overrides", "", "overrides that the relay holds"),
    _gauge(
        "teagent_proofs", "state", "changes on the wire, by what routers say of them", "docs/explanation/witness.md"
    ),
    _counter("teagent_proofs_rejected_total", "", "changes that a router did not hold", "teagent log"),
    _gauge("teagent_stray_overrides", "", "overrides that a router holds and nobody owns", "teagent check"),
    _counter("teagent_repeats_total", "outcome", "times that routers were told again, to be sure: asked, failed"),
    _gauge("teagent_bmp_up", "router", "1 while the router is connected by BMP", "teagent status"),
    _gauge("teagent_bmp_sessions", "router", "BGP sessions that the router says are up"),
    _counter("teagent_bmp_messages_total", "router", "BMP messages taken"),
    _counter("teagent_bmp_undecoded_total", "router", "BMP messages that made no sense", "the router's software"),
    _counter(
        "teagent_bmp_strangers_total", "", "BMP connections from elsewhere, refused", "routers.NAME.bmp.addresses"
    ),
    _gauge(
        "teagent_witness_session_up",
        "router",
        "1 while the second iBGP session with the router is up",
        "teagent status",
    ),
    _counter("teagent_witness_session_messages_total", "router", "BGP messages taken on it"),
    _counter(
        "teagent_witness_session_undecoded_total", "router", "BGP messages that made no sense", "the router's software"
    ),
    _counter("teagent_reconciled_total", "action", "overrides put back or withdrawn by reconciling", "teagent log"),
    _counter(
        "teagent_jobs_total", "job outcome", "runs of the daemon's jobs: ok, failed, misfired", "the log says why"
    ),
    _gauge("teagent_job_seconds", "job", "how long the last run took"),
    _gauge(
        "teagent_advisor_up", "", "1 while the language model answers; absent without one", "teagent advisor status"
    ),
    _counter("teagent_advisor_calls_total", "outcome", "calls of the model: ok, or why not", "teagent advisor status"),
    _counter("teagent_advisor_proposals_total", "outcome", "proposals that it was asked of: advised, abstained"),
    _gauge("teagent_advisor_calls_today", "", "answers of the model since midnight UTC"),
    _gauge("teagent_advisor_tokens_today", "kind", "tokens since midnight UTC: prompt, answer"),
    _gauge("teagent_advisor_seconds_today", "", "seconds that its answers took since midnight UTC"),
    _counter("teagent_store_failures_total", "", "writes that the store refused", "disk space, teagent log"),
)

PAGE_HEADER = """\
# Metrics

Made from the program by `python -m teagent.adapters.metrics`; do not edit.

Served for Prometheus on `metrics.listen`. The figures are taken once a second. A figure that is not known is absent,
never zero: alert on `teagent_link_no_data`, not on a load of 0. Counters begin at 0 with the daemon. With
`bgp.dry_run: true` those of relay, sessions and overrides are absent.

| Metric | Kind | Labels | Means | Look at |
| --- | --- | --- | --- | --- |
"""


def reference_page() -> str:
    """docs/reference/metrics.md."""
    rows = (
        f"| `{m.name}` | {m.kind} | {' '.join(f'`{label}`' for label in m.labels)} | {m.meaning} | {m.action} |\n"
        for m in METRICS
    )
    return PAGE_HEADER + "".join(rows)


_BY_NAME: Mapping[str, MetricSpec] = {spec.name: spec for spec in METRICS}


class _LastFigures(Collector):
    def __init__(self) -> None:
        self.figures: Sequence[Figure] = ()

    def collect(self) -> Iterator[Metric]:
        figures = self.figures
        families: dict[str, GaugeMetricFamily | CounterMetricFamily] = {}
        for figure in figures:
            spec = _BY_NAME[figure.name]
            family = families.get(spec.name)
            if family is None:
                make = GaugeMetricFamily if spec.kind == "gauge" else CounterMetricFamily
                family = families[spec.name] = make(spec.name, spec.meaning, labels=spec.labels)
            family.add_metric(figure.labels, figure.value)
        yield from families.values()


class MetricsServer:
    """Serves the figures last set. Inert until `start`; `listen` None serves nothing."""

    def __init__(self, listen: tuple[str, int] | None) -> None:
        self._listen = listen
        self._last = _LastFigures()
        self.registry = CollectorRegistry()
        self.registry.register(self._last)
        self._server: WSGIServer | None = None
        self._thread: threading.Thread | None = None

    def set(self, figures: Iterable[Figure]) -> None:
        """Raises KeyError for a figure that is not in METRICS."""
        taken = tuple(figures)
        for figure in taken:
            _BY_NAME[figure.name]
        self._last.figures = taken

    def start(self) -> None:
        if self._listen is None or self._server is not None:
            return
        host, port = self._listen
        try:
            self._server, self._thread = start_http_server(port, addr=host, registry=self.registry)
        except OSError as error:
            raise TeagentError(
                f"metrics cannot be served on {host}:{port}: {(error.strerror or str(error)).lower()}",
                hint="metrics.listen in the configuration",
            ) from error

    def stop(self) -> None:
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()
        self._server = self._thread = None

    @property
    def port(self) -> int | None:
        return None if self._server is None else int(self._server.server_port)


if __name__ == "__main__":
    sys.stdout.write(reference_page())
