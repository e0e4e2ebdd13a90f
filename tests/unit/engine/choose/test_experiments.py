"""What would teach most: pairs in both orders, and nothing from whom it is known already."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest

from teagent.engine.choose.experiments import experiments
from teagent.engine.predict.ingress import IngressModel, Observation, empty
from teagent.engine.predict.ingress_learning import learn
from teagent.engine.predict.scene import prepare
from teagent.engine.predict.senders import Distances
from teagent.model.bgp import parse_prefix
from teagent.model.experiment import Experiment
from teagent.model.maintenance import DailyWindow
from tests.golden.case import CASES, load, merged, snapshot_of

SMALL = "13.0.0.0/24"
NOW = datetime(2026, 3, 1, 3, 0, tzinfo=UTC)
LINKS = ("transit-a", "transit-b", "transit-c")


def found(model: IngressModel, live: dict[str, int] | None = None, **traffic: dict[str, str]) -> tuple[Experiment, ...]:
    case = merged(
        load(CASES / "three-links.yaml"),
        {
            "prefixes": {SMALL: {"home": dict.fromkeys(LINKS, 0)}},
            "traffic": {link.replace("_", "-"): {SMALL: senders} for link, senders in traffic.items()},
            "overrides": {SMALL: live} if live else None,
        },
    )
    snapshot = snapshot_of(case)
    own = snapshot.network.own(parse_prefix(SMALL))
    assert own is not None
    return experiments(prepare(snapshot), model, own, prepend=3)


def distances(**hops: tuple[int, int, int]) -> Distances:
    asn = np.array(sorted(int(name[2:]) for name in hops))
    table = np.array([hops[f"AS{number}"] for number in asn])
    return Distances(
        links=LINKS, asn=asn, hops=table, start=np.zeros(len(asn) + 1, dtype=np.int64), upstream=np.zeros(0, np.int64)
    )


TIED = distances(AS100=(3, 3, 9), AS101=(3, 9, 9))


def test_every_pair_is_there_in_both_orders() -> None:
    listed = found(empty(LINKS, TIED), transit_a={"AS100": "1Mbps"})
    assert {(one.first, one.second) for one in listed} == {(a, b) for a in LINKS for b in LINKS if a != b}
    assert [one.bits for one in listed] == sorted((one.bits for one in listed), reverse=True)


def test_a_tie_teaches_more_than_a_link_that_is_far() -> None:
    by_pair = {(e.first, e.second): e for e in found(empty(LINKS, TIED), transit_a={"AS100": "1Mbps"})}
    assert by_pair["transit-a", "transit-b"].bits > by_pair["transit-a", "transit-c"].bits
    assert by_pair["transit-a", "transit-b"].lessons[0].asn == 100


def test_the_third_link_is_kept_out_of_the_way_all_the_while() -> None:
    one = next(e for e in found(empty(LINKS, TIED), transit_a={"AS100": "1Mbps"}) if e.first == "transit-a")
    other = next(name for name in LINKS if name not in {one.first, one.second})
    assert (dict(one.alone)[other], dict(one.both)[other]) == (3, 3)
    assert dict(one.alone) == {one.first: 0, one.second: 3, other: 3}
    assert dict(one.both)[one.second] == 0


def test_what_was_answered_teaches_less() -> None:
    before = found(empty(LINKS, TIED), transit_a={"AS100": "1Mbps"})
    best = before[0]
    model = empty(LINKS, TIED)
    for day, (vector, link) in enumerate([(best.alone, best.first), (best.both, best.first)]):
        observation = Observation(
            at=NOW + timedelta(days=day),
            links=LINKS,
            vector=dict(vector),
            asn=np.array([100]),
            share=np.eye(3)[[LINKS.index(link)]],
            before=np.array([LINKS.index(best.first)]),
            bps=np.array([1e6]),
        )
        model = learn(model, observation)
    after = next(
        e for e in found(model, transit_a={"AS100": "1Mbps"}) if (e.first, e.second) == (best.first, best.second)
    )
    assert after.bits < best.bits
    assert after.seen


@pytest.mark.parametrize(("live", "step"), [(None, 1), ("alone", 2), ("both", 0)])
def test_the_second_step_comes_out_of_the_first_only(live: str | None, step: int) -> None:
    model = empty(LINKS, TIED)
    first = found(model, transit_a={"AS100": "1Mbps"})[0]
    vector = None if live is None else dict(getattr(first, live))
    again = found(model, vector, transit_a={"AS100": "1Mbps"})
    one = next(e for e in again if (e.first, e.second) == (first.first, first.second))
    assert one.step == step
    assert one.name == f"{one.first} then {one.second}, step {step} of 2"


def test_without_traffic_of_known_senders_there_is_nothing_to_learn() -> None:
    model = empty(LINKS, TIED)
    assert found(model) == ()
    assert found(model, transit_a={"rest": "1Mbps", "10.0.0.0/24": "1Mbps"}) == ()


@pytest.mark.parametrize(
    ("text", "hour", "minute", "holds"),
    [
        ("02:00-04:30", 2, 0, True),
        ("02:00-04:30", 4, 29, True),
        ("02:00-04:30", 4, 30, False),
        ("23:30-01:00", 0, 30, True),
        ("23:30-01:00", 23, 29, False),
        ("23:30-01:00", 12, 0, False),
    ],
)
def test_a_window_is_a_time_of_day_in_utc(text: str, hour: int, minute: int, holds: bool) -> None:
    window = DailyWindow.parse(text)
    assert str(window) == text
    assert window.holds(NOW.replace(hour=hour, minute=minute)) is holds
    assert window.holds(NOW.replace(hour=hour, minute=minute).astimezone(timezone(timedelta(hours=9)))) is holds


@pytest.mark.parametrize(
    "text", ["", "2:00-4:00", "02:00", "24:00-01:00", "02:00-02:00", "02:60-03:00", "02:00-04:00 "]
)
def test_what_is_no_window_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"time of day|begins when"):
        DailyWindow.parse(text)
