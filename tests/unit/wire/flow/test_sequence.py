from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from teagent.wire.flow.sequence import IN_ORDER, MODULUS, MOST_STREAMS, Sequences, SequenceTracker


def lost(*messages: tuple[int, int | None]) -> list[int]:
    tracker = SequenceTracker()
    return [tracker.lost(sequence, units) for sequence, units in messages]


def test_what_follows_on_has_lost_nothing_and_a_gap_is_counted_in_units():
    assert lost((100, 30), (130, 30), (190, 10), (200, 1)) == [0, 0, 30, 0]


def test_it_wraps_at_32_bits():
    assert lost((2**32 - 10, 30), (20, 5), (35, 5)) == [0, 0, 10]


def test_a_message_that_comes_late_makes_good_for_what_was_counted():
    assert lost((0, 10), (20, 10), (10, 10), (30, 10)) == [0, 10, -10, 0]


def test_an_exporter_that_began_anew_has_lost_nothing():
    assert lost((5_000_000, 10), (0, 10), (10, 10)) == [0, 0, 0]
    assert lost((0, 10), (3_000_000_000, 10), (3_000_000_010, 10)) == [0, 0, 0]


def test_an_exporter_that_lost_some_and_began_anew_far_below_is_followed_at_once():
    assert lost((100_000, 10), (101_000, 10), (0, 10), (20, 10)) == [0, 990, 0, 10]


def test_one_that_began_anew_just_below_is_followed_when_it_goes_on_in_order():
    messages = [(0, 1), (2_000, 1), *((number, 1) for number in range(IN_ORDER + 1))]
    assert sum(lost(*messages)) == 1_999 - IN_ORDER
    assert lost(*messages, (IN_ORDER + 4, 1))[-1] == 3


def test_messages_that_overtake_each_other_for_long_are_no_new_beginning():
    pairs = [(number + swapped, 1) for number in range(10, 110, 2) for swapped in (1, 0)]
    assert sum(lost((9, 1), *pairs)) == 0


def test_after_a_message_whose_records_nobody_could_count_the_next_is_taken_as_it_comes():
    assert lost((0, 10), (10, None), (50, 10), (60, 10)) == [0, 0, 0, 0]


def test_an_exporter_that_counts_the_message_in_is_understood():
    assert lost((3, 3), (5, 2), (6, 1), (9, 3), (14, 2)) == [0, 0, 0, 0, 3]


def test_a_loss_that_looks_like_counting_the_message_in_does_not_confuse_for_long():
    sizes = (1, 2, 3, 4, 5, 6)
    messages, at = [], 0
    for size in sizes:
        messages.append((at, size))
        at += size
    messages += [(at + 1, 7), (at + 8, 3), (at + 21, 1)]
    assert lost(*messages) == [0] * 6 + [1, 0, 10]


@pytest.mark.parametrize("sizes", [(18,), (18, 12, 3)], ids=["alike", "of unlike sizes"])
@pytest.mark.parametrize("seed", range(20))
def test_many_at_once_are_counted_as_one_after_the_other(sizes, seed):
    rng = np.random.default_rng(seed)
    units = rng.choice(sizes, 400)
    sequences = (np.cumsum(units) - units + 2**32 - 900) % 2**32
    there = rng.random(400) > 0.03  # some are lost,
    late = int(rng.integers(50, 350))
    order = np.flatnonzero(there)
    order[late : late + 2] = order[late : late + 2][::-1]  # two overtake each other,
    sequences[order[int(rng.integers(50, 350)) :]] -= int(rng.choice([0, 2_000_000]))  # and some exporters begin anew
    sequences, units = (sequences % 2**32)[order], units[order]
    alone, together = SequenceTracker(), SequenceTracker()
    one_by_one = sum(map(alone.lost, sequences.tolist(), units.tolist()))
    parts = zip(np.array_split(sequences, 5), np.array_split(units, 5), strict=True)
    assert sum(together.lost_in_a_row(*part) for part in parts) == one_by_one
    after = (int(sequences[-1]) + 500, 7)
    assert together.lost(*after) == alone.lost(*after)


def test_streams_are_counted_apart_and_forgotten_when_there_are_too_many():
    sequences = Sequences()
    assert [sequences.lost(stream, 100 * stream, 1) for stream in range(MOST_STREAMS + 5)] == [0] * (MOST_STREAMS + 5)
    assert sequences.lost(MOST_STREAMS, 100 * MOST_STREAMS + 11, 1) == 10
    assert sequences.lost(0, 77, 1) == 0
    assert len(sequences._trackers) == MOST_STREAMS


SEQUENCE_RUNS = st.lists(st.tuples(st.integers(0, 60), st.integers(1, 25)), max_size=12)


@given(SEQUENCE_RUNS, st.sampled_from((0, MODULUS - 30)))
@example([(58, 5), (107, 9), (107, 19), (116, 10)], 0)
def test_runs_that_come_again_or_late_are_counted_as_one_after_the_other(runs, base):
    apart, by_run, by_row = SequenceTracker(), SequenceTracker(), SequenceTracker()
    for first, messages in runs:
        numbers = [(base + first + i) % MODULUS for i in range(messages)]
        expected = sum(apart.lost(number, 1) for number in numbers)
        assert by_run.lost_in_a_run(numbers[0], messages) == expected
        assert by_row.lost_in_a_row(np.array(numbers, np.uint32), np.ones(messages, np.int64)) == expected
