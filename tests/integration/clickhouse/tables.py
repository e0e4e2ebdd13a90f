"""Tables as the collectors make them, less the columns that nobody asks for, and rows for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address

from teagent.adapters.clickhouse.reader import Reader, Server
from teagent.adapters.clickhouse.statement import Columns

USER, PASSWORD = "teagent", "of the tests"

AKVORADO = Columns(
    time="TimeReceived",
    exporter="ExporterAddress",
    in_if="InIfName",
    out_if="OutIfName",
    src_addr="SrcAddr",
    dst_addr="DstAddr",
    src_as="SrcAS",
    bytes="Bytes",
    packets="Packets",
    sampling_rate="SamplingRate",
    direction="FlowDirection",
)
GOFLOW2 = Columns(
    time="time_received",
    exporter="sampler_address",
    in_if="in_if",
    out_if="out_if",
    src_addr="src_addr",
    dst_addr="dst_addr",
    src_as="src_as",
    bytes="bytes",
    packets="packets",
    sampling_rate="sampling_rate",
    etype="etype",
    direction="flow_direction",
)
SHAPES = {
    "akvorado": """
        TimeReceived DateTime CODEC(DoubleDelta, LZ4), SamplingRate UInt64, ExporterAddress LowCardinality(IPv6),
        ExporterName LowCardinality(String), SrcAddr IPv6 CODEC(ZSTD(1)), DstAddr IPv6 CODEC(ZSTD(1)), SrcAS UInt32,
        DstAS UInt32, InIfName LowCardinality(String), OutIfName LowCardinality(String),
        InIfBoundary Enum8('undefined' = 0, 'external' = 1, 'internal' = 2), EType UInt32, Proto UInt32,
        FlowDirection Enum8('undefined' = 0, 'ingress' = 1, 'egress' = 2),
        Bytes UInt64 CODEC(T64, LZ4), Packets UInt64 CODEC(T64, LZ4)""",
    # compose/kcg/clickhouse/create.sql, with in_if and out_if as a network that wants them adds them
    "goflow2": """
        type Int32, time_received DateTime64(9), sequence_num UInt32, sampling_rate UInt64,
        sampler_address FixedString(16), bytes UInt64, packets UInt64, src_addr FixedString(16),
        dst_addr FixedString(16), src_as UInt32, dst_as UInt32, etype UInt32, proto UInt32, in_if UInt32,
        out_if UInt32, flow_direction UInt32""",
}
COLUMNS = {"akvorado": AKVORADO, "goflow2": GOFLOW2}
ORDER = {"akvorado": "(TimeReceived, ExporterAddress)", "goflow2": "time_received"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    at: float
    src: str
    dst: str
    octets: int
    packets: int = 1
    in_if: int = 2
    out_if: int = 9
    src_asn: int = 0
    rate: int = 1
    exporter: str = "127.0.0.1"
    egress: bool = False
    interface: str = ""  # by which it came in, where that is not called after its number


def interface_name(index: int) -> str:
    return f"xe-0/0/{index}"


class ClickHouse:
    def __init__(self, port: int) -> None:
        self.port = port
        self._made = 0

    def server(self, table: str = "flows", **changed) -> Server:
        settings = {"host": "127.0.0.1", "port": self.port, "user": USER, "password": PASSWORD}
        return Server(**{**settings, "database": "default", "table": table, **changed})

    def reader(self, table: str, columns: Columns, **changed) -> Reader:
        return Reader(self.server(table, **changed), columns)

    def run(self, statement: str) -> bytes:
        import clickhouse_connect

        with clickhouse_connect.get_client(
            host="127.0.0.1", port=self.port, username=USER, password=PASSWORD, autogenerate_session_id=False
        ) as client:
            return client.raw_query(statement)

    def table(self, shape: str) -> str:
        """A new one, empty."""
        self._made += 1
        name = f"{shape}_{self._made}"
        self.run(f"CREATE TABLE {name} ({SHAPES[shape]}) ENGINE = MergeTree ORDER BY {ORDER[shape]}")
        return name

    def insert(self, table: str, rows: Sequence[Row]) -> None:
        shape = table.split("_", maxsplit=1)[0]
        values = ", ".join(_akvorado(row) if shape == "akvorado" else _goflow2(row) for row in rows)
        columns = COLUMNS[shape].given()
        self.run(f"INSERT INTO {table} ({', '.join(columns.values())}) VALUES {values}")


def _akvorado(row: Row) -> str:
    """In the order of Columns.given()."""
    exporter, src, dst = (_mapped(address) for address in (row.exporter, row.src, row.dst))
    names = [row.interface or interface_name(row.in_if), interface_name(row.out_if)]
    names = [name.replace("\\", r"\\").replace("'", r"\'") for name in names]
    return (
        f"({int(row.at)}, '{exporter}', '{names[0]}', '{src}', '{dst}', {row.octets}, {row.packets}, '{names[1]}', "
        f"{row.src_asn}, {row.rate}, '{'egress' if row.egress else 'ingress'}')"
    )


def _goflow2(row: Row) -> str:
    exporter, src, dst = (f"unhex('{_fixed(address)}')" for address in (row.exporter, row.src, row.dst))
    etype = 0x0800 if ip_address(row.dst).version == 4 else 0x86DD
    return (
        f"(toDateTime64({row.at}, 9), {exporter}, {row.in_if}, {src}, {dst}, {row.octets}, {row.packets}, "
        f"{row.out_if}, {row.src_asn}, {row.rate}, {etype}, {int(row.egress)})"
    )


def _mapped(address: str) -> str:
    return f"::ffff:{address}" if ip_address(address).version == 4 else address


def _fixed(address: str) -> str:
    """As goflow2's protobuf: 4 or 16 octets, filled up with zeros at the end."""
    return ip_address(address).packed.hex().ljust(32, "0")
