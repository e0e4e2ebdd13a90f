"""Any bytes give records or a WireError, within bounds of memory and work."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from teagent.errors import WireError
from teagent.wire.flow.decoder import FlowDecoder
from teagent.wire.flow.limits import Limits
from teagent.wire.flow.records import Undecoded
from tests.fakes.netflow import flow_set, ipfix, netflow5, netflow9, options_template10, record, record5, template

LIMITS = Limits(max_domains=4, max_templates=8, max_pending_sets=4, max_pending_octets=2000, max_samplers=16)
FIELDS = ((8, 4), (12, 4), (10, 4), (1, 4), (2, 4))
BOTH = ((8, 4), (12, 4), (27, 16), (28, 16), (10, 2), (1, 8), (302, 4), (371, 0xFFFF))
OPTIONS = ((302, 4), (309, 4), (310, 4), (160, 8))
REAL = (
    netflow5(*[record5(src=i, dst=2) for i in range(3)], sampling=10),
    netflow9(
        flow_set(0, template(300, FIELDS)), flow_set(300, record(FIELDS, 1, 2, 3, 4, 5) * 3, pad=2), flow_set(301, b"x")
    ),
    ipfix(
        flow_set(3, options_template10(400, OPTIONS[:1], OPTIONS[1:])),
        flow_set(2, template(300, BOTH) + template(301, ((5951 << 16 | 7, 0xFFFF), (12, 4)))),
        flow_set(400, record(OPTIONS, 5, 1, 100, 1_600_000_000_000)),
        flow_set(300, record(BOTH, 1, 2, bytes(16), bytes(16), 3, 100, 5, b"name") * 2),
        flow_set(301, record(((0, 0xFFFF), (12, 4)), b"abc", 9)),
    ),
)


def bounded(decoder: FlowDecoder) -> None:
    state = decoder._state
    assert state.templates <= LIMITS.max_templates
    assert sum(len(d.layouts) for d in state._domains.values()) == state.templates
    assert len(state._domains) <= LIMITS.max_domains
    assert state.awaiting_template == sum(map(len, state._held.values())) <= LIMITS.max_pending_sets
    held = sum(len(h.body) for queue in state._held.values() for h in queue)
    assert state._held_octets == held <= LIMITS.max_pending_octets


def sound(decoder: FlowDecoder, datagrams: list[bytes]) -> None:
    result = decoder.decode(datagrams, at=1000.0)
    assert set(result.undecoded) <= set(Undecoded)
    assert result.records == sum(map(len, result.batches)) <= sum(map(len, datagrams))
    for batch in result.batches:
        n = len(batch)
        shape = (n,) if batch.family == 4 else (n, 2)
        assert batch.src.shape == batch.dst.shape == shape
        for name in ("in_if", "out_if", "octets", "packets", "src_asn", "dst_asn", "protocol", "sampling_rate"):
            column = getattr(batch, name)
            assert column.shape == (n,)
            assert not (column < 0).any()
        for name in ("start", "end"):
            assert getattr(batch, name).dtype == np.float64
    bounded(decoder)


VERSIONS = st.sampled_from((b"\x00\x05", b"\x00\x09", b"\x00\x0a"))
ANYTHING = st.one_of(
    st.binary(max_size=200),
    st.tuples(VERSIONS, st.binary(max_size=300)).map(b"".join),
)


@given(st.lists(ANYTHING, max_size=6))
def test_any_bytes_give_records_or_counts_and_stay_within_bounds(datagrams):
    decoder = FlowDecoder("192.0.2.1", limits=LIMITS)
    sound(decoder, datagrams)
    for datagram in datagrams:
        with suppress(WireError):
            decoder.read(datagram, at=1000.0)
    bounded(decoder)


SETS = st.lists(
    st.one_of(
        st.builds(flow_set, st.integers(0, 3), st.binary(max_size=60)),
        st.builds(flow_set, st.integers(256, 259), st.binary(max_size=60)),
        st.builds(
            lambda kind, number, fields: flow_set(kind, template(number, fields)),
            st.sampled_from((0, 2)),
            st.integers(256, 259),
            st.lists(
                st.tuples(
                    st.sampled_from(
                        (1, 2, 8, 10, 12, 16, 21, 22, 27, 28, 34, 48, 50, 152, 154, 158, 252, 302, 305, 311)
                    ),
                    st.sampled_from((0, 1, 2, 3, 4, 5, 8, 9, 16, 17, 0xFFFF)),
                ),
                min_size=1,
                max_size=6,
            ),
        ),
        st.builds(
            lambda number, scopes, fields: flow_set(3, options_template10(number, scopes, fields)),
            st.integers(256, 259),
            st.just(((302, 4),)),
            st.lists(st.tuples(st.sampled_from((34, 50, 305, 306, 309, 310, 311, 160)), st.integers(0, 8)), max_size=4),
        ),
    ),
    max_size=8,
)


@settings(max_examples=200)
@given(st.lists(st.tuples(st.booleans(), SETS, st.integers(0, 6)), max_size=6))
def test_any_templates_with_any_data_give_sound_columns(messages):
    decoder = FlowDecoder("192.0.2.1", limits=LIMITS)
    datagrams = [
        netflow9(*sets, source=domain) if version9 else ipfix(*sets, domain=domain)
        for version9, sets, domain in messages
    ]
    for datagram in datagrams:
        sound(decoder, [datagram])
    sound(decoder, datagrams)


@settings(max_examples=200)
@given(
    st.sampled_from(REAL),
    st.lists(st.tuples(st.integers(0, 500), st.integers(0, 255)), max_size=8),
    st.integers(0, 600),
)
@example(REAL[0], [], 600)
@example(REAL[2], [], 600)
def test_real_datagrams_with_flipped_octets_and_cut_short_are_survived(datagram, flips, cut):
    mutated = bytearray(datagram)
    for at, value in flips:
        mutated[at % len(mutated)] = value
    decoder = FlowDecoder("192.0.2.1", limits=LIMITS)
    sound(decoder, [bytes(mutated[:cut])])
    sound(decoder, [datagram, bytes(mutated[:cut]), datagram])


ROWS = st.lists(st.tuples(*(st.integers(0, 2 ** (8 * length) - 1) for _, length in FIELDS)), min_size=1, max_size=40)


@given(ROWS, st.integers(1, 5), st.booleans())
def test_what_was_encoded_is_decoded_however_it_is_cut_into_datagrams(rows, step, together):
    datagrams = [netflow9(flow_set(0, template(300, FIELDS)))]
    datagrams += [
        netflow9(flow_set(300, b"".join(record(FIELDS, *row) for row in rows[i : i + step])))
        for i in range(0, len(rows), step)
    ]
    decoder = FlowDecoder("192.0.2.1")
    results = (
        [decoder.decode(datagrams, at=0)] if together else [decoder.decode([datagram], at=0) for datagram in datagrams]
    )
    batches = [batch for result in results for batch in result.batches]
    found = [
        tuple(map(int, row)) for b in batches for row in zip(b.src, b.dst, b.in_if, b.octets, b.packets, strict=True)
    ]
    last = len(rows) - len(rows) % step  # a datagram of another length may come before those of one length
    assert found == rows or (together and found == rows[last:] + rows[:last])


@given(st.lists(st.tuples(st.integers(0, 2**128 - 1), st.integers(0, 2**128 - 1)), min_size=1, max_size=10))
def test_ipv6_addresses_keep_both_halves(pairs):
    fields = ((27, 16), (28, 16), (1, 8))
    body = b"".join(record(fields, src, dst, 1) for src, dst in pairs)
    [batch] = (
        FlowDecoder("192.0.2.1").decode([ipfix(flow_set(2, template(300, fields)), flow_set(300, body))], at=0).batches
    )
    for i, (src, dst) in enumerate(pairs):
        for column, value in ((batch.src, src), (batch.dst, dst)):
            assert int(column[i, 0]) << 64 | int(column[i, 1]) == value
