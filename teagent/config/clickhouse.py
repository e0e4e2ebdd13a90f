"""Tables of flows in ClickHouse: what collectors call their columns, and what does not fit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from teagent.config.document import Keys
from teagent.config.effective import FlowTable, InterfaceKey
from teagent.config.finding import Finding
from teagent.config.flow_schema import ClickHouse, ClickHouseColumns
from teagent.config.readers import listed
from teagent.config.schema import ConfigFile

AKVORADO: Final = {
    "time": "TimeReceived",
    "exporter": "ExporterAddress",
    "in_if": "InIfName",
    "out_if": "OutIfName",
    "src_addr": "SrcAddr",
    "dst_addr": "DstAddr",
    "src_as": "SrcAS",
    "bytes": "Bytes",
    "packets": "Packets",
    "sampling_rate": "SamplingRate",
}
"""Of its table `flows`, common/schema/definition.go; the tables of sums have no addresses."""
GOFLOW2: Final = {
    "time": "time_received",
    "exporter": "sampler_address",
    "in_if": "in_if",
    "out_if": "out_if",
    "src_addr": "src_addr",
    "dst_addr": "dst_addr",
    "src_as": "src_as",
    "bytes": "bytes",
    "packets": "packets",
    "sampling_rate": "sampling_rate",
    "etype": "etype",
}
"""Of the table `flows_raw` of its example, compose/kcg/clickhouse/create.sql, and the interfaces that it leaves out."""
COLUMNS: Final[Mapping[str, Mapping[str, str]]] = {
    FlowTable.AKVORADO: AKVORADO,
    FlowTable.GOFLOW2: GOFLOW2,
    FlowTable.CUSTOM: {},
}
TABLES: Final[Mapping[str, str]] = {FlowTable.AKVORADO: "flows", FlowTable.GOFLOW2: "flows_raw"}
OPTIONAL: Final = frozenset({"out_if", "src_as", "sampling_rate", "etype", "direction"})


def columns_of(row: ClickHouse) -> dict[str, str]:
    given = {name: getattr(row.columns, name) for name in ClickHouseColumns.model_fields}
    return {**COLUMNS[row.schema_], **{name: column for name, column in given.items() if column is not None}}


def table_of(row: ClickHouse) -> str | None:
    return row.table or TABLES.get(row.schema_)


def interfaces_of(row: ClickHouse) -> InterfaceKey:
    if row.interfaces is not None:
        return InterfaceKey(row.interfaces)
    return InterfaceKey.NAME if row.schema_ == FlowTable.AKVORADO else InterfaceKey.INDEX


def check_clickhouse(file: ConfigFile, *, short_window_seconds: float) -> Iterator[Finding]:
    """Also that no exporter comes both ways, and that none comes neither way."""
    at: Keys = ("flows", "clickhouse")
    row = file.flows.clickhouse
    if row is None:
        if not file.flows.listen:
            yield Finding(("flows", "listen"), "required key is missing, and so is flows.clickhouse")
        return
    columns = columns_of(row)
    for name in ClickHouseColumns.model_fields:
        if name not in columns and name not in OPTIONAL:
            yield Finding((*at, "columns", name), f"required key is missing, with schema {row.schema_}")
    if table_of(row) is None:
        yield Finding((*at, "table"), f"required key is missing, with schema {row.schema_}")
    if row.lag + row.interval > short_window_seconds:
        message = (
            f"{row.lag:g}s and an interval of {row.interval:g}s are more than a window of {short_window_seconds:g}s"
        )
        yield Finding((*at, "lag"), message)
    if not row.tls and row.ca_cert is not None:
        yield Finding((*at, "ca_cert"), "nothing is checked without tls: true")
    yield from _routers(file, row, (*at, "routers"))


def _routers(file: ConfigFile, row: ClickHouse, at: Keys) -> Iterator[Finding]:
    for index, name in enumerate(row.routers or ()):
        if name not in file.routers:
            yield Finding((*at, index), f"there is no router {name}, known are {listed(name, file.routers)}")
    if not file.flows.listen:
        exporting = {link.router for link in file.links.values()}
        left = sorted(exporting - set(row.routers)) if row.routers is not None else []
        if left:
            yield Finding(at, f"{', '.join(left)} is not among them, and there is no flows.listen for its flows")
    elif row.routers is None:
        message = "required key is missing: with flows.listen, no exporter may be counted from both"
        yield Finding(at, message)
    elif set(row.routers) >= set(file.routers):
        yield Finding(("flows", "listen"), "flows.clickhouse.routers has all routers, nobody is left to listen to")
