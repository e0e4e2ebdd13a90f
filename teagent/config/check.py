"""What the shape alone cannot say of a configuration: whether its parts fit each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import IPv4Address, IPv4Network, ip_address

from teagent.config.clickhouse import check_clickhouse
from teagent.config.document import Keys
from teagent.config.effective import SourceAs
from teagent.config.finding import Finding
from teagent.config.flow_schema import Flows
from teagent.config.readers import WITHHOLD, listed
from teagent.config.router_schema import RouterRow, SnmpV3Row
from teagent.config.schema import ConfigFile, LinkRow, PrefixRow
from teagent.model.bgp import Address
from teagent.model.units import format_bps, format_duration

MINUTE = 60.0
SHORTEST_LOOKED_UP = {"ipv4": 24, "ipv6": 48}
"""The longest prefixes that routing tables have: senders gathered to shorter ones may have several origins."""
SOCKET_PATH_MAX = 107  # sun_path in Linux's sockaddr_un, less the final zero


def home_of(prefix: PrefixRow, links: Mapping[str, LinkRow]) -> dict[str, int]:
    """link -> prepends, for the links that announce the prefix by themselves."""
    home: dict[str, int] = {}
    for name, link in links.items():
        here = prefix.home.get(name, link.home.prepend)
        if here != WITHHOLD:
            home[name] = int(here)
    return home


def neighbor_of(router: RouterRow) -> Address | None:
    """What ExaBGP speaks to; None where only a host name is given."""
    return router.bgp.neighbor or _as_address(router.address)


def exporters_of(router: RouterRow) -> tuple[Address, ...]:
    address = _as_address(router.address)
    return tuple(router.flows.exporter_addresses) or ((address,) if address else ())


def bmp_of(router: RouterRow) -> tuple[Address, ...]:
    """What the router connects from with BMP; none where it has none."""
    if not router.bmp.enabled:
        return ()
    known = (_as_address(router.address), router.bgp.neighbor)
    return tuple(router.bmp.addresses) or tuple(dict.fromkeys(address for address in known if address is not None))


def identifier_of(router: RouterRow) -> IPv4Address | None:
    """Ours on the witness session; None where there is none, or it is not given."""
    session = router.witness_session
    if session is None or session.router_id is not None:
        return None if session is None else session.router_id
    return session.local_address if isinstance(session.local_address, IPv4Address) else None


def short_window_of(flows: Flows) -> float:
    """As given, else a minute where that divides the window, else the window."""
    if flows.short_window is not None:
        return flows.short_window
    return MINUTE if _divides(MINUTE, flows.window) else flows.window


def _divides(part: float, whole: float) -> bool:
    return whole >= part and whole / part == round(whole / part)


def _as_address(host: str) -> Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def _advisor(file: ConfigFile) -> Iterator[Finding]:
    advisor = file.advisor
    if advisor.enabled and advisor.model is None:
        yield Finding(("advisor",), "an advisor that is enabled needs a model, for example model: llama3.2:3b")
    if advisor.think and advisor.thinking_tokens > advisor.context // 2:
        message = f"{advisor.thinking_tokens} is more than half of context ({advisor.context})"
        yield Finding(("advisor", "thinking_tokens"), message)


def check(file: ConfigFile) -> Iterator[Finding]:
    """Everything that does not fit, in no particular order."""
    yield from _prefixes(file)
    yield from _links(file)
    yield from _routers(file)
    yield from _witness_sessions(file)
    yield from _bgp(file)
    yield from _times(file)
    yield from _advisor(file)
    yield from _flows(file)
    yield from _paths(file)
    yield from _experiments(file)


def _prefixes(file: ConfigFile) -> Iterator[Finding]:
    seen: dict[object, int] = {}
    for index, row in enumerate(file.prefixes):
        at: Keys = ("prefixes", index)
        if row.prefix in seen:
            message = f"{row.prefix} is there twice, first as prefixes[{seen[row.prefix]}]"
            yield Finding((*at, "prefix"), message)
        seen.setdefault(row.prefix, index)
        for name in row.home:
            if name not in file.links:
                yield Finding((*at, "home", name), _no("link", name, file.links), at_key=True)
        home = home_of(row, file.links)
        if not home:
            yield Finding((*at, "home"), f"no link announces {row.prefix}, it would be withheld everywhere")
        if row.engineer:
            yield from _engineered(file, row, at, home)


def _engineered(file: ConfigFile, row: PrefixRow, at: Keys, home: Mapping[str, int]) -> Iterator[Finding]:
    if len(home) == 1:
        message = f"{row.prefix} is announced on {next(iter(home))} alone: with one link there is nothing to engineer"
        yield Finding((*at, "engineer"), message)
    family = "ipv4" if isinstance(row.prefix, IPv4Network) else "ipv6"
    if getattr(file.bgp.next_hop, family) is None:
        yield Finding(("bgp", "next_hop", family), f"required key is missing, {row.prefix} is engineered")
    most = file.bgp.max_prepend
    if row.max_prepend is not None and row.max_prepend > most:
        yield Finding((*at, "max_prepend"), f"{row.max_prepend} is more than bgp.max_prepend, which is {most}")
    most = most if row.max_prepend is None else min(most, row.max_prepend)
    for name, prepend in home.items():
        if prepend > most:
            path: Keys = (*at, "home", name) if name in row.home else ("links", name, "home", "prepend")
            message = f"{row.prefix} is at home with {prepend} prepends, more than the {most} that an override may have"
            yield Finding(path, message)


def _experiments(file: ConfigFile) -> Iterator[Finding]:
    """The policy is looked for where the policies are read."""
    if file.decide.experiments is None:
        return
    ours = {row.prefix: row for row in file.prefixes}
    for index, prefix in enumerate(file.decide.experiments.prefixes):
        at: Keys = ("decide", "experiments", "prefixes", index)
        if prefix not in ours:
            yield Finding(at, _no("prefix", str(prefix), {str(known): row for known, row in ours.items()}))
        elif not ours[prefix].engineer:
            yield Finding(at, f"{prefix} is not to be engineered: it is never changed, for experiments neither")


def _links(file: ConfigFile) -> Iterator[Finding]:
    ids: dict[int, str] = {}
    interfaces: dict[tuple[str, str], str] = {}
    neighbors: dict[tuple[str, Address], str] = {}
    for name, link in file.links.items():
        at: Keys = ("links", name)
        if link.router not in file.routers:
            yield Finding((*at, "router"), _no("router", link.router, file.routers))
        if link.id in ids:
            yield Finding((*at, "id"), f"{link.id} is the id of {ids[link.id]} already")
        interface = (link.router, link.interface)
        if interface in interfaces:
            message = (
                f"{link.interface} of {link.router} is {interfaces[interface]} already, its traffic would count twice"
            )
            yield Finding((*at, "interface"), message)
        neighbor = (link.router, link.neighbor)
        if neighbor in neighbors:
            yield Finding((*at, "neighbor"), f"{link.neighbor} is the neighbor of {neighbors[neighbor]} already")
        if link.peer_asn == file.local.asn:
            yield Finding((*at, "peer_asn"), f"AS{link.peer_asn} is our own, a link leads to another network")
        if link.commit is not None and link.commit > link.capacity:
            message = f"{format_bps(link.commit)}bps is more than the capacity, which is {format_bps(link.capacity)}bps"
            yield Finding((*at, "commit"), message)
        ids.setdefault(link.id, name)
        interfaces.setdefault(interface, name)
        neighbors.setdefault(neighbor, name)


def _routers(file: ConfigFile) -> Iterator[Finding]:
    neighbors: dict[Address, str] = {}
    exporters: dict[Address, str] = {}
    senders: dict[Address, str] = {}
    local = file.bgp.local_address
    for name, router in file.routers.items():
        at: Keys = ("routers", name)
        if isinstance(router.snmp, SnmpV3Row) and router.snmp.priv and not router.snmp.auth:
            yield Finding((*at, "snmp", "priv"), "privacy without authentication does not exist in SNMPv3, add auth")
        neighbor = neighbor_of(router)
        path: Keys = (*at, "bgp", "neighbor") if router.bgp.neighbor else (*at, "address")
        if neighbor is None:
            yield Finding((*at, "bgp", "neighbor"), f"required key is missing, since {router.address} is a host name")
        elif neighbor in neighbors:
            yield Finding(path, f"{neighbor} is the neighbor of {neighbors[neighbor]} already")
        elif neighbor == local:
            yield Finding(path, f"{neighbor} is bgp.local_address, ExaBGP cannot speak to itself")
        elif neighbor.version != local.version:
            message = f"{neighbor} cannot be reached from bgp.local_address {local}: IPv4 and IPv6"
            yield Finding(path, message)
        if neighbor is not None:
            neighbors.setdefault(neighbor, name)
        path = (*at, "flows", "exporter_addresses")
        if not exporters_of(router):
            yield Finding(path, f"required key is missing, since {router.address} is a host name")
        for address in exporters_of(router):
            other = exporters.setdefault(address, name)
            if other != name:
                given = path if router.flows.exporter_addresses else (*at, "address")
                yield Finding(given, f"{address} is an exporter address of {other} already")
        for address in bmp_of(router) if file.bmp is not None else ():
            other = senders.setdefault(address, name)
            if other != name:
                given = (*at, "bmp", "addresses") if router.bmp.addresses else (*at, "address")
                yield Finding(given, f"{address} is where {other} sends BMP from already")


def _witness_sessions(file: ConfigFile) -> Iterator[Finding]:
    machines = {address: name for name, r in file.routers.items() if (address := neighbor_of(r))}
    with_links = {link.router for link in file.links.values()}
    for name, router in file.routers.items():
        if router.witness_session is None:
            continue
        at: Keys = ("routers", name, "witness_session")
        local, neighbor = router.witness_session.local_address, neighbor_of(router)
        if local == file.bgp.local_address:
            message = f"{local} is bgp.local_address: the router tells its two sessions with us apart by the address"
            yield Finding((*at, "local_address"), message)
        elif local in machines:
            yield Finding((*at, "local_address"), f"{local} is the address of {machines[local]}, not of this machine")
        elif neighbor is not None and neighbor.version != local.version:
            message = f"the router's {neighbor} cannot be reached from {local}: IPv4 and IPv6"
            yield Finding((*at, "local_address"), message)
        if name not in with_links:
            yield Finding(at, f"{name} has no link: it hears no override, and there is nothing to prove")
        identifier = identifier_of(router)
        if identifier is None:
            yield Finding((*at, "router_id"), f"required key is missing, since {local} is no IPv4 address")
        elif identifier == file.local.router_id:
            message = f"{identifier} is local.router_id, ExaBGP's: each BGP speaker needs an identifier of its own"
            yield Finding((*at, "router_id" if router.witness_session.router_id else "local_address"), message)


def _bgp(file: ConfigFile) -> Iterator[Finding]:
    machines = {address: f"the address of {name}" for name, r in file.routers.items() if (address := neighbor_of(r))}
    machines |= {
        address: f"the address of {name}" for name, r in file.routers.items() if (address := _as_address(r.address))
    }
    if file.local.router_id in machines:
        message = f"{file.local.router_id} is {machines[file.local.router_id]}: ExaBGP needs an identifier of its own"
        yield Finding(("local", "router_id"), message)
    machines |= {link.neighbor: f"the neighbor of {name}" for name, link in file.links.items()}
    machines[file.bgp.local_address] = "bgp.local_address"
    for family in ("ipv4", "ipv6"):
        next_hop = getattr(file.bgp.next_hop, family)
        if next_hop in machines:
            message = f"{next_hop} is {machines[next_hop]}: routers drop or resolve such a route silently"
            yield Finding(("bgp", "next_hop", family), message)


def _times(file: ConfigFile) -> Iterator[Finding]:
    poll = file.poll
    if poll.interval >= poll.stale_after:
        message = f"{_t(poll.interval)} is not below stale_after, which is {_t(poll.stale_after)}: all would be stale"
        yield Finding(("poll", "interval"), message)
    worst = poll.timeout * (poll.retries + 1)
    if worst > poll.interval:
        tries = f"{poll.retries + 1} tries of {_t(poll.timeout)}"
        message = f"{tries} take {_t(worst)}, longer than the interval of {_t(poll.interval)}"
        yield Finding(("poll", "timeout"), message)
    if file.flows.window < poll.interval:
        window = _t(file.flows.window)
        message = f"{window} is shorter than poll.interval, which is {_t(poll.interval)}: no counters to scale by"
        yield Finding(("flows", "window"), message)
    if file.store.keep.raw > file.store.keep.hourly:
        message = f"{_t(file.store.keep.raw)} is longer than hourly, which is {_t(file.store.keep.hourly)}"
        yield Finding(("store", "keep", "raw"), message)


def _flows(file: ConfigFile) -> Iterator[Finding]:
    yield from check_clickhouse(file, short_window_seconds=short_window_of(file.flows))
    short, window = file.flows.short_window, file.flows.window
    if short is not None and not _divides(short, window):
        message = f"{_t(short)} does not go into flows.window, which is {_t(window)}, a whole number of times"
        yield Finding(("flows", "short_window"), message)
    elif short is not None and short < file.poll.interval:
        message = f"{_t(short)} is shorter than poll.interval, which is {_t(file.poll.interval)}"
        yield Finding(("flows", "short_window"), message)
    if file.flows.origins is None:
        if file.flows.source_as == SourceAs.ORIGINS:
            yield Finding(("flows", "source_as"), "origins alone are to tell it, and flows.origins is missing")
        return
    if file.flows.origins.path is None and not file.flows.origins.bmp:
        yield Finding(("flows", "origins"), "neither a path nor bmp: true, nobody says which AS originates what")
    if file.flows.origins.bmp and file.bmp is None:
        yield Finding(("flows", "origins", "bmp"), "routers report nothing: bmp.listen is not configured")
    for family, shortest in SHORTEST_LOOKED_UP.items():
        length = getattr(file.flows.source_prefix, family)
        if length < shortest:
            message = f"{length} is shorter than {shortest}: with flows.origins one sender would have several origins"
            yield Finding(("flows", "source_prefix", family), message)


def _paths(file: ConfigFile) -> Iterator[Finding]:
    paths: dict[Keys, str] = {
        ("store", "path"): file.store.path,
        ("bgp", "relay"): file.bgp.relay,
        ("bgp", "allow_list"): file.bgp.allow_list,
        ("bgp", "freeze_file"): file.bgp.freeze_file,
        ("bgp", "journal"): file.bgp.journal,
        ("control", "socket"): file.control.socket,
    }
    seen: dict[str, Keys] = {}
    for path, text in paths.items():
        other = seen.setdefault(text, path)
        if other != path:
            yield Finding(path, f"'{text}' is {'.'.join(map(str, other))} already")
    for path in (("bgp", "relay"), ("control", "socket")):
        if len(paths[path].encode()) > SOCKET_PATH_MAX:
            yield Finding(path, f"longer than {SOCKET_PATH_MAX} bytes, the most that a Unix socket's path can have")
    listening: dict[str, int] = {}
    for index, row in enumerate(file.flows.listen):
        first = listening.setdefault(str(row.address), index)
        if first != index:
            yield Finding(("flows", "listen", index, "address"), f"{row.address} is flows.listen[{first}] already")


def _no(what: str, name: str, known: Mapping[str, object]) -> str:
    return f"there is no {what} {name}, known are {listed(name, known)}"


def _t(seconds: float) -> str:
    return format_duration(seconds)
