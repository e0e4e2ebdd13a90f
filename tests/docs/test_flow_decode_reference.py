"""docs/reference/json.md has every field of a decoded record and no other."""

from __future__ import annotations

import re
from pathlib import Path

from teagent.cli.root import teagent
from teagent.wire.capture_udp import Skipped
from teagent.wire.flow.offline import OfflineReader
from tests.fakes.netflow import netflow5, record5
from tests.fakes.sflow import counter_sample, datagram, discarded_packet, flow_sample, if_counters, sampled_ipv4

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "json.md"


def section() -> str:
    return PAGE.read_text(encoding="utf-8").split("\n## Decoded flows\n")[1].split("\n## ")[0]


def test_the_fields_of_a_record_are_those_of_the_page():
    reader = OfflineReader()
    payloads = (
        netflow5(record5(src=1, dst=2)),
        datagram(flow_sample(sampled_ipv4("192.0.2.1", "192.0.2.2")), counter_sample(if_counters(3))),
        datagram(discarded_packet(sampled_ipv4("192.0.2.1", "192.0.2.2"))),
    )
    fields = {"file"}
    for payload in payloads:
        for document in reader.read(payload, exporter="192.0.2.1", port=1, at=0):
            fields |= set(document)
    cells = [line.split("|")[1] for line in section().splitlines() if line.startswith("| `")]
    assert {name for cell in cells for name in re.findall(r"`(\w+)`", cell)} == fields


def test_what_a_capture_can_lack_is_named():
    assert {f"`{reason}`" for reason in Skipped} <= set(re.findall(r"`\w+`", section()))


def test_the_command_is_the_one_that_the_page_speaks_of():
    group = teagent.get_command(None, "flow")
    assert group is not None
    assert "decode" in group.commands
