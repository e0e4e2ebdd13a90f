"""The generated router configurations: the FRR one is what the lab's edge runs."""

from __future__ import annotations

import shutil
import subprocess
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

from teagent.model.bgp import Address, Asn
from teagent.wire.router_config import BorderLink, BorderRouter, router_config

LAB_EDGE = Path(__file__).resolve().parents[3] / "labs" / "two-transit" / "edge" / "frr.conf"


STATION = (ip_address("192.0.2.66"), 1790)


def border_router(
    *prefixes: str,
    links: tuple[BorderLink, ...] | None = None,
    bmp: tuple[Address, int] | None = None,
    witness: Address | None = None,
    signed: bool = False,
) -> BorderRouter:
    default_links = (
        BorderLink(name="transit-b", link_id=2, neighbor=ip_address("192.0.2.6"), export_map="TO-B"),
        BorderLink(name="transit-a", link_id=1, neighbor=ip_address("192.0.2.2"), export_map="TO-A"),
    )
    return BorderRouter(
        name="edge",
        asn=Asn(65000),
        speaker=ip_address("192.0.2.66"),
        links=links or default_links,
        prefixes=tuple(ip_network(prefix) for prefix in prefixes),
        next_hop_ipv4=ip_address("192.0.2.254"),
        next_hop_ipv6=ip_address("2001:db8:ffff::254"),
        bmp=bmp,
        witness=witness,
        signed=signed,
    )


def block(text: str) -> list[str]:
    lines = text.splitlines()
    return lines[lines.index("! teagent begin") : lines.index("! teagent end") + 1]


def test_the_frr_block_is_the_very_text_that_the_labs_edge_runs():
    generated = router_config(border_router("12.0.0.0/24", "10.0.0.0/24", "11.0.0.0/24", bmp=STATION), "frr")
    assert block(generated) == block(LAB_EDGE.read_text())


def test_frr_reports_by_bmp_what_came_in_and_what_was_taken_of_it_in_both_families():
    lines = router_config(border_router("10.0.0.0/24", "2001:db8:10::/48", bmp=STATION), "frr").splitlines()
    at = lines.index(" bmp targets teagent")
    assert lines[at + 1].startswith("  bmp connect 192.0.2.66 port 1790 ")
    assert lines[at + 2 : at + 6] == [
        f"  bmp monitor {family} unicast {view}"
        for family in ("ipv4", "ipv6")
        for view in ("pre-policy", "post-policy")
    ]
    assert any("-M bmp" in line for line in lines[:at])


def test_without_bmp_in_the_configuration_the_router_is_told_nothing_of_it():
    assert "bmp" not in router_config(border_router("10.0.0.0/24"), "frr").lower()


@pytest.mark.parametrize(("vendor", "reflects"), [("frr", "route-reflector-client"), ("bird", "rr client;")])
def test_on_the_witness_session_the_router_reflects_and_takes_nothing(vendor: str, reflects: str) -> None:
    prefixes = ("10.0.0.0/24", "2001:db8:10::/48")
    with_it = router_config(border_router(*prefixes, witness=ip_address("192.0.2.67")), vendor)
    without = router_config(border_router(*prefixes), vendor)
    added = [line.strip() for line in with_it.splitlines() if line not in without.splitlines()]
    assert any(reflects in line for line in added)
    assert "192.0.2.67" not in without
    assert "witness" not in without.lower()


def test_frr_is_told_of_the_key_where_a_second_loading_does_not_change_it():
    text = router_config(border_router("10.0.0.0/24", witness=ip_address("192.0.2.67"), signed=True), "frr")
    said = [line for line in text.splitlines() if " password " in line]
    assert said == ["!    neighbor 192.0.2.66 password KEY", "!    neighbor 192.0.2.67 password KEY"]
    assert "routers.edge.bgp.md5_password" in text


@pytest.mark.parametrize(("witness", "sessions"), [(None, 1), (ip_address("192.0.2.67"), 2)])
def test_bird_takes_the_key_from_a_file_beside_what_is_generated(witness: Address | None, sessions: int) -> None:
    text = router_config(border_router("10.0.0.0/24", witness=witness, signed=True), "bird")
    assert text.splitlines().count("  password TEAGENT_MD5_KEY;") == sessions
    assert '#      define TEAGENT_MD5_KEY = "...";' in text
    assert "routers.edge.bgp.md5_password" in text


@pytest.mark.parametrize("vendor", ["frr", "bird"])
def test_without_a_key_nothing_is_said_of_one(vendor: str) -> None:
    text = router_config(border_router("10.0.0.0/24", witness=ip_address("192.0.2.67")), vendor).lower()
    assert "password" not in text
    assert "md5" not in text


def test_frr_export_entries_come_before_the_operators_own_at_1000():
    lines = router_config(border_router("10.0.0.0/24", "2001:db8:10::/48"), "frr").splitlines()
    sequences = [int(line.split()[-1]) for line in lines if line.startswith("route-map TO-A ")]
    assert sequences == [*range(10, 18), *range(20, 28)]


def test_frr_prepends_as_often_as_the_community_says():
    lines = router_config(border_router("10.0.0.0/24"), "frr").splitlines()
    entry = lines.index(" match large-community TEAGENT-1-3")
    assert lines[entry + 1] == " set as-path prepend 65000 65000 65000"
    assert "bgp large-community-list standard TEAGENT-1-3 seq 5 permit 65000:1:13" in lines


def test_frr_keeps_overrides_out_of_the_fib_in_both_families():
    text = router_config(border_router("10.0.0.0/24", "2001:db8:10::/48"), "frr")
    assert text.count("table-map TEAGENT-NOFIB") == 2
    assert "ip route 192.0.2.254/32 blackhole" in text
    assert "ipv6 route 2001:db8:ffff::254/128 blackhole" in text


def test_frr_speaks_only_of_the_families_that_have_prefixes():
    text = router_config(border_router("2001:db8:10::/48"), "frr")
    assert "address-family ipv4" not in text
    assert "ip prefix-list" not in text.replace("ipv6 prefix-list", "")


def test_frr_touches_no_community_of_ours_with_another_function():
    lines = router_config(border_router("10.0.0.0/24"), "frr").splitlines()
    expanded = [line.split()[-1] for line in lines if " expanded TEAGENT-ANY " in line]
    assert expanded == ["_65000:1:[0-9]+_", "_65000:2:[0-9]+_"]


def test_a_link_without_an_export_map_gets_a_name_and_a_warning():
    links = (BorderLink(name="ix-1", link_id=7, neighbor=ip_address("192.0.2.9")),)
    text = router_config(border_router("10.0.0.0/24", links=links), "frr")
    assert "route-map TEAGENT-OUT-7 permit 11" in text
    assert "link ix-1 has no export_map" in text


@pytest.mark.parametrize("vendor", ["openbgpd", "other", "junos", ""])
def test_a_vendor_that_was_never_tried_is_refused(vendor):
    with pytest.raises(ValueError, match="no generator for"):
        router_config(border_router("10.0.0.0/24"), vendor)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"prefixes": ()}, "no prefix"),
        ({"links": ()}, "has no link"),
        ({"next_hop_ipv4": None}, "no IPv4 next hop"),
        ({"next_hop_ipv6": None, "prefixes": (ip_network("2001:db8::/32"),)}, "no IPv6 next hop"),
    ],
)
def test_a_router_that_could_not_work_is_refused(change, message):
    good = border_router("10.0.0.0/24")
    fields = {name: getattr(good, name) for name in BorderRouter.__dataclass_fields__}
    with pytest.raises(ValueError, match=message):
        BorderRouter(**{**fields, **change})


@pytest.mark.parametrize("name", ["TO A", "TO-A\nrouter bgp 1", "1st", "x" * 64, "TÖ"])
def test_a_map_name_that_would_say_something_else_to_the_router_is_refused(name):
    with pytest.raises(ValueError, match="not a name for an export policy"):
        BorderLink(name="a", link_id=1, neighbor=ip_address("192.0.2.2"), export_map=name)


@pytest.mark.skipif(shutil.which("bird") is None, reason="bird is not installed")
def test_bird_reads_what_is_generated_for_it(tmp_path):
    router = border_router("10.0.0.0/24", "2001:db8:10::/48", witness=ip_address("192.0.2.67"))
    generated = router_config(router, "bird")
    config = tmp_path / "bird.conf"
    config.write_text(
        "router id 192.0.2.1;\nprotocol device {}\n"
        + generated
        + "protocol kernel { ipv4 { table teagent_fib4; export all; }; }\n"
        + "filter to_a { teagent_export_1(); if net ~ TEAGENT_OURS4 then accept; reject; }\n"
        + "protocol bgp a { local as 65000; neighbor 192.0.2.2 as 64501; ipv4 { import none; export filter to_a; }; }\n"
    )
    done = subprocess.run(["bird", "-p", "-c", config], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_bird_prepends_as_often_as_the_community_says():
    lines = router_config(border_router("10.0.0.0/24"), "bird").splitlines()
    entry = lines.index("    if (65000, 1, 13) ~ bgp_large_community then {")
    assert lines[entry + 1 : entry + 6] == [
        *["      bgp_path.prepend(65000);"] * 3,
        "      bgp_large_community.delete(TEAGENT_ANY);",
        "      accept;",
    ]
