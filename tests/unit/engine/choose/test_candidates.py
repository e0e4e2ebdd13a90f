from __future__ import annotations

from itertools import product

from teagent.engine.choose.candidates import neighbors, prepend_limit, swapped, vectors
from tests.golden.case import policies_of, snapshot_of

CASE = {
    "links": {"a": {"capacity": "10Mbps", "load": "9Mbps"}, "b": {"capacity": "10Mbps", "load": "1Mbps"}},
    "prefixes": {
        "10.0.0.0/24": {"home": {"a": 0, "b": 2}, "max_prepend": 1},
        "11.0.0.0/24": {"home": {"a": 0, "b": 0}},
    },
    "traffic": {},
}


def test_two_links_give_every_difference_that_makes_the_full_one_longer() -> None:
    found = [dict(v) for v in vectors({"a": 0, "b": 2}, ["a"], 3)]
    assert found == [
        {"a": 0, "b": 0},
        {"a": 0, "b": 1},
        {"a": 1, "b": 0},
        {"a": 2, "b": 0},
        {"a": 3, "b": 0},
    ]


def test_no_vector_prepends_on_every_link() -> None:
    for vector in vectors({"a": 0, "b": 1, "c": 2}, ["a"], 3):
        assert min(n for _, n in vector) == 0


def test_the_live_vector_and_its_like_are_not_candidates() -> None:
    assert {"a": 0, "b": 0} not in [dict(v) for v in vectors({"a": 1, "b": 1}, ["a"], 3)]


def test_a_link_that_is_not_triggered_is_not_made_longer_alone() -> None:
    for vector in vectors({"a": 0, "b": 0}, ["a"], 3):
        assert dict(vector)["a"] > dict(vector)["b"]


def test_one_full_link_may_relieve_another() -> None:
    found = [dict(v) for v in vectors({"a": 0, "b": 0, "c": 0}, ["a", "b"], 1)]
    assert {"a": 1, "b": 0, "c": 1} in found
    assert {"a": 0, "b": 0, "c": 1} not in found


def test_of_many_links_each_full_one_is_made_longer_alone_too() -> None:
    live = {f"t{i}": 0 for i in range(10)}
    found = [dict(v) for v in vectors(live, ["t0", "t1"], 3)]
    assert live | {"t0": 2} in found
    assert live | {"t0": 2, "t1": 2} in found


def test_of_up_to_so_many_changes_are_those_that_change_no_more() -> None:
    live = {"a": 0, "b": 1, "c": 2}
    found = vectors(live, ["a"], 3)
    few = vectors(live, ["a"], 3, 1)
    assert few == tuple(v for v in found if sum(live[name] != n for name, n in v) <= 1)
    assert 0 < len(few) < len(found)


def test_a_prefix_on_one_link_has_no_candidates() -> None:
    assert vectors({"a": 0}, ["a"], 3) == ()


def test_on_three_links_all_useful_vectors_are_there() -> None:
    live = {"a": 0, "b": 2, "c": 1}
    found = {tuple(dict(v).items()) for v in vectors(live, ["a"], 3)}
    wanted = {
        (("a", a), ("b", b), ("c", c))
        for a, b, c in product(range(4), repeat=3)
        if min(a, b, c) == 0 and (a - b > -2 or a - c > -1)
    }
    assert found == wanted


def test_many_links_do_not_explode_and_keep_what_is_useful() -> None:
    live = {f"t{i}": i % 3 for i in range(10)}
    found = [dict(v) for v in vectors(live, ["t0"], 3)]
    assert 20 < len(found) < 150
    assert all(max(v.values()) <= 3 and min(v.values()) == 0 for v in found)
    for other in range(1, 10):
        assert any(v["t0"] - v[f"t{other}"] > live["t0"] - live[f"t{other}"] for v in found)


def test_a_home_beyond_the_limit_is_never_raised_further() -> None:
    assert all(n <= 1 for v in vectors({"a": 0, "b": 5}, ["a"], 1) for _, n in v)


def test_the_lowest_of_all_limits_counts() -> None:
    policy, network = policies_of(CASE)[0], snapshot_of(CASE).network
    limits = [prepend_limit(policy, own) for own in network.prefixes]
    assert limits == [1, 3]


def test_neighbors_differ_by_one_prepend_on_one_link_and_still_make_the_full_one_longer() -> None:
    live = {"a": 0, "b": 0, "c": 1}
    found = neighbors((("a", 1), ("b", 0), ("c", 1)), live, ["a"], 2)
    assert sorted(found) == [
        (("a", 0), ("b", 0), ("c", 0)),  # b one more, and then all one less
        (("a", 1), ("b", 0), ("c", 0)),
        (("a", 1), ("b", 0), ("c", 2)),
        (("a", 2), ("b", 0), ("c", 1)),
        (("a", 2), ("b", 0), ("c", 2)),  # b one less, and then all one more
    ]


def test_what_is_announced_beyond_the_limit_comes_down_to_it() -> None:
    """Too many links for a full grid: the vectors start from what is live."""
    live = {f"link-{number}": 2 * (number % 2) for number in range(9)}
    found = vectors(live, ["link-0"], 1)
    assert tuple((name, int(prepend > 0 or name == "link-0")) for name, prepend in live.items()) in found
    assert {prepend for vector in found for _, prepend in vector} == {0, 1}


def test_swapped_are_those_with_one_prepend_on_another_link() -> None:
    live = {"a": 0, "b": 0, "c": 0}
    found = {tuple(dict(v).values()) for v in swapped((("a", 1), ("b", 1), ("c", 0)), live, ["a"], 2)}
    assert found == {(2, 0, 0), (1, 0, 1)}
