"""How far senders choose for themselves, as they are seen to part from those behind the same upstream."""

from __future__ import annotations

import numpy as np
import pytest

from teagent.engine.predict.choosers import ASSUMED, own_choice

GROUPS = 100
SENDERS = np.arange(2 * GROUPS)
SIBLINGS = SENDERS // 2
"""Each upstream has two customers that buy from nobody else."""
BY_GROUP = SIBLINGS % 2
BY_SENDER = SENDERS % 2
EQUAL = np.zeros((2 * GROUPS, 3), int)


def choice(*homes, distances=EQUAL, member=SENDERS, upstream=SIBLINGS):
    return own_choice(distances, member, upstream, homes)


def test_who_goes_where_its_upstream_goes_does_not_choose():
    assert choice(BY_GROUP) < 0.03


def test_who_parts_from_its_like_behind_the_same_upstream_as_from_others_chooses():
    assert choice(np.random.default_rng(7).integers(0, 2, 2 * GROUPS)) == pytest.approx(1, abs=0.2)


def test_where_some_choose_it_is_between():
    homes = BY_GROUP.copy()
    homes[: GROUPS // 2 : 2] = 1 - homes[: GROUPS // 2 : 2]
    assert 0.3 < choice(homes) < 0.7


def test_who_buys_from_several_may_part_without_rules_of_its_own():
    upstream = np.stack([SIBLINGS, 1000 + SENDERS % 7], axis=1).ravel()
    assert choice(BY_SENDER, member=np.repeat(SENDERS, 2), upstream=upstream) == ASSUMED


def test_only_senders_at_the_same_distances_are_compared():
    by_sender, by_group = (np.column_stack([column, column, column]) for column in (BY_SENDER, BY_GROUP))
    assert choice(BY_SENDER, distances=by_sender) == ASSUMED
    assert choice(BY_SENDER, distances=by_group) > 0.9


@pytest.mark.parametrize("homes", [[], [np.full(2 * GROUPS, -1)], [np.zeros(2 * GROUPS, int)]])
def test_where_nobody_was_seen_to_part_nothing_is_said(homes):
    assert choice(*homes) == ASSUMED


def test_without_a_graph_nothing_is_said():
    none = np.zeros(0, dtype=np.int64)
    assert choice(BY_SENDER, member=none, upstream=none) == ASSUMED


def test_who_was_not_seen_is_compared_with_nobody():
    assert choice(np.where(BY_SENDER, -1, BY_GROUP)) == ASSUMED


def test_what_is_seen_under_two_vectors_is_no_more_than_under_one():
    assert choice(BY_GROUP, BY_GROUP) == pytest.approx(choice(BY_GROUP))
    assert choice(BY_GROUP) < choice(BY_GROUP, BY_SENDER) < choice(BY_SENDER)
