"""Compiled attribution and sums give what numpy gives, to the last bit, whatever the prefixes and the records."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from teagent.engine.measure.attribution import Attribution
from teagent.engine.measure.counting import Counted
from teagent.engine.measure.matrix import MatrixBuilder
from teagent.engine.measure.record_buffer import BLOCK, MANY
from teagent.model.traffic import FlowBatch

pytest.importorskip("numba", reason="the extra teagent[compiled] is not installed")

from teagent.engine.measure.counting_compiled import CompiledCount

AT = datetime(2026, 1, 12, 19, 40, tzinfo=UTC)
LINKS = {1: "a", 2: "b", 9: "c"}


@pytest.fixture(scope="session")
def compiled() -> CompiledCount:
    return CompiledCount()


def within(root: str, bits: int, more: int) -> IPv4Network | IPv6Network:
    """A prefix of `more` bits than `root`, whose next 24 bits are of `bits`."""
    outer = ip_network(root)
    address = int(outer.network_address) | bits << outer.max_prefixlen - outer.prefixlen - 24
    hosts = outer.max_prefixlen - outer.prefixlen - more
    return ip_network((address >> hosts << hosts, outer.prefixlen + more))


PREFIXES = st.lists(
    st.one_of(
        st.builds(within, st.just("10.0.0.0/8"), st.integers(0, 2**24 - 1), st.integers(0, 24)),
        st.builds(within, st.just("10.0.0.0/8"), st.integers(0, 255).map(lambda n: 1 << 16 | n << 8), st.just(16)),
        st.builds(within, st.just("2001:db8::/32"), st.integers(0, 2**24 - 1), st.integers(0, 32)),
        st.builds(within, st.just("2001:db8::/32"), st.integers(0, 255).map(lambda n: n << 8), st.just(16)),
        st.builds(within, st.just("2001:db8:1::/48"), st.integers(0, 2**24 - 1), st.sampled_from((16, 17, 80))),
        st.sampled_from(("0.0.0.0/0", "::/0", "255.255.255.0/24", "ffff::/16")).map(ip_network),
    ),
    max_size=20,
)


def addresses(family: int, count: int, prefixes: list[IPv4Network | IPv6Network], rng: np.random.Generator):
    """Half of them at the edges of prefixes, others near them and anywhere."""
    own = [p for p in prefixes if p.version == family]
    most = 2 ** (32 if family == 4 else 128) - 1
    edges = [0, most]
    for prefix in own:
        first, last = int(prefix.network_address), int(prefix.broadcast_address)
        edges += [first, last, max(0, first - 1), min(most, last + 1), (first + last) // 2]
    near = rng.choice(np.array(edges, object), count)
    if family == 4:
        anywhere = rng.integers(0, 2**32, count, dtype=np.uint64)
        return np.where(rng.random(count) < 0.7, near.astype(np.uint64), anywhere).astype(np.uint32)
    both = np.stack([near >> 64, near & 2**64 - 1], axis=1).astype(np.uint64)
    anywhere = rng.integers(0, 2**64, (count, 2), dtype=np.uint64, endpoint=False)
    return np.where((rng.random(count) < 0.7)[:, None], both, anywhere)


def made(family: int, count: int, prefixes: list[IPv4Network | IPv6Network], rng: np.random.Generator) -> FlowBatch:
    """Columns of all forms: views of datagrams in network byte order, columns with gaps, one number for all."""

    def kept(column: np.ndarray) -> np.ndarray:
        way = rng.integers(0, 3)
        if way == 0:
            return column
        if way == 1:
            octets = column.astype(column.dtype.newbyteorder(">")).tobytes()
            return np.frombuffer(octets, column.dtype.newbyteorder(">")).reshape(column.shape)
        apart = np.zeros((len(column), 3, *column.shape[1:]), column.dtype)
        apart[:, 1] = column
        return apart[:, 1]

    whole = rng.random() < 0.5
    octets = rng.integers(0, 10**9, count).astype(np.uint64)
    asn = rng.choice([0, 0, 1, 23456, 64500, 65535, 2**32 - 2, 2**32 - 1], count).astype(
        rng.choice([np.uint32, np.uint64])
    )
    nothing = np.zeros(count, np.uint32)
    return FlowBatch(
        exporter="192.0.2.1",
        family=family,
        in_if=kept(rng.choice([0, 1, 2, 5, 9, 70_000], count).astype(np.uint32)),
        out_if=kept(rng.choice([0, 1, 2, 5], count).astype(np.uint32)),
        src=kept(addresses(family, count, prefixes, rng)),
        dst=kept(addresses(family, count, prefixes, rng)),
        protocol=nothing,
        src_port=nothing,
        dst_port=nothing,
        src_asn=np.ndarray((count,), np.uint32, bytes(4), strides=(0,)) if rng.random() < 0.2 else kept(asn),
        dst_asn=nothing,
        octets=kept(octets),
        packets=kept(rng.integers(0, 10**6, count).astype(np.uint32)),
        sampling_rate=rng.choice([1.0, 7.3, np.nan], count) if whole else np.full(count, 1000.0),
        start=np.full(count, np.nan),
        end=np.full(count, np.nan),
        direction=kept(rng.integers(0, 2, count).astype(np.uint8)) if rng.random() < 0.3 else None,
        layer2=bool(rng.random() < 0.3),
    )


def sampled(family: int, count: int, prefixes: list[IPv4Network | IPv6Network], rng: np.random.Generator) -> FlowBatch:
    """Columns as those of compiled sFlow."""
    batch = made(family, count, prefixes, rng)
    rows = np.zeros(count, [(name, np.uint32) for name in ("in_if", "out_if", "src", "dst", "src_asn", "octets")])
    for name in rows.dtype.names:
        if family == 4 or name not in {"src", "dst"}:
            rows[name] = getattr(batch, name)
    rate = [np.full(count, 512.0), np.full(count, np.nan), rng.choice([1.0, 7.3, np.nan], count)][rng.integers(0, 3)]
    return replace(
        batch,
        in_if=rows["in_if"],
        out_if=rows["out_if"],
        src=rows["src"] if family == 4 else batch.src,
        dst=rows["dst"] if family == 4 else batch.dst,
        src_asn=rows["src_asn"],
        octets=rows["octets"],
        packets=np.ndarray((count,), np.float64, np.array(1.0).tobytes(), strides=(0,)),
        sampling_rate=rate,
        direction=None if rng.random() < 0.8 else batch.direction,
    )


def alike(
    compiled: CompiledCount,
    prefixes,
    batches: list[FlowBatch],
    max_rows: int,
    cuts: list[bool],
    records_tell_as: bool = True,
) -> None:
    found = []
    for one_count in (None, compiled):
        attribution = Attribution(
            links=LINKS.values(),
            interfaces={("edge", number): link for number, link in LINKS.items()},
            prefixes=prefixes,
            routers={"192.0.2.1": "edge"},
        )
        builder = MatrixBuilder(attribution, max_rows=max_rows, records_tell_as=records_tell_as)
        if one_count is not None:
            builder.count_by(one_count)
        counts = []
        for batch, cut in zip(batches, cuts, strict=True):
            builder.add(batch)
            if cut:
                counts.append(builder.counts())
        counts.append(builder.counts())
        matrix = builder.build(at=AT, seconds=1, interface_octets={})
        rows = zip(
            *(c.tolist() for c in (matrix.link_index, matrix.prefix_index, matrix.source_index, matrix.bps)),
            strict=True,
        )
        found.append((counts, matrix.prefixes, matrix.sources, list(rows), matrix.unattributed_bps))
    assert found[0] == found[1]


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    PREFIXES,
    st.lists(st.tuples(st.sampled_from((4, 6)), st.integers(1, 300), st.booleans()), min_size=1, max_size=6),
    st.sampled_from((2, 40, 50_000)),
    st.integers(0, 2**32),
)
def test_records_of_all_sorts_are_counted_alike(compiled, prefixes, batches, max_rows, seed):
    rng = np.random.default_rng(seed)
    made_ = [made(family, count, prefixes, rng) for family, count, _ in batches]
    alike(compiled, prefixes, made_, max_rows, [cut for _, _, cut in batches])


@pytest.mark.parametrize("max_rows", [1000, 50_000])
@pytest.mark.parametrize("family", [4, 6])
def test_many_records_with_many_sources_are_counted_alike(compiled, family, max_rows):
    """More than one part, more than wait for a place, tables that grow, and rows that are folded."""
    prefixes = [ip_network(f"10.{n}.0.0/16") for n in range(9)] + [ip_network(f"2001:db8:{n:x}::/48") for n in range(9)]
    rng = np.random.default_rng(7)
    batches = [made(family, BLOCK * 2 + 77, prefixes, rng) for _ in range(3)]
    batches += [sampled(family, MANY * 5, prefixes, rng) for _ in range(5)]
    alike(compiled, prefixes, batches, max_rows, [False] * 8)
    alike(compiled, prefixes, batches, max_rows, [False] * 8, records_tell_as=False)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(PREFIXES, st.sampled_from((4, 6)), st.sampled_from((1000, 50_000)), st.integers(0, 2**32))
def test_samples_are_counted_alike(compiled, prefixes, family, max_rows, seed):
    rng = np.random.default_rng(seed)
    alike(
        compiled,
        prefixes,
        [sampled(family, count, prefixes, rng) for count in (MANY, MANY + 9, 7)],
        max_rows,
        [False] * 3,
    )


def test_what_is_counted_is_counted_by_the_compiled_code(compiled):
    """So that none of the above holds because both are numpy."""
    found: list[Counted] = []

    def watched(*arguments: Any) -> Counted:
        found.append(compiled(*arguments))
        return found[-1]

    prefixes = [ip_network("10.0.0.0/8")]
    attribution = Attribution(links=("a",), interfaces={("192.0.2.1", 1): "a"}, prefixes=prefixes)
    builder = MatrixBuilder(attribution)
    builder.count_by(watched)
    builder.add(sampled(4, MANY, prefixes, np.random.default_rng(1)))
    assert builder.counts().demand == sum(counted.demand for counted in found) > 0
