"""docs/reference/flows.md has a row for every reason that a counter can carry, and states the real bounds."""

from __future__ import annotations

import re
from pathlib import Path

from teagent.adapters.flow.account import INTERNAL_ERROR
from teagent.adapters.flow.listener import MOST_UNTAKEN_RECORDS, QUEUE_SIZE, FlowListener
from teagent.wire.flow.limits import Limits
from teagent.wire.flow.records import Undecoded

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "flows.md"


def reasons(title: str) -> set[str]:
    section = PAGE.read_text().split(f"## {title}\n")[1].split("\n## ")[0]
    return set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE))


def test_every_reason_for_not_reading_something_has_a_row():
    assert reasons("What could not be read") == {*Undecoded, INTERNAL_ERROR}


def test_every_reason_for_dropping_something_has_a_row():
    assert reasons("What was dropped") == set(FlowListener(bindings=(), exporters={}).dropped())


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
