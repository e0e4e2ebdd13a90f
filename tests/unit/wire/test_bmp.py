from __future__ import annotations

import json
from ipaddress import ip_address
from pathlib import Path

import pytest

from teagent.errors import BadLength, BadVersion, LimitExceeded
from teagent.wire.bgp_update import decode_update, path_attributes
from teagent.wire.bmp import (
    BmpStream,
    Initiation,
    Message,
    PeerDown,
    PeerUp,
    RouteMonitoring,
    Statistics,
    Termination,
    Undecoded,
    View,
)
from tests.fakes import bmp as b

DATA = Path(__file__).resolve().parents[2] / "data" / "bmp"


def messages(octets: bytes) -> list[Message]:
    return list(BmpStream().feed(octets))


def one(octets: bytes) -> Message:
    (found,) = messages(octets)
    return found


@pytest.mark.parametrize("view", list(View))
def test_a_route_names_the_table_that_it_is_in(view):
    found = one(b.monitoring(b.update(["11.0.0.0/24"]), view=str(view)))
    assert isinstance(found, RouteMonitoring)
    assert found.peer.view is view
    assert decode_update(found.update).announced


def test_the_loc_rib_has_no_peer_address():
    found = one(b.monitoring(b.update(["11.0.0.0/24"]), view="loc_rib"))
    assert isinstance(found, RouteMonitoring)
    assert found.peer.address is None


def test_a_peer_has_its_address_and_the_time():
    found = one(b.monitoring(b.end_of_rib(), "2001:db8::66", asn=64501, at=1_700_000_000.25, two_octet_as=True))
    assert isinstance(found, RouteMonitoring)
    assert found.peer.address == ip_address("2001:db8::66")
    assert (found.peer.asn, found.peer.at, found.peer.as_octets) == (64501, 1_700_000_000.25, 2)


def test_a_session_that_comes_up_has_both_opens():
    found = one(b.peer_up(received=b.open_(64501)))
    assert isinstance(found, PeerUp)
    assert found.local_address == ip_address("192.0.2.65")
    assert (found.local_port, found.remote_port) == (179, 40000)
    assert (found.sent, found.received) == (b.open_(), b.open_(64501))


@pytest.mark.parametrize(
    ("code", "data", "said"),
    [
        (1, b.notification(6, 2), "the router closed it: cease, administrative shutdown"),
        (2, bytes(2), "the router closed it"),
        (3, b.notification(4), "the peer closed it: hold timer expired"),
        (4, b"", "the connection was lost"),
        (77, b"", "reason 77"),
    ],
)
def test_a_session_that_goes_down_says_why(code, data, said):
    found = one(b.peer_down(code=code, data=data))
    assert isinstance(found, PeerDown)
    assert (found.code, found.reason) == (code, said)


def test_beginning_and_end_are_told_in_words():
    first, last = messages(b.initiation("edge\n1", "FRRouting") + b.termination(2))
    assert first == Initiation(system_name="edge1", system_description="FRRouting")
    assert last == Termination(reason="out of resources")


def test_counters_are_read_by_type():
    found = one(b.statistics({0: 3, 4: 1}))
    assert isinstance(found, Statistics)
    assert found.values == {0: 3, 4: 1}


def test_octets_may_come_one_by_one():
    stream, octets = BmpStream(), b.initiation() + b.peer_up() + b.monitoring(b.end_of_rib())
    found = [message for octet in octets for message in stream.feed(bytes((octet,)))]
    assert found == messages(octets)


def test_a_body_that_makes_no_sense_costs_its_message_alone():
    found = messages(b.message(3, bytes(50)) + b.message(42, b"") + b.initiation())
    assert [type(message) for message in found] == [Undecoded, Undecoded, Initiation]


@pytest.mark.parametrize(
    ("octets", "error"),
    [
        (b"GET / HTTP/1.1\r\n", BadVersion),
        (b"\x03\x00\x00\x00\x05\x00", BadLength),
        (b"\x03\xff\xff\xff\xff\x00", LimitExceeded),
    ],
)
def test_a_header_that_makes_no_sense_ends_the_stream(octets, error):
    stream = BmpStream()
    found = []
    with pytest.raises(error):
        found.extend(stream.feed(b.initiation() + octets))
    with pytest.raises(error):
        list(stream.feed(b.initiation()))


@pytest.mark.parametrize("name", ["accepted", "refused", "inside-down"])
def test_pmbmpd_reads_the_same_out_of_what_frr_sends(name):
    ours = [row for message in messages((DATA / f"frr-8.4.4-{name}.bmp").read_bytes()) for row in told(message)]
    theirs = [json.loads(line) for line in (DATA / f"frr-8.4.4-{name}.jsonl").read_text().splitlines()]
    assert ours == [
        {key: row[key] for key in KEYS[row["bmp_msg_type"]] if key in row}
        for row in theirs
        if isinstance(row.get("counter_value", 0), int)  # it shows octets of counters that it does not know
    ]


SESSION = ("bmp_msg_type", "peer_ip", "is_post")
ROUTE = (
    "bmp_msg_type",
    "peer_ip",
    "is_post",
    "log_type",
    "ip_prefix",
    "bgp_nexthop",
    "as_path",
    "lcomms",
    "local_pref",
)
KEYS = {
    "init": ("bmp_msg_type", "bmp_init_info_sysdescr", "bmp_init_info_sysname"),
    "peer_up": (*SESSION, "peer_asn", "bgp_id", "local_ip", "local_port", "remote_port"),
    "peer_down": (*SESSION, "peer_asn", "reason_type"),
    "stats": (*SESSION, "peer_asn", "counter_type", "counter_value"),
    "route_monitor": ROUTE,
}


def told(message: Message) -> list[dict[str, object]]:
    """In pmbmpd's words. It leaves out what is about no session: the router's own routes, and ends of tables."""
    match message:
        case Initiation():
            row: dict[str, object] = {
                "bmp_msg_type": "init",
                "bmp_init_info_sysdescr": message.system_description,
                "bmp_init_info_sysname": message.system_name,
            }
            return [row]
        case PeerUp(peer=peer):
            row = {**session("peer_up", message), "peer_asn": peer.asn, "bgp_id": str(peer.bgp_id)}
            ports = {"local_port": message.local_port, "remote_port": message.remote_port}
            return [{**row, "local_ip": str(message.local_address), **ports}]
        case PeerDown(peer=peer):
            return [{**session("peer_down", message), "peer_asn": peer.asn, "reason_type": message.code}]
        case Statistics(peer=peer):
            return [
                {**session("stats", message), "peer_asn": peer.asn, "counter_type": kind, "counter_value": value}
                for kind, value in message.values.items()
                if kind != 65531
            ]
        case RouteMonitoring(peer=peer) if str(peer.address) != "0.0.0.0":
            return routes(message)
        case _:
            return []


def session(kind: str, message: PeerUp | PeerDown | Statistics | RouteMonitoring) -> dict[str, object]:
    post = message.peer.view is View.POST_POLICY
    row: dict[str, object] = {"bmp_msg_type": kind, "peer_ip": str(message.peer.address)}
    return row if kind == "peer_down" else {**row, "is_post": int(post)}


def routes(message: RouteMonitoring) -> list[dict[str, object]]:
    update = decode_update(message.update)
    head = session("route_monitor", message)
    rows = [{**head, "log_type": "withdraw", "ip_prefix": str(net.prefix())} for net in update.withdrawn]
    for net in update.announced:
        path = path_attributes(update.attributes)
        row = {**head, "log_type": "update", "ip_prefix": str(net.prefix()), "bgp_nexthop": str(path.next_hop)}
        row["as_path"] = " ".join(map(str, path.as_path))
        if path.large_communities:
            row["lcomms"] = " ".join(map(str, sorted(path.large_communities)))
        if path.local_pref is not None:
            row["local_pref"] = path.local_pref
        rows.append(row)
    return rows
