"""The configurations of a lab's networks: BIRD, and FRR where the file says so."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address

from labs.internet.world import Internet, Network


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbor:
    """One session as its network sees it: `role` is what the neighbour is to it, customer, peer or provider."""

    name: str
    asn: int
    role: str
    interface: str
    own_address: IPv4Address
    address: IPv4Address


def neighbors(internet: Internet, network: Network) -> Iterator[Neighbor]:
    link = internet.link_of(network.name)
    if link is not None:
        yield Neighbor(
            name=internet.node,
            asn=internet.asn,
            role="customer",
            interface="eth1",
            own_address=link.theirs,
            address=link.ours,
        )
    for session in internet.sessions_of(network.name):
        lower = session.a == network.name
        other = internet.networks[session.b if lower else session.a]
        yield Neighbor(
            name=other.name,
            asn=other.asn,
            role="peer" if session.peers else "provider" if lower else "customer",
            interface=session.a_interface if lower else session.b_interface,
            own_address=session.a_address if lower else session.b_address,
            address=session.b_address if lower else session.a_address,
        )


def bird_config(internet: Internet, network: Network) -> str:
    lines = [
        f"# {network.name}, AS {network.asn}. Written from internet.yaml by labs.internet.",
        f"router id {network.router_id};",
        f"define OWN_ASN = {network.asn};",
        f"define OWN_PREFIX = {network.prefix};",
        f"define OWN_ADDRESS = {network.address};",
        'include "/etc/bird/common.conf";',
        "",
    ]
    for neighbor in neighbors(internet, network):
        head = f"protocol bgp {neighbor.name} from {neighbor.role} {{ neighbor {neighbor.address} as {neighbor.asn};"
        lines.append(f"{head}{_differs(network, neighbor)} }}")
    return "\n".join(lines) + "\n"


def _differs(network: Network, neighbor: Neighbor) -> str:
    """What is said on a session beyond the rule of its role in common.conf."""
    if neighbor.role != "provider":
        return ""
    preference = "PREFERRED" if neighbor.name == network.prefers else "PROVIDER"
    order = 0 if network.keeps_older else network.providers.index(neighbor.name)
    said = " prefer older on;" if network.keeps_older else ""
    forget = "forget_prepends(); " if network.ignores_prepends else ""
    if forget or preference != "PROVIDER" or order:
        said += f" ipv4 {{ import filter {{ {forget}accept_with({preference}, {order}); }}; }};"
    return said


_FRR_HEAD = """\
! {name}, AS {asn}: a transit. Written from internet.yaml by labs.internet.
! What its customers announce is better than what peers and upstreams tell, whatever the paths' lengths, and only
! customers' routes are passed on to those.
frr version 8.4
frr defaults traditional
hostname {name}
log file /var/log/frr/frr.log informational
service integrated-vtysh-config
!
"""

_FRR_POLICY = """\
!
bgp community-list standard FROM-OTHERS seq 5 permit {asn}:150
bgp community-list standard FROM-OTHERS seq 10 permit {asn}:100
!
route-map CUSTOMER permit 10
 set community {asn}:200
 set local-preference 200
exit
!
route-map PEER permit 10
 set community {asn}:150
 set local-preference 150
exit
!
route-map PROVIDER permit 10
 set community {asn}:100
 set local-preference 100
exit
!
route-map ALL permit 10
exit
!
route-map CUSTOMERS-ONLY deny 5
 match community FROM-OTHERS
exit
route-map CUSTOMERS-ONLY permit 10
exit
"""


def frr_config(internet: Internet, network: Network) -> str:
    rows = list(neighbors(internet, network))
    lines = []
    for row in rows:
        width = 30 if row.interface == "eth1" else 31
        lines += [f"interface {row.interface}", f" description {row.name} AS{row.asn}"]
        lines += [f" ip address {row.own_address}/{width}", "exit"]
    lines += ["!", f"router bgp {network.asn}", f" bgp router-id {network.router_id}", " bgp bestpath compare-routerid"]
    for row in rows:
        lines += [f" neighbor {row.address} remote-as {row.asn}", f" neighbor {row.address} timers connect 2"]
    lines += [" !", " address-family ipv4 unicast"]
    for row in rows:
        out = "ALL" if row.role == "customer" else "CUSTOMERS-ONLY"
        lines += [f"  neighbor {row.address} route-map {row.role.upper()} in"]
        lines += [f"  neighbor {row.address} route-map {out} out"]
    lines += [" exit-address-family", "exit"]
    head = _FRR_HEAD.format(name=network.name, asn=network.asn)
    return head + "\n".join(lines) + "\n" + _FRR_POLICY.format(asn=network.asn)
