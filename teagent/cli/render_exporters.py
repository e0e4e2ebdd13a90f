"""Exporters, and the traffic matrix that comes of their flows: document to text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from teagent.cli.render_traffic import absent, why_absent
from teagent.cli.text import GAP, Column, age, fields, percent, plural, rate, table
from teagent.model.units import format_duration

Document = Mapping[str, Any]

UNKNOWN = "unknown_exporter"  # datagrams of those that are not configured

EXPORTERS = (
    Column("EXPORTER"),
    Column("ROUTER"),
    Column("PROTOCOL"),
    Column("DATAGRAMS", right=True),
    Column("RECORDS", right=True),
    Column("LOST", right=True),
    Column("UNDECODED", right=True),
    Column("SAMPLING", right=True),
    Column("AGE", right=True),
    Column("STATE"),
    Column("TEMPLATES", right=True, wide=True),
    Column("AWAITING", right=True, wide=True),
    Column("TEMPLATE AGE", right=True, wide=True),
    Column("GAPS", right=True, wide=True),
    Column("LOST%", right=True, wide=True),
    Column("SAMPLES LOST", right=True, wide=True),
    Column("DROPPED", right=True, wide=True),
    Column("SKEW", right=True, wide=True),
    Column("ACTIVE TIMEOUT", right=True, wide=True),
    Column("FUTURE%", right=True, wide=True),
)


def exporters(document: Document, *, wide: bool = False) -> str:
    rows = [
        (
            row["exporter"],
            row["router"],
            row["protocol"],
            row["datagrams"],
            row["records"],
            row["lost"],
            sum(row["undecoded"].values()),
            None if row["sampling_rate"] is None else f"1:{row['sampling_rate']:g}",
            age(row["last_at"], document["at"]),
            row["state"],
            row["templates"],
            row["awaiting_template"],
            age(row["last_template_at"], document["at"]),
            row["sequence_gaps"],
            _share(row["lost_share"]),
            row["samples_lost"],
            row["samples_dropped"],
            _seconds(row["clock_skew_seconds"]),
            _seconds(row["active_timeout_seconds"]),
            _share(row["future_share"]),
        )
        for row in document["exporters"]
    ]
    reasons = [
        (row["exporter"], ", ".join(f"{reason} {count}" for reason, count in row["undecoded"].items()))
        for row in document["exporters"]
        if row["undecoded"]
    ]
    text = table(EXPORTERS, rows, wide=wide)
    if reasons:
        text += f"\n\nundecoded\n{fields(reasons)}"
    text += _dropped(document.get("dropped") or {}, document.get("last_unknown_exporter"))
    doubts = [doubt for row in document["exporters"] for doubt in row["doubts"]]
    if doubts:
        text += "\n\ndecisions that rest on their links wait\n" + "\n".join(f"{GAP}{doubt}" for doubt in doubts)
    origins = document.get("origins")
    return f"{text}\n\n{_origins(origins, document['at'])}" if origins else text


def _dropped(dropped: Document, last_unknown: str | None) -> str:
    """What was lost on our side, empty where nothing was."""
    last = "" if last_unknown is None else f", last from {last_unknown}"
    rows = [(reason, f"{count}{last if reason == UNKNOWN else ''}") for reason, count in dropped.items() if count]
    return f"\n\ndropped here\n{fields(rows)}" if rows else ""


def _share(share: float | None) -> str | None:
    return None if share is None else f"{share * 100:.1f}"


def _seconds(seconds: float | None) -> str | None:
    return None if seconds is None else f"{round(seconds)}s"  # never -0s


def _origins(origins: Document, now: str) -> str:
    if origins["loaded_at"] is None:
        state = "not read yet"
    else:
        state = f"{origins['ipv4']} IPv4 and {origins['ipv6']} IPv6 prefixes, read {age(origins['loaded_at'], now)} ago"
    problem = f"; now: {origins['problem']}" if origins["problem"] else ""
    return f"origins {origins['path']}: {state}{problem}"


def _no_demand(document: Document) -> str:
    """For what was asked."""
    asn = document.get("source_as")
    of = [f"from AS{asn}"] if asn is not None else []
    of += [f"{word} {document[name]}" for word, name in (("by", "link"), ("to", "prefix")) if document.get(name)]
    text = " ".join(["no demand", *of])
    if asn is not None:
        text += "; senders whose AS is not known are named by their prefix: see flows.origins"
    return text


def matrix(document: Document) -> str:
    """The largest demands, what is left out, and how much of the truth the flows cover."""
    found = document["matrix"]
    if missing := absent(found):
        return f"no matrix: {why_absent(missing)}"
    columns = (
        Column("LINK"),
        Column("PREFIX"),
        Column("SOURCE"),
        Column("IN", right=True),
        Column("OF LINK", right=True),
    )
    rows = [
        (row["link"], row["prefix"], row["source"]["name"], rate(row["bps"]), percent(row["share_of_link"]))
        for row in found["demands"]
    ]
    rest = found["rest"]
    lines = [table(columns, rows) if rows else _no_demand(document), ""]
    if rest["demands"]:
        lines.append(f"{plural(rest['demands'], 'more demand')} of {rate(rest['bps'])} not shown (--top)")
    lines.append(
        f"total {rate(found['total_bps'])} bit/s over the {format_duration(found['seconds'])} to {found['until']}"
    )
    for name, coverage in found["coverage"].items():
        known = "no interface reading" if coverage is None else f"flows cover {percent(coverage)}"
        other = found["unattributed_bps"].get(name)
        lines.append(f"{name}{GAP}{known}" + (f", {rate(other)} to none of our prefixes" if other else ""))
    return "\n".join(lines)
