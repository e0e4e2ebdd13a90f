"""ExaBGP 5.0's own two files, for `signal` mode: text from values, nothing is written here.

What is not obvious in them is so because something else was seen to fail; see docs/explanation/the-relay.md.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address

from teagent.model.bgp import Address, Asn

HOLD_TIME_SECONDS = 30
GRACEFUL_RESTART_SECONDS = 120
PROCESS = "teagent"
FAMILIES = ("ipv4", "ipv6")
PLAIN_WORD = re.compile(r"[A-Za-z0-9_@%+=:,./-]+", re.ASCII)
USER = re.compile(r"[a-z_][a-z0-9_-]{0,31}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExabgpSession:
    """One iBGP session, to a border router or a route reflector. `families` out of ipv4 and ipv6.

    `md5_key` signs it (RFC 2385), empty where none is wanted; it never shows in the repr.
    """

    router: str
    neighbor: Address
    local_address: Address
    families: tuple[str, ...] = ("ipv4",)
    md5_key: bytes = field(default=b"", repr=False)


def render_exabgp_conf(
    *,
    local_asn: Asn,
    router_id: IPv4Address,
    sessions: Sequence[ExabgpSession],
    relay_command: Sequence[str],
    hold_time_seconds: int = HOLD_TIME_SECONDS,
    graceful_restart_seconds: int = GRACEFUL_RESTART_SECONDS,
) -> str:
    """exabgp.conf: the relay as API process, and one session per border router.

    `relay_command` starts with an absolute path. Raises ValueError for what ExaBGP's grammar cannot carry.
    """
    if not sessions:
        raise ValueError("there is no session to make: no router is told anything")
    for word in relay_command:
        if not PLAIN_WORD.fullmatch(word):
            raise ValueError(f"'{word}' in the relay's command has a character that exabgp.conf cannot carry")
    if not relay_command or not relay_command[0].startswith("/"):
        raise ValueError("the relay's command does not start with an absolute path")
    blocks = [_session(s, local_asn, router_id, hold_time_seconds, graceful_restart_seconds) for s in sessions]
    process = f"process {PROCESS} {{\n    run {' '.join(relay_command)};\n    encoder json;\n}}\n"
    return "\n".join(["# written by teagent; to be read by exabgp 5.0", process, *blocks])


def render_exabgp_env(*, user: str, log_destination: str = "stdout", log_level: str = "INFO") -> str:
    """exabgp.env. `user` is who ExaBGP and the relay run as; the relay must be able to write its files as that user.

    `log_destination` is stdout, stderr, syslog, or a file that `user` may write.
    """
    if not USER.fullmatch(user):
        raise ValueError(f"'{user}' is not the name of a user")
    if not PLAIN_WORD.fullmatch(log_destination):
        raise ValueError(f"'{log_destination}' is not a destination that exabgp.env can carry")
    return f"""\
# written by teagent; to be read by exabgp 5.0
[exabgp.api]
# the relay waits for `done` or `error` after each command
ack = true
# the CLI's pipes answer the wrong client when there are several; nothing of ours uses them
cli = false
# the relay reads back the communities of what ExaBGP holds
show-routes-format = v2
# a relay that dies is started again and finds its place; ExaBGP ends only at the sixth death within 64 s
respawn = true
terminate = false

[exabgp.daemon]
# started as root it would become nobody, who can neither write the journal nor the log
user = {user}
drop = true
daemonize = false

[exabgp.log]
destination = {log_destination}
level = {log_level}
short = false
# else a line for each keepalive, 17,000 a day and session
statistics = false

[exabgp.tcp]
# only outgoing sessions: the routers are passive
bind =
"""


def _session(
    session: ExabgpSession, local_asn: Asn, router_id: IPv4Address, hold_time_seconds: int, restart_seconds: int
) -> str:
    if session.neighbor.version != session.local_address.version:
        raise ValueError(f"{session.router}: {session.neighbor} and {session.local_address} are of different families")
    if not session.families or not set(session.families) <= set(FAMILIES):
        raise ValueError(f"{session.router}: families are out of {' and '.join(FAMILIES)}")
    families = " ".join(f"{family} unicast;" for family in session.families)
    return f"""\
neighbor {session.neighbor} {{
    description "{_description(session.router)}";
    router-id {router_id};
    local-address {session.local_address};
    local-as {local_asn};
    peer-as {local_asn};
{_signature(session)}    hold-time {hold_time_seconds};
    # the relay replays its journal before the End-of-RIB; sent at once it would flush what the router kept
    manual-eor true;
    family {{ {families} }}
    capability {{ asn4 enable; route-refresh enable; graceful-restart {restart_seconds}; }}
    api {{
        processes [ {PROCESS} ];
        neighbor-changes;
        negotiated;
        send {{ parsed; update; }}
    }}
}}
"""


def _signature(session: ExabgpSession) -> str:
    """As base64: ExaBGP's grammar would change some keys, and it guesses what one of hexadecimal digits is."""
    if not session.md5_key:
        return ""
    key = base64.b64encode(session.md5_key).decode("ascii")
    return f'    md5-base64 true;\n    md5-password "{key}";\n'


def _description(router: str) -> str:
    return re.sub(r"[^A-Za-z0-9 ._-]", "_", router)
