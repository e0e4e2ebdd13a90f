"""What routers report names senders: the last word counts, over a file as well."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from teagent.adapters.bmp import origins as module
from teagent.adapters.bmp.origins import BmpOrigins
from teagent.adapters.origins import OriginFile
from teagent.engine.measure.origin import OriginTable
from teagent.errors import TeagentError
from teagent.wire.bgp_update import decode_update
from teagent.wire.bmp import BmpStream, RouteMonitoring
from tests.fakes import bmp as b


def told(
    source: BmpOrigins, *updates: bytes, view: str = "post_policy", asn: int = 64510, **more: object
) -> BmpOrigins:
    for update in updates:
        for message in BmpStream().feed(b.monitoring(update, "192.0.2.9", view=view, asn=asn)):
            assert isinstance(message, RouteMonitoring)
            source.take(message, decode_update(message.update))
    return source


def asn_of(source: BmpOrigins, address: int, *, family: int = 4) -> int:
    kind = np.uint32 if family == 4 else np.uint64
    return int(OriginTable(source.read()).match(family, np.array([address], dtype=kind))[0])


TEN = 10 << 24


def test_the_origin_of_a_route_is_the_end_of_its_path():
    assert asn_of(told(BmpOrigins(), b.update(["10.0.0.0/8"], path=[64510, 64501])), TEN + 1) == 64501


def test_a_longer_prefix_wins_over_a_shorter_one():
    source = told(BmpOrigins(), b.update(["10.1.0.0/16"], path=[64502]), b.update(["10.0.0.0/8"], path=[64501]))
    assert asn_of(source, TEN + (1 << 16)) == 64502
    assert asn_of(source, TEN) == 64501


def test_the_last_announcement_of_a_prefix_counts_also_after_a_reading():
    source = told(BmpOrigins(), b.update(["10.0.0.0/8"], path=[64501]))
    assert asn_of(source, TEN) == 64501
    told(source, b.update(["10.0.0.0/8"], path=[64502]), b.update(["10.0.0.0/8"], path=[64503]))
    assert asn_of(source, TEN) == 64503
    assert len(source.read().ipv4) == 1


def test_what_a_peer_originates_itself_is_its_own():
    assert asn_of(told(BmpOrigins(), b.update(["10.0.0.0/8"]), asn=64510), TEN) == 64510


def test_a_withdrawal_leaves_the_last_that_is_known():
    source = told(BmpOrigins(), b.update(["10.0.0.0/8"], path=[64501]), b.update(withdrawn=["10.0.0.0/8"]))
    assert asn_of(source, TEN) == 64501


def test_routes_before_the_policy_do_not_count():
    source = told(BmpOrigins(), b.update(["10.0.0.0/8"], path=[64501]), view="pre_policy")
    assert len(source.read().ipv4) == 0


def test_ipv6_is_looked_up_by_its_high_half():
    update = b.update(["2001:db8::/32"], path=[64501], next_hop="2001:db8::1")
    assert asn_of(told(BmpOrigins(), update), (0x20010DB8 << 32) + 5, family=6) == 64501


def test_what_says_nothing_of_an_origin_is_counted():
    source = told(
        BmpOrigins(),
        b.update(["0.0.0.0/0"], path=[64501]),
        b.update(["2001:db8::/80"], path=[64501], next_hop="2001:db8::1"),
        b.update(["10.0.0.0/8"], path=[23456]),
    )
    assert source.read().skipped == {"default_route": 1, "longer_than_64": 1, "no_origin": 1}


def test_what_bmp_says_wins_over_the_file(tmp_path: Path):
    file = tmp_path / "origins.csv"
    file.write_text("10.0.0.0/8,64999\n11.0.0.0/8,64999\n")
    source = told(BmpOrigins(OriginFile(file)), b.update(["10.0.0.0/8"], path=[64501]))
    assert asn_of(source, TEN) == 64501
    assert asn_of(source, 11 << 24) == 64999
    assert source.path == file


def test_a_file_that_is_not_there_is_said_so(tmp_path: Path):
    with pytest.raises(TeagentError, match="cannot be read"):
        BmpOrigins(OriginFile(tmp_path / "none")).read()


def test_the_version_changes_with_every_announcement():
    source = BmpOrigins()
    before = source.version()
    told(source, b.update(["10.0.0.0/8"], path=[64501]))
    assert source.version() != before == BmpOrigins().version()


def test_announcements_between_two_readings_and_prefixes_are_bounded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "MOST_PENDING", 5)
    monkeypatch.setattr(module, "MOST_PREFIXES", 3)
    source = told(BmpOrigins(), *[b.update([f"10.{n}.0.0/16"], path=[64501]) for n in range(9)])
    routes = source.read()
    assert len(routes.ipv4) == 3
    assert routes.skipped == {"too_many": 4 + 2}
