"""Programs that run a lab end as they are told to, and say why."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from labs import program
from labs.runner import LabError


@pytest.fixture(autouse=True)
def root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)


def test_the_logs_are_gone_afterwards_unless_a_place_is_given(tmp_path: Path) -> None:
    seen: list[Path] = []

    def body(logs: Path) -> int:
        seen.append(logs)
        (logs / "a.log").write_text("said")
        return 3

    assert program.run(body, what="it", target="it", logs=None) == 3
    assert program.run(body, what="it", target="it", logs=tmp_path / "kept") == 3
    assert [(place / "a.log").exists() for place in seen] == [False, True]


def test_an_error_is_said_with_its_hint(capsys: pytest.CaptureFixture[str]) -> None:
    def body(_logs: Path) -> int:
        raise LabError("node edge is gone", hint="look at its log")

    assert program.run(body, what="it", target="it", logs=None) == 1
    assert capsys.readouterr().err == "error: node edge is gone\nhint:  look at its log\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_it_take_down_what_it_brought_up(number: signal.Signals) -> None:
    taken_down = []
    before = signal.getsignal(signal.SIGTERM)
    # started in the background, as CI may be, it inherits that SIGINT is ignored
    interrupt = signal.signal(signal.SIGINT, signal.default_int_handler)

    def body(_logs: Path) -> int:
        try:
            signal.raise_signal(number)
        finally:
            taken_down.append(True)
        return 0

    try:
        assert program.run(body, what="it", target="it", logs=None) == 130
    finally:
        signal.signal(signal.SIGINT, interrupt)
    assert taken_down == [True]
    assert signal.getsignal(signal.SIGTERM) is before
