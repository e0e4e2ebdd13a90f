"""Datagrams read together give what they give one by one, whatever their mix."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import accumulate

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from teagent.wire.flow import records
from teagent.wire.flow.decoder import DecodeResult, FlowDecoder
from teagent.wire.flow.limits import Limits
from tests.fakes.netflow import (
    flow_set,
    ipfix,
    netflow5,
    netflow9,
    options_template9,
    options_template10,
    record5,
    template,
)

LIMITS = Limits(max_domains=3, max_templates=6, max_pending_sets=4)
PLAIN = ((8, 4), (12, 4), (10, 2), (1, 4), (2, 4), (16, 4), (22, 4), (21, 4))
WIDE = ((27, 16), (28, 16), (10, 4), (14, 4), (1, 8), (2, 3), (152, 8), (158, 4))
NAMED = ((8, 4), (12, 4), (10, 4), (1, 8), (371, 0xFFFF))
SAMPLED = ((12, 4), (1, 5), (10, 4), (48, 1))
OPTIONS = ((48, 1), (50, 2))
FIELDS = {256: PLAIN, 257: WIDE, 258: NAMED, 259: SAMPLED, 260: PLAIN[:4]}
COLUMNS = (
    "in_if", "out_if", "src", "dst", "protocol", "src_port", "dst_port", "src_asn", "dst_asn", "octets", "packets",
    "sampling_rate", "start", "end",
)  # fmt: skip


class OneByOne:
    """In the place of BurstReader."""

    def parted(self, state: object, datagrams: Sequence[bytes]) -> Iterator[bytes]:
        yield from datagrams


def plain(value: float | list[int]) -> object:
    if isinstance(value, list):
        return tuple(value)
    return "unknown" if isinstance(value, float) and math.isnan(value) else value


def rows(results: Sequence[DecodeResult]) -> Counter[tuple[object, ...]]:
    found: Counter[tuple[object, ...]] = Counter()
    for result in results:
        for batch in result.batches:
            columns = [getattr(batch, name).tolist() for name in COLUMNS]
            found.update((batch.family, *map(plain, row)) for row in zip(*columns, strict=True))
    return found


def state_of(decoder: FlowDecoder) -> object:
    state = decoder._state
    return (
        [(key, sorted(domain.layouts), plain(domain.rates.common)) for key, domain in state._domains.items()],
        [
            [(t._before, t._inclusive, t._missing) for t in domain.sequences._trackers.values()]
            for domain in state._domains.values()
        ],
        decoder.version,
        plain(decoder.exported_at),
        decoder.templates,
        decoder.awaiting_template,
    )


def body(number: int, records: int, filling: bytes) -> bytes:
    """Records of octets taken from `filling`, the same for the same arguments."""
    size = sum(1 if length == 0xFFFF else length for _, length in FIELDS[number])
    octets = bytearray((filling * (size * records // len(filling) + 1))[: size * records])
    if number == 258:
        for i in range(records):
            octets[(i + 1) * size - 1] = 0  # names of no octets
    return bytes(octets)


BODY = st.builds(
    lambda number, records, filling, pad: flow_set(number, body(number, records, filling), pad=pad),
    st.sampled_from(sorted(FIELDS)),
    st.integers(0, 4),
    st.binary(min_size=1, max_size=12),
    st.integers(0, 3),
)
TEMPLATE9 = st.builds(
    lambda n, fields: flow_set(0, template(n, FIELDS[fields])), *[st.sampled_from((256, 257, 259))] * 2
)
TEMPLATE10 = st.builds(
    lambda n, fields: flow_set(2, template(n, FIELDS[fields])), *[st.sampled_from(sorted(FIELDS))] * 2
)
RATE = st.builds(lambda sampler, rate: flow_set(300, bytes((sampler, 0, rate))), st.integers(0, 2), st.integers(0, 3))
OPTIONS9 = st.just(flow_set(1, options_template9(300, OPTIONS[:1], OPTIONS[1:])))
OPTIONS10 = st.just(flow_set(3, options_template10(300, OPTIONS[:1], OPTIONS[1:])))
WITHDRAWAL = st.sampled_from((256, 257, 258)).map(lambda number: flow_set(2, number.to_bytes(2, "big") + bytes(2)))
SEQUENCE_AT = {5: 16, 9: 12, 10: 8}


def counting(datagram: bytes, times: int, step: int) -> list[bytes]:
    """The datagram again and again, with `step` more in its sequence number each time."""
    at = SEQUENCE_AT.get(datagram[1] if len(datagram) > 1 else 0)
    if at is None or len(datagram) < at + 4:
        return [datagram] * times
    first = int.from_bytes(datagram[at : at + 4], "big")
    numbers = [((first + i * step) % 2**32).to_bytes(4, "big") for i in range(times)]
    return [datagram[:at] + number + datagram[at + 4 :] for number in numbers]


def messages(build, sets, domain: str):
    return st.builds(
        lambda found, number, sequence, seconds, uptime: build(
            *found,
            **{domain: number},
            sequence=sequence,
            seconds=1_700_000_000 + seconds,
            **({"uptime": uptime} if domain == "source" else {}),
        ),
        sets,
        st.sampled_from((1, 1, 1, 2, 3, 4)),
        st.integers(0, 40),
        st.integers(0, 3),
        st.integers(0, 3000),
    )


DATA = st.lists(BODY, min_size=1, max_size=3)
V9 = messages(
    netflow9, st.one_of(DATA, DATA, DATA, st.lists(st.one_of(BODY, TEMPLATE9, RATE, OPTIONS9), max_size=3)), "source"
)
V10 = messages(
    ipfix,
    st.one_of(DATA, DATA, DATA, st.lists(st.one_of(BODY, TEMPLATE10, RATE, OPTIONS10, WITHDRAWAL), max_size=3)),
    "domain",
)
V5 = st.builds(
    lambda count, sequence, sampling, engine: netflow5(
        *[record5(src=i, dst=7, octets=sequence) for i in range(count)],
        sequence=sequence,
        sampling=sampling,
        engine=engine,
    ),
    st.integers(0, 3),
    st.integers(0, 40),
    st.sampled_from((0, 0, 0, 10)),
    st.sampled_from((0, 0, 1)),
)
BROKEN = st.one_of(st.binary(max_size=30), st.tuples(V9, st.integers(0, 80)).map(lambda t: t[0][: t[1]]))
DATAGRAM = st.one_of(V9, V9, V10, V10, V5, BROKEN)
REPEATED = st.builds(counting, DATAGRAM, st.integers(1, 5), st.sampled_from((0, 1, 1, 1, 2, 3, 4, -1, 2**31)))


def twisted(datagrams: list[bytes], at: int, value: int) -> list[bytes]:
    """The last of them with another octet at one place, after the sequence number: as long, but of another shape."""
    last = bytearray(datagrams[-1])
    if len(last) > 16:
        last[16 + at % (len(last) - 16)] = value
    return [*datagrams, bytes(last), *datagrams]


def told_again(build, told, data, extra) -> list[bytes]:
    between = build(*told, *extra)
    return [build(*data), build(*data), between, build(*data), build(*data), between, build(*data)]


TWISTED = st.builds(twisted, REPEATED, st.one_of(st.integers(0, 12), st.integers(0, 200)), st.integers(0, 9))
TURNED = st.one_of(
    st.builds(
        lambda data, sets: [*(netflow9(*data),) * 2, netflow9(*sets), *(netflow9(*data),) * 2],
        DATA,
        st.lists(TEMPLATE9, min_size=1, max_size=2),
    ),
    st.builds(
        lambda data, sets: [*(ipfix(*data),) * 2, ipfix(*sets), *(ipfix(*data),) * 2],
        DATA,
        st.lists(st.one_of(TEMPLATE10, WITHDRAWAL), min_size=1, max_size=2),
    ),
)
"""Datagrams whose template changes between them."""
AGAIN = st.one_of(
    *(
        st.builds(
            told_again,
            st.just(build),
            st.lists(st.one_of(templates, options), min_size=1, max_size=2),
            DATA,
            st.lists(st.one_of(RATE, BODY), max_size=2),
        )
        for build, templates, options in ((netflow9, TEMPLATE9, OPTIONS9), (ipfix, TEMPLATE10, OPTIONS10))
    )
)
"""Datagrams between which templates, and rates by them, are told and told again."""
BURST = st.lists(st.one_of(REPEATED, REPEATED, TWISTED, TURNED, AGAIN, AGAIN), max_size=6).map(
    lambda parts: [datagram for part in parts for datagram in part]
)


def primed() -> list[bytes]:
    sets9 = [flow_set(0, template(number, FIELDS[number])) for number in (256, 257, 259)]
    sets10 = [flow_set(2, template(number, fields)) for number, fields in FIELDS.items()]
    return [netflow9(*sets9, source=1), ipfix(*sets10[:3], domain=1), netflow5(record5(src=1, dst=2))]


KNOWN = st.lists(
    st.builds(
        lambda number, records, filling: flow_set(number, body(number, records, filling)),
        st.sampled_from((256, 257)),
        st.integers(1, 3),
        st.binary(min_size=1, max_size=4),
    ),
    min_size=1,
    max_size=2,
)
STEADY = st.builds(
    counting,
    st.one_of(KNOWN.map(lambda sets: netflow9(*sets)), KNOWN.map(lambda sets: ipfix(*sets))),
    st.integers(1, 4),
    st.integers(1, 2),
)


@given(st.lists(STEADY, min_size=1, max_size=3), st.lists(st.tuples(STEADY, st.integers(0, 40), st.integers(0, 3))))
def test_one_odd_datagram_in_a_steady_burst_is_not_taken_for_another_one(steady, odd):
    burst = [datagram for part in steady for datagram in part]
    for part, at, value in odd:
        burst += twisted(part, at, value)
    alike([(burst, 0, True)])


@settings(max_examples=300)
@given(
    st.lists(st.tuples(BURST, st.integers(0, 1), st.booleans()), min_size=1, max_size=4), st.sampled_from((1, 5, 256))
)
def test_bursts_give_what_their_datagrams_give_one_by_one(bursts, long):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(records, "LONG", long)
        alike(bursts)


def alike(bursts: Sequence[tuple[list[bytes], int, bool]]) -> None:
    """`bursts` are datagrams, their stream, and whether records are taken after them."""
    together, apart = (FlowDecoder("192.0.2.1", limits=LIMITS) for _ in range(2))
    apart._bursts = OneByOne()
    results: dict[FlowDecoder, list[DecodeResult]] = {}
    for decoder in (together, apart):
        found = results[decoder] = [decoder.decode(primed(), at=0.0)]
        for burst, stream, take in bursts:
            decoder.feed(burst, at=10.0, stream=stream)
            if take:
                found.append(decoder.take())
        found.append(decoder.take())
    assert state_of(together) == state_of(apart)
    assert list(together._state._age) == list(apart._state._age)
    assert [(r.records, r.lost, r.undecoded) for r in results[together]] == [
        (r.records, r.lost, r.undecoded) for r in results[apart]
    ]
    assert rows(results[together]) == rows(results[apart])


ROWS = st.lists(st.tuples(*(st.integers(0, 2 ** (8 * length) - 1) for _, length in PLAIN)), min_size=1, max_size=60)


LENGTHS = st.lists(st.integers(1, 7), min_size=1, max_size=20)


@given(ROWS, LENGTHS, st.integers(0, 3), st.booleans(), st.sampled_from((1, 10, 256)))
def test_what_was_encoded_is_decoded_whatever_the_datagrams_lengths(values, counts, pad, take_each, long):
    """Against the values themselves, in bursts of datagrams of several lengths with padding."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(records, "LONG", long)
        decoded_as_encoded(values, counts, pad, take_each=take_each)


def decoded_as_encoded(values, counts, pad, *, take_each):
    decoder = FlowDecoder("192.0.2.1")
    decoder.decode([netflow9(flow_set(0, template(256, PLAIN)))], at=0)
    ends = [*accumulate(counts * (len(values) // sum(counts) + 1))]
    datagrams = []
    begin = 0
    for end in ends:
        part = values[begin:end]
        begin = end
        if part:
            octets = b"".join(
                value.to_bytes(length, "big") for row in part for value, (_, length) in zip(row, PLAIN, strict=True)
            )
            datagrams.append(netflow9(flow_set(256, octets, pad=pad), sequence=len(datagrams) + 1))
    results = []
    for i in range(0, len(datagrams), 4):
        decoder.feed(datagrams[i : i + 4], at=0)
        if take_each:
            results.append(decoder.take())
    results.append(decoder.take())
    assert sum(result.lost for result in results) == 0
    found = Counter(
        tuple(map(int, row))
        for result in results
        for b in result.batches
        for row in zip(b.src, b.dst, b.in_if, b.octets, b.packets, b.src_asn, strict=True)
    )
    assert found == Counter(row[:6] for row in values)
    exported = 1_700_000_000
    starts = np.sort(np.concatenate([b.start for result in results for b in result.batches]))
    told = [exported - 600 + row[6] / 1000 for row in values]
    rounds = [time - 2**32 / 1000 if time - exported > 2**31 / 1000 else time for time in told]  # of sysUpTime
    assert np.allclose(starts, np.sort(rounds), rtol=0, atol=1e-6)
