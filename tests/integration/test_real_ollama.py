"""The adapter against a real Ollama with a real, very small model, in a network of its own.

What is asserted is the transport, the schema, cancelling and the reasons of failures: never what the model chose.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.integration.real_ollama import place

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(place() is None, reason="no real Ollama here: scripts/real-ollama sets one up"),
    pytest.mark.skipif(os.geteuid() != 0, reason="a network of its own takes root"),
]


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    done = subprocess.run(
        ["unshare", "-n", sys.executable, "-m", "tests.integration.real_ollama", str(place())],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    outcome: dict[str, Any] = json.loads(done.stdout)
    return outcome


def test_the_model_is_found_with_its_size(found: dict[str, Any]) -> None:
    model, parameters, quantization, context, size_bytes = found["state"]
    assert (model, parameters, quantization, context) == ("smollm2:135m", "134.52M", "Q4_1", 8192)
    assert size_bytes > 90_000_000


def test_the_schema_holds_the_model_to_the_options(found: dict[str, Any]) -> None:
    assert found["choice"] in {"c1", "c2", "c3"}
    assert all(count > 0 for count in found["cost"])


def test_a_brief_comes_whole_or_not_at_all(found: dict[str, Any]) -> None:
    assert found["brief"] in {"ok", "length", "broken_off"}


def test_a_model_that_is_not_there_is_missing(found: dict[str, Any]) -> None:
    assert (found["missing"], found["missing_state"]) == ("missing", "missing")


def test_one_that_is_late_is_given_up_and_the_next_call_is_answered(found: dict[str, Any]) -> None:
    assert (found["late"], found["after_late"]) == ("timeout", "ok")


def test_a_server_that_is_killed_in_the_middle_of_an_answer_is_an_error_like_any_other(found: dict[str, Any]) -> None:
    assert found["killed"] in {"unreachable", "broken_off", "refused"}
    assert found["gone"] == "unreachable"
