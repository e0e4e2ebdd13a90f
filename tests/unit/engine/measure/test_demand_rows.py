"""The table of (cell, source) against a dictionary."""

from __future__ import annotations

from collections import Counter
from ipaddress import IPv4Network, IPv6Network

import numpy as np
import pytest

from teagent.engine.measure.demand_rows import FREE, MULTIPLIER, WINDOW, DemandTable, SourceForm
from teagent.model.traffic import Source

FORM = SourceForm.beside(1024, family=4, length=24)


@pytest.mark.parametrize("length", [64, 48, 32, 20])
@pytest.mark.parametrize(
    "high", [0, 1, 0x20010DB8 << 32, 0x2001_0DB8_0000_0001, 0x2001_0000_0000_0001, 0xFE80 << 48, 1 << 16, 2**64 - 1]
)
def test_senders_are_named_by_prefixes_in_the_usual_form(length: int, high: int):
    form6 = SourceForm(6, length, length + 1)
    leading = high >> (64 - length)
    assert form6.source(leading << 1 | 1) == Source(0, str(IPv6Network((high << 64, length), strict=False)))
    form4 = SourceForm(4, length // 2, 33)
    first = IPv4Network((high & 0xFFFFFFFF, form4.length), strict=False)
    assert form4.source(int(first[0]) >> (32 - form4.length) << 1 | 1) == Source(0, str(first))


def test_senders_are_named_by_their_as_and_the_rest_by_nothing():
    assert FORM.source(64500 << 1) == Source(64500)
    assert FORM.source(0) == Source()


def keys_of(numbers) -> np.ndarray:
    return np.array(numbers, dtype=np.uint64)


def contents(table: DemandTable) -> dict[int, float]:
    rows = table.rows()
    assert (rows.keys[1:] > rows.keys[:-1]).all()
    return dict(zip(rows.keys.tolist(), rows.octets.tolist(), strict=True))


def summed(keys, octets) -> dict[int, float]:
    sums: Counter[int] = Counter()
    for key, value in zip(keys.tolist(), octets.tolist(), strict=True):
        sums[key] += value
    return dict(sums)


def test_it_sums_as_a_dictionary_does_while_it_grows():
    rng = np.random.default_rng(3)
    keys = (rng.zipf(1.2, 60_000) % 30_000).astype(np.uint64)
    octets = rng.integers(0, 10**9, len(keys)).astype(float)
    table = DemandTable(50_000, FORM)
    for i in range(0, len(keys), 7_000):
        assert table.add(keys[i : i + 7_000], octets[i : i + 7_000]) == 0
    assert contents(table) == summed(keys, octets)


def test_the_largest_stay_apart_with_ties_by_key_and_the_rest_goes_to_its_cell():
    cell = 3 << FORM.bits
    keys = keys_of([cell | source << 1 for source in (9, 8, 7, 6, 5)] + [source << 1 for source in (4, 3)])
    table = DemandTable(4, FORM)
    assert table.add(keys, np.array([10.0, 5, 5, 1, 1, 5, 2])) == 5
    assert contents(table) == {0: 2.0, cell: 12.0, cell | 9 << 1: 10.0, 4 << 1: 5.0}


def test_keys_are_found_again_after_others_were_folded_out_of_their_way():
    rng = np.random.default_rng(5)
    table = DemandTable(600, FORM)
    sources = rng.integers(1, 3_000, 40_000).astype(np.uint64) << np.uint64(1)
    octets = rng.integers(1, 10**6, len(sources)).astype(float) * np.where(sources < 200, 1000, 1)
    folded = 0
    for i in range(0, len(sources), 500):
        folded += table.add(sources[i : i + 500], octets[i : i + 500])
        used = table._keys[table._keys != FREE]
        assert len(np.unique(used)) == len(used) <= 600
    assert folded > 1000
    found = contents(table)
    assert sum(found.values()) == octets.sum()
    large = summed(sources[sources < 200], octets[sources < 200])
    assert {key: found[key] for key in large} == large


def colliding(count: int, places: int) -> np.ndarray:
    """Keys that all want place 0 of a table of so many: multiples of the multiplier's inverse."""
    inverse = pow(int(MULTIPLIER), -1, 1 << 64)
    assert count < 1 << (64 - places.bit_length())
    return keys_of([i * inverse % (1 << 64) for i in range(1, count + 1)])


def test_keys_that_all_want_one_place_are_summed_right_and_tried_no_further_than_the_window():
    keys = np.tile(colliding(3 * WINDOW, 4096), 5)
    octets = np.arange(len(keys), dtype=float)
    table = DemandTable(50_000, FORM)
    for i in range(0, len(keys), 50):
        table.add(keys[i : i + 50], octets[i : i + 50])
    assert contents(table) == summed(keys, octets)
    assert np.count_nonzero(table._keys != FREE) == WINDOW


@pytest.mark.slow
def test_what_found_no_place_is_kept_when_the_table_grows_and_folded_when_it_is_full():
    keys = colliding(3 * WINDOW, 4096)
    table = DemandTable(50_000, FORM)
    table.add(keys, np.ones(len(keys)))
    more = keys_of(range(1, 5_000))
    table.add(more, np.full(len(more), 2.0))
    everything = np.concatenate((keys, more))
    assert contents(table) == summed(everything, np.repeat([1.0, 2.0], [len(keys), len(more)]))

    small = DemandTable(2 * WINDOW, FORM)
    assert small.add(keys, np.arange(len(keys), dtype=float)) == len(keys) - WINDOW
    kept = contents(small)
    assert sum(kept.values()) == np.arange(len(keys)).sum()
    for key, value in zip(keys[-WINDOW:].tolist(), range(2 * WINDOW, 3 * WINDOW), strict=True):
        assert kept[key] >= value


def test_a_million_sources_do_not_make_it_grow():
    table = DemandTable(1_000, FORM)
    for i in range(0, 1 << 20, 1 << 14):
        keys = np.arange(i, i + (1 << 14), dtype=np.uint64) << np.uint64(1) | np.uint64(1)
        table.add(keys, np.ones(len(keys)))
    assert len(table._keys) == 32_768  # a block and the rows fill a good half of it
    assert sum(contents(table).values()) == 1 << 20


@pytest.mark.parametrize("cells", [1, 2, 32_767, 32_768, 1 << 20])
@pytest.mark.parametrize("family", [4, 6])
def test_no_key_is_the_mark_of_a_free_place(cells, family):
    form = SourceForm.beside(cells, family=family, length=32 if family == 4 else 64)
    top = np.uint64(cells - 1) << np.uint64(form.bits) | form.mask
    assert top < FREE
