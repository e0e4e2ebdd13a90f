"""`teagent-relay --dry-run`: what would be sent, or why not, for requests read line by line."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

from teagent.relay import grammar, protocol
from teagent.relay.allow_list import AllowList
from teagent.relay.protocol import Announce, WithdrawRequest
from teagent.relay.refusal import Refusal


def dry_run(allow: AllowList, lines: Iterable[bytes]) -> Iterator[str]:
    """For each request the commands that ExaBGP would be given, or `refused: RULE: why`.

    Rules that need the journal or sessions (budget, rate, frozen, owner) are not tried.
    """
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            for text in _would_send(allow, line):
                yield f"{number}: {text}"
        except Refusal as refusal:
            limit = "" if refusal.limit is None else f" (value {refusal.value}, limit {refusal.limit})"
            yield f"{number}: {refusal.kind}: {refusal.rule}: {refusal.message}{limit}"


def _would_send(allow: AllowList, line: bytes) -> Iterator[str]:
    request = protocol.parse(protocol.decode(line))
    match request:
        case Announce(override=override):
            allow.check_override(override)
            allow.check_deadline(request, time.time())
            for neighbor in allow.neighbors_of(override.family):
                hop = allow.next_hop[override.family]
                yield grammar.announce(
                    neighbor.address, override, next_hop=hop, asn=allow.local_asn, form=allow.signals
                )
        case WithdrawRequest(prefix=prefix):
            for neighbor in allow.neighbors_of(f"ipv{prefix.version}"):
                yield grammar.withdraw(neighbor.address, prefix)
        case _:
            yield "nothing is sent for this request"
