"""docs/reference/flows.md has a row for every reason that a counter can carry, and states the real bounds."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

from teagent.adapters.clickhouse.reader import Reader, Server
from teagent.adapters.clickhouse.source import QUERY_FAILED, ClickHouseSource
from teagent.adapters.clickhouse.statement import Columns
from teagent.adapters.flow.account import INTERNAL_ERROR
from teagent.adapters.flow.listener import MOST_UNTAKEN_RECORDS, QUEUE_SIZE, FlowListener
from teagent.adapters.metrics import METRICS
from teagent.config.build import build_trust
from teagent.config.flow_schema import FlowTrust
from teagent.config.quantities import duration_text, share_text
from teagent.daemon.build import exporter_bounds
from teagent.engine.measure.exporter_trust import ExporterBounds
from teagent.engine.measure.trust import COVERAGE_LIMITS
from teagent.wire.flow.limits import Limits
from teagent.wire.flow.records import Undecoded
from tests.fakes.clock import FakeClock

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "flows.md"


def reasons(title: str) -> set[str]:
    section = PAGE.read_text().split(f"## {title}\n")[1].split("\n## ")[0]
    return set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE))


def test_every_reason_for_not_reading_something_has_a_row():
    assert reasons("What could not be read") == {*Undecoded, INTERNAL_ERROR, QUERY_FAILED}


def test_every_reason_for_dropping_something_has_a_row():
    listener = FlowListener(bindings=(), exporters={})
    server = Server(host="::1", port=8123, user="", password="", database="default", table="flows")
    columns = Columns(time="t", exporter="e", in_if="i", src_addr="s", dst_addr="d", bytes="b", packets="p")
    table = ClickHouseSource(
        Reader(server, columns),
        exporters={},
        interfaces=dict,
        prefixes=(),
        clock=FakeClock(datetime(2026, 1, 1, tzinfo=UTC)),
        lag_seconds=30,
        interval_seconds=10,
    )
    assert reasons("What was dropped") == {*listener.dropped(), *table.dropped()}


def test_the_bounds_are_the_ones_in_force():
    text = PAGE.read_text().split("## Bounds")[1]
    limits = Limits()
    for bound in (
        limits.max_domains,
        limits.max_templates,
        limits.max_fields,
        limits.max_new_templates,
        limits.max_samplers,
        limits.max_pending_sets,
        QUEUE_SIZE,
        MOST_UNTAKEN_RECORDS,
    ):
        assert re.search(rf"\b{bound:,}\b", text)
    assert (limits.max_pending_octets, limits.max_pending_seconds) == (1 << 20, 60.0)


def test_every_limit_of_trust_has_a_row_with_its_default():
    section = PAGE.read_text().split("## When flows are not trusted\n")[1].split("\n## ")[0]
    rows = dict(re.findall(r"^\| `(\w+)` \| ([^|]+) \|", section, re.MULTILINE))
    defaults = FlowTrust().model_dump()
    coverage = defaults.pop("coverage")
    assert rows.pop("coverage") == f"{share_text(coverage['low'])} to {share_text(coverage['high'])}"
    shares = {"lost", "undecoded", "future"}
    assert rows == {
        key: share_text(value) if key in shares else duration_text(value) for key, value in defaults.items()
    }


def test_every_limit_of_trust_names_its_metric():
    section = PAGE.read_text().split("## When flows are not trusted\n")[1].split("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| `")]
    named = [set(re.findall(r"`(teagent_\w+)` ?[,|]", row)) for row in rows]
    assert all(named)
    assert set.union(*named) <= {metric.name for metric in METRICS}


def test_the_bounds_of_trust_are_the_same_in_the_engine_and_in_the_configuration():
    """Of the engine's own default nobody hears but tests; it is not to be another one."""
    defaults = FlowTrust()
    bounds = exporter_bounds(build_trust(defaults))
    assert bounds == ExporterBounds()
    assert (defaults.coverage.low, defaults.coverage.high) == COVERAGE_LIMITS
