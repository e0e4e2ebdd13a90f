"""docs/reference/metrics.md is what the program would write now."""

from __future__ import annotations

import subprocess
import sys

from teagent.adapters.metrics import METRICS, reference_page
from tests.docs.pages import CHECKOUT, DOCS

PAGE = DOCS / "reference" / "metrics.md"


def test_the_page_is_what_the_program_would_write_now() -> None:
    written = PAGE.read_text(encoding="utf-8")
    assert written == reference_page(), "run: python -m teagent.adapters.metrics > docs/reference/metrics.md"


def test_the_generator_runs_as_the_page_says() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "teagent.adapters.metrics"],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert done.stdout == PAGE.read_text(encoding="utf-8")


def test_every_metric_has_a_row_that_says_what_it_means() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for metric in METRICS:
        assert f"\n| `{metric.name}` | {metric.kind} |" in text
        assert metric.meaning
        assert "|" not in metric.meaning + metric.action


def test_a_file_that_a_metric_points_to_is_there() -> None:
    for metric in METRICS:
        for word in metric.action.split():
            if word.startswith("docs/"):
                assert (CHECKOUT / word).is_file(), f"{metric.name}: {word}"
