"""The learned model asked unit by unit, against the same asked demand by demand."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from teagent.engine.predict.ingress import IngressModel, Observation, empty
from teagent.engine.predict.ingress_by_unit import CHANCE_STEPS, COARSE, LIGHT, LIGHT_IN_LOOKS, MANY
from teagent.engine.predict.ingress_forecast import Learned
from teagent.engine.predict.ingress_learning import learn
from teagent.engine.predict.movement import summed
from teagent.engine.predict.senders import Distances
from teagent.engine.predict.shares import DemandColumns, Flags, Ints, Kinds
from teagent.model.bgp import parse_prefix
from teagent.model.traffic import Source

LINKS = ("a", "b", "c", "d", "e")
FIRST, KNOWN = 64496, 60
LIVE = {"a": 0, "b": 0, "c": 1, "d": 0}
"""Not announced on `e`."""
VECTORS = [LIVE, *({**LIVE, "a": more, "b": less} for more in (0, 1, 2) for less in (0, 1, 3)), {**LIVE, "d": 5}]
SOURCES = tuple(Source(asn=asn) for asn in (0, *range(FIRST, FIRST + 2 * KNOWN)))


def taught(links: tuple[str, ...] = LINKS) -> IngressModel:
    """Of `KNOWN` senders under three vectors; the graph knows as many more, at all kinds of distances."""
    rng = np.random.default_rng(7)
    asn = np.arange(FIRST, FIRST + 2 * KNOWN)
    hops = rng.integers(2, 6, (len(asn), len(links)))
    distances = Distances(
        links=links, asn=asn, hops=hops, start=np.arange(len(asn) + 1), upstream=rng.integers(3000, 3009, len(asn))
    )
    model, before = empty(links, distances), np.full(KNOWN, -1)
    for number, longer in enumerate((0, 1, 0)):
        cost = 2 * (hops[:KNOWN] + np.array([longer, 0, 1, 0, 9])[: len(links)])
        cost[np.arange(KNOWN), np.maximum(before, 0)] -= before >= 0
        on = cost.argmin(axis=1)
        observation = Observation(
            at=datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=number),
            links=links,
            vector={k: prepends for k, prepends in {**LIVE, "a": longer}.items() if k in links},
            asn=asn[:KNOWN],
            share=np.eye(len(links))[on],
            before=before,
            bps=np.ones(KNOWN),
        )
        model, before = learn(model, observation), on
    return model


def demands(
    prefix: str, seed: int, links: tuple[str, ...] = LINKS, sources: tuple[Source, ...] = SOURCES
) -> DemandColumns:
    """Many senders on up to two links each; the first is not known, and so is what comes where we do not announce."""
    rng = np.random.default_rng(seed)
    source = np.repeat(np.arange(len(sources)), 2)[rng.random(2 * len(sources)) < 0.7]
    link = rng.integers(0, len(links), len(source))
    _, first = np.unique(source * len(links) + link, return_index=True)
    source, link = source[first], link[first]
    movable = (source > 0) & np.array([name in LIVE for name in links])[link]
    kinds = 2 * link + movable
    return DemandColumns(
        prefix=parse_prefix(prefix),
        links=links,
        sources=sources,
        link_index=link,
        source_index=source,
        bps=rng.lognormal(10, 2, len(source)),
        kind=kinds,
        kinds=Kinds(
            link_index=np.repeat(np.arange(len(links)), 2),
            at_least=np.zeros((2 * len(links), len(links)), dtype=np.int64),
            movable=np.arange(2 * len(links)) % 2 > 0,
        ),
    )


@pytest.fixture(scope="module")
def learned() -> Learned:
    return Learned(taught())


@pytest.mark.parametrize(
    ("prefix", "links"), [("10.0.0.0/24", LINKS), ("11.0.0.0/24", ("e", "d", "new", "a", "b", "c"))]
)
def test_sums_over_units_are_sums_over_demands(learned: Learned, prefix: str, links: tuple[str, ...]) -> None:
    asked = demands(prefix, 3, links)
    # Once as asked for first, once of vectors that were asked for before.
    for vectors in (VECTORS, VECTORS[::-1]):
        wanted = summed(asked, learned.forecast_each(asked, LIVE, vectors))
        found = learned.movement(asked, LIVE, vectors)
        for each in fields(found):
            values, expected = getattr(found, each.name), getattr(wanted, each.name)
            assert values == pytest.approx(expected, rel=1e-4, abs=1e-4 * float(np.max(expected))), each.name


def test_what_one_prefix_asks_for_changes_nothing_for_another(learned: Learned) -> None:
    first, second = demands("10.0.0.0/24", 3), demands("11.0.0.0/24", 4)
    fresh = Learned(taught()).movement(second, LIVE, VECTORS[3:])
    learned.movement(first, LIVE, VECTORS[:5])
    assert learned.movement(second, LIVE, VECTORS[3:]).mean == pytest.approx(fresh.mean, rel=1e-5)


@pytest.mark.parametrize("after", VECTORS)
def test_each_demand_is_forecast_as_it_would_be_alone(learned: Learned, after: dict[str, int]) -> None:
    asked = demands("10.0.0.0/24", 3)
    (wanted,) = learned.forecast_each(asked, LIVE, [after])
    found = learned.forecast_shares(asked, LIVE, after)
    assert found.of_demands() == pytest.approx(wanted.of_demands(), abs=1 / CHANCE_STEPS)
    assert found.expected.sum(axis=1) == pytest.approx(1.0, abs=1e-5)
    assert found.unit.tolist() == wanted.unit.tolist()
    for numbers in (asked.link_index, asked.movable):
        assert all(len(set(numbers[found.group == group].tolist())) == 1 for group in np.unique(found.group))


def test_groups_are_fewer_than_senders_and_keep_what_is_expected_of_all(learned: Learned) -> None:
    asked = demands("10.0.0.0/24", 3)
    (wanted,) = learned.forecast_each(asked, LIVE, [VECTORS[5]])
    found = learned.forecast_shares(asked, LIVE, VECTORS[5])
    assert len(found.expected) < len(wanted.expected)
    assert asked.bps @ found.of_demands() == pytest.approx(asked.bps @ wanted.of_demands(), rel=1e-4)


def crowded() -> DemandColumns:
    """So many senders that most of them are light."""
    asked = demands("10.0.0.0/24", 3, sources=tuple(Source(asn=asn) for asn in (0, *range(FIRST, FIRST + 2 * MANY))))
    assert np.count_nonzero(asked.movable) > MANY
    return asked


def heaviest_first(asked: DemandColumns) -> tuple[Ints, Flags]:
    """Which demands, and which of these are light beyond any doubt."""
    order = np.argsort(-asked.bps, kind="stable")
    return order, np.cumsum(asked.bps[order][::-1])[::-1] <= LIGHT / 2 * asked.bps.sum()


def test_of_a_crowd_roughly_the_lightest_of_a_link_are_one_group(learned: Learned) -> None:
    asked = crowded()
    found = learned.forecast_shares(asked, LIVE, VECTORS[5], roughly=True)
    order, light = heaviest_first(asked)
    assert np.count_nonzero(light) > len(light) / 4
    lightest = order[light & asked.movable[order]]
    assert len(np.unique(found.group[lightest])) == len(np.unique(asked.link_index[lightest]))
    assert found.expected.sum(axis=1) == pytest.approx(1.0, abs=1e-5)
    for numbers in (asked.link_index, asked.movable):
        assert all(len(set(numbers[found.group == group].tolist())) == 1 for group in np.unique(found.group))


def test_of_a_crowd_roughly_the_heaviest_are_forecast_as_they_would_be_alone(learned: Learned) -> None:
    asked = crowded()
    (wanted,) = learned.forecast_each(asked, LIVE, [VECTORS[5]])
    found, heaviest = learned.forecast_shares(asked, LIVE, VECTORS[5], roughly=True), heaviest_first(asked)[0][:20]
    assert found.of_demands()[heaviest] == pytest.approx(wanted.of_demands()[heaviest], abs=1 / CHANCE_STEPS)


def test_of_a_crowd_roughly_what_is_expected_of_all_stays_within_what_the_lightest_send(learned: Learned) -> None:
    asked = crowded()
    (wanted,) = learned.forecast_each(asked, LIVE, [VECTORS[5]])
    found = learned.forecast_shares(asked, LIVE, VECTORS[5], roughly=True)
    bps = asked.bps.sum()
    assert asked.bps @ found.of_demands() == pytest.approx(asked.bps @ wanted.of_demands(), abs=LIGHT * bps)
    vectors = VECTORS[4:6]
    looked, exact = learned.movement(asked, LIVE, vectors), summed(asked, learned.forecast_each(asked, LIVE, vectors))
    assert looked.mean == pytest.approx(exact.mean, abs=LIGHT_IN_LOOKS * bps)
    assert looked.mean.sum() == pytest.approx(exact.mean.sum(), rel=LIGHT_IN_LOOKS)


def test_of_a_crowd_all_are_asked_where_it_is_not_to_be_rough(learned: Learned) -> None:
    asked = crowded()
    (wanted,) = learned.forecast_each(asked, LIVE, [VECTORS[5]])
    found = learned.forecast_shares(asked, LIVE, VECTORS[5])
    # those that are told apart most coarsely keep their mean
    assert found.of_demands() == pytest.approx(wanted.of_demands(), abs=COARSE / CHANCE_STEPS)
    assert asked.bps @ found.of_demands() == pytest.approx(asked.bps @ wanted.of_demands(), rel=1e-4)


def test_forecasts_are_the_same_whether_they_were_prepared_or_not() -> None:
    asked, prepared, other = demands("10.0.0.0/24", 3), Learned(taught()), Learned(taught())
    prepared.prepare(asked, LIVE, VECTORS)
    for after in VECTORS:
        one, same = (each.forecast_shares(asked, LIVE, after) for each in (prepared, other))
        assert one.of_demands() == pytest.approx(same.of_demands(), abs=1e-6)


def test_another_scene_is_not_taken_for_the_last(learned: Learned) -> None:
    learned.movement(demands("10.0.0.0/24", 3), LIVE, VECTORS)
    other = replace(demands("10.0.0.0/24", 5), sources=SOURCES[:1] + SOURCES[:0:-1])
    wanted = summed(other, learned.forecast_each(other, LIVE, VECTORS))
    assert learned.movement(other, LIVE, VECTORS).mean == pytest.approx(wanted.mean, rel=1e-4, abs=1.0)


def test_where_a_link_is_withheld_who_has_none_left_goes_anywhere(learned: Learned) -> None:
    asked = demands("10.0.0.0/24", 3)
    after = {"c": 0, "d": 0}
    wanted = summed(asked, learned.forecast_each(asked, LIVE, [after]))
    assert learned.movement(asked, LIVE, [after]).mean == pytest.approx(wanted.mean)
