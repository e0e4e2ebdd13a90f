"""BIRD 2.0 and later, after the rules that were proven with packets recorded at the upstreams.

- `preference 250` beats static (200) and direct (240).
- The FIB gets a table of its own, filled by a pipe that leaves overrides out. A filter on the kernel protocol alone
  would take home out of the FIB; `export all` could make the prefix unreachable.
- The witness session reflects the best route of each of our prefixes to us, and takes nothing.
- Only our prefixes, and only with a signal community (functions 1 and 2), come in; they are stripped on export.
"""

from __future__ import annotations

from collections.abc import Iterator

from teagent.model.announcement import PREPEND_HARD_MAX
from teagent.wire.router_config.router import BorderLink, BorderRouter

PREFERENCE = 250
BEGIN = "# teagent begin"
END = "# teagent end"
MD5_KEY = "TEAGENT_MD5_KEY"


def bird_config(router: BorderRouter) -> str:
    """How to install it, in comments, and the block from BEGIN to END, to be included before the sessions."""
    return "\n".join([*_how_to_install(router), *_block(router)]) + "\n"


def _versions(router: BorderRouter) -> tuple[int, ...]:
    return tuple(version for version in (4, 6) if router.ours(version))


def _how_to_install(router: BorderRouter) -> Iterator[str]:
    yield f"# border router {router.name}, for teagent: include this file in bird.conf before the sessions, then"
    yield "# 1. the kernel protocols export the table that overrides stay out of, for example"
    for version in _versions(router):
        yield f"#      protocol kernel {{ ipv{version} {{ table teagent_fib{version}; export all; }}; }}"
    yield "#    and no session announces the host route of the overrides' next hop"
    yield "# 2. each link's export filter begins with the call for its link, before the operator's own rules:"
    for link in router.sorted_links():
        yield f"#      link {link.name}, neighbor {link.neighbor}: teagent_export_{link.link_id}();"
    yield "#    it accepts or rejects what an override speaks about, and returns for everything else."
    if router.signed:
        yield f"# 3. our sessions are signed with the TCP MD5 key of {router.md5_setting}, which is not printed:"
        yield "#    before this file bird.conf includes one that only BIRD can read, and that says"
        yield f'#      define {MD5_KEY} = "...";'
        yield "#    a key with a double quote in it cannot be written there"


def _block(router: BorderRouter) -> Iterator[str]:
    asn = router.asn
    yield BEGIN
    for version in _versions(router):
        yield f"define TEAGENT_OURS{version} = [ {', '.join(str(p) for p in router.ours(version))} ];"
    yield f"define TEAGENT_ANY = [ ({asn}, 1, *), ({asn}, 2, *) ];"
    yield ""
    yield from _next_hops(router)
    yield from _tables(router)
    yield from _session(router)
    yield from _witness(router)
    for link in router.sorted_links():
        yield from _export(router, link)
    yield END


def _next_hops(router: BorderRouter) -> Iterator[str]:
    for version, hop, length in ((4, router.next_hop_ipv4, 32), (6, router.next_hop_ipv6, 128)):
        if router.ours(version):
            yield f"protocol static teagent_next_hop{version} {{ ipv{version}; route {hop}/{length} blackhole; }}"
    yield ""


def _tables(router: BorderRouter) -> Iterator[str]:
    for version in _versions(router):
        yield f"ipv{version} table teagent_fib{version};"
        yield f"protocol pipe teagent_pipe{version} {{"
        yield f"  table master{version};"
        yield f"  peer table teagent_fib{version};"
        yield '  export where proto != "teagent";'
        yield "  import none;"
        yield "}"
    yield ""


def _session(router: BorderRouter) -> Iterator[str]:
    for version in _versions(router):
        yield f"filter teagent_import{version} {{"
        yield f"  if net ~ TEAGENT_OURS{version} && bgp_large_community ~ TEAGENT_ANY then accept;"
        yield "  reject;"
        yield "}"
    yield "protocol bgp teagent {"
    yield f"  local as {router.asn};"
    yield f"  neighbor {router.speaker} as {router.asn};"
    yield "  passive;"
    yield from _signature(router)
    yield "  graceful restart aware;"
    for version in _versions(router):
        yield f"  ipv{version} {{"
        yield f"    preference {PREFERENCE};"
        yield f"    import filter teagent_import{version};"
        yield f"    import limit {router.max_prefixes} action block;"
        yield "    export none;"
        yield "  };"
    yield "}"
    yield ""


def _signature(router: BorderRouter) -> Iterator[str]:
    if router.signed:
        yield f"  password {MD5_KEY};"


def _witness(router: BorderRouter) -> Iterator[str]:
    """As a client of route reflection: what came in by iBGP goes out by iBGP to nobody else (RFC 4456).

    Home is told with a next hop of its family: over a session of the other one BIRD has none of its own, and is silent.
    """
    if router.witness is None:
        return
    for version in _versions(router):
        yield f"filter teagent_witness{version} {{"
        yield f"  if net ~ TEAGENT_OURS{version} then accept;"
        yield "  reject;"
        yield "}"
    yield "protocol bgp teagent_witness {"
    yield f"  local as {router.asn};"
    yield f"  neighbor {router.witness} as {router.asn};"
    yield "  passive;"
    yield from _signature(router)
    yield "  rr client;"
    for version, hop in ((4, router.next_hop_ipv4), (6, router.next_hop_ipv6)):
        if version not in _versions(router):
            continue
        yield f"  ipv{version} {{"
        yield "    import none;"
        yield f"    next hop address {hop};"
        yield f"    export filter teagent_witness{version};"
        yield "  };"
    yield "}"
    yield ""


def _export(router: BorderRouter, link: BorderLink) -> Iterator[str]:
    asn = router.asn
    ours = " || ".join(f"net ~ TEAGENT_OURS{version}" for version in _versions(router))
    yield f"function teagent_export_{link.link_id}() {{  # {_comment(link.name)}"
    yield f"  if {ours} then {{"
    yield f"    if ({asn}, 2, {link.link_id}) ~ bgp_large_community then reject;"
    for prepend in range(PREPEND_HARD_MAX + 1):
        yield f"    if ({asn}, 1, {link.link_id * 10 + prepend}) ~ bgp_large_community then {{"
        for _ in range(prepend):
            yield f"      bgp_path.prepend({asn});"
        yield "      bgp_large_community.delete(TEAGENT_ANY);"
        yield "      accept;"
        yield "    }"
    yield "    bgp_large_community.delete(TEAGENT_ANY);"
    yield "  }"
    yield "}"
    yield ""


def _comment(text: str) -> str:
    return text.encode("ascii", "replace").decode("ascii").replace("\n", " ")
