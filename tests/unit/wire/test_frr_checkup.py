"""A router's text is followed route by route: what was generated keeps every promise, what was bent is named."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teagent.model.bgp import Asn
from teagent.model.diagnosis import Verdict
from teagent.wire.router_config import BorderLink, BorderRouter, frr_config
from teagent.wire.router_config.checkup import checkup
from teagent.wire.router_config.frr_checkup import frr_checkup

ONE, TWO, SIX = ip_network("198.51.100.0/24"), ip_network("203.0.113.0/24"), ip_network("2001:db8:100::/44")
A = BorderLink(name="transit-a", link_id=1, neighbor=ip_address("192.0.2.2"), export_map="TO-A")
B = BorderLink(name="transit-b", link_id=2, neighbor=ip_address("192.0.2.6"), export_map="TO-B")
ROUTER = BorderRouter(
    name="edge1",
    asn=Asn(65000),
    speaker=ip_address("192.0.2.66"),
    links=(A, B),
    prefixes=(ONE, TWO, SIX),
    next_hop_ipv4=IPv4Address("192.0.2.254"),
    next_hop_ipv6=IPv6Address("2001:db8::254"),
    bmp=(ip_address("192.0.2.66"), 1790),
    witness=ip_address("192.0.2.67"),
)
HOMES = {(ONE, "transit-a"): 0, (ONE, "transit-b"): 2, (TWO, "transit-b"): 0, (SIX, "transit-a"): 0}
OWN = """
ip prefix-list ON-BOTH seq 5 permit 198.51.100.0/24
ip prefix-list ON-B seq 5 permit 203.0.113.0/24
ipv6 prefix-list ON-A6 seq 5 permit 2001:db8:100::/44
router bgp 65000
 neighbor UPSTREAMS peer-group
 neighbor 192.0.2.2 remote-as 64501
 neighbor 192.0.2.6 remote-as 64502
 address-family ipv4 unicast
  network 198.51.100.0/24
  network 203.0.113.0/24
  neighbor 192.0.2.2 route-map TO-A out
  neighbor 192.0.2.6 route-map TO-B out
 exit-address-family
 address-family ipv6 unicast
  network 2001:db8:100::/44
  neighbor 192.0.2.2 route-map TO-A out
  neighbor 192.0.2.6 route-map TO-B out
 exit-address-family
exit
route-map TO-A permit 1000
 match ip address prefix-list ON-BOTH
exit
route-map TO-A permit 1010
 match ipv6 address prefix-list ON-A6
exit
route-map TO-B permit 1000
 match ip address prefix-list ON-BOTH
 set as-path prepend 65000 65000
exit
route-map TO-B permit 1010
 match ip address prefix-list ON-B
exit
"""
TEXT = OWN + frr_config(ROUTER)


def wrong(text: str) -> dict[str, str]:
    """What is not proven: check and subject to message."""
    found = frr_checkup(ROUTER, text, HOMES)
    return {f"{each.check} {each.subject}": each.message for each in found if each.verdict is not Verdict.PROVEN}


def bent(old: str, new: str) -> str:
    assert old in TEXT
    return TEXT.replace(old, new)


def test_what_router_config_prints_keeps_every_promise() -> None:
    assert wrong(TEXT) == {}


def test_loading_the_text_twice_changes_nothing() -> None:
    assert wrong(TEXT + frr_config(ROUTER)) == {}


@pytest.mark.parametrize(
    ("old", "new", "where", "words"),
    [
        (" neighbor 192.0.2.66 remote-as 65000\n", "", "session 192.0.2.66", "has remote-as None"),
        ("neighbor 192.0.2.66 passive", "neighbor 192.0.2.66 shutdown", "session 192.0.2.66", "shut down"),
        ("  neighbor 192.0.2.66 maximum-prefix 50\n", "", "session 192.0.2.66", "no maximum-prefix"),
        ("set weight 40000", "set weight 32768", "wins overrides", "would never win"),
        (" set weight 40000\n", " set local-preference 900\n", "wins overrides", "weight 0"),
        ("  neighbor 192.0.2.66 route-map TEAGENT-IN in\n", "", "only_ours overrides", "none of ours"),
        ("TEAGENT-OURS seq 10 permit 203.0.113.0/24", "TEAGENT-OURS seq 10 permit 203.0.114.0/24", "wins overrides",
         "refuses overrides of 203.0.113.0/24"),
        ("  table-map TEAGENT-NOFIB\n", "", "fib table-map", "could decide forwarding"),
        ("_65000:1:[0-9]+_", "^65000:1:[0-9]+$", "fib table-map", "into the FIB"),
        ("ip route 192.0.2.254/32 blackhole", "", "next_hop blackhole", "would not resolve"),
        ("  network 203.0.113.0/24\n", "", "home network", "203.0.113.0/24 is not originated"),
        ("TEAGENT-1-2 seq 5 permit 65000:1:12", "TEAGENT-1-2 seq 5 permit 65000:1:13", "signals transit-a",
         "198.51.100.0/24 with 65000:1:12 is announced with 0 prepends, promised are 2"),
        ("set as-path prepend 65000 65000 65000\n", "set as-path prepend 65000 65000 3\n", "signals transit-a",
         "a foreign AS"),
        ("TEAGENT-2-1 seq 5 permit 65000:1:21", "TEAGENT-2-1 seq 5 permit 65000:1:10", "signals transit-b",
         "with 65000:1:21 is announced with 2 prepends, promised are 1"),
        (" set large-comm-list TEAGENT-ANY delete\n", "", "signals transit-a", "signals are not stripped"),
        ("neighbor 192.0.2.6 route-map TO-B out", "neighbor 192.0.2.6 route-map TO-A out", "signals transit-b",
         "with 65000:2:2 is announced to 192.0.2.6, it should not be"),
        ("route-map TO-A deny 10", "route-map TO-A permit 10", "signals transit-a", "it should not be"),
        ("route-map TO-A permit 1000", "route-map TO-A deny 1000", "home_path transit-a", "not at all"),
        (" set as-path prepend 65000 65000\nexit\nroute-map TO-B permit 1010", "exit\nroute-map TO-B permit 1010",
         "home_path transit-b", "with 0 prepends, configured is with 2 prepends"),
        ("  bmp monitor ipv4 unicast pre-policy\n", "", "bmp bmp", "pre-policy"),
        (" neighbor 192.0.2.67 remote-as 65000\n", "", "witness_session 192.0.2.67", "has remote-as None"),
        ("  neighbor 192.0.2.67 route-reflector-client\n", "", "witness_session 192.0.2.67", "overrides stay untold"),
        ("  neighbor 192.0.2.67 route-map TEAGENT-NOTHING in\n", "", "witness_session 192.0.2.67", "would be accepted"),
        ("route-map TEAGENT-WITNESS permit 10\n", "route-map TEAGENT-WITNESS deny 10\n", "witness_session 192.0.2.67",
         "is not told with its signals"),
    ],
)  # fmt: skip
def test_a_sabotaged_text_is_named_where_it_breaks(old: str, new: str, where: str, words: str) -> None:
    found = wrong(bent(old, new))
    assert words in found.get(where, f"not found, but {found}")


@pytest.mark.parametrize("neighbor", ["192.0.2.66", "192.0.2.67"])
@pytest.mark.parametrize(
    ("signed", "said", "words"),
    [
        (True, "", "has no password, and routers.edge1.bgp.md5_password is configured: the session just times out"),
        (False, "password s3cret", "has a password, and routers.edge1.bgp.md5_password is not configured"),
    ],
)
def test_a_key_at_one_end_alone_is_wrong_and_not_repeated(neighbor: str, signed: bool, said: str, words: str) -> None:
    keys = {"192.0.2.66": "password s3cret", "192.0.2.67": "password s3cret"} if signed else {}
    lines = "".join(f" neighbor {each} {key}\n" for each, key in (keys | {neighbor: said}).items() if key)
    found = frr_checkup(replace(ROUTER, signed=signed), f"{TEXT}router bgp 65000\n{lines}exit\n", HOMES)
    (wrong,) = [each for each in found if each.verdict is not Verdict.PROVEN]
    assert wrong.subject == neighbor
    assert words in wrong.message
    assert "s3cret" not in wrong.message


def test_a_key_at_both_ends_is_as_it_should_be() -> None:
    keys = "".join(f" neighbor 192.0.2.{last} password s3cret\n" for last in (66, 67))
    found = frr_checkup(replace(ROUTER, signed=True), f"{TEXT}router bgp 65000\n{keys}exit\n", HOMES)
    assert {each.verdict for each in found} == {Verdict.PROVEN}


def test_an_entry_of_ones_own_before_the_generated_ones_is_found() -> None:
    shadow = "route-map TO-A permit 5\n match ip address prefix-list ON-BOTH\nexit\n"
    assert "signals transit-a" in wrong(TEXT + shadow)


def test_what_is_not_understood_is_assumed_and_never_proven() -> None:
    own = "route-map TO-A permit 5\n match ip address prefix-list ON-BOTH\n match rpki invalid\nexit\n"
    found = {each.check + each.subject: each for each in frr_checkup(ROUTER, TEXT + own, HOMES)}
    assert found["signalstransit-a"].verdict is Verdict.ASSUMED
    assert "match rpki invalid" in found["signalstransit-a"].message


def test_a_clause_that_cannot_matter_to_our_prefixes_is_passed_over() -> None:
    own = "route-map TO-A permit 5\n match ip address prefix-list ELSEWHERE\n match rpki invalid\nexit\n"
    assert wrong(TEXT + own) == {}


def test_what_a_peer_group_says_holds_for_its_members() -> None:
    text = TEXT.replace("  neighbor 192.0.2.2 route-map TO-A out\n", "  neighbor UPSTREAMS route-map TO-A out\n")
    assert "signals transit-a" in wrong(text)
    grouped = text.replace(
        " neighbor 192.0.2.2 remote-as 64501\n",
        " neighbor 192.0.2.2 remote-as 64501\n neighbor 192.0.2.2 peer-group UPSTREAMS\n",
    )
    assert wrong(grouped) == {}


def test_another_vendor_s_text_proves_nothing() -> None:
    assert [each.verdict for each in checkup(ROUTER, "bird", TEXT, HOMES)] == [Verdict.ASSUMED]


LINES = st.sampled_from(TEXT.splitlines())
WORDS = st.text(st.sampled_from("abpermit 0123456789./:_![]()*+\n"), max_size=60)


@given(st.lists(st.one_of(LINES, WORDS), max_size=80))
def test_any_text_gives_a_diagnosis_of_every_check(lines: list[str]) -> None:
    found = frr_checkup(ROUTER, "\n".join(lines), HOMES)
    assert {each.check for each in found} == {
        "session", "wins", "only_ours", "fib", "next_hop", "home", "signals", "home_path", "bmp",
        "witness_session",
    }  # fmt: skip
