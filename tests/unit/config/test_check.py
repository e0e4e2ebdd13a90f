"""The parts of a configuration have to fit each other."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address

import pytest

from teagent.config.derived import bmp_station
from teagent.config.effective import SourceAs
from teagent.config.load import load
from tests.unit.config.conftest import SECRETS, Files

Bent = Callable[..., list[str]]


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("router: edge1", "router: edge3", "links.transit-a.router: there is no router edge3, known are edge1, edge2"),
        ("id: 2", "id: 1", "links.transit-b.id: 1 is the id of transit-a already"),
        ("peer_asn: 64510", "peer_asn: 64500", "links.transit-a.peer_asn: AS64500 is our own, a link leads to another"),
        ("price_per_mbps", "commit: 11Gbps, price_per_mbps", "commit: 11.0Gbps is more than the capacity"),
        ('2001:db8:100::/44"', '198.51.100.0/24"', "prefixes[1].prefix: 198.51.100.0/24 is there twice, first as"),
        (
            "{transit-b: w",
            "{transit-x: w",
            "prefixes[2].home.transit-x: there is no link transit-x, known are transit-",
        ),
        ("{transit-b: w", "{transit-a: withhold, transit-b: w", "home: no link announces 203.0.113.0/24, it would be"),
        ("true}", "true, home: {transit-a: withhold}}", "198.51.100.0/24 is announced on transit-b alone"),
        ("true}", "true, max_prepend: 4}", "prefixes[0].max_prepend: 4 is more than bgp.max_prepend, which is 3"),
        ("true}", "true, home: {transit-a: 4}}", "prefixes[0].home.transit-a: 198.51.100.0/24 is at home with 4 prep"),
        ("true}", "true, max_prepend: 0}", "links.transit-b.home.prepend: 198.51.100.0/24 is at home with 1 prepends"),
        (', ipv6: "2001:db8::254"', "", "bgp.next_hop.ipv6: required key is missing, 2001:db8:100::/44 is enginee"),
        ("ipv4: 192.0.2.254", "ipv4: 192.0.2.1", "bgp.next_hop.ipv4: 192.0.2.1 is the address of edge1"),
        ("ipv4: 192.0.2.254", "ipv4: 192.0.2.250", "bgp.next_hop.ipv4: 192.0.2.250 is bgp.local_address"),
        ("ipv4: 192.0.2.254", "ipv4: 192.0.2.9", "bgp.next_hop.ipv4: 192.0.2.9 is the neighbor of transit-a"),
        ("router_id: 192.0.2.250", "router_id: 192.0.2.2", "local.router_id: 192.0.2.2 is the address of edge2"),
        ("local_address: 192.0.2.250", "local_address: 192.0.2.1", "routers.edge1.address: 192.0.2.1 is bgp.local_"),
        ("local_address: 192.0.2.250", "local_address: 2001:db8::1", "192.0.2.1 cannot be reached from bgp.local_add"),
        ("address: 192.0.2.2\n", "address: 192.0.2.1\n", "routers.edge2.address: 192.0.2.1 is the neighbor of edge1 a"),
        ("address: 192.0.2.2\n", "address: 192.0.2.1\n", "192.0.2.1 is an exporter address of edge1 already"),
        ("address: 192.0.2.1", "address: edge1.example.net", "routers.edge1.bgp.neighbor: required key is missing"),
        ("address: 192.0.2.1", "address: edge1.example.net", "flows.exporter_addresses: required key is missing"),
        ('      auth: {protocol: sha256, key: "env:AUTH"}\n', "", "edge2.snmp.priv: privacy without authentication"),
        ("policies: policies", "poll: {interval: 90s}", "poll.interval: 1m30s is not below stale_after, which is 1m3"),
        ("policies: policies", "poll: {timeout: 16s}", "poll.timeout: 2 tries of 16s take 32s, longer than the inter"),
        ("flows:\n", "flows:\n  window: 10s\n", "flows.window: 10s is shorter than poll.interval, which is 30s"),
        (
            "flows:\n",
            "flows:\n  short_window: 2m\n",
            "flows.short_window: 2m does not go into flows.window, which is 5m, a whole number of times",
        ),
        (
            "flows:\n",
            "flows:\n  short_window: 10s\n",
            "flows.short_window: 10s is shorter than poll.interval, which is 30s",
        ),
        (
            "flows:\n",
            "flows:\n  origins: {path: bview.gz}\n  source_prefix: {ipv4: 20}\n",
            "flows.source_prefix.ipv4: 20 is shorter than 24: with flows.origins one sender would have several origins",
        ),
        ("policies: policies", "store: {keep: {hourly: 1d}}", "store.keep.raw: 1w is longer than hourly, which is 1d"),
        (
            "policies: policies",
            "control: {socket: /run/teagent-exabgp/relay.sock}",
            "'/run/teagent-exabgp/relay.sock' is bgp.relay",
        ),
        (
            "policies: policies",
            'decide: {experiments: {prefixes: [203.0.113.0/24], window: "02:00-04:00", policy: balance}}',
            "decide.experiments.prefixes[0]: 203.0.113.0/24 is not to be engineered: it is never changed",
        ),
        (
            "policies: policies",
            'decide: {experiments: {prefixes: [192.0.2.0/24], window: "02:00-04:00", policy: balance}}',
            "decide.experiments.prefixes[0]: there is no prefix 192.0.2.0/24, known are",
        ),
        (
            "policies: policies",
            'decide: {experiments: {prefixes: [198.51.100.0/24], window: "02:00-04:00", policy: none}}',
            "decide.experiments.policy: there is no policy none, known are balance",
        ),
        (
            "policies: policies",
            'decide: {experiments: {prefixes: [198.51.100.0/24], window: "2-4", policy: balance}}',
            "decide.experiments.window: '2-4' is not a time of day, from and to, for example 02:00-04:30",
        ),
        ("policies: policies", f"control: {{socket: /{'x' * 107}}}", "control.socket: longer than 107 bytes"),
        ('2055"}]', '2055"}, {protocol: netflow, address: "127.0.0.1:2055"}]', "127.0.0.1:2055 is flows.listen[0] a"),
    ],
)
def test_what_does_not_fit_is_found(bent: Bent, old: str, new: str, problem: str) -> None:
    found = bent(old, new)
    assert any(problem in line for line in found), found
    assert all(line.split(":")[1].isdecimal() for line in found if line.startswith("config.yaml"))


def test_two_links_on_one_interface_would_count_twice(files: Files) -> None:
    files.bend("router: edge2", "router: edge1")
    (problem,) = files.problems()
    assert problem.startswith("config.yaml:19:63: links.transit-b.interface: eth0 of edge1 is transit-a already")


def test_two_links_of_a_router_have_two_neighbors(files: Files) -> None:
    files.bend("router: edge2, interface: eth0", "router: edge1, interface: eth1")
    files.bend("192.0.2.17", "192.0.2.9")
    assert [p for p in files.problems() if "192.0.2.9 is the neighbor of transit-a already" in p]


def test_a_router_known_by_name_works_with_its_addresses_given(files: Files) -> None:
    files.bend(
        "address: 192.0.2.1,",
        "address: edge1.example.net, bgp: {neighbor: 192.0.2.1}, flows: {exporter_addresses: [192.0.2.1]},",
    )
    assert files.problems() == []


def test_the_largest_link_id_fits_into_a_large_community(bent: Bent) -> None:
    assert bent("id: 2", "id: 429496728") == []
    assert 429496728 * 10 + 5 < 2**32


BMP = 'policies: policies\nbmp: {listen: "192.0.2.250:1790"}'


def test_a_router_sends_bmp_from_its_address_and_its_end_of_the_session(files: Files) -> None:
    files.bend("policies: policies", BMP)
    files.bend("address: 192.0.2.2\n", "address: 192.0.2.2\n    bgp: {neighbor: 192.0.2.3}\n")
    config = load(files.config, environment=SECRETS)
    assert [str(address) for address in config.routers["edge2"].bmp_addresses] == ["192.0.2.2", "192.0.2.3"]


def test_a_router_without_bmp_sends_it_from_nowhere(files: Files) -> None:
    files.bend("address: 192.0.2.2\n", "address: 192.0.2.2\n    bmp: {enabled: false}\n")
    assert load(files.config, environment=SECRETS).routers["edge2"].bmp_addresses == ()


def test_two_routers_do_not_send_bmp_from_one_address(files: Files) -> None:
    files.bend("address: 192.0.2.2\n", "address: 192.0.2.2\n    bmp: {addresses: [192.0.2.1]}\n")
    assert files.problems() == []
    files.bend("policies: policies", BMP)
    (problem,) = files.problems()
    assert "routers.edge2.bmp.addresses: 192.0.2.1 is where edge1 sends BMP from already" in problem


def test_a_key_is_looked_up_and_a_bad_one_named_at_its_place(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    files.bend("edge1: {", "edge1: {bgp: {md5_password: env:KEY}, ")
    (missing,) = files.problems()
    assert "routers.edge1.bgp.md5_password: the environment variable KEY is not set" in missing
    monkeypatch.setitem(SECRETS, "KEY", "k" * 81)
    (long,) = files.problems()
    assert "config.yaml:8:" in long
    assert "md5_password: what env:KEY refers to is no TCP MD5 key: it has 81 characters, limit 80" in long
    monkeypatch.setitem(SECRETS, "KEY", 'k"')
    assert files.problems() == []
    files.bend("edge1: {bgp", "edge1: {vendor: bird, bgp")
    (quoted,) = files.problems()
    assert "md5_password: what env:KEY refers to is no TCP MD5 key for BIRD: it has a double quote" in quoted


def test_a_key_is_not_written_into_the_configuration(bent: Bent) -> None:
    (problem,) = bent("edge1: {", "edge1: {bgp: {md5_password: s3cret}, ")
    assert "md5_password: a secret is not written here but referred to" in problem
    assert "s3cret" not in problem


def with_session(files: Files, session: str) -> list[str]:
    files.bend("edge1: {address: 192.0.2.1,", f"edge1: {{address: 192.0.2.1, witness_session: {session},")
    return files.problems()


def test_a_witness_session_comes_from_an_address_of_its_own(files: Files) -> None:
    assert with_session(files, "{local_address: 192.0.2.251}") == []
    session = load(files.config, environment=SECRETS).routers["edge1"].witness_session
    assert session is not None
    assert str(session.router_id) == "192.0.2.251"


@pytest.mark.parametrize(
    ("session", "problem"),
    [
        ("{local_address: 192.0.2.250}", "local_address: 192.0.2.250 is bgp.local_address: the router tells its two"),
        ("{local_address: 192.0.2.2}", "local_address: 192.0.2.2 is the address of edge2, not of this machine"),
        ('{local_address: "2001:db8::1", router_id: 192.0.2.251}', "cannot be reached from 2001:db8::1: IPv4 and IPv6"),
        ("{local_address: 192.0.2.251, router_id: 192.0.2.250}", "router_id: 192.0.2.250 is local.router_id, ExaBGP's"),
        ("{}", "local_address: required key is missing"),
    ],
)
def test_a_witness_session_that_could_not_be_is_named(files: Files, session: str, problem: str) -> None:
    assert any(problem in said for said in with_session(files, session)), files.problems()


def test_on_ipv6_a_witness_session_needs_an_identifier(files: Files) -> None:
    said = with_session(files, '{local_address: "2001:db8::1"}')
    assert any("router_id: required key is missing, since 2001:db8::1 is no IPv4 address" in row for row in said)


def test_where_every_address_is_listened_on_routers_connect_to_the_one_that_exabgp_speaks_from(files: Files) -> None:
    files.bend("policies: policies", BMP.replace("192.0.2.250", "0.0.0.0"))
    assert bmp_station(load(files.config, environment=SECRETS)) == (ip_address("192.0.2.250"), 1790)


@pytest.mark.parametrize(
    ("origins", "problem"),
    [
        ("{reload: 1h}", "flows.origins: neither a path nor bmp: true, nobody says which AS originates what"),
        ("{bmp: true}", "flows.origins.bmp: routers report nothing: bmp.listen is not configured"),
    ],
)
def test_origins_need_somebody_who_says_them(bent: Bent, origins: str, problem: str) -> None:
    (found,) = bent('2055"}]\n', f'2055"}}]\n  origins: {origins}\n')
    assert problem in found


def test_origins_alone_tell_the_as_of_senders_where_there_are_some(bent: Bent, files: Files) -> None:
    (found,) = bent('2055"}]\n', '2055"}]\n  source_as: origins\n')
    assert found.endswith("flows.source_as: origins alone are to tell it, and flows.origins is missing")
    files.bend("  source_as: origins\n", "  source_as: origins\n  origins: {path: bview.gz}\n")
    assert load(files.config, environment=SECRETS).flows.source_as is SourceAs.ORIGINS


def test_origins_may_come_from_routers_alone(files: Files) -> None:
    files.bend("policies: policies", BMP)
    files.bend('2055"}]\n', '2055"}]\n  origins: {bmp: true}\n')
    origins = load(files.config, environment=SECRETS).flows.origins
    assert origins is not None
    assert (origins.path, origins.bmp) == (None, True)
