"""Everything that follows from a lab's internet.yaml, as texts by the path below the lab's directory."""

from __future__ import annotations

from labs.internet.routers import bird_config, frr_config, neighbors
from labs.internet.world import Internet, Network

_HEAD = """\
# AS 65000 with three transits, in an Internet of {count} networks. Written from internet.yaml by labs.internet:
# change it there. What it is for: README.md beside this file.
name: {name}

topology:
  defaults:
    kind: linux
  kinds:
    linux:
      network-mode: none
  groups:
    frr:
      image: teagent-lab/frr:bookworm
      binds:
        - daemons:/etc/frr/daemons:ro
    bird:
      image: teagent-lab/bird:bookworm
      binds:
        - networks/common.conf:/etc/bird/common.conf:ro
        - ../traffic.py:/opt/lab/traffic.py:ro
    host:
      image: teagent-lab/frr:bookworm
      cmd: sleep infinity
      binds:
        - ../traffic.py:/opt/lab/traffic.py:ro

  nodes:
    edge:
      group: frr
      binds:
        - edge/daemons:/etc/frr/daemons:ro
        - edge/frr.conf:/etc/frr/frr.conf:ro
        - edge/snmpd.conf:/etc/snmp/snmpd.conf:ro
        - ../start-telemetry:/opt/lab/start-telemetry:ro
      exec:
        - /opt/lab/start-telemetry 2
    srv:
      group: host
      exec:
{addresses}
        - ip route add default via {gateway}
    # where teagent and ExaBGP run
    mgmt:
      group: host
      exec:
        - ip addr add 192.0.2.66/29 dev eth1
        - ip route add default via 192.0.2.65
"""


def files(internet: Internet) -> dict[str, str]:
    texts = {
        f"{internet.name}.clab.yml": topology(internet),
        "as-rel.txt": relations(internet),
        "ip-to-asn.csv": origins(internet),
    }
    for network in internet.networks.values():
        text = frr_config(internet, network) if network.runs == "frr" else bird_config(internet, network)
        texts[_config_path(network)] = text
    return texts


def _config_path(network: Network) -> str:
    return f"networks/{network.name}.{'frr' if network.runs == 'frr' else 'bird'}.conf"


def topology(internet: Internet) -> str:
    addresses = [own.address for own in internet.prefixes]
    head = _HEAD.format(
        count=len(internet.networks),
        name=internet.name,
        addresses="\n".join(f"        - ip addr add {address}/24 dev eth1" for address in addresses),
        gateway=addresses[0].rpartition(".")[0] + ".1",
    )
    lines: list[str] = []
    for network in internet.networks.values():
        lines += _node(internet, network)
    lines += ["", "  links:"]
    lines += [_link(f"{internet.node}:{own.interface}", f"{own.transit}:eth1") for own in internet.links]
    inside = len(internet.links) + 1
    lines += [_link(f"{internet.node}:eth{inside}", f"{internet.receiver}:eth1")]
    lines += [_link(f"{internet.node}:eth{inside + 1}", "mgmt:eth1")]
    lines += [_link(f"{s.a}:{s.a_interface}", f"{s.b}:{s.b_interface}") for s in internet.sessions]
    return head + "\n".join(lines) + "\n"


def _node(internet: Internet, network: Network) -> list[str]:
    lines = [f"    {network.name}:  # AS {network.asn}", f"      group: {network.runs}", "      binds:"]
    if network.runs == "frr":
        return [*lines, f"        - {_config_path(network)}:/etc/frr/frr.conf:ro"]
    lines += [f"        - {_config_path(network)}:/etc/bird/bird.conf:ro", "      exec:"]
    lines += [f"        - ip addr add {network.address}/32 dev lo"]
    lines += [f"        - ip addr add {row.own_address}/31 dev {row.interface}" for row in neighbors(internet, network)]
    return lines


def _link(a: str, b: str) -> str:
    return f'    - endpoints: ["{a}", "{b}"]'


def relations(internet: Internet) -> str:
    """CAIDA's serial-1, as somebody would have inferred it: with the file's errors. Our own links are not in it."""
    asn = {name: network.asn for name, network in internet.networks.items()}
    missing = {frozenset(pair) for pair in internet.errors.missing}
    customers = {frozenset(pair) for pair in internet.errors.peers_as_customers}
    rows = []
    for session in internet.sessions:
        pair = frozenset((session.a, session.b))
        if pair not in missing:
            kind = 0 if session.peers and pair not in customers else -1
            rows.append((asn[session.b], asn[session.a], kind))
    rows += [(asn[provider], asn[customer], -1) for customer, provider in internet.errors.invented]
    head = "# provider|customer|-1 or peer|peer|0; wrong in the places that internet.yaml names\n"
    return head + "".join(f"{a}|{b}|{kind}\n" for a, b, kind in sorted(rows))


def origins(internet: Internet) -> str:
    return "".join(f"{network.prefix},{network.asn}\n" for network in internet.networks.values())
