"""What is known of the AS graph: document to text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from teagent.cli.text import Column, fields, percent, plural, table

Document = Mapping[str, Any]

SHOWN = 12
"""ASes that a line names before it only counts."""

CLASSES = {"customer": "by a customer", "peer": "by a peer", "provider": "by a provider", "none": "not at all"}


def ases(numbers: Sequence[int]) -> str:
    named = " ".join(f"AS{n}" for n in numbers[:SHOWN])
    return f"{named} and {len(numbers) - SHOWN} more" if len(numbers) > SHOWN else named or "none"


def info(document: Document) -> str:
    cycles = document["provider_cycles"]
    text = fields(
        [
            ("ASes", document["ases"]),
            ("transit", plural(document["transit_relations"], "relation")),
            ("peering", plural(document["peerings"], "relation")),
            ("siblings", f"{plural(document['siblings'], 'pair')}, taken as peers" if document["siblings"] else "none"),
            ("stubs", f"{document['stubs']}, {document['multihomed_stubs']} of them multihomed"),
            ("nobody above", ases(document["top"])),
            ("ranks", document["ranks"]),
            ("cycles", plural(len(cycles), "group") + " of each other's providers" if cycles else "none"),
        ],
        indent="",
    )
    lines = [text, *(f"  {ases(group)}" for group in cycles), ""]
    columns = (Column("AS"), Column("CUSTOMERS", right=True), Column("PEERS", right=True))
    rows = [(f"AS{row['asn']}", row["customers"], row["peers"]) for row in document["largest"]]
    return "\n".join([*lines, table(columns, rows)])


def cone(document: Document) -> str:
    rows = [
        (name, f"{len(document[name])}: {ases(document[name])}" if document[name] else "none")
        for name in ("providers", "customers", "peers", "cone", "upstreams")
    ]
    if "shared_with" in document:
        shared = document["shared_upstreams"]
        rows.append((f"shared with AS{document['shared_with']}", f"{len(shared)}: {ases(shared)}"))
    if "origin" in document:
        cut = document["cut_by_failure"]
        rows.append((f"cut off from AS{document['origin']}", f"{len(cut)}: {ases(cut)}" if cut else "nobody"))
    return "\n".join([f"AS{document['asn']}", fields(rows)])


def path(document: Document) -> str:
    if document["class"] in {"own", "none"}:
        why = "is the origin" if document["class"] == "own" else f"has no path to AS{document['origin']}"
        return f"AS{document['asn']} {why}"
    rows = [
        ("path", " ".join(str(hop) for hop in document["path"])),
        ("length", document["length"]),
        ("learned", CLASSES[document["class"]]),
        ("next hops", ases(document["next_hops"])),
        ("comes in by", ", ".join(document["ingress_links"])),
    ]
    return "\n".join([f"AS{document['asn']} to AS{document['origin']}", fields(rows)])


def propagate(document: Document, *, wide: bool = False) -> str:
    counts = document["classes"]
    total = sum(counts.values()) - counts["own"]
    head = f"AS{document['origin']} is heard by {total - counts['none']} of {plural(total, 'AS', 'ASes')}"
    classes = ", ".join(f"{counts[kind]} {said}" for kind, said in CLASSES.items())
    columns = (
        Column("LINK"),
        Column("NEIGHBOR"),
        Column("WE ARE"),
        Column("PREPEND", right=True),
        Column("ALONE", right=True),
        Column("TIED", right=True),
        Column("ALONE%", right=True),
        Column("AT MOST%", right=True, wide=True),
    )
    rows = [
        (
            row["link"],
            f"AS{row['neighbor']}",
            row["heard_as"],
            row["prepend"],
            row["alone"],
            row["tied"],
            percent(row["alone"] / total) if total else None,
            percent((row["alone"] + row["tied"]) / total) if total else None,
        )
        for row in sorted(document["sessions"], key=lambda row: -(row["alone"] + row["tied"]))
    ]
    lines = [f"{head}: {classes}", ""]
    if rows:
        lines.append(table(columns, rows, wide=wide))
    if document["withheld"]:
        lines += ["", f"withheld: {', '.join(document['withheld'])}"]
    return "\n".join(lines)
