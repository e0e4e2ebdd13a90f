"""Any octets give messages or a WireError, however TCP cuts them; what was made is read back."""

from __future__ import annotations

from contextlib import suppress
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

from hypothesis import example, given
from hypothesis import strategies as st

from teagent.errors import WireError
from teagent.model.bgp import LargeCommunity
from teagent.wire.bgp_update import decode_update, path_attributes
from teagent.wire.bmp import RouteMonitoring
from tests.fakes import bmp as b
from tests.fuzz.bmp_target import messages, read

DATA = Path(__file__).resolve().parents[1] / "data" / "bmp"
REAL = (
    b.initiation() + b.peer_up() + b.monitoring(b.update(["11.0.0.0/24"], large=[(65000, 1, 11)])) + b.termination(),
    b.monitoring(b.update(["2001:db8::/32"], path=[1, 2], path_id=3)) + b.peer_down(data=b.notification(6, 2)),
    b.statistics({0: 1, 4: 2}) + b.monitoring(b.end_of_rib(6), view="loc_rib"),
    (DATA / "frr-8.4.4-refused.bmp").read_bytes()[:3000],
)
ints = st.integers(0, 2**32 - 1)


@given(st.binary(max_size=600))
def test_any_octets_give_messages_or_a_wire_error(octets):
    read(octets)


@given(st.sampled_from(REAL), st.lists(st.tuples(st.integers(0, 2999), st.integers(0, 255)), max_size=8))
@example(REAL[0], [(5, 0xFF)])
def test_octets_changed_on_the_way_give_messages_or_a_wire_error(octets, changes):
    damaged = bytearray(octets)
    for at, value in changes:
        damaged[at % len(damaged)] = value
    read(bytes(damaged))


@given(st.sampled_from(REAL), st.lists(st.integers(1, 400), max_size=20))
def test_the_cuts_of_tcp_change_nothing(octets, sizes):
    pieces, at = [], 0
    for size in sizes:
        pieces.append(octets[at : at + size])
        at += size
    assert messages([*pieces, octets[at:]]) == messages([octets])


fours = st.tuples(ints, st.integers(0, 32)).map(lambda net: str(IPv4Network(net, strict=False)))
sixes = st.tuples(st.integers(0, 2**128 - 1), st.integers(0, 128)).map(lambda net: str(IPv6Network(net, strict=False)))
prefixes = st.one_of(st.lists(fours, max_size=5), st.lists(sixes, max_size=5))


@given(
    prefixes, st.lists(ints, max_size=10), st.lists(st.tuples(ints, ints, ints), max_size=5, unique=True), st.booleans()
)
def test_a_route_is_read_as_it_was_written(announced, path, large, with_id):
    hop = "2001:db8::1" if any(":" in text for text in announced) else "192.0.2.254"
    path_id = 9 if with_id else None
    octets = b.monitoring(b.update(announced, next_hop=hop, path=path, large=large, path_id=path_id))
    (message,) = messages([octets])
    assert isinstance(message, RouteMonitoring)
    found = decode_update(message.update, add_path={4, 6} if with_id else ())
    assert [str(net.prefix()) for net in found.announced] == announced
    if announced:
        attributes = path_attributes(found.attributes)
        assert attributes.as_path == tuple(path)
        assert attributes.large_communities == {LargeCommunity(*row) for row in large}


@given(st.binary(max_size=300))
def test_any_octets_in_an_update_give_prefixes_or_a_wire_error(octets):
    with suppress(WireError):
        found = decode_update(b.bgp(2, octets), add_path={4})
        assert len(found.announced) + len(found.withdrawn) <= len(octets)
        path_attributes(found.attributes)
