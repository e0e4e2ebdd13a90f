"""sFlow's record structures, described: names as in sflow.org/sflow_version_5.txt, by `enterprise << 12 | format`.

A member's type is `u` unsigned int, `U` unsigned hyper, `a` address, `4` and `6` ip_v4 and ip_v6, `m` mac in eight
octets, `s` string, `o` opaque at the end, `l` a list of unsigned int, `p` a list of as_path_type.
"""

from __future__ import annotations

import struct
from ipaddress import IPv4Address, IPv6Address
from typing import Final, NamedTuple

from teagent.errors import Truncated
from teagent.wire.flow.values import Value


class Structure(NamedTuple):
    name: str
    members: tuple[tuple[str, str], ...]


def _structure(name: str, members: str) -> Structure:
    """`members` are names, with the type in front where it is not `u`: `a:nexthop`."""
    return Structure(name, tuple((m[0], m[2:]) if m[1] == ":" else ("u", m) for m in members.split()))


_ETHERNET: Final = "length m:src_mac m:dst_mac type"
_IPV4: Final = "length protocol 4:src_ip 4:dst_ip src_port dst_port tcp_flags tos"
_IPV6: Final = "length protocol 6:src_ip 6:dst_ip src_port dst_port tcp_flags priority"

FLOW_RECORDS: Final = {
    1: _structure("sampled_header", "header_protocol frame_length stripped o:header"),
    2: _structure("sampled_ethernet", _ETHERNET),
    3: _structure("sampled_ipv4", _IPV4),
    4: _structure("sampled_ipv6", _IPV6),
    1001: _structure("extended_switch", "src_vlan src_priority dst_vlan dst_priority"),
    1002: _structure("extended_router", "a:nexthop src_mask_len dst_mask_len"),
    1003: _structure("extended_gateway", "a:nexthop as src_as src_peer_as p:dst_as_path l:communities localpref"),
    1004: _structure("extended_user", "src_charset s:src_user dst_charset s:dst_user"),
    1005: _structure("extended_url", "direction s:url s:host"),
    1006: _structure("extended_mpls", "a:nexthop l:in_stack l:out_stack"),
    1007: _structure("extended_nat", "a:src_address a:dst_address"),
    1008: _structure("extended_mpls_tunnel", "s:tunnel_lsp_name tunnel_id tunnel_cos"),
    1009: _structure("extended_mpls_vc", "s:vc_instance_name vll_vc_id vc_label_cos"),
    1010: _structure("extended_mpls_FTN", "s:mplsFTNDescr mplsFTNMask"),
    1011: _structure("extended_mpls_LDP_FEC", "mplsFecAddrPrefixLength"),
    1012: _structure("extended_vlantunnel", "l:stack"),
    # sflow.org/sflow_tunnels.txt
    1021: _structure("extended_l2_tunnel_egress", _ETHERNET),
    1022: _structure("extended_l2_tunnel_ingress", _ETHERNET),
    1023: _structure("extended_ipv4_tunnel_egress", _IPV4),
    1024: _structure("extended_ipv4_tunnel_ingress", _IPV4),
    1025: _structure("extended_ipv6_tunnel_egress", _IPV6),
    1026: _structure("extended_ipv6_tunnel_ingress", _IPV6),
    1027: _structure("extended_decapsulate_egress", "inner_header_offset"),
    1028: _structure("extended_decapsulate_ingress", "inner_header_offset"),
    1029: _structure("extended_vni_egress", "vni"),
    1030: _structure("extended_vni_ingress", "vni"),
    # sflow.org/sflow_drops.txt, sflow.org/sflow_transit.txt
    1036: _structure("extended_egress_queue", "queue"),
    1037: _structure("extended_acl", "number s:name direction"),
    1038: _structure("extended_function", "s:symbol"),
    1039: _structure("extended_transit", "delay"),
    1040: _structure("extended_queue", "depth"),
    # of packets that were not forwarded, by the agent of Linux (sflow.org/developers/structures.php)
    1041: _structure("extended_hw_trap", "s:group s:trap"),
    1042: _structure("extended_linux_drop_reason", "s:reason"),
}
COUNTER_RECORDS: Final = {
    1: _structure(
        "if_counters",
        "ifIndex ifType U:ifSpeed ifDirection ifStatus U:ifInOctets ifInUcastPkts ifInMulticastPkts ifInBroadcastPkts"
        " ifInDiscards ifInErrors ifInUnknownProtos U:ifOutOctets ifOutUcastPkts ifOutMulticastPkts ifOutBroadcastPkts"
        " ifOutDiscards ifOutErrors ifPromiscuousMode",
    ),
    2: _structure(
        "ethernet_counters",
        "dot3StatsAlignmentErrors dot3StatsFCSErrors dot3StatsSingleCollisionFrames dot3StatsMultipleCollisionFrames"
        " dot3StatsSQETestErrors dot3StatsDeferredTransmissions dot3StatsLateCollisions dot3StatsExcessiveCollisions"
        " dot3StatsInternalMacTransmitErrors dot3StatsCarrierSenseErrors dot3StatsFrameTooLongs"
        " dot3StatsInternalMacReceiveErrors dot3StatsSymbolErrors",
    ),
    5: _structure("vlan_counters", "vlan_id U:octets ucastPkts multicastPkts broadcastPkts discards"),
    # sflow.org/sflow_lag.txt
    7: _structure(
        "lag_port_stats",
        "m:dot3adAggPortActorSystemID m:dot3adAggPortPartnerOperSystemID dot3adAggPortAttachedAggID"
        " dot3adAggPortState dot3adAggPortStatsLACPDUsRx dot3adAggPortStatsMarkerPDUsRx"
        " dot3adAggPortStatsMarkerResponsePDUsRx dot3adAggPortStatsUnknownRx dot3adAggPortStatsIllegalRx"
        " dot3adAggPortStatsLACPDUsTx dot3adAggPortStatsMarkerPDUsTx dot3adAggPortStatsMarkerResponsePDUsTx",
    ),
    1001: _structure("processor", "5s_cpu 1m_cpu 5m_cpu U:total_memory U:free_memory"),
    # sflow.org/sflow_openflow.txt, sflow.org/sflow_application.txt, and Open vSwitch's own
    1004: _structure("of_port", "U:datapath_id port_no"),
    1005: _structure("port_name", "s:name"),
    2203: _structure("app_resources", "user_time system_time U:mem_used U:mem_max fd_open fd_max conn_open conn_max"),
    2207: _structure("ovs_dp_stats", "hits misses lost mask_hits flows masks"),
}


def members_of(structure: Structure, octets: bytes) -> dict[str, Value]:
    """Raises Truncated where the octets end before the structure does."""
    reader = _Reader(octets)
    return {name: reader.value(kind) for kind, name in structure.members}


class _Reader:
    """XDR (RFC 4506)."""

    def __init__(self, octets: bytes) -> None:
        self._octets = octets
        self._at = 0

    def _take(self, count: int) -> bytes:
        if len(self._octets) - self._at < count:
            raise Truncated(
                f"{count} octets are wanted, {len(self._octets) - self._at} are left in the record", offset=self._at
            )
        taken = self._octets[self._at : self._at + count]
        self._at += count
        return taken

    def _word(self) -> int:
        return int.from_bytes(self._take(4), "big")

    def _opaque(self) -> bytes:
        length = self._word()
        taken = self._take(length)
        self._at += -length % 4  # the last padding of a record is missing where an agent leaves it out of its length
        return taken

    def _header(self) -> bytes:
        """Ends with its record, where it claims to be longer; what is there of a packet is read all the same."""
        length = self._word()
        begin, self._at = self._at, min(self._at + length, len(self._octets))
        return self._octets[begin : self._at]

    def _list(self) -> list[Value]:
        count = self._word()
        return list(struct.unpack(f">{count}I", self._take(4 * count)))

    def value(self, kind: str) -> Value:
        match kind:
            case "u":
                return self._word()
            case "U":
                return int.from_bytes(self._take(8), "big")
            case "4":
                return str(IPv4Address(self._take(4)))
            case "6":
                return str(IPv6Address(self._take(16)))
            case "a":
                return self._address()
            case "m":
                return self._take(8)[:6].hex(":")
            case "s":
                return self._opaque().decode("utf-8", "replace")
            case "o":
                return self._header().hex()
            case "l":
                return self._list()
            case "p":
                return self._path()
            case _:
                raise AssertionError(kind)

    def _address(self) -> str | None:
        kind = self._word()
        if kind == 1:
            return str(IPv4Address(self._take(4)))
        if kind == 2:
            return str(IPv6Address(self._take(16)))
        return None

    def _path(self) -> list[Value]:
        """AS numbers in order; those of a set are a list among them."""
        path: list[Value] = []
        for _ in range(self._word()):
            ordered, members = self._word() == 2, self._list()
            if ordered:
                path += members
            else:
                path.append(members)
        return path
