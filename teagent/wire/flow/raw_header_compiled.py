"""Where the IP header of a frame begins, for compiled code: what teagent.wire.flow.raw_header, which is the reference,
finds for many frames at once; and how numbers are read out of octets.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from teagent.compiling import within
from teagent.wire.flow.raw_header import (
    CUT,
    HDLC_ADDRESSES,
    IPV4,
    IPV6,
    LARGEST_LENGTH,
    MOST_LAYERS,
    MPLS,
    NOT_IP,
    PPP,
    PPP_PROTOCOLS,
    PPPOE_SESSION,
    PSEUDOWIRE,
    SERVICE_INSTANCE,
    VLAN,
    FrameKind,
)

ETHERNET, PPP_LINK, POS_LINK, MPLS_LINK = (
    int(kind) for kind in (FrameKind.ETHERNET, FrameKind.PPP, FrameKind.POS, FrameKind.MPLS)
)
BARE_IP = int(FrameKind.AAL5_IP), int(FrameKind.IPV4), int(FrameKind.IPV6)
PPP_IPV4, PPP_IPV6, PPP_MPLS, PPP_MPLS_MULTICAST = PPP_PROTOCOLS


@within
def placed(at: Any) -> Any:
    """Where something stands is below 2**32. Where the compiler knows that, sums of it do not wrap, and of the checks
    of indexes those are left out that follow from a comparison with the end before them.
    """
    return at & 0xFFFFFFFF


@within
def u16(octets: Any, at: Any) -> Any:
    return np.int64(octets[np.uint64(at)]) << 8 | np.int64(octets[np.uint64(at + 1)])


@within
def u32(octets: Any, at: Any) -> Any:
    return u16(octets, at) << 16 | u16(octets, at + 2)


@within
def u64(octets: Any, at: Any) -> Any:
    return np.uint64(u32(octets, at) << 32 | u32(octets, at + 4))


@within
def _by_version(octet: Any) -> Any:
    return IPV4 if octet >> 4 == 4 else IPV6 if octet >> 4 == 6 else NOT_IP


@within
def _begin(octets: Any, at: Any, end: Any, kind: Any) -> Any:
    """(what stands there as an EtherType, where), behind an Ethernet header."""
    if kind == ETHERNET:
        return (u16(octets, at + 12), at + 14) if at + 14 <= end else (CUT, at)
    if kind in (PPP_LINK, POS_LINK):
        return PPP, at
    if kind == MPLS_LINK:
        return MPLS[0], at
    if kind in BARE_IP:
        return (_by_version(octets[at]), at) if at < end else (CUT, at)
    return NOT_IP, at


@within
def _ppp(octets: Any, at: Any) -> Any:
    """RFC 1661 section 2, RFC 1662 section 3.1, and Cisco's HDLC."""
    first = u16(octets, at)
    if first in HDLC_ADDRESSES:
        return u16(octets, at + 2), at + 4
    if first == 0xFF03:
        at += 2
    protocol = u16(octets, at)
    short = protocol >> 8 & 1 == 1
    number = protocol >> 8 if short else protocol
    at += 1 if short else 2
    if number == PPP_IPV4:
        return IPV4, at
    if number == PPP_IPV6:
        return IPV6, at
    if number in (PPP_MPLS, PPP_MPLS_MULTICAST):
        return MPLS[0], at
    return NOT_IP, at


@within
def _unwrap(octets: Any, at: Any, end: Any, kind: Any) -> Any:
    """(EtherType, where) of what is below one layer."""
    if kind in VLAN:
        return (u16(octets, at + 2), at + 4) if at + 4 <= end else (CUT, at)
    if kind in MPLS:
        if at + 5 > end:
            return CUT, at
        if octets[at + 2] & 1 == 0:
            return MPLS[0], at + 4
        return (PSEUDOWIRE if octets[at + 4] >> 4 == 0 else _by_version(octets[at + 4])), at + 4
    if kind == PPPOE_SESSION:
        return (PPP, at + 6) if at + 6 <= end else (CUT, at)
    if kind == PPP:
        return _ppp(octets, at) if at + 4 <= end else (CUT, at)
    if kind == SERVICE_INSTANCE:
        return (u16(octets, at + 16), at + 18) if at + 18 <= end else (CUT, at)
    if kind > LARGEST_LENGTH:
        return NOT_IP, at
    if at + 8 > end:
        return CUT, at
    snap = u16(octets, at) == 0xAAAA and u16(octets, at + 2) == 0x0300 and u16(octets, at + 4) == 0
    snap = snap and u16(octets, at + 6) > LARGEST_LENGTH
    return (u16(octets, at + 6) if snap else NOT_IP), at + 8


@within
def ip_header(octets: Any, at: Any, end: Any, kind: Any) -> Any:
    """(IPV4, IPV6, CUT or NOT_IP, where the header begins)"""
    kind, at = _begin(octets, at, end, kind)
    for _ in range(MOST_LAYERS):
        at = placed(at)
        if kind in (IPV4, IPV6) or kind >= NOT_IP:
            break
        kind, at = _unwrap(octets, at, end, kind)
    at = placed(at)
    if kind == IPV4:
        if at + 20 > end:
            return CUT, at
        return (IPV4 if 0x45 <= octets[at] <= 0x4F else NOT_IP), at
    if kind == IPV6:
        if at + 40 > end:
            return CUT, at
        return (IPV6 if octets[at] >> 4 == 6 else NOT_IP), at
    return (CUT if kind == CUT else NOT_IP), at
