"""FRR 8.4 and later. Everything here was tried in labs/two-transit, whose edge runs this very text.

- Weight 40000 beats the router's own `network` (32768); a higher local-preference would not.
- Only our prefixes, and only with one of our communities, come in.
- An override stays out of the FIB (table-map): home, connected or static, decides forwarding.
- Only the signal communities (functions 1 and 2) count: a route that carries another community of our ASN is left
  alone. An expanded list is matched against all communities of the route at once, hence the underscores.
- The witness session reflects the best route of each of our prefixes to us, and takes nothing.
- BMP reports what came in and what was taken of it (bgpd -M bmp); what is proven by it: docs/explanation/witness.md.
- On export, the entries at sequence 10 to 17 (IPv4) and 20 to 27 (IPv6) come before the operator's own, and only look
  at our prefixes: nobody else's route is prepended by carrying a community.
"""

from __future__ import annotations

from collections.abc import Iterator

from teagent.model.announcement import PREPEND_HARD_MAX, Signal, signal_community
from teagent.wire.router_config.router import BorderLink, BorderRouter

WEIGHT = 40_000
COUNTS = range(PREPEND_HARD_MAX + 1)
FIRST_SEQUENCE = {4: 10, 6: 20}
PREFIX_LIST = {4: "TEAGENT-OURS", 6: "TEAGENT-OURS6"}
FAMILY_WORD = {4: "ip", 6: "ipv6"}
BEGIN = "! teagent begin"
END = "! teagent end"
STATISTICS_MILLISECONDS = 1000


def frr_config(router: BorderRouter) -> str:
    """How to install it, in comments, and the block from BEGIN to END."""
    return "\n".join([*_how_to_install(router), *frr_block(router)]) + "\n"


def frr_block(router: BorderRouter) -> Iterator[str]:
    """The lines from BEGIN to END, both included."""
    yield BEGIN
    yield from _prefix_lists(router)
    yield from _community_lists(router)
    yield from _next_hops(router)
    yield from _session(router)
    yield from _bmp(router)
    yield from _witness(router)
    yield from _inbound(router)
    for link in router.sorted_links():
        yield from _export(router, link)
    yield END


def _how_to_install(router: BorderRouter) -> Iterator[str]:
    yield f"! border router {router.name}, for teagent. Read it, then load it from a file: vtysh -f FILE"
    yield "! It can be loaded again after a change; what is no longer listed has to be removed by hand."
    yield "! The host route of the overrides' next hop must not be redistributed into anything."
    if router.bmp is not None:
        yield "! bgpd has to be started with BMP: in /etc/frr/daemons, bgpd_options has -M bmp"
    yield "! Each link's export route-map keeps the operator's own entries, at sequence 1000 and above:"
    for link in router.sorted_links():
        if link.export_map is None:
            yield f"!   link {link.name} has no export_map in teagent's configuration. Before {link.map_name} is put on"
            yield f"!   {link.neighbor}, give it entries at 1000 and above that announce what is announced today:"
            yield "!   without them nothing but overrides would be announced."
        else:
            yield f"!   link {link.name}: {link.map_name}, on neighbor {link.neighbor}"
    if router.signed:
        yield f"! Our sessions are signed with the TCP MD5 key of {router.md5_setting}, which is not printed. Once the"
        yield "! text is loaded, say it on the router, in the place of KEY; without it a session just times out:"
        yield f"!   router bgp {router.asn}"
        for session in router.sessions():
            yield f"!    neighbor {session} password KEY"


def _versions(router: BorderRouter) -> Iterator[int]:
    yield from (version for version in (4, 6) if router.ours(version))


def _prefix_lists(router: BorderRouter) -> Iterator[str]:
    for version in _versions(router):
        for index, prefix in enumerate(router.ours(version), start=1):
            yield f"{FAMILY_WORD[version]} prefix-list {PREFIX_LIST[version]} seq {index * 5} permit {prefix}"
    yield "!"


def _community_lists(router: BorderRouter) -> Iterator[str]:
    yield f"bgp large-community-list expanded TEAGENT-ANY seq 5 permit _{router.asn}:1:[0-9]+_"
    yield f"bgp large-community-list expanded TEAGENT-ANY seq 10 permit _{router.asn}:2:[0-9]+_"
    for link in router.sorted_links():
        for prepend in (None, *COUNTS):
            community = signal_community(router.asn, link.link_id, Signal(link=link.name, prepend=prepend))
            yield f"bgp large-community-list standard {_list_name(link, prepend)} seq 5 permit {community}"
    yield "!"


def _list_name(link: BorderLink, prepend: int | None) -> str:
    return f"TEAGENT-{link.link_id}-{'NO' if prepend is None else prepend}"


def _next_hops(router: BorderRouter) -> Iterator[str]:
    if router.ours(4):
        yield f"ip route {router.next_hop_ipv4}/32 blackhole"
    if router.ours(6):
        yield f"ipv6 route {router.next_hop_ipv6}/128 blackhole"
    yield "!"


def _session(router: BorderRouter) -> Iterator[str]:
    speaker = router.speaker
    yield f"router bgp {router.asn}"
    yield f" neighbor {speaker} remote-as {router.asn}"
    yield f" neighbor {speaker} description teagent"
    yield f" neighbor {speaker} passive"
    yield " !"
    for version in _versions(router):
        yield f" address-family ipv{version} unicast"
        yield "  table-map TEAGENT-NOFIB"
        yield f"  neighbor {speaker} activate"
        yield f"  neighbor {speaker} route-map TEAGENT-IN in"
        yield f"  neighbor {speaker} route-map TEAGENT-NOTHING out"
        yield f"  neighbor {speaker} soft-reconfiguration inbound"
        yield f"  neighbor {speaker} maximum-prefix {router.max_prefixes}"
        yield " exit-address-family"
    yield "exit"
    yield "!"


def _bmp(router: BorderRouter) -> Iterator[str]:
    if router.bmp is None:
        return
    address, port = router.bmp
    yield f"router bgp {router.asn}"
    yield " bmp targets teagent"
    yield f"  bmp connect {address} port {port} min-retry 500 max-retry 5000"
    for version in _versions(router):
        yield f"  bmp monitor ipv{version} unicast pre-policy"
        yield f"  bmp monitor ipv{version} unicast post-policy"
    # the counters that say why it dropped a route
    yield f"  bmp stats interval {STATISTICS_MILLISECONDS}"
    yield " exit"
    yield "exit"
    yield "!"


def _witness(router: BorderRouter) -> Iterator[str]:
    """As a client of route reflection: what came in by iBGP goes out by iBGP to nobody else (RFC 4456)."""
    witness = router.witness
    if witness is None:
        return
    for version in _versions(router):
        yield f"route-map TEAGENT-WITNESS permit {FIRST_SEQUENCE[version]}"
        yield _match_ours(version)
        yield "exit"
    yield "!"
    yield f"router bgp {router.asn}"
    yield f" neighbor {witness} remote-as {router.asn}"
    yield f" neighbor {witness} description teagent, the witness"
    yield f" neighbor {witness} passive"
    for version in _versions(router):
        yield f" address-family ipv{version} unicast"
        yield f"  neighbor {witness} activate"
        yield f"  neighbor {witness} route-reflector-client"
        yield f"  neighbor {witness} route-map TEAGENT-NOTHING in"
        yield f"  neighbor {witness} route-map TEAGENT-WITNESS out"
        yield f"  neighbor {witness} maximum-prefix 1"
        yield " exit-address-family"
    yield "exit"
    yield "!"


def _inbound(router: BorderRouter) -> Iterator[str]:
    for version in _versions(router):
        yield f"route-map TEAGENT-IN permit {FIRST_SEQUENCE[version]}"
        yield _match_ours(version)
        yield " match large-community TEAGENT-ANY"
        yield f" set weight {WEIGHT}"
        yield "exit"
    yield "!"
    yield "route-map TEAGENT-NOTHING deny 10"
    yield "exit"
    yield "!"
    yield "route-map TEAGENT-NOFIB deny 10"
    yield " match large-community TEAGENT-ANY"
    yield "exit"
    yield "route-map TEAGENT-NOFIB permit 20"
    yield "exit"
    yield "!"


def _match_ours(version: int) -> str:
    return f" match {FAMILY_WORD[version]} address prefix-list {PREFIX_LIST[version]}"


def _export(router: BorderRouter, link: BorderLink) -> Iterator[str]:
    for version in _versions(router):
        first = FIRST_SEQUENCE[version]
        yield f"route-map {link.map_name} deny {first}"
        yield _match_ours(version)
        yield f" match large-community {_list_name(link, None)}"
        yield "exit"
        for prepend in COUNTS:
            yield f"route-map {link.map_name} permit {first + 1 + prepend}"
            yield _match_ours(version)
            yield f" match large-community {_list_name(link, prepend)}"
            if prepend:
                yield f" set as-path prepend{f' {router.asn}' * prepend}"
            yield " set large-comm-list TEAGENT-ANY delete"
            yield "exit"
        # An override that says nothing about this link: stripped, and left to the operator's own entries.
        yield f"route-map {link.map_name} permit {first + 7}"
        yield _match_ours(version)
        yield " match large-community TEAGENT-ANY"
        yield " set large-comm-list TEAGENT-ANY delete"
        yield " on-match next"
        yield "exit"
    yield "!"
