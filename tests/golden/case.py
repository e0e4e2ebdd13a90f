"""A golden case as YAML: the snapshot and the policies in an operator's words, and what is to come out.

Defaults keep a case short: loads are held for `history` (default 20m) in 60s polls, flows cover everything, and every
demand is measured now.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from teagent.engine.choose.digest import with_digest
from teagent.engine.predict.as_graph import AsGraph
from teagent.engine.predict.ingress import Observation, empty
from teagent.engine.predict.ingress_learning import learn
from teagent.engine.predict.known_senders import KnownSenders
from teagent.engine.predict.senders import Distances
from teagent.engine.predict.shares import TIES_STICK, Forecaster
from teagent.engine.predict.topology import Topology
from teagent.model.bgp import Asn, parse_prefix
from teagent.model.link import Link, LinkKind, NoData, Reading, Utilisation
from teagent.model.network import Network, OwnPrefix
from teagent.model.plan import Considered, Decision, DryRun, RefusedVerdict, SourceOutlook
from teagent.model.policy import (
    Approval,
    Confirm,
    Limits,
    LinkMatch,
    Metric,
    Objective,
    Policy,
    PrefixMatch,
    PrependLever,
    Trigger,
)
from teagent.model.snapshot import Busy, Snapshot
from teagent.model.traffic import Demand, Source, TrafficMatrix, build_matrix
from teagent.model.units import parse_duration_seconds, parse_rate_bps, parse_share
from teagent.wire.as_rel import parse

NOW = datetime(2026, 1, 12, 19, 40, tzinfo=UTC)
CASES = Path(__file__).parent / "cases"


def load(path: Path) -> dict[str, Any]:
    """A case; `base:` names another case that it changes: mappings are merged, everything else is replaced."""
    raw: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    if "base" in raw:
        parent = load(path.parent / raw["base"])
        for own in ("must", "expect"):
            parent.pop(own, None)
        raw = merged(parent, {k: v for k, v in raw.items() if k != "base"})
    return raw


def merged(base: Any, change: Any) -> Any:
    """`change` over `base`, neither of them touched; a null takes a key out."""
    if not isinstance(base, dict) or not isinstance(change, dict):
        return deepcopy(change)
    base = deepcopy(base)
    result = {k: v for k, v in base.items() if not (k in change and change[k] is None)}
    return result | {k: merged(base.get(k), v) for k, v in change.items() if v is not None}


def snapshot_of(case: Mapping[str, Any], *, now: datetime = NOW) -> Snapshot:
    links = {name: _link(number, name, row) for number, (name, row) in enumerate(case["links"].items(), start=1)}
    network = Network(asn=Asn(65000), links=links, prefixes=tuple(_own(p, row) for p, row in case["prefixes"].items()))
    live = network.home()
    for prefix, vector in (case.get("overrides") or {}).items():
        live = live.with_vector(parse_prefix(prefix), vector)
    latest: dict[str, Reading] = {}
    history: dict[str, tuple[Utilisation, ...]] = {}
    for name, row in case["links"].items():
        history[name], latest[name] = _readings(name, row, now)
    return with_digest(
        Snapshot(
            taken_at=now,
            network=network,
            live=live,
            latest=latest,
            history=history,
            matrix=_matrix(case, now),
            busy={parse_prefix(p): _busy(row, now) for p, row in (case.get("busy") or {}).items()},
            frozen=bool(case.get("frozen", False)),
            distrust=tuple(case.get("distrust") or ()),
            digest="",
        )
    )


def policies_of(case: Mapping[str, Any]) -> tuple[Policy, ...]:
    return tuple(_policy(row) for row in case.get("policies") or [case.get("policy") or {}])


def outcome(decision: Decision) -> dict[str, Any]:
    """What a case expects of one policy, as plain data."""
    best = decision.considered[0] if decision.considered else None
    result: dict[str, Any] = {
        "policy": decision.policy,
        "triggers": {t.link: t.message for t in decision.triggers},
        "plan": None if decision.chosen is None else _vectors(decision.chosen),
        "message": decision.message,
    }
    if decision.chosen is not None:
        chosen = decision.chosen
        result["verdict"] = type(chosen.verdict).__name__
        result["changes"] = len(chosen.plan.changes)
        result["links"] = {
            f.link: f"{_mbps(f.before_bps)} -> {_mbps(f.after.expected)} "
            f"({_mbps(f.after.low)} to {_mbps(f.after.high)}, worst {_mbps(f.worst_bps)}), target {_mbps(f.target_bps)}"
            for f in chosen.dry_run.links
        }
        result["warnings"] = list(chosen.dry_run.warnings)
    elif best is not None and isinstance(best.verdict, RefusedVerdict):
        result["refused"] = sorted({r.rule for r in best.verdict.failed()})
    result["candidates"] = decision.candidates
    result["reasons"] = [f"{r.rule}: {r.message}" for r in decision.reasons]
    return result


def dry_run_of(dry_run: DryRun) -> dict[str, Any]:
    """What a what-if expects, as plain data."""

    def sender(row: SourceOutlook) -> str:
        then = ", ".join(f"{link} {share:.0%}" for link, share in row.after)
        return f"{_mbps(row.moved_bps)} of {_mbps(row.bps)}, then {then}"

    return {
        "links": {
            f.link: f"{_mbps(f.before_bps)} -> {_mbps(f.after.expected)} "
            f"({_mbps(f.after.low)} to {_mbps(f.after.high)}, worst {_mbps(f.worst_bps)})"
            for f in dry_run.links
        },
        "movers": {str(row.source): sender(row) for row in dry_run.outlook.movers},
        "uncertain": {
            str(row.source): f"{_mbps(row.doubt_bps)} in doubt: {', '.join(doubt.reason for doubt in row.doubts)}"
            for row in dry_run.outlook.uncertain
        },
        "cannot_move": {
            row.link: f"{_mbps(row.bps)} of {row.sources}: {', '.join(map(str, row.largest))}"
            for row in dry_run.outlook.fixed
        },
    }


def model_of(case: Mapping[str, Any], network: Network, topology: Topology | None) -> Forecaster:
    """What was learned from `learned`, a list of {vector, came: {AS100: link}} a day apart; without it TIES_STICK."""
    if "learned" not in case:
        return TIES_STICK
    links = tuple(network.links)
    model = empty(links, None if topology is None else Distances.in_graph(topology.propagator, links))
    came_before: dict[str, str] = {}
    for day, row in enumerate(case["learned"]):
        came: dict[str, str] = row["came"]
        names = sorted(came, key=lambda name: int(name.removeprefix("AS")))
        observation = Observation(
            at=NOW - timedelta(days=len(case["learned"]) - day),
            links=links,
            vector=row["vector"],
            asn=np.array([int(name.removeprefix("AS")) for name in names]),
            share=np.eye(len(links))[[links.index(came[name]) for name in names]],
            before=np.array([links.index(came_before[name]) if name in came_before else -1 for name in names]),
            bps=np.full(len(names), 1e6),
        )
        model, came_before = learn(model, observation), came_before | came
    return KnownSenders(model)


def topology_of(case: Mapping[str, Any], network: Network) -> Topology | None:
    """`as_graph` is serial-1, a line a relation; our own links come from the case."""
    if "as_graph" not in case:
        return None
    found = parse("\n".join(case["as_graph"]).encode())
    graph = AsGraph.of(transit=(found.provider, found.customer), peering=(found.peer_a, found.peer_b))
    return Topology.of(graph, network)


def _mbps(bps: float) -> str:
    return f"{bps / 1e6:.2f}M"


def _vectors(considered: Considered) -> dict[str, dict[str, int]]:
    after = considered.plan.after
    return {str(prefix): after.vector(prefix) for prefix in after.prefixes()}


def _rate(text: str | None) -> float | None:
    return None if text is None else parse_rate_bps(text)


def _link(number: int, name: str, row: Mapping[str, Any]) -> Link:
    return Link(
        name=name,
        id=number,
        kind=LinkKind(row.get("kind", "transit")),
        router=row.get("router", "edge"),
        interface=f"eth{number}",
        neighbor=ip_address(f"192.0.2.{number}"),
        peer_asn=Asn(64500 + number),
        capacity_bps=parse_rate_bps(row["capacity"]),
        commit_bps=_rate(row.get("commit")),
        price_per_mbps=row.get("price"),
    )


def _own(prefix: str, row: Mapping[str, Any]) -> OwnPrefix:
    return OwnPrefix(
        prefix=ip_network(prefix),
        home=dict(row["home"]),
        tags=frozenset(row.get("tags", ())),
        engineer=row.get("engineer", True),
        max_prepend=row.get("max_prepend"),
    )


def _readings(name: str, row: Mapping[str, Any], now: datetime) -> tuple[tuple[Utilisation, ...], Reading]:
    """`load` held for `history`; or `loads`, a list of rates in 60s polls, the last one now."""
    if "no_data" in row:
        return (), NoData(since=now - timedelta(minutes=2), reason=row["no_data"])
    held = int(parse_duration_seconds(row.get("history", "20m")) // 60)
    rates = [parse_rate_bps(r) for r in row.get("loads") or [row["load"]] * max(1, held)]
    rows = tuple(
        Utilisation(link=name, at=now - timedelta(seconds=60 * back), in_bps=bps, out_bps=bps / 10, seconds=60)
        for back, bps in zip(range(len(rates) - 1, -1, -1), rates, strict=True)
    )
    return rows, rows[-1]


def _matrix(case: Mapping[str, Any], now: datetime) -> TrafficMatrix | NoData:
    if "no_matrix" in case:
        return NoData(since=now, reason=case["no_matrix"])
    demands = [
        Demand(
            source=_source(text),
            prefix=parse_prefix(prefix),
            link=link,
            bps=parse_rate_bps(rate),
        )
        for link, prefixes in case["traffic"].items()
        for prefix, sources in prefixes.items()
        for text, rate in sources.items()
    ]
    coverage: dict[str, float | None] = dict.fromkeys(case["links"], 1.0)
    for name, share in (case.get("coverage") or {}).items():
        coverage[name] = None if share is None else parse_share(share)
    stray = {name: parse_rate_bps(rate) for name, rate in (case.get("unattributed") or {}).items()}
    at = now - timedelta(seconds=parse_duration_seconds(case.get("matrix_age", "1m")))
    return build_matrix(demands, at=at, seconds=300, coverage=coverage, unattributed_bps=stray)


def _source(text: str) -> Source:
    if text == "rest":
        return Source()
    return Source(asn=int(text.removeprefix("AS"))) if text.startswith("AS") else Source(prefix=text)


def _busy(row: Mapping[str, Any], now: datetime) -> Busy:
    ago = row.get("changed")
    changed_at = None if ago is None else now - timedelta(seconds=parse_duration_seconds(ago))
    return Busy(owner=row.get("owner"), changed_at=changed_at)


def _policy(row: Mapping[str, Any]) -> Policy:
    limits = dict(row.get("limits") or {})
    shift = limits.get("shift_per_plan")
    match = row.get("match") or {}
    return Policy(
        name=row.get("name", "relieve-transit"),
        description="",
        links=LinkMatch(
            kinds=frozenset(LinkKind(k) for k in match.get("kinds", ["transit"])),
            names=frozenset(match.get("links", ())),
        ),
        prefixes=PrefixMatch(tags=frozenset(match.get("tags", ())), prefixes=frozenset(match.get("prefixes", ()))),
        when=Trigger(
            metric=Metric.IN_UTILISATION,
            above=parse_share(row.get("above", "80%")),
            for_seconds=parse_duration_seconds(row.get("for", "15m")),
            clear_below=parse_share(row.get("clear_below", "70%")),
        ),
        objective=Objective(row.get("objective", "relieve_at_least_cost")),
        levers=(PrependLever(max=row.get("max_prepend", 3)),),
        limits=Limits(
            changes_per_plan=limits.get("changes_per_plan", 4),
            prefixes_per_plan=limits.get("prefixes_per_plan", 2),
            shift_per_plan_bps=None if shift is None else parse_rate_bps(shift),
            cooldown_seconds=parse_duration_seconds(limits.get("cooldown", "1h")),
            headroom=parse_share(limits.get("headroom", "15%")),
            min_links_per_prefix=limits.get("min_links_per_prefix", 2),
        ),
        approval=Approval(required=row.get("approval", True)),
        confirm=Confirm(),
        enabled=row.get("enabled", True),
    )
