"""Links, routers, exporters, prefixes and the matrix as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

import numpy as np

from teagent.engine.measure.exporter_trust import ExporterFigures
from teagent.model.announcement import Announcement, AnnouncementSet, Signal, signal_community
from teagent.model.bgp import Prefix
from teagent.model.link import P95, BundleMember, Link, NoData, Reading, Utilisation
from teagent.model.network import Network, OwnPrefix
from teagent.model.plan import TriggerStatus
from teagent.model.traffic import TrafficMatrix
from teagent.model.units import format_time
from teagent.model.witness import RouterProof
from teagent.ports import ExporterHealth, RouterReading
from teagent.service.documents.proofs import router_proofs
from teagent.service.documents.values import (
    Document,
    as_path,
    decimal,
    no_data,
    share,
    source,
    time_or_none,
    whole,
)
from teagent.service.origins import Origins


def listing(key: str, rows: Iterable[Document], *, at: datetime) -> Document:
    """A list inside an object, so that fields can be added; `at` is the daemon's time of the answer."""
    return {"at": format_time(at), key: list(rows)}


def utilisation_document(reading: Reading, *, capacity_bps: float) -> Document:
    if isinstance(reading, NoData):
        return no_data(reading)
    return {
        "at": format_time(reading.at),
        "seconds": decimal(reading.seconds),
        "in_bps": whole(reading.in_bps),
        "out_bps": whole(reading.out_bps),
        "in_utilisation": share(reading.in_bps, capacity_bps),
        "out_utilisation": share(reading.out_bps, capacity_bps),
    }


def trigger_document(trigger: TriggerStatus) -> Document:
    return {
        "link": trigger.link,
        "firing": trigger.firing,
        "above_since": time_or_none(trigger.above_since),
        "in_utilisation": decimal(trigger.in_utilisation, 4),
        "message": trigger.message,
    }


def link_state(latest: Reading, trigger: TriggerStatus | None) -> str:
    """One word: no_data, above_target or ok."""
    if isinstance(latest, NoData):
        return "no_data"
    return "above_target" if trigger is not None and trigger.above_since is not None else "ok"


def link_document(
    link: Link,
    *,
    latest: Reading,
    p95: P95 | None = None,
    trigger: TriggerStatus | None = None,
    doubts: Sequence[str] = (),
    history: Sequence[Utilisation] | None = None,
    members: Sequence[BundleMember] = (),
    left_bps: float | None = None,
) -> Document:
    """One link; with `history`, oldest first, where one link is shown on its own. `doubts`: why its readings are not
    to be trusted. `left_bps` is what its interface carries now.
    """
    document: Document = {
        "name": link.name,
        "id": link.id,
        "kind": str(link.kind),
        "router": link.router,
        "interface": link.interface,
        "neighbor": str(link.neighbor),
        "peer_asn": int(link.peer_asn),
        "capacity_bps": whole(link.capacity_bps),
        "interface_bps": whole(left_bps),
        "members": [member_document(member) for member in members],
        "commit_bps": whole(link.commit_bps),
        "price_per_mbps": link.price_per_mbps,
        "percentile": str(link.percentile),
        "home_prepend": link.home_prepend,
        "state": link_state(latest, trigger),
        "utilisation": utilisation_document(latest, capacity_bps=link.capacity_bps),
        "p95": None
        if p95 is None
        else {"month": p95.month, "bps": whole(p95.bps), "buckets": p95.buckets, "missing": p95.missing},
        "trigger": None if trigger is None else trigger_document(trigger),
        "doubts": list(doubts),
    }
    if history is not None:
        document["history"] = [utilisation_document(row, capacity_bps=link.capacity_bps) for row in history]
    return document


def member_document(member: BundleMember) -> Document:
    """A port of a bundle."""
    return {
        "if_index": member.if_index,
        "if_name": member.if_name,
        "if_high_speed_bps": whole(member.if_high_speed_bps),
        "state": member.state,
    }


def router_document(name: str, *, address: str, links: Sequence[str], reading: RouterReading | NoData) -> Document:
    """A router and its last poll; `links` are the names of the configured links on it."""
    document: Document = {"name": name, "address": address, "links": sorted(links)}
    if isinstance(reading, NoData):
        return {**document, "state": "no_data", "poll": no_data(reading)}
    return {
        **document,
        "state": "ok",
        "poll": {
            "at": format_time(reading.at),
            "sys_name": reading.sys_name,
            "sys_uptime_seconds": decimal(reading.sys_uptime_seconds, 2),
            "interfaces": len(reading.interfaces),
            "pdus": reading.pdus,
            "seconds": decimal(reading.seconds),
            "oddities": list(reading.oddities),
        },
    }


def exporter_document(
    health: ExporterHealth, *, figures: ExporterFigures | None = None, doubts: Sequence[str] = ()
) -> Document:
    """`figures` are those of the last few minutes; `doubts` say why it is not trusted."""
    return {
        "exporter": health.exporter,
        "router": health.router,
        "protocol": health.protocol,
        "last_at": time_or_none(health.last_at),
        "datagrams": health.datagrams,
        "records": health.records,
        "lost": health.lost,
        "undecoded": dict(sorted(health.undecoded.items())),
        "sampling_rate": decimal(health.sampling_rate),
        "templates": health.templates,
        "awaiting_template": health.awaiting_template,
        "last_template_at": time_or_none(health.last_template_at),
        "sequence_gaps": health.sequence_gaps,
        "samples_lost": health.samples_lost,
        "samples_dropped": health.samples_dropped,
        "lost_share": None if figures is None else decimal(figures.lost_share, 4),
        "undecoded_share": None if figures is None else decimal(figures.undecoded_share, 4),
        "samples_missing_share": None if figures is None else decimal(figures.samples_missing_share, 4),
        "clock_skew_seconds": decimal(health.clock_skew_seconds),
        "active_timeout_seconds": decimal(
            health.active_timeout_seconds if figures is None else figures.active_timeout_seconds
        ),
        "future_share": decimal(health.future_share, 4),
        "state": "doubtful" if doubts else "never heard" if health.last_at is None else "ok",
        "doubts": list(doubts),
    }


def origins_document(origins: Origins) -> Document:
    table = origins.table
    return {
        "path": origins.path,
        "loaded_at": time_or_none(origins.loaded_at),
        "ipv4": None if table is None else table.prefixes[4],
        "ipv6": None if table is None else table.prefixes[6],
        "problem": origins.problem or None,
    }


def announcement_document(announcement: Announcement, network: Network, *, owned: bool) -> Document:
    """What one neighbor hears. `signal` is set where an override (`owned`) says it rather than the router itself."""
    link = network.links[announcement.link]
    signal = signal_community(network.asn, link.id, Signal(link=link.name, prepend=announcement.prepend))
    own = network.own(announcement.prefix)
    return {
        "prefix": str(announcement.prefix),
        "link": link.name,
        "router": link.router,
        "neighbor": str(link.neighbor),
        "peer_asn": int(link.peer_asn),
        "prepend": announcement.prepend,
        "home_prepend": None if own is None else own.home.get(link.name),
        "as_path": as_path(network.asn, announcement.prepend),
        "signal": str(signal) if owned else None,
    }


def prefix_document(
    own: OwnPrefix,
    *,
    network: Network,
    live: AnnouncementSet | NoData,
    owner: str | None = None,
    changed_at: datetime | None = None,
    matrix: TrafficMatrix | NoData,
    top: int | None = None,
    proofs: Sequence[RouterProof] = (),
) -> Document:
    """Where a prefix is announced and how its traffic comes; with `top`, that many of its sources as well.

    `owner` is the live proposal whose override holds, None for home. `proofs` are what routers say of it.
    """
    announcements: object
    if isinstance(live, NoData):
        announcements = no_data(live)
    else:
        rows = [row for row in live if row.prefix == own.prefix]
        announcements = [announcement_document(row, network, owned=owner is not None) for row in rows]
    document: Document = {
        "prefix": str(own.prefix),
        "engineer": own.engineer,
        "tags": sorted(own.tags),
        "max_prepend": own.max_prepend,
        "owner": owner or "home",
        "changed_at": time_or_none(changed_at),
        "announcements": announcements,
        "proofs": router_proofs(proofs),
        "traffic": _traffic_by_link(matrix, own.prefix),
    }
    if top is not None:
        document["sources"] = no_data(matrix) if isinstance(matrix, NoData) else _rows(matrix, None, own.prefix, top)[0]
    return document


def _traffic_by_link(matrix: TrafficMatrix | NoData, prefix: Prefix) -> object:
    if isinstance(matrix, NoData):
        return no_data(matrix)
    column = matrix.prefixes.index(prefix) if prefix in matrix.prefixes else None
    table = matrix.by_link_and_prefix()
    by_link = [0.0] * len(matrix.links) if column is None else table[:, column]
    return [{"link": link, "bps": whole(bps)} for link, bps in zip(matrix.links, by_link, strict=True)]


def matrix_document(
    matrix: TrafficMatrix | NoData,
    *,
    at: datetime,
    link: str | None = None,
    prefix: Prefix | None = None,
    source_as: int | None = None,
    top: int = 20,
) -> Document:
    """The `top` demands by rate, after the filters; what is left out is summed in `rest`."""
    document: Document = {
        "at": format_time(at),
        "link": link,
        "prefix": None if prefix is None else str(prefix),
        "source_as": source_as,
        "top": top,
    }
    if isinstance(matrix, NoData):
        return {**document, "matrix": no_data(matrix)}
    rows, rest_rows, rest_bps, total_bps = _rows(matrix, link, prefix, top, source_as)
    shown = [name for name in matrix.links if link in (None, name)]
    return {
        **document,
        "matrix": {
            "until": format_time(matrix.at),
            "seconds": decimal(matrix.seconds),
            "demands": rows,
            "rest": {"demands": rest_rows, "bps": whole(rest_bps)},
            "total_bps": whole(total_bps),
            "coverage": {name: decimal(matrix.coverage.get(name), 4) for name in shown},
            "unattributed_bps": {name: whole(matrix.unattributed_bps.get(name, 0.0)) for name in shown},
        },
    }


def _rows(
    matrix: TrafficMatrix, link: str | None, prefix: Prefix | None, top: int, source_as: int | None = None
) -> tuple[list[Document], int, float, float]:
    """The rows shown, then how many are not shown, their sum, and the sum of all that passed the filters."""
    keep = np.ones(len(matrix), dtype=bool)
    if link is not None:
        keep &= matrix.link_index == (matrix.links.index(link) if link in matrix.links else -1)
    if prefix is not None:
        keep &= matrix.prefix_index == (matrix.prefixes.index(prefix) if prefix in matrix.prefixes else -1)
    if source_as is not None:
        keep &= np.array([each.asn == source_as for each in matrix.sources], dtype=bool)[matrix.source_index]
    chosen = np.flatnonzero(keep)
    # Stable, so that equal rates come in the matrix's own order and two runs print the same.
    chosen = chosen[np.argsort(-matrix.bps[chosen], kind="stable")]
    of_link = np.zeros(len(matrix.links))
    np.add.at(of_link, matrix.link_index, matrix.bps)
    total = float(matrix.bps[chosen].sum())
    rows: list[Document] = []
    for row in chosen[: max(top, 0)]:
        place = int(matrix.link_index[row])
        bps = float(matrix.bps[row])
        rows.append(
            {
                "link": matrix.links[place],
                "prefix": str(matrix.prefixes[int(matrix.prefix_index[row])]),
                "source": source(matrix.sources[int(matrix.source_index[row])]),
                "bps": whole(bps),
                "share_of_link": share(bps, float(of_link[place])),
            }
        )
    left = chosen[max(top, 0) :]
    return rows, len(left), float(matrix.bps[left].sum()), total
