"""The links section, in containerlab's brief form (two strings) and its long one (`type: veth`, two maps)."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence

import yaml

from labs.runner.document import Document
from labs.runner.topology import Endpoint, LinkSpec

_LINK = frozenset({"type", "endpoints", "mtu", "ipv4", "ipv6", "vars", "labels"})
_ENDPOINT = frozenset({"node", "interface", "mac", "ipv4", "ipv6", "vars"})
# both are a veth pair here: stitching only adds a place to capture at, and any interface here can be captured on
_VETH = frozenset({"veth", "veth-stitch"})
# words that stand where a node's name would, and mean the machine's own network
_OUTSIDE = frozenset({"host", "mgmt-net", "macvlan", "vxlan", "vxlan-stitch", "dummy"})
_INTERFACE = re.compile(r"[^\s/:]{1,15}")
_MAC = re.compile(r"([0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}")


def read_links(doc: Document, node: yaml.Node | None, *, known: Sequence[str]) -> list[LinkSpec]:
    """The links of which everything is right; what is wrong with the others is among the document's problems."""
    links: list[LinkSpec] = []
    taken: dict[tuple[str, str], str] = {}
    for index, item in enumerate(doc.items(node, "topology.links")):
        key = f"topology.links[{index}]"
        link = _link(doc, item, key, known)
        if link is None:
            continue
        for end in link.endpoints:
            if (end.node, end.interface) in taken:
                doc.problem(item, key, f"{end} is already used by {taken[end.node, end.interface]}")
            taken[end.node, end.interface] = key
        links.append(link)
    return links


def _link(doc: Document, node: yaml.Node, key: str, known: Sequence[str]) -> LinkSpec | None:
    values = doc.mapping(node, key)
    if not values:
        return None
    kind = doc.text(values.get("type"), f"{key}.type")
    if kind is not None and kind not in _VETH:
        doc.problem(values["type"], f"{key}.type", f"{kind} leaves the lab or needs Docker, only veth is possible")
        return None
    doc.one_of(values, key, _LINK)
    if "endpoints" not in values:
        doc.problem(node, f"{key}.endpoints", "is missing")
        return None
    items = doc.items(values["endpoints"], f"{key}.endpoints")
    if len(items) != 2:
        doc.problem(values["endpoints"], f"{key}.endpoints", f"a link has 2 endpoints, this one has {len(items)}")
        return None
    addresses = [_addresses(doc, values, key, side) for side in (0, 1)]
    ends = [_endpoint(doc, item, f"{key}.endpoints[{side}]", known, addresses[side]) for side, item in enumerate(items)]
    mtu = doc.number(values.get("mtu"), f"{key}.mtu", low=68, high=65535)
    a, b = ends
    return None if a is None or b is None else LinkSpec(a=a, b=b, mtu=mtu)


def _addresses(doc: Document, values: Mapping[str, yaml.Node], key: str, side: int) -> tuple[str, ...]:
    """The link's `ipv4` and `ipv6` lists name one address an endpoint, in the endpoints' order; "" leaves one out."""
    found = []
    for family in ("ipv4", "ipv6"):
        listed = doc.texts(values.get(family), f"{key}.{family}")
        if side < len(listed) and listed[side][0]:
            found += _address(doc, listed[side][0], listed[side][1], f"{key}.{family}[{side}]")
    return tuple(found)


def _address(doc: Document, text: str, node: yaml.Node, key: str) -> list[str]:
    try:
        if "/" not in text:
            raise ValueError(text)  # noqa: TRY301
        ipaddress.ip_interface(text)
    except ValueError:
        doc.problem(node, key, f"{text!r} is not an address with its length, for example 192.0.2.1/30")
        return []
    return [text]


def _endpoint(
    doc: Document, node: yaml.Node, key: str, known: Sequence[str], addresses: tuple[str, ...]
) -> Endpoint | None:
    mac = None
    if isinstance(node, yaml.MappingNode):
        values = doc.mapping(node, key)
        doc.one_of(values, key, _ENDPOINT)
        name, interface = (doc.text(values.get(field), f"{key}.{field}") for field in ("node", "interface"))
        mac = doc.text(values.get("mac"), f"{key}.mac")
        for family in ("ipv4", "ipv6"):
            if text := doc.text(values.get(family), f"{key}.{family}"):
                addresses += tuple(_address(doc, text, values[family], f"{key}.{family}"))
    else:
        text = doc.text(node, key) or ""
        name, _, interface = text.partition(":")
    if not name or not interface:
        doc.problem(node, key, "an endpoint is NODE:INTERFACE")
        return None
    return _checked(doc, node, key, known, Endpoint(node=name, interface=interface, mac=mac, addresses=addresses))


def _checked(doc: Document, node: yaml.Node, key: str, known: Sequence[str], end: Endpoint) -> Endpoint | None:
    before = len(doc.problems)
    if end.node not in known:
        if end.node in _OUTSIDE:
            doc.problem(node, key, f"{end.node} is the machine's own network, a lab in namespaces stays inside itself")
        else:
            doc.problem(node, key, f"there is no node {end.node}, nodes are {', '.join(sorted(known))}")
    if _INTERFACE.fullmatch(end.interface) is None or end.interface in {".", "..", "lo"}:
        doc.problem(node, key, f"{end.interface!r} is not a name for an interface (1 to 15 characters, not lo)")
    if end.mac is not None and _MAC.fullmatch(end.mac) is None:
        doc.problem(node, key, f"{end.mac!r} is not a MAC address")
    return end if len(doc.problems) == before else None
