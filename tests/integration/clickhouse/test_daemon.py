"""`teagent run` that reads its flows from ClickHouse alone: from the rows to what the command line shows."""

from __future__ import annotations

import json
import time

import pytest

from tests.integration.clickhouse.tables import PASSWORD, USER, ClickHouse, Row
from tests.integration.running import Router, RunningDaemon, Site, site, teagent
from tests.integration.snmp_agents import agent

pytestmark = pytest.mark.slow

ENVIRONMENT = {"FLOWS_PASSWORD": PASSWORD}
LINKS = [("transit-a", "edge1", "lo"), ("transit-b", "edge1", "lo0")]


def reading(where: Site, clickhouse: ClickHouse, table: str, more: str = "") -> None:
    where.flows = (
        f'clickhouse: {{host: 127.0.0.1, port: {clickhouse.port}, user: {USER}, password: "env:FLOWS_PASSWORD", '
        f"table: {table}, schema: akvorado, lag: 2s, interval: 1s}}{more}"
    )
    where.write()


def test_the_rows_of_a_table_are_in_the_matrix_of_the_daemon(clickhouse: ClickHouse) -> None:
    table, now = clickhouse.table("akvorado"), int(time.time())
    steady = [
        Row(at=now + second, src="192.0.2.9", dst=dst, octets=octets, packets=10, src_asn=64496, interface="lo")
        for second in range(120)
        for dst, octets in (("198.51.100.7", 10_000), ("203.0.113.7", 5_000))
    ]
    clickhouse.insert(table, steady)
    with site() as where, agent(where.directory) as port:
        where.routers, where.links = [Router("edge1", "127.0.0.1", port)], LINKS
        reading(where, clickhouse, table)
        with RunningDaemon(where, environment=ENVIRONMENT) as daemon:
            daemon.ready()
            daemon.until("a matrix", lambda: "demands" in daemon.call("matrix.show")["matrix"], seconds=40)
            matrix = json.loads(teagent(where, "matrix", "--json", "--source-as", "64496").stdout)["matrix"]
            [exporter] = json.loads(teagent(where, "exporter", "--json").stdout)["exporters"]
            assert daemon.stop() == 0
    rates = {demand["prefix"]: demand["bps"] for demand in matrix["demands"]}
    assert set(rates) == {"198.51.100.0/24", "203.0.113.0/24"}
    # 14 octets of Ethernet for each of the 10 packets; the scale of the link falls out of the ratio.
    assert rates["198.51.100.0/24"] / rates["203.0.113.0/24"] == pytest.approx(10_140 / 5_140, rel=0.01)
    assert (exporter["protocol"], exporter["state"], exporter["router"]) == ("clickhouse", "ok", "edge1")
    assert exporter["records"] > 0


def test_where_the_rows_name_the_neighbor_the_origins_alone_tell_who_sends(clickhouse: ClickHouse) -> None:
    table, now = clickhouse.table("akvorado"), int(time.time())
    clickhouse.insert(
        table,
        [
            Row(at=now + second, src=src, dst="198.51.100.7", octets=1000, packets=1, src_asn=64496, interface="lo")
            for second in range(120)
            for src in ("192.0.2.9", "192.0.3.9", "192.0.4.9")
        ],
    )
    with site() as where, agent(where.directory) as port:
        where.routers, where.links = [Router("edge1", "127.0.0.1", port)], LINKS
        (where.directory / "origins.txt").write_text("192.0.2.0/24 64501\n192.0.3.0/24 64502\n")
        reading(where, clickhouse, table, "\n  source_as: origins\n  origins: {path: origins.txt}")
        with RunningDaemon(where, environment=ENVIRONMENT) as daemon:
            daemon.ready()
            daemon.until("a matrix", lambda: "demands" in daemon.call("matrix.show")["matrix"], seconds=40)
            demands = json.loads(teagent(where, "matrix", "--json").stdout)["matrix"]["demands"]
            assert daemon.stop() == 0
    sources = [demand["source"] for demand in demands]
    assert {source["asn"] or source["prefix"] for source in sources} == {64501, 64502, "192.0.4.0/24"}


def test_a_table_that_is_not_there_is_said_in_the_log_and_by_the_command_line(clickhouse: ClickHouse) -> None:
    with site() as where, agent(where.directory) as port:
        where.routers, where.links = [Router("edge1", "127.0.0.1", port)], LINKS
        reading(where, clickhouse, "nowhere")
        with RunningDaemon(where, environment=ENVIRONMENT) as daemon:
            daemon.ready()
            daemon.until("the log", lambda: "no flows come" in daemon.log(), seconds=40)
            said = teagent(where, "matrix").stdout
            assert daemon.stop() == 0
            assert "has no such table" in said
            assert PASSWORD not in daemon.log()
