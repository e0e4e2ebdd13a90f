"""Decoded flow records as they come: a JSON document of one record a line, or a table."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Final

from teagent.cli.text import GAP, clean, plural, width

Write = Callable[[str], None]

ROWS_AT_ONCE: Final = 500  # whose widths are looked at together
COLUMNS: Final = (  # header, whether it is a number
    ("EXPORTER", False),
    ("PROTOCOL", False),
    ("IN", True),
    ("OUT", True),
    ("SOURCE", False),
    ("DESTINATION", False),
    ("PROTO", True),
    ("SPORT", True),
    ("DPORT", True),
    ("OCTETS", True),
    ("PACKETS", True),
    ("RATE", True),
    ("SRC_AS", True),
)
SOURCE: Final = ("sourceIPv4Address", "sourceIPv6Address", "sourceIPv4Prefix", "sourceIPv6Prefix")
DESTINATION: Final = tuple(name.replace("source", "destination") for name in SOURCE)
OCTETS: Final = (
    "octetDeltaCount",
    "octetTotalCount",
    "initiatorOctets",
    "layer2OctetDeltaCount",
    "postOctetDeltaCount",
    "dataLinkFrameSize",
    "ipTotalLength",
)
UNSET: Final = ("0.0.0.0", "::")  # noqa: S104  what a record of the other family has, where a template has both
PACKETS: Final = ("packetDeltaCount", "packetTotalCount", "initiatorPackets", "postPacketDeltaCount")


class JsonSink:
    """`{"records": [...], "undecoded": [...], "files": [...]}`, written as it comes."""

    def __init__(self, write: Write) -> None:
        self._write = write
        self._last: str | None = None
        write('{"records": [')

    def record(self, document: dict[str, Any]) -> None:
        if self._last is not None:
            self._write(self._last + ",")
        self._last = json.dumps(document)

    def end(self, undecoded: Sequence[dict[str, Any]], files: Sequence[dict[str, Any]]) -> None:
        if self._last is not None:
            self._write(self._last)
        self._write(f'],\n"undecoded": {_rows(undecoded)},\n"files": {_rows(files)}}}')


def _rows(rows: Sequence[dict[str, Any]]) -> str:
    return "[" + ",".join(f"\n{json.dumps(row)}" for row in rows) + "]"


class TextSink:
    """Flow records as a table, the others counted; a column gets wider where a later cell needs it."""

    def __init__(self, write: Write) -> None:
        self._write = write
        self._rows: list[list[str]] = []
        self._widths = [len(header) for header, _ in COLUMNS]
        self._headed = False
        self._others: Counter[str] = Counter()

    def record(self, document: dict[str, Any]) -> None:
        if document["kind"] != "flow":
            self._others[document["kind"]] += 1
            return
        self._rows.append(_cells(document))
        if len(self._rows) >= ROWS_AT_ONCE:
            self._flush()

    def end(self, undecoded: Sequence[dict[str, Any]], files: Sequence[dict[str, Any]]) -> None:
        del files  # the last line on stderr sums them up
        self._flush()
        notes = [f"{plural(count, 'record')} of {kind}, see --json" for kind, count in sorted(self._others.items())]
        for row in undecoded:
            of = f" from {row['exporter']}" if row["exporter"] else ""
            notes.append(f"not decoded{of}, {plural(row['count'], 'time')}: {row['reason']}: {row['message']}")
        if notes and self._headed:
            self._write("")
        for line in notes:
            self._write(clean(line))

    def _flush(self) -> None:
        if not self._rows:
            return
        self._widths = [max(wide, *(width(row[i]) for row in self._rows)) for i, wide in enumerate(self._widths)]
        if not self._headed:
            self._line([header for header, _ in COLUMNS])
            self._headed = True
        for row in self._rows:
            self._line(row)
        self._rows.clear()

    def _line(self, cells: Sequence[str]) -> None:
        padded = [
            cell.rjust(wide) if number else cell.ljust(wide)
            for cell, wide, (_, number) in zip(cells, self._widths, COLUMNS, strict=True)
        ]
        self._write(GAP.join(padded).rstrip())


def _cells(document: dict[str, Any]) -> list[str]:
    fields = document["fields"]

    def first(names: Sequence[str]) -> Any:
        found = [fields[name] for name in names if fields.get(name)]
        return next((value for value in found if value not in UNSET), found[0] if found else None)

    packets = first(PACKETS)
    sampled = "dataLinkFrameSize" in fields or "ipTotalLength" in fields
    rate = document["sampling_rate"]
    cells = (
        document["exporter"] or None,
        document["protocol"],
        document.get("input", document["input_interface"]),
        document.get("output", document["output_interface"]),
        first(SOURCE),
        first(DESTINATION),
        fields.get("protocolIdentifier"),
        fields.get("sourceTransportPort"),
        fields.get("destinationTransportPort"),
        first(OCTETS),
        packets if packets is not None or not sampled else 1,
        None if rate is None else f"{rate:g}",
        fields.get("bgpSourceAsNumber") or None,
    )
    return ["-" if cell is None else clean(cell) or "-" for cell in cells]
