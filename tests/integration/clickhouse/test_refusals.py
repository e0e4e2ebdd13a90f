"""What goes wrong with a ClickHouse is said in one line, with what to do about it, and never with the password."""

from __future__ import annotations

import builtins
import socket
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network

import pytest

from teagent.adapters.clickhouse.reader import Reader
from teagent.adapters.clickhouse.source import ClickHouseSource
from teagent.adapters.clickhouse.statement import Columns, Grouping
from teagent.errors import TelemetryError
from tests.fakes.clock import FakeClock
from tests.integration.clickhouse.tables import AKVORADO, PASSWORD, ClickHouse, Row

pytestmark = pytest.mark.slow
START = datetime(2026, 1, 12, 19, 40, tzinfo=UTC)
GROUPING = Grouping(
    exporters=["127.0.0.1"],
    ports=[("127.0.0.1", "xe-0/0/2")],
    prefixes=[ip_network("198.51.100.0/24")],
    source_prefix_ipv4=24,
    source_prefix_ipv6=48,
)


def refusal(reader: Reader) -> TelemetryError:
    with pytest.raises(TelemetryError) as caught:
        reader.flows(GROUPING, since=0, until=60)
    assert PASSWORD not in caught.value.message
    assert "\n" not in caught.value.message
    return caught.value


def changed(**columns: str) -> Columns:
    return Columns(**{**AKVORADO.given(), **columns})


def test_a_server_that_is_not_there_is_unreachable(clickhouse: ClickHouse) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        error = refusal(clickhouse.reader("flows", AKVORADO, port=free.getsockname()[1]))
    assert "cannot be reached" in error.message
    assert "8123" in str(error.hint)


def test_a_wrong_password_is_named_as_such(clickhouse: ClickHouse) -> None:
    error = refusal(clickhouse.reader("flows", AKVORADO, password="another"))
    assert "refuses the user or the password" in error.message
    assert "another" not in error.message


def test_a_table_that_is_missing_is_named(clickhouse: ClickHouse) -> None:
    error = refusal(clickhouse.reader("nowhere", AKVORADO))
    assert "has no such table" in error.message
    assert "nowhere" in error.message


def test_a_column_that_is_missing_is_named(clickhouse: ClickHouse) -> None:
    error = refusal(clickhouse.reader(clickhouse.table("akvorado"), changed(in_if="InIfIndex")))
    assert "has no column InIfIndex" in error.message


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"src_addr": "SrcAS"}, "SrcAS of the ClickHouse table"),
        ({"bytes": "InIfName"}, "InIfName of the ClickHouse table"),
        ({"time": "Bytes"}, "DateTime, DateTime64 or UInt32"),
    ],
)
def test_a_column_of_a_wrong_type_is_named(columns: dict[str, str], said: str, clickhouse: ClickHouse) -> None:
    assert said in refusal(clickhouse.reader(clickhouse.table("akvorado"), changed(**columns))).message


def test_more_groups_than_a_query_may_have_are_refused_and_not_cut(
    clickhouse: ClickHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("teagent.adapters.clickhouse.reader.MOST_GROUPS", 2)
    table = clickhouse.table("akvorado")
    clickhouse.insert(table, [Row(at=5, src=f"10.0.{n}.1", dst="198.51.100.1", octets=1) for n in range(9)])
    error = refusal(clickhouse.reader(table, AKVORADO))
    assert "has more rows than it may read" in error.message
    assert "interval" in str(error.hint)


def test_a_missing_library_says_how_to_get_it(clickhouse: ClickHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *arguments, **named):
        if name == "clickhouse_connect":
            raise ImportError(name)
        return real(name, *arguments, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    error = refusal(clickhouse.reader("flows", AKVORADO))
    assert "clickhouse-connect, which is not installed" in error.message
    assert error.hint == "pip install 'teagent[clickhouse]'"


def test_names_that_are_no_names_never_get_into_a_query(clickhouse: ClickHouse) -> None:
    with pytest.raises(TelemetryError, match="no name of letters"):
        clickhouse.reader("flows` UNION ALL SELECT 1 --", AKVORADO).flows(GROUPING, since=0, until=1)


def test_what_failed_is_read_once_it_can_be_again(clickhouse: ClickHouse) -> None:
    """The table is missing, then it is there: nothing of the meantime is lost, and the trouble is over."""
    clock = FakeClock(START + timedelta(seconds=60))
    source = ClickHouseSource(
        clickhouse.reader("flows_of_later", AKVORADO),
        exporters={"127.0.0.1": "edge1"},
        interfaces=lambda: {("edge1", "xe-0/0/2"): 2},
        prefixes=GROUPING.prefixes,
        clock=clock,
        lag_seconds=30,
        interval_seconds=10,
    )
    source.resume(START, clock.now())
    assert not source.poll()
    assert "has no such table" in source.trouble()
    assert source.exporters()[0].undecoded == {"query_failed": 1}
    assert source.told_until(clock.now()) == START

    table = clickhouse.table("akvorado")
    clickhouse.insert(table, [Row(at=START.timestamp() + 3, src="10.0.0.1", dst="198.51.100.1", octets=700)])
    clickhouse.run(f"RENAME TABLE {table} TO flows_of_later")
    clock.advance(30)
    assert source.poll(), source.trouble()
    assert source.trouble() == ""
    assert [batch.octets.tolist() for batch in source.take()] == [[700]]
    assert source.told_until(clock.now()) == START + timedelta(seconds=60)
