"""Predicted against realised, and how wide bands have to be after that."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from teagent.engine.predict.evidence_state import prediction_of, prediction_state
from teagent.engine.predict.prediction import Prediction, stay
from teagent.engine.predict.scoring import WIDEST, means, misprojecting, score, widening
from teagent.engine.predict.widen import widened
from teagent.model.bgp import parse_prefix
from teagent.model.plan import Band, DryRun, LinkForecast
from teagent.model.scorecard import Scorecard, ScoredLink, ScoreKind
from teagent.model.traffic import Demand, Source, TrafficMatrix, build_matrix

NOW = datetime(2026, 3, 1, tzinfo=UTC)
PREFIX = parse_prefix("198.51.100.0/24")
OTHER = parse_prefix("203.0.113.0/24")
LINKS = ("a", "b")


def matrix(*rows: tuple[int, str, float], prefix=PREFIX) -> TrafficMatrix:
    demands = [Demand(source=Source(asn=asn), prefix=prefix, link=link, bps=bps) for asn, link, bps in rows]
    return build_matrix(demands, at=NOW, seconds=300)


def prediction(*rows: tuple[int, str, float, float], bands: dict[str, Band] | None = None) -> Prediction:
    """(sender, link now, bps, chance of b)."""
    return Prediction(
        at=NOW,
        vectors={PREFIX: ({"a": 0, "b": 2}, {"a": 2, "b": 0})},
        links=LINKS,
        sources=tuple(Source(asn=row[0]) for row in rows),
        prefixes=(PREFIX,),
        source_index=np.arange(len(rows)),
        prefix_index=np.zeros(len(rows), dtype=np.int64),
        link_index=np.array([LINKS.index(row[1]) for row in rows]),
        bps=np.array([row[2] for row in rows], dtype=np.float64),
        expected=np.array([[1 - row[3], row[3]] for row in rows]),
        bands=bands or {name: Band(low=1.0, expected=2.0, high=3.0) for name in LINKS},
        assumption="a test",
    )


def scored(made: Prediction, came: TrafficMatrix, **loads: float | None) -> Scorecard:
    card = score(made, came, loads, kind=ScoreKind.CHANGE, subject="p-1")
    assert card is not None
    return card


def test_top_1_is_of_bytes_and_the_moved_are_apart() -> None:
    made = prediction((1, "a", 10.0, 0.9), (2, "a", 30.0, 0.2), (3, "b", 60.0, 1.0))
    card = scored(made, matrix((1, "b", 10.0), (2, "b", 30.0), (3, "b", 60.0)))
    assert card.top1 == 0.7
    assert (card.moved_bps, card.top1_moved) == (40.0, 0.25)
    assert [(row.source.asn, row.predicted_link, row.realised_link) for row in card.sources] == [(2, "a", "b")]


def test_volumes_that_grew_are_no_error_of_the_prediction() -> None:
    made = prediction((1, "a", 10.0, 1.0), (2, "a", 10.0, 0.0))
    card = scored(made, matrix((1, "b", 30.0), (2, "a", 30.0)))
    assert (card.error_points, card.misprojected, card.top1) == (0.0, 0.0, 1.0)


def test_a_tie_that_comes_out_even_is_not_misprojected() -> None:
    made = prediction(*((asn, "a", 10.0, 0.5) for asn in range(1, 11)))
    card = scored(made, matrix(*((asn, "ab"[asn % 2], 10.0) for asn in range(1, 11))))
    assert card.misprojected == 0.0
    assert card.top1 == 0.5


def test_what_came_elsewhere_is_misprojected() -> None:
    card = scored(prediction((1, "a", 10.0, 1.0), (2, "a", 10.0, 1.0)), matrix((1, "b", 10.0), (2, "a", 10.0)))
    assert (card.misprojected, card.error_points) == (0.5, 50.0)


def test_links_without_data_say_nothing_of_the_bands() -> None:
    made = prediction((1, "a", 10.0, 1.0))
    assert scored(made, matrix((1, "b", 10.0)), a=2.5, b=None).coverage == 1.0
    assert scored(made, matrix((1, "b", 10.0)), a=2.5, b=9.0).coverage == 0.5
    assert scored(made, matrix((1, "b", 10.0))).coverage is None


def test_who_was_not_predicted_or_did_not_come_is_not_compared() -> None:
    made = prediction((1, "a", 10.0, 1.0), (2, "a", 10.0, 1.0))
    assert scored(made, matrix((1, "b", 10.0), (9, "a", 99.0))).bps == 10.0
    for came in (matrix((9, "a", 1.0)), matrix((1, "b", 1.0), prefix=OTHER), matrix()):
        assert score(made, came, {}, kind=ScoreKind.CHANGE) is None


def test_no_change_is_that_all_stay_where_they_are() -> None:
    now = matrix((1, "a", 10.0), (2, "b", 5.0))
    made = stay(now, {PREFIX: {"a": 0, "b": 0}}, {"a": 10.0, "b": None}, links=LINKS)
    card = scored(made, now, a=10.4, b=5.0)
    assert (card.top1, card.misprojected, card.moved_bps) == (1.0, 0.0, 0.0)
    assert [(row.link, row.within_band) for row in card.links] == [("a", True)]


def test_a_prediction_is_kept_and_read_as_it_was() -> None:
    made = prediction((1, "a", 10.0, 0.75), (2, "b", 5.0, 0.25))
    read = prediction_of(prediction_state(made))
    assert read is not None
    assert (read.at, read.vectors, read.sources, read.bands, read.assumption) == (
        made.at,
        made.vectors,
        made.sources,
        made.bands,
        made.assumption,
    )
    assert read.expected.tolist() == made.expected.tolist()
    assert read.link_index.tolist() == made.link_index.tolist()


@pytest.mark.parametrize("state", [None, {}, {"facts": np.frombuffer(b"x", np.uint8)}])
def test_what_is_no_prediction_is_none(state) -> None:
    assert prediction_of(state) is None


def test_a_prediction_of_a_newer_version_is_none() -> None:
    state = prediction_state(prediction((1, "a", 10.0, 0.75)))
    state["facts"] = np.frombuffer(state["facts"].tobytes().replace(b'"version": 1', b'"version": 2'), dtype=np.uint8)
    assert prediction_of(state) is None


# --- bands ------------------------------------------------------------------------------------------------------------


def outcome(realised: float, *, kind: ScoreKind = ScoreKind.CHANGE, misprojected: float = 0.2) -> Scorecard:
    """Predicted were 100, from 90 to 110."""
    card = scored(prediction((1, "a", 10.0, 1.0)), matrix((1, "b", 10.0)))
    link = ScoredLink(
        link="a",
        predicted=Band(low=90.0, expected=100.0, high=110.0),
        realised_bps=realised,
        within_band=90 <= realised <= 110,
        predicted_share=1.0,
        realised_share=1.0,
    )
    return replace(card, kind=kind, misprojected=misprojected, links=(link,))


def test_bands_that_hold_stay_as_they_are() -> None:
    assert widening([]) == 1.0
    assert widening([outcome(104.0), outcome(97.0)]) == 1.0


def test_bands_are_widened_to_what_would_have_held() -> None:
    assert widening([outcome(120.0)]) == pytest.approx(2.0)
    assert widening([outcome(75.0)]) == pytest.approx(2.5)
    # Of twenty, nine in ten held: the band was right.
    assert widening([outcome(105.0)] * 19 + [outcome(130.0)]) == 1.0


def test_what_is_not_misprojected_widens_nothing() -> None:
    assert widening([outcome(120.0, misprojected=0.04)]) == 1.0


def test_no_change_widens_nothing() -> None:
    assert widening([outcome(200.0, kind=ScoreKind.NO_CHANGE)]) == 1.0


def test_there_is_a_limit() -> None:
    assert widening([outcome(1000.0)]) == WIDEST


def test_only_the_last_change_is_complained_of() -> None:
    good, bad = outcome(100.0, misprojected=0.0), outcome(200.0)
    assert misprojecting([good, bad]) == bad
    assert misprojecting([bad, good]) is None
    assert misprojecting([bad, replace(good, kind=ScoreKind.NO_CHANGE)]) == bad


def test_means_are_weighted_by_traffic() -> None:
    one = replace(outcome(100.0), bps=10.0, top1=1.0, moved_bps=0.0, top1_moved=None)
    other = replace(outcome(100.0), bps=30.0, top1=0.5, moved_bps=30.0, top1_moved=0.5)
    found = means([one, other])
    assert (found["top1"], found["top1_moved"]) == (0.625, 0.5)
    assert set(means([]).values()) == {None}


def dry_run(worst: float) -> DryRun:
    band = Band(low=40.0, expected=50.0, high=55.0)
    row = LinkForecast(link="a", capacity_bps=100.0, before_bps=60.0, after=band, worst_bps=worst, target_bps=70.0)
    return DryRun(links=(row,), shifts=(), moved=Band(low=1.0, expected=10.0, high=12.0), assumption="")


def test_a_widened_band_keeps_what_is_expected() -> None:
    found = widened(dry_run(worst=80.0), 3.0)
    assert found.links[0].after == Band(low=20.0, expected=50.0, high=65.0)
    assert found.moved == Band(low=0.0, expected=10.0, high=16.0)
    assert widened(dry_run(worst=80.0), 1.0) == dry_run(worst=80.0)


def test_the_worst_case_is_never_better_than_the_band() -> None:
    assert widened(dry_run(worst=62.0), 4.0).links[0].worst_bps == 70.0


def test_a_link_that_only_loses_stays_within_what_it_can_carry() -> None:
    row = replace(dry_run(worst=60.0).links[0], after=Band(low=40.0, expected=50.0, high=90.0))
    assert widened(replace(dry_run(worst=60.0), links=(row,)), 4.0).links[0].after.high == 100.0
