"""How far senders choose for themselves, as they are seen to part from those behind the same upstream."""

from __future__ import annotations

import numpy as np
import pytest

from teagent.engine.predict.choosers import ASSUMED, own_choice
from teagent.engine.predict.pooling import Ties

GROUPS = 100
SIBLINGS = np.repeat(np.arange(GROUPS), 2)
"""Each upstream has two customers that buy from nobody else."""
BY_GROUP = SIBLINGS % 2
BY_SENDER = np.arange(2 * GROUPS) % 2


def behind(upstream_of, *, member=None, patterns=None):
    count = len(np.unique(np.arange(len(upstream_of)) if member is None else member))
    return Ties(
        patterns=np.zeros((1, count), int) if patterns is None else np.asarray(patterns)[None],
        chances=(1.0,),
        member=np.arange(count) if member is None else member,
        upstream_of=upstream_of,
    )


def test_who_goes_where_its_upstream_goes_does_not_choose():
    assert own_choice(behind(SIBLINGS), [BY_GROUP], 3) < 0.03


def test_who_parts_from_its_like_behind_the_same_upstream_as_from_others_chooses():
    homes = np.random.default_rng(7).integers(0, 2, 2 * GROUPS)
    assert own_choice(behind(SIBLINGS), [homes], 3) == pytest.approx(1, abs=0.2)


def test_that_is_somewhere_between_where_some_choose():
    homes = BY_GROUP.copy()
    homes[:GROUPS:2] = 1 - homes[:GROUPS:2]
    assert 0.3 < own_choice(behind(SIBLINGS), [homes], 3) <= 1
    assert own_choice(behind(SIBLINGS), [homes], 3) > own_choice(behind(SIBLINGS), [BY_GROUP], 3)


def test_who_buys_from_several_may_part_without_rules_of_its_own():
    other = 1000 + np.arange(2 * GROUPS) % 7
    member = np.repeat(np.arange(2 * GROUPS), 2)
    ties = behind(np.stack([SIBLINGS, other], axis=1).ravel(), member=member)
    assert own_choice(ties, [BY_SENDER], 3) == ASSUMED


def test_only_senders_at_the_same_distances_are_compared():
    assert own_choice(behind(SIBLINGS, patterns=BY_SENDER), [BY_SENDER], 3) == ASSUMED
    assert own_choice(behind(SIBLINGS, patterns=BY_GROUP), [BY_SENDER], 3) > 0.9


@pytest.mark.parametrize("homes", [[], [np.full(2 * GROUPS, -1)], [np.zeros(2 * GROUPS, int)]])
def test_where_nobody_was_seen_to_part_nothing_is_said(homes):
    assert own_choice(behind(SIBLINGS), homes, 3) == ASSUMED


def test_without_a_graph_nothing_is_said():
    none = np.zeros(0, dtype=np.int64)
    ties = Ties(patterns=np.zeros((1, 2 * GROUPS), int), chances=(1.0,), member=none, upstream_of=none)
    assert own_choice(ties, [BY_SENDER], 3) == ASSUMED


def test_who_was_not_seen_is_left_out():
    some = np.where(np.arange(2 * GROUPS) < GROUPS, BY_GROUP, -1)
    whole = np.where(np.arange(2 * GROUPS) < GROUPS, BY_GROUP, BY_SENDER)
    assert own_choice(behind(SIBLINGS), [some], 3) < own_choice(behind(SIBLINGS), [whole], 3)


def test_what_is_seen_under_two_vectors_is_no_more_than_under_one():
    once = own_choice(behind(SIBLINGS), [BY_GROUP], 3)
    assert own_choice(behind(SIBLINGS), [BY_GROUP, BY_GROUP], 3) == pytest.approx(once)
