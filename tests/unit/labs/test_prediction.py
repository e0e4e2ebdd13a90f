"""What `make lab-prediction` makes of scorecards."""

from __future__ import annotations

import re
from typing import Any

import pytest

from labs import prediction
from labs.internet.changes import LabChange
from labs.program import console

CHANGE = LabChange(
    prefix="10.0.0.0/24", before={"transit-a": 0, "transit-b": 0}, after={"transit-a": 2, "transit-b": 0}, home=False
)


def card(top1: float, *, moved: float = 0.25, top1_moved: float | None = 0.5, within: bool = True) -> dict[str, Any]:
    band = {"low_bps": 900_000, "expected_bps": 1_000_000, "high_bps": 1_100_000}
    link = {"predicted": band, "realised_bps": 1_050_000, "predicted_share": 0.4, "realised_share": 0.5}
    return {
        "bps": 4_000_000,
        "top1": top1,
        "moved_bps": 4_000_000 * moved,
        "top1_moved": top1_moved,
        "error_points": 10.0,
        "coverage": 1.0,
        "links": [
            {"link": "transit-a", "within_band": within} | link,
            {"link": "transit-b", "within_band": None} | link,
        ],
        "missed": [
            {
                "source": {"name": "AS64619"},
                "bps": 700_000,
                "predicted_link": "transit-a",
                "realised_link": "transit-b",
                "missed_bps": 700_000,
            }
        ],
    }


def test_figures_are_means_over_changes_and_what_moved_is_weighed_by_its_bytes() -> None:
    scored = [
        (CHANGE, card(0.9)),
        (CHANGE, card(1.0, moved=0.75, top1_moved=0.9, within=False)),
        (CHANGE, card(0.8, moved=0.0, top1_moved=None)),
    ]
    figures = prediction.result(scored, seed=7)["figures"]
    assert figures["top1"] == pytest.approx(0.9)
    assert figures["top1_of_moved"] == pytest.approx((0.25 * 0.5 + 0.75 * 0.9) / 1.0)
    assert figures["top1_if_nothing_moved"] == pytest.approx((0.75 + 0.25 + 1.0) / 3)
    assert figures["within_band"] == pytest.approx(2 / 3)


@pytest.mark.parametrize(("top1", "met"), [(0.85, True), (0.849, False)])
def test_the_target_is_for_the_mean(top1: float, met: bool) -> None:
    assert prediction.result([(CHANGE, card(top1))], seed=1)["met"] is met


def test_a_score_shows_what_was_predicted_beside_what_happened() -> None:
    with console.capture() as shown:
        prediction.show_score([(CHANGE, card(1.0)), (CHANGE, card(0.5))])
    text = shown.get()
    assert re.search(r"transit-a +1\.00M +1\.05M +40% -> 50% +yes", text)
    assert "AS64619, 700k: predicted on transit-a, came by transit-b" in text
    assert "top-1 50.0%, 50.0% of what moved; error 10.0 points; so far █▅ mean 75.0%" in text


def test_a_mean_below_the_target_is_said() -> None:
    scored = [(CHANGE, card(0.5, top1_moved=None))]
    with console.capture() as shown:
        prediction.show_summary(scored, prediction.result(scored, seed=1))
    assert "missed: top-1 of at least 85%" in shown.get()


def test_a_prediction_shows_bands_and_the_heaviest_senders_that_may_move() -> None:
    def sender(number: int) -> dict[str, Any]:
        links = [{"link": "transit-a", "before": 1.0, "after": 0.1}, {"link": "transit-b", "before": 0.0, "after": 0.9}]
        return {"source": {"name": f"AS{number}"}, "bps": number, "links": links}

    link = {"link": "transit-a", "before_bps": 2_000_000}
    band = {"low_bps": 900_000, "expected_bps": 1_000_000, "high_bps": 1_100_000}
    with console.capture() as shown:
        prediction.show_prediction(
            {
                "links": [link | {"after": band}],
                "movers": [sender(number) for number in range(100, 110)],
                "uncertain": [sender(105), sender(200)],
            }
        )
    text = shown.get()
    assert re.search(r"transit-a +2\.00M +1\.00M +900k to 1\.10M", text)
    assert re.search(r"AS200 +200 +transit-a 100% +transit-b 90%, transit-a 10%", text)
    assert "and 5 smaller ones; the others are expected to stay" in text


@pytest.mark.parametrize(
    "words", [["--changes", "0"], ["--changes", "21"], ["--seed", "x"], ["--json", "/absent/file"]]
)
def test_what_it_cannot_do_is_wrong_usage(words: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        prediction.main(words)
    assert caught.value.code == 2
