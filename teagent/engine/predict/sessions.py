"""Over which sessions the Internet hears us: from the configured links, or from a file's view of an AS."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from teagent.engine.predict.as_graph import AsGraph, RouteClass
from teagent.model.bgp import Asn
from teagent.model.link import Link, LinkKind
from teagent.model.network import Network

HEARD_AS = {
    LinkKind.TRANSIT: RouteClass.CUSTOMER,
    LinkKind.PEERING: RouteClass.PEER,
    LinkKind.IX: RouteClass.PEER,
    LinkKind.CUSTOMER: RouteClass.PROVIDER,
}


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Session:
    """What is announced on `link` reaches `neighbor`, to which it is a route of class `heard_as`.

    Several sessions may share a link (an exchange), several links a neighbour. `prefers_us`: the neighbour takes
    what it hears from us directly before anything else, as a customer's own backup never wins over it.
    `ignores_prepends`: it looks at the class of our route, but not at how often we prepend; all links to it are then
    equally good, and the path that it passes on is taken to be the shortest of them.
    """

    link: str
    neighbor: Asn
    heard_as: RouteClass
    prefers_us: bool = False
    ignores_prepends: bool = False


def sessions_of_links(
    links: Iterable[Link],
    *,
    prefers_us: Iterable[Asn] = (),
    ignores_prepends: Iterable[Asn] = (),
) -> tuple[Session, ...]:
    """One session for each link, as the link's kind says; the two sets name neighbours that are known to be special."""
    prefer, ignore = frozenset(prefers_us), frozenset(ignores_prepends)
    return tuple(
        Session(
            link=link.name,
            neighbor=link.peer_asn,
            heard_as=HEARD_AS[link.kind],
            prefers_us=link.peer_asn in prefer,
            ignores_prepends=link.peer_asn in ignore,
        )
        for link in links
    )


def exchange_sessions(graph: AsGraph, asn: Asn, links: Iterable[Link]) -> tuple[Session, ...]:
    """The peers that the graph gives us and no link names, over the exchange, where exactly one link is one.

    A route server shows in no AS path, so that the members behind it are what can be known of such a link.
    """
    known = tuple(links)
    exchanges = [link for link in known if link.kind is LinkKind.IX]
    if len(exchanges) != 1 or asn not in graph:
        return ()
    named = {link.peer_asn for link in known}
    peers = (Asn(int(number)) for number in graph.asn[graph.peers[graph.node(asn)]])
    return tuple(
        Session(link=exchanges[0].name, neighbor=peer, heard_as=RouteClass.PEER) for peer in peers if peer not in named
    )


def graft_network(
    graph: AsGraph, network: Network, *, prefers_us: Iterable[Asn] = (), ignores_prepends: Iterable[Asn] = ()
) -> tuple[AsGraph, tuple[Session, ...]]:
    """The graph with our configured links in place of what it says of us, and the sessions over them."""
    links = tuple(network.links.values())
    sessions = sessions_of_links(links, prefers_us=prefers_us, ignores_prepends=ignores_prepends)
    sessions += exchange_sessions(graph, network.asn, links)
    return graft(graph, network.asn, sessions), sessions


def sessions_in_graph(graph: AsGraph, asn: Asn) -> tuple[Session, ...]:
    """One link, `AS3356` say, for each neighbour that the graph gives an AS. Raises NotFound."""
    node = graph.node(asn)
    found = (
        (RouteClass.CUSTOMER, graph.providers[node]),
        (RouteClass.PEER, graph.peers[node]),
        (RouteClass.PROVIDER, graph.customers[node]),
    )
    return tuple(
        Session(link=f"AS{graph.asn[neighbor]}", neighbor=Asn(int(graph.asn[neighbor])), heard_as=heard_as)
        for heard_as, neighbors in found
        for neighbor in neighbors
    )


def graft(graph: AsGraph, asn: Asn, sessions: Sequence[Session]) -> AsGraph:
    """The graph with these sessions as our only relations: the configuration knows better than any file."""
    return graph.with_neighbors(asn, ((session.neighbor, session.heard_as) for session in sessions))
