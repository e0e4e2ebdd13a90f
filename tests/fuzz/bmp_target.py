"""What the fuzzer of BMP calls, and what must hold whatever the octets."""

from __future__ import annotations

from contextlib import suppress

from teagent.errors import WireError
from teagent.wire.bgp_open import add_path_families
from teagent.wire.bgp_update import decode_update, origin_asn, path_attributes
from teagent.wire.bmp import BmpStream, Message, PeerUp, RouteMonitoring


def read(octets: bytes) -> None:
    """A connection, and in it what a reader looks at."""
    for message in messages([octets]):
        with suppress(WireError):
            if isinstance(message, PeerUp):
                assert add_path_families(sent=message.sent, received=message.received) <= {4, 6}
            elif isinstance(message, RouteMonitoring):
                update = decode_update(message.update)
                assert len(update.announced) + len(update.withdrawn) <= len(message.update)
                assert 0 <= origin_asn(update.attributes, as_octets=message.peer.as_octets) < 1 << 32
                path_attributes(update.attributes, as_octets=message.peer.as_octets)


def messages(pieces: list[bytes]) -> list[Message]:
    """Up to where the stream breaks."""
    stream = BmpStream()
    found: list[Message] = []
    with suppress(WireError):
        for piece in pieces:
            found.extend(stream.feed(piece))
    assert len(found) <= sum(map(len, pieces))
    return found
