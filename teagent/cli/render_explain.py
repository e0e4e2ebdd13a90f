"""The answer to a customer's complaint: document to text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from teagent.cli.text import Column, clean, fields, percent, rate, size, table

Document = Mapping[str, Any]


def explain(document: Document) -> str:
    """The sentences first, then the figures that they rest on, then what to do."""
    owner = document["owner"]
    where = "home, as the routers announce it" if document["at_home"] else "not home"
    held = "" if owner == "home" else f", held by {owner}"
    parts = [f"prefix {document['prefix']}  {where}{held}"]
    if document["summary"]:
        parts.append("\n".join(f"  {clean(sentence)}" for sentence in document["summary"]))
    parts += [_announced(document), _links(document["links"])]
    parts += [_filled(link) for link in document["links"] if link["congested"]]
    parts.append(_next(document))
    return "\n\n".join(part for part in parts if part)


def _announced(document: Document) -> str:
    loads = {row["link"]: row for row in document["ingress"]}
    said = {row["link"]: row for row in document["announced"]}
    columns = (
        Column("ANNOUNCED ON"),
        Column("PREPEND", right=True),
        Column("HOME", right=True),
        Column("IN", right=True),
        Column("OF PREFIX", right=True),
        Column("FROM"),
    )
    rows = []
    for name in dict.fromkeys([*said, *loads]):
        announced, load = said.get(name, {}), loads.get(name, {})
        senders = [f"{row['source']['name']} {rate(row['bps'])}" for row in load.get("top_sources", ())]
        rows.append(
            (
                name if name in said else f"{name} (not announced there)",
                announced.get("prepend"),
                announced.get("home_prepend"),
                rate(load.get("bps")),
                percent(load.get("share")),
                ", ".join(senders),
            )
        )
    return table(columns, rows) if rows else "announced nowhere"


def _links(links: Sequence[Document]) -> str:
    columns = (
        Column("LINK"),
        Column("CAPACITY", right=True),
        Column("IN", right=True),
        Column("IN%", right=True),
        Column("CONGESTED"),
        Column("ABOVE SINCE"),
        Column("WHY"),
    )
    rows = [
        (
            row["link"],
            size(row["capacity_bps"]),
            rate(row["in_bps"]),
            percent(row["in_utilisation"]),
            _congested(row),
            row["above_since"],
            row["message"],
        )
        for row in links
    ]
    return table(columns, rows) if rows else ""


def _congested(link: Document) -> str:
    if link["congested"]:
        return "yes"
    # Without a reading nobody knows; "no" would send the customer's complaint away.
    return "not known" if link["in_utilisation"] is None else "no"


def _filled(link: Document) -> str:
    parts = [(row["prefix"], f"{rate(row['bps'])}  {percent(row['share'])}") for row in link["by_prefixes"]]
    parts += [(row["source"]["name"], f"{rate(row['bps'])}  {percent(row['share'])}") for row in link["by_sources"]]
    return f"{link['link']} is filled by\n{fields(parts)}" if parts else ""


def _next(document: Document) -> str:
    lines = []
    for row in document["helps"]:
        if row["proposal"]:
            lines.append(f"what helps: teagent proposal {row['proposal']} show")
        else:
            lines.append(f"what helps: teagent plan --policy {row['policy']} --propose")
    return "\n".join(dict.fromkeys(lines)) or "there is no plan that would help"
