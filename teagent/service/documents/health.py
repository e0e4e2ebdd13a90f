"""The state of the daemon itself as JSON, and what of it a monitoring system should hear."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING

from teagent.model.diagnosis import Diagnosis, Verdict
from teagent.model.link import NoData
from teagent.model.scorecard import Scorecard
from teagent.model.units import format_time
from teagent.ports import SpeakerState
from teagent.service.documents.plans import held_override_document
from teagent.service.documents.values import Document, decimal, no_data, time_or_none

if TYPE_CHECKING:  # its state is shown, nothing of it is run: the graph's libraries are not loaded for that
    from teagent.service.predictor import Predictor

WARNING = "warning"
CRITICAL = "critical"
SILENT = {"bmp": "sends no BMP", "ibgp": "has no witness session"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbor:
    """What the configuration says of a session of ExaBGP's: of which router, and the reference of its TCP MD5 key."""

    router: str | None = None
    md5_password: str | None = None


def freeze_document(*, since: datetime, by: str, reason: str) -> Document:
    return {"since": format_time(since), "by": by, "reason": reason}


def speaker_document(state: SpeakerState | NoData, *, neighbors: Mapping[str, Neighbor]) -> Document:
    """The way to the routers; {"no_data": ...} while the relay can't be asked."""
    if isinstance(state, NoData):
        return no_data(state)
    known = {row.address: neighbors.get(row.address, Neighbor()) for row in state.neighbors}
    return {
        "neighbors": [
            {
                "address": row.address,
                "state": row.state,
                "since": time_or_none(row.since),
                "router": known[row.address].router,
                "md5_password": known[row.address].md5_password,
            }
            for row in state.neighbors
        ],
        "overrides": [held_override_document(held) for held in state.overrides],
        "frozen": state.frozen,
        "counters": dict(sorted(state.counters.items())),
    }


def status_document(
    *,
    at: datetime,
    started_at: datetime,
    version: str,
    asn: int,
    dry_run: bool,
    frozen: Document | None,
    speaker: SpeakerState | NoData | None,
    witness: Sequence[Document] | None = None,
    stray_overrides: Sequence[Document] = (),
    distrust: Sequence[str],
    links: Sequence[Document],
    routers: Sequence[Document],
    exporters: Sequence[Document],
    policies: Sequence[Document],
    proposals: Sequence[Document],
    as_graph: Document | None = None,
    misprojected: Document | None = None,
    neighbors: Mapping[str, Neighbor] = MappingProxyType({}),
) -> Document:
    """One screen. The parts are what link_document, router_document, exporter_document, policy_document and (for
    live proposals only) proposal_summary_document return; `speaker` and `witness` are None where none is configured.
    `misprojected` is what misprojected_document says of the last change that was scored, None where that was predicted
    well. `neighbors` are those of ExaBGP by address.
    """
    return {
        "at": format_time(at),
        "started_at": format_time(started_at),
        "version": version,
        "asn": asn,
        "bgp_dry_run": dry_run,
        "frozen": frozen,
        "speaker": None if speaker is None else speaker_document(speaker, neighbors=neighbors),
        "witness": None if witness is None else list(witness),
        "stray_overrides": list(stray_overrides),
        "distrust": list(distrust),
        "links": list(links),
        "routers": list(routers),
        "exporters": list(exporters),
        "policies": list(policies),
        "proposals": list(proposals),
        "as_graph": as_graph,
        "misprojected": misprojected,
    }


def diagnoses_document(diagnoses: Sequence[Diagnosis], *, at: datetime) -> Document:
    """What is wrong first, then what is assumed; each in the order of `diagnoses`."""
    order = list(Verdict)
    rows = sorted(diagnoses, key=lambda each: order.index(each.verdict))
    counts = {verdict.value: sum(each.verdict is verdict for each in rows) for verdict in Verdict}
    return {
        "at": format_time(at),
        **counts,
        "diagnoses": [
            {
                "verdict": each.verdict.value,
                "check": each.check,
                "router": each.router or None,
                "subject": each.subject,
                "message": each.message,
                "remedy": each.remedy or None,
            }
            for each in rows
        ],
    }


def as_graph_document(predictor: Predictor) -> Document | None:
    """None where no graph is configured."""
    graphs, topology = predictor.as_graphs, predictor.topology
    if graphs is None:
        return None
    return {
        "path": graphs.path,
        "loaded_at": time_or_none(graphs.loaded_at),
        "ases": None if graphs.value is None else len(graphs.value),
        "unknown_neighbors": [] if topology is None else list(topology.strangers),
        "problem": graphs.problem or None,
    }


def check_document(status: Mapping[str, object]) -> Document:
    """What of a status document needs somebody: {"level": ok|warning|critical, "problems": [...]}, worst first.

    Critical is what keeps teagent from taking back or holding a change; warnings are what keeps it from deciding.
    """
    problems = [
        *_proposals(status),
        *_speaker(status),
        *_witness(status),
        *_telemetry(status),
        *_as_graph(status),
        *_scores(status),
    ]
    problems.sort(key=lambda problem: problem["level"] != CRITICAL)
    levels = {problem["level"] for problem in problems}
    level = CRITICAL if CRITICAL in levels else WARNING if WARNING in levels else "ok"
    return {
        "at": status["at"],
        "level": level,
        "problems": problems,
        "links": len(_rows(status, "links")),
        "routers": len(_rows(status, "routers")),
        "proposals": len(_rows(status, "proposals")),
    }


def _rows(status: Mapping[str, object], key: str) -> list[Document]:
    rows = status[key]
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def _problem(level: str, subject: object, message: str) -> Document:
    return {"level": level, "subject": subject, "message": message}


def _proposals(status: Mapping[str, object]) -> list[Document]:
    problems = [
        _problem(CRITICAL, row["id"], f"proposal {row['id']} is stuck: routes may differ from home")
        for row in _rows(status, "proposals")
        if row["state"] == "stuck"
    ]
    frozen = status["frozen"]
    if isinstance(frozen, dict):
        problems.append(_problem(WARNING, "frozen", f"frozen since {frozen['since']} by {frozen['by']}"))
    return problems


def _speaker(status: Mapping[str, object]) -> list[Document]:
    speaker = status["speaker"]
    if not isinstance(speaker, dict):
        return []
    # With bgp.dry_run nothing is on the wire, so a speaker that is away holds nothing up.
    level = WARNING if status["bgp_dry_run"] else CRITICAL
    absent = speaker.get("no_data")
    if isinstance(absent, dict):
        return [_problem(level, "speaker", f"speaker is away since {absent['since']}: {absent['reason']}")]
    return [
        _problem(level, row["address"], f"session to {row['address']} is {row['state']}{_signed(row)}")
        for row in _rows(speaker, "neighbors")
        if row["state"] != "up"
    ]


def _signed(neighbor: Mapping[str, object]) -> str:
    """Another key at the router, or none, is only seen as silence. The reference is shown, never the key."""
    if neighbor["md5_password"] is None:
        return ""
    router = neighbor["router"]
    setting = f"routers.{router}.bgp.md5_password ({neighbor['md5_password']})"
    return f"; it is signed with the TCP MD5 key of {setting}: does {router} have the same?"


def _witness(status: Mapping[str, object]) -> list[Document]:
    problems = [
        _problem(CRITICAL, row["prefix"], f"{row['router']} holds an override of {row['prefix']} that nobody owns")
        for row in _rows(status, "stray_overrides")
    ]
    problems += [
        _problem(
            WARNING, row["router"], f"{row['router']} {SILENT[str(row['kind'])]} since {row['since']}: {row['reason']}"
        )
        for row in _rows(status, "witness")
        if not row["connected"]
    ]
    if status["witness"] is None:
        return problems
    return problems + [
        _problem(WARNING, row["id"], f"proposal {row['id']} is {proof['state']}")
        for row in _rows(status, "proposals")
        if row["on_wire"] and isinstance(proof := row["proof"], dict) and proof["state"] in {"unproven", "rejected"}
    ]


def _telemetry(status: Mapping[str, object]) -> list[Document]:
    problems = [
        _problem(WARNING, row["name"], f"{what} {row['name']} has no data")
        for key, what in (("routers", "router"), ("links", "link"))
        for row in _rows(status, key)
        if row["state"] == "no_data"
    ]
    distrust = status["distrust"]
    if isinstance(distrust, list):
        problems += [_problem(WARNING, "telemetry", str(reason)) for reason in distrust]
    problems += [
        _problem(WARNING, row["exporter"], str(doubt))
        for row in _rows(status, "exporters")
        for doubt in (row["doubts"] if isinstance(row["doubts"], list) else ())
    ]
    problems += [
        _problem(WARNING, row["name"], str(doubt))
        for row in _rows(status, "links")
        for doubt in (row["doubts"] if isinstance(row["doubts"], list) else ())
    ]
    problems += [
        _problem(WARNING, row["id"], f"proposal {row['id']} is in doubt, and would be refused now")
        for row in _rows(status, "proposals")
        if row["doubts"]
    ]
    for row in _rows(status, "links"):
        trigger = row["trigger"]
        if isinstance(trigger, dict) and trigger["firing"]:
            problems.append(_problem(WARNING, row["name"], f"link {row['name']}: {trigger['message']}"))
    return problems


def _as_graph(status: Mapping[str, object]) -> list[Document]:
    graph = status["as_graph"]
    if not isinstance(graph, dict):
        return []
    problems = [] if graph["problem"] is None else [_problem(WARNING, "as_graph", f"AS graph: {graph['problem']}")]
    problems += [
        _problem(WARNING, name, f"the neighbor of link {name} is not in the AS graph: nobody is seen behind it")
        for name in graph["unknown_neighbors"]
    ]
    return problems


def misprojected_document(card: Scorecard | None, *, widening: float) -> Document | None:
    if card is None:
        return None
    return {
        "proposal": card.subject,
        "until": format_time(card.until),
        "misprojected": decimal(card.misprojected, 4),
        "widening": decimal(widening, 2),
    }


def _scores(status: Mapping[str, object]) -> list[Document]:
    card = status["misprojected"]
    if not isinstance(card, dict):
        return []
    message = (
        f"the last change ({card['proposal']}) was misprojected: {card['misprojected']:.0%} of its traffic came by "
        f"another link than expected; bands are {card['widening']:.1f} times as wide. teagent scorecard"
    )
    return [_problem(WARNING, "prediction", message)]
