"""Whether FRR's configuration text keeps what mode `signal` promises: followed route by route, not compared as text.

What it proves holds for the text, with bgpd doing what its route-maps say; that the router runs this text is for who
fetched it to know.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from ipaddress import ip_network

from teagent.model.announcement import PREPEND_HARD_MAX, Signal, signal_community
from teagent.model.bgp import Prefix
from teagent.model.diagnosis import Diagnosis, Verdict
from teagent.wire.router_config.frr_route_map import Route, UnknownClauseError, apply
from teagent.wire.router_config.frr_text import FrrText, parse_frr
from teagent.wire.router_config.router import BorderLink, BorderRouter

LOCAL_WEIGHT = 32_768
"""What a router's own routes have."""
FOREIGN = {4: ip_network("192.0.2.128/25"), 6: ip_network("2001:db8:ffff:ffff::/64")}
"""Of the documentation ranges: nothing that may be announced, unless they are listed."""
RELOAD = "load what `teagent router-config --router {router}` prints (vtysh -f FILE), and look again"

Homes = Mapping[tuple[Prefix, str], int]
"""(prefix, link) -> prepends at home, for the links of the router that announce the prefix by themselves."""


def frr_checkup(router: BorderRouter, text: str, homes: Homes) -> tuple[Diagnosis, ...]:
    """One diagnosis a check and subject, in the order of the way of an override: in, held, out."""
    return tuple(_Checkup(router, parse_frr(text), homes).all())


class _Checkup:
    def __init__(self, router: BorderRouter, text: FrrText, homes: Homes) -> None:
        self._router = router
        self._text = text
        self._homes = homes
        self._speaker = str(router.speaker)
        self._versions = [version for version in (4, 6) if router.ours(version)]

    def all(self) -> Iterator[Diagnosis]:
        yield self._say("session", self._speaker, self._session)
        yield self._say("wins", "overrides", self._wins)
        yield self._say("only_ours", "overrides", self._only_ours)
        yield self._say("fib", "table-map", self._stays_out_of_the_fib)
        yield self._say("next_hop", "blackhole", self._next_hops)
        yield self._say("home", "network", self._originates)
        for link in self._router.sorted_links():
            yield self._say("signals", link.name, partial(self._signals, link))
            yield self._say("home_path", link.name, partial(self._home_path, link))
        if self._router.bmp is not None:
            yield self._say("bmp", "bmp", self._bmp)
        if self._router.witness is not None:
            yield self._say("witness_session", str(self._router.witness), self._witness)

    def _say(self, check: str, subject: str, look: Callable[[], tuple[str, str]]) -> Diagnosis:
        """`look` returns what is wrong, or "", and what is proven; it may raise UnknownClauseError."""
        try:
            wrong, proven = look()
        except UnknownClauseError as error:
            return Diagnosis(
                verdict=Verdict.ASSUMED,
                check=check,
                router=self._router.name,
                subject=subject,
                message=f"cannot be told: {error} is not understood here",
                remedy="look at it by hand, or say it with match prefix-list and large-community",
            )
        return Diagnosis(
            verdict=Verdict.WRONG if wrong else Verdict.PROVEN,
            check=check,
            router=self._router.name,
            subject=subject,
            message=wrong or proven,
            remedy=RELOAD.format(router=self._router.name) if wrong else "",
        )

    def _signal(self, link: BorderLink, prepend: int | None) -> str:
        return str(signal_community(self._router.asn, link.link_id, Signal(link=link.name, prepend=prepend)))

    def _vectors(self, varied: BorderLink, prepend: int | None) -> Iterator[frozenset[str]]:
        """`varied` with its signal, beside each that the router's other links may have."""
        own = self._signal(varied, prepend)
        others = [link for link in self._router.links if link is not varied]
        for other in range(PREPEND_HARD_MAX + 1):
            yield frozenset([own, *(self._signal(link, other) for link in others)])

    def _a_vector(self) -> frozenset[str]:
        return frozenset(self._signal(link, 0) for link in self._router.links)

    # --- in --------------------------------------------------------------------------------------------------------

    def _session(self) -> tuple[str, str]:
        wrong = self._ibgp(self._speaker, "where ExaBGP speaks from")
        return wrong, "an iBGP session with ExaBGP, bounded by maximum-prefix"

    def _ibgp(self, neighbor: str, who: str) -> str:
        """What is wrong with our end of an iBGP session."""
        text, asn = self._text, self._router.asn
        if text.asn != asn:
            return f"the text has no `router bgp {asn}`"
        if neighbor not in text.neighbors:
            return f"there is no neighbor {neighbor}, {who}"
        for version in self._versions:
            lines = list(text.said(neighbor, version))
            remote = text.value(neighbor, version, "remote-as")
            if remote not in {str(int(asn)), "internal"}:
                return f"neighbor {neighbor} has remote-as {remote}, not {asn}"
            if ("shutdown",) in [line[:1] for line in lines]:
                return f"neighbor {neighbor} is shut down"
            by_default = version == 4 and "no bgp default ipv4-unicast" not in text.defaults
            if not (by_default or ("activate",) in lines):
                return f"neighbor {neighbor} is not activated for ipv{version}"
            if not any(line[0] == "maximum-prefix" for line in lines):
                return f"neighbor {neighbor} has no maximum-prefix for ipv{version}"
        return self._signature(neighbor)

    def _signature(self, neighbor: str) -> str:
        """Whether both ends have a TCP MD5 key, or neither: which one it is stays unlooked at."""
        signs = any(self._text.value(neighbor, version, "password") is not None for version in self._versions)
        if signs == self._router.signed:
            return ""
        has, have = ("a password", "is not") if signs else ("no password", "is")
        setting = self._router.md5_setting
        return f"neighbor {neighbor} has {has}, and {setting} {have} configured: the session just times out"

    def _inbound(self, prefix: Prefix, large: frozenset[str]) -> Route | None:
        return self._through(self._speaker, "in", Route(prefix=prefix, large=large))

    def _wins(self) -> tuple[str, str]:
        for prefix in self._router.prefixes:
            taken = self._inbound(prefix, self._a_vector())
            if taken is None:
                return f"the inbound route-map refuses overrides of {prefix}", ""
            said = self._text.value(self._speaker, prefix.version, "weight")
            weight = taken.weight if taken.weight is not None else int(said) if said and said.isdecimal() else 0
            if weight <= LOCAL_WEIGHT:
                return (
                    f"overrides of {prefix} come in with weight {weight}, home has {LOCAL_WEIGHT}: they would never win"
                ), ""
        return "", "overrides come in with more weight than home has"

    def _only_ours(self) -> tuple[str, str]:
        for version in self._versions:
            foreign = FOREIGN[version]
            if any(foreign.overlaps(own) for own in self._router.ours(version)):
                continue
            if self._inbound(foreign, self._a_vector()) is not None:
                return f"a route of {foreign}, which is none of ours, would be accepted from ExaBGP", ""
        return "", "nothing but our prefixes is accepted from ExaBGP"

    # --- held ------------------------------------------------------------------------------------------------------

    def _stays_out_of_the_fib(self) -> tuple[str, str]:
        for version in self._versions:
            name = self._text.table_maps.get(version)
            if name is None:
                return f"ipv{version} has no table-map: an override could decide forwarding", ""
            for prefix in self._router.ours(version):
                if apply(self._text, name, Route(prefix=prefix, large=self._a_vector())) is not None:
                    return f"table-map {name} lets overrides of {prefix} into the FIB", ""
                if apply(self._text, name, Route(prefix=prefix)) is None:
                    return f"table-map {name} keeps {prefix} itself out of the FIB", ""
        return "", "overrides stay out of the FIB, our own routes do not"

    def _next_hops(self) -> tuple[str, str]:
        for version, hop in ((4, self._router.next_hop_ipv4), (6, self._router.next_hop_ipv6)):
            if version in self._versions and ip_network(str(hop)) not in self._text.blackholes:
                return f"the overrides' next hop {hop} has no blackhole host route: they would not resolve", ""
        return "", "the overrides' next hop resolves to a blackhole"

    def _originates(self) -> tuple[str, str]:
        for prefix in self._router.prefixes:
            at_home = any((prefix, link.name) in self._homes for link in self._router.links)
            if not at_home or prefix in self._text.networks[prefix.version]:
                continue
            if self._text.redistributes[prefix.version]:
                raise UnknownClauseError(f"{prefix} by `{self._text.redistributes[prefix.version][0]}`")
            return f"{prefix} is not originated here: without an override it would not be announced", ""
        return "", "every prefix is originated by the router itself"

    # --- out -------------------------------------------------------------------------------------------------------

    def _outbound(self, link: BorderLink, route: Route) -> Route | None:
        name = self._text.value(str(link.neighbor), route.prefix.version, "route-map", last="out")
        if name is not None:
            return apply(self._text, name, route)
        return route if "no bgp ebgp-requires-policy" in self._text.defaults else None

    def _signals(self, link: BorderLink) -> tuple[str, str]:
        if str(link.neighbor) not in self._text.neighbors:
            return f"there is no neighbor {link.neighbor}", ""
        carried = [prefix for prefix in self._router.prefixes if (prefix, link.name) in self._homes]
        for prefix in carried:
            for prepend in (None, *range(PREPEND_HARD_MAX + 1)):
                for large in self._vectors(link, prepend):
                    wrong = self._one_signal(link, prefix, prepend, large)
                    if wrong:
                        return wrong, ""
        return (
            "",
            f"0 to {PREPEND_HARD_MAX} prepends as told on this link alone, signals stripped ({len(carried)} prefixes)",
        )

    def _one_signal(self, link: BorderLink, prefix: Prefix, prepend: int | None, large: frozenset[str]) -> str:
        told = f"{prefix} with {self._signal(link, prepend)}"
        sent = self._outbound(link, Route(prefix=prefix, large=large))
        if prepend is None:
            return "" if sent is None else f"{told} is announced to {link.neighbor}, it should not be"
        if sent is None:
            return f"{told} is not announced to {link.neighbor}"
        if any(asn != str(int(self._router.asn)) for asn in sent.path):
            return f"{told} is announced with a foreign AS in its path: {' '.join(sent.path)}"
        if len(sent.path) != prepend:
            others = " ".join(sorted(large))
            return f"{told} is announced with {len(sent.path)} prepends, promised are {prepend} (signals {others})"
        if sent.large:
            return f"{told} is announced with {' '.join(sorted(sent.large))}: signals are not stripped"
        return ""

    def _home_path(self, link: BorderLink) -> tuple[str, str]:
        for prefix in self._router.prefixes:
            promised = self._homes.get((prefix, link.name))
            sent = self._outbound(link, Route(prefix=prefix))
            found = None if sent is None else len(sent.path)
            if found != promised:
                return (
                    f"home of {prefix} goes to {link.neighbor} {_prepends(found)}, configured is {_prepends(promised)}"
                ), ""
        return "", "home is announced as configured"

    def _bmp(self) -> tuple[str, str]:
        address, port = self._router.bmp or ("", 0)
        if not any(line.startswith(f"bmp connect {address} port {port} ") for line in self._text.bmp):
            return f"BMP is not sent to {address} port {port}", ""
        for version in self._versions:
            for table in ("pre-policy", "post-policy"):
                if f"bmp monitor ipv{version} unicast {table}" not in self._text.bmp:
                    return f"BMP does not monitor ipv{version} unicast {table}", ""
        return "", "it reports by BMP what it receives and what it takes"

    def _witness(self) -> tuple[str, str]:
        """It hears the best route with its signals, and is heard in nothing."""
        neighbor = str(self._router.witness)
        if wrong := self._ibgp(neighbor, "where the witness session comes from"):
            return wrong, ""
        for version in self._versions:
            if ("route-reflector-client",) not in self._text.said(neighbor, version):
                return f"neighbor {neighbor} is no route-reflector-client for ipv{version}: overrides stay untold", ""
        for prefix in self._router.prefixes:
            if self._through(neighbor, "in", Route(prefix=prefix, large=self._a_vector())) is not None:
                return f"a route of {prefix} would be accepted from the witness session", ""
            for large in (self._a_vector(), frozenset[str]()):
                told = self._through(neighbor, "out", Route(prefix=prefix, large=large))
                if told is None or told.large != large:
                    return f"{prefix} is not told with its signals on the witness session", ""
        return "", "it tells its best routes on the witness session, and takes nothing from it"

    def _through(self, neighbor: str, way: str, route: Route) -> Route | None:
        """An iBGP session without a route-map passes all on."""
        name = self._text.value(neighbor, route.prefix.version, "route-map", last=way)
        return route if name is None else apply(self._text, name, route)


def _prepends(count: int | None) -> str:
    return "not at all" if count is None else f"with {count} prepends"
