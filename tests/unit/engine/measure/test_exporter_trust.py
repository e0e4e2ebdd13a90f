"""Each doubt about an exporter: what raises it, and what does not."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from teagent.engine.measure.exporter_trust import ExporterBounds, ExporterFigures, doubts, unknown_sampling
from teagent.engine.measure.spans import GENERATION_SECONDS, RecordSpans
from teagent.model.traffic import FlowBatch
from tests.fakes.flows import Flow, batch

NOW = datetime(2026, 1, 12, 19, 40, tzinfo=UTC)
GOOD = ExporterFigures(
    exporter="192.0.2.1",
    heard=True,
    heard_at=NOW - timedelta(seconds=3),
    template_at=NOW - timedelta(minutes=20),
    lost_share=0.05,
    undecoded_share=0.0,
    clock_skew_seconds=-120.0,
    active_timeout_seconds=90.0,
    future_share=0.05,
)


def said(**change: object) -> tuple[str, ...]:
    return doubts(replace(GOOD, **change), NOW, ExporterBounds())  # type: ignore[arg-type]


def test_at_the_limits_there_is_no_doubt() -> None:
    assert said() == ()


@pytest.mark.parametrize(
    ("change", "doubt"),
    [
        ({"heard_at": NOW - timedelta(seconds=240)}, "192.0.2.1 has sent no flows for 4m, limit 3m"),
        (
            {"heard": False, "heard_at": NOW - timedelta(seconds=240)},
            "192.0.2.1 has sent no flows ever, limit 3m",
        ),
        ({"template_at": NOW - timedelta(hours=4)}, "the last template of 192.0.2.1 is 4h old, limit 3h"),
        ({"lost_share": 0.2}, "20% of flows of 192.0.2.1 were lost on the way, limit 5%"),
        (
            {"samples_missing_share": 0.2},
            "20% of the samples of 192.0.2.1 were dropped by itself or lost, limit 5%",
        ),
        ({"undecoded_share": 0.5}, "50% of the flow sets of 192.0.2.1 could not be decoded, limit 5%"),
        ({"future_share": 0.6}, "60% of the flows of 192.0.2.1 end in the future, limit 5%"),
        ({"clock_skew_seconds": 7200.0}, "the clock of 192.0.2.1 is 2h ahead of ours, limit 2m"),
        ({"clock_skew_seconds": -121.0}, "the clock of 192.0.2.1 is 2m1s behind ours, limit 2m"),
        ({"active_timeout_seconds": 1800.0}, "192.0.2.1 reports flows after 30m, in lumps, limit 1m30s"),
    ],
)
def test_each_doubt_names_the_exporter_the_value_and_the_limit(change: dict[str, object], doubt: str) -> None:
    assert said(**change) == (doubt,)


def test_all_doubts_are_said_not_the_first() -> None:
    assert len(said(lost_share=1.0, clock_skew_seconds=1e6, active_timeout_seconds=1800.0)) == 3


def test_one_that_was_just_started_is_given_time_and_of_the_silent_no_more_is_said() -> None:
    assert said(heard=False, lost_share=1.0) == ()
    assert len(said(heard_at=NOW - timedelta(hours=1), lost_share=1.0)) == 1


def test_what_is_not_known_is_no_doubt() -> None:
    unknown = dict.fromkeys(
        ("template_at", "lost_share", "undecoded_share", "clock_skew_seconds", "active_timeout_seconds")
    )
    assert said(**unknown) == ()


def test_unknown_sampling_names_those_that_were_heard() -> None:
    silent = replace(GOOD, exporter="192.0.2.9", heard=False, sampling_known=False)
    assert unknown_sampling([GOOD, silent]) == ""
    told = unknown_sampling([replace(GOOD, sampling_known=False), silent])
    assert told == "the sampling rate of 192.0.2.1 is not known"


# --- how much time a record sums up --------------------------------------------------------------------------------


def lasting(*spans: tuple[float, int], end: float = 1000.0) -> FlowBatch:
    """Records of (seconds, octets)."""
    found = batch([Flow(src="192.0.2.9", dst="198.51.100.1", octets=octets) for _, octets in spans])
    ends = np.full(len(spans), end)
    return replace(found, start=ends - [seconds for seconds, _ in spans], end=ends)


def test_the_active_timeout_is_what_the_long_records_last_by_octets_and_not_by_number() -> None:
    spans = RecordSpans()
    spans.add(lasting(*[(2.0, 10)] * 500, (1800.0, 100_000)), at=1000.0)
    assert spans.active_timeout_seconds == 1800.0


def test_a_few_octets_in_an_odd_record_do_not_count() -> None:
    spans = RecordSpans()
    spans.add(lasting((61.0, 96_000), (86_400.0, 4_000)), at=1000.0)
    assert spans.active_timeout_seconds == 60.0


def test_without_times_nothing_is_known_and_nothing_is_in_the_future() -> None:
    spans = RecordSpans()
    assert (spans.active_timeout_seconds, spans.future_share) == (None, 0.0)
    spans.add(batch([Flow(src="192.0.2.9", dst="198.51.100.1")]), at=1000.0)
    assert (spans.active_timeout_seconds, spans.future_share) == (None, 0.0)


def test_records_that_end_in_the_future_are_a_share_and_those_a_minute_ahead_are_not() -> None:
    spans = RecordSpans()
    spans.add(lasting((1.0, 10), (1.0, 10), end=1060.0), at=1000.0)
    spans.add(lasting((1.0, 10), (1.0, 10), end=1061.0), at=1000.0)
    assert spans.future_share == 0.5


def test_a_record_that_ends_before_it_starts_lasts_no_time() -> None:
    spans = RecordSpans()
    spans.add(lasting((-50.0, 10)), at=1000.0)
    assert spans.active_timeout_seconds == 0.0


def test_what_was_seen_is_forgotten_after_a_while_or_when_the_clock_steps() -> None:
    spans = RecordSpans()
    spans.add(lasting((1800.0, 10**9)), at=1000.0)
    spans.add(lasting((30.0, 10)), at=1000.0 + GENERATION_SECONDS)
    assert spans.active_timeout_seconds == 1800.0
    spans.add(lasting((30.0, 10)), at=1000.0 + 2 * GENERATION_SECONDS)
    assert spans.active_timeout_seconds == 30.0
    spans.add(lasting((45.0, 10)), at=5.0)
    assert spans.active_timeout_seconds == 40.0
