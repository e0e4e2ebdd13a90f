"""What the fuzzer calls, and what must hold whatever the octets. An input's first octet chooses the target."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Final

from teagent.errors import WireError
from teagent.model.traffic import FlowBatch
from teagent.wire.capture import LARGEST_FRAME, frames
from teagent.wire.capture_udp import UdpReader
from teagent.wire.flow.decoder import FlowDecoder
from teagent.wire.flow.limits import Limits
from teagent.wire.flow.offline import OfflineReader
from teagent.wire.flow.records import Undecoded

LIMITS: Final = Limits(max_domains=4, max_templates=8, max_pending_sets=4, max_pending_octets=2000, max_samplers=16)
COLUMNS: Final = (
    "in_if", "out_if", "octets", "packets", "src_asn", "dst_asn", "protocol", "src_port", "dst_port",
    "sampling_rate", "start", "end",
)  # fmt: skip


def split(octets: bytes) -> Iterator[bytes]:
    """Datagrams, each after its length in two octets."""
    at = 0
    while at + 2 <= len(octets):
        length = int.from_bytes(octets[at : at + 2], "big")
        yield octets[at + 2 : at + 2 + length]
        at += 2 + length


def joined(datagrams: list[bytes]) -> bytes:
    """The inverse of `split`."""
    return b"".join(len(d).to_bytes(2, "big") + d for d in datagrams)


def one_by_one(octets: bytes) -> None:
    """From three source ports in turn."""
    decoder = FlowDecoder("192.0.2.1", limits=LIMITS)
    for number, datagram in enumerate(split(octets)):
        _decoded(decoder, [datagram], stream=number % 3)


def together(octets: bytes) -> None:
    """A burst, twice, so that what was learned meets the same again."""
    decoder = FlowDecoder("192.0.2.1", limits=LIMITS)
    datagrams = list(split(octets))
    _decoded(decoder, datagrams)
    _decoded(decoder, datagrams)


def offline(octets: bytes) -> None:
    reader = OfflineReader()
    records = 0
    for datagram in split(octets):
        for _ in reader.read(datagram, exporter="192.0.2.1", port=2055, at=0.0):
            records += 1
    reader.finish()
    assert records <= len(octets)
    assert {reason for _, reason, _ in reader.undecoded} <= set(Undecoded)


def capture(octets: bytes) -> None:
    seen = 0
    with suppress(WireError):
        for datagram in UdpReader().datagrams(frames([octets])):
            assert len(datagram.payload) <= LARGEST_FRAME
            seen += 1
    assert seen <= len(octets)


TARGETS: Final[tuple[Callable[[bytes], None], ...]] = (one_by_one, together, offline, capture)


def run(octets: bytes) -> None:
    if octets:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            TARGETS[octets[0] % len(TARGETS)](octets[1:])


def _decoded(decoder: FlowDecoder, datagrams: list[bytes], *, stream: int = 0) -> None:
    result = decoder.decode(datagrams, at=1000.0, stream=stream)
    assert set(result.undecoded) <= set(Undecoded)
    assert result.records == sum(map(len, result.batches)) <= sum(map(len, datagrams)) + LIMITS.max_pending_octets
    for batch in result.batches:
        _sound(batch)
    assert decoder.templates <= LIMITS.max_templates
    assert decoder.awaiting_template <= LIMITS.max_pending_sets


def _sound(batch: FlowBatch) -> None:
    count = len(batch)
    for name in COLUMNS:
        column = getattr(batch, name)
        assert column.shape == (count,), name
        assert not (column < 0).any() or name in {"start", "end"}, name
    shape = (count,) if batch.family == 4 else (count, 2)
    assert batch.src.shape == batch.dst.shape == shape
