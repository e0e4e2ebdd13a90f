"""Why a BGP session ended, in words: NOTIFICATION codes of RFC 4271 section 4.5, RFC 4486, RFC 6608 and RFC 8538."""

from __future__ import annotations

from typing import Final

from teagent.wire.bgp_update import HEADER_OCTETS

CODES: Final = {
    1: "message header error",
    2: "open message error",
    3: "update message error",
    4: "hold timer expired",
    5: "finite state machine error",
    6: "cease",
    7: "route-refresh error",
}
CEASE: Final = {
    1: "too many prefixes",
    2: "administrative shutdown",
    3: "peer deconfigured",
    4: "administrative reset",
    5: "connection rejected",
    6: "other configuration change",
    7: "connection collision",
    8: "out of resources",
    9: "hard reset",
    10: "bfd down",
}


def reason(message: bytes) -> str:
    """Of a NOTIFICATION with its header; empty for what is too short to say."""
    if len(message) < HEADER_OCTETS + 2:
        return ""
    code, subcode = message[HEADER_OCTETS], message[HEADER_OCTETS + 1]
    said = CODES.get(code, f"notification {code}")
    if code == 6 and subcode:
        return f"{said}, {CEASE.get(subcode, f'subcode {subcode}')}"
    return f"{said}, subcode {subcode}" if subcode else said
