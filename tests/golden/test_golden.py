"""Given a snapshot and policies, expect plans, verdicts and reasons: every file under cases/ is a test.

A case needs no Python. Beside `expect`, which is compared word for word and can be rewritten, a case may say in `must`
what has to hold however words and figures change.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from teagent.engine.choose.decide import decide
from teagent.model.plan import Decision
from tests.golden.case import CASES, NOW, load, outcome, policies_of, snapshot_of

FILES = sorted(CASES.glob("*.yaml"))


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_the_case_comes_out_as_written(path: Path, update_golden: bool) -> None:
    case = load(path)
    decisions = decide(snapshot_of(case), policies_of(case), NOW)
    for decision, must in zip(decisions, _list(case.get("must", [{}] * len(decisions))), strict=True):
        check(decision, must)
    found = [outcome(decision) for decision in decisions]
    if update_golden:
        assert not os.environ.get("CI"), "golden cases are rewritten by people, not by CI"
        _rewrite(path, found)
        case["expect"] = found
    assert found == case.get("expect"), f"run: pytest tests/golden --update-golden, and look at {path.name}"


def test_there_are_cases() -> None:
    assert len(FILES) >= 15


def check(decision: Decision, must: dict[str, Any]) -> None:
    chosen = decision.chosen
    after = {} if chosen is None else {str(p): chosen.plan.after.vector(p) for p in chosen.plan.after.prefixes()}
    for key, wanted in must.items():
        match key:
            case "plan":
                assert (after or None) == wanted
            case "untouched":
                assert not set(wanted) & set(after)
            case "refused_by":
                assert chosen is None
                assert set(wanted) <= {r.rule for r in decision.reasons}
            case "message_has":
                assert wanted in decision.message
            case "warns_of":
                assert chosen is not None
                assert any(wanted in w for w in chosen.dry_run.warnings)
            case _:
                pytest.fail(f"no such demand: {key}")


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _rewrite(path: Path, found: list[dict[str, Any]]) -> None:
    """Everything from `expect:` on is ours; what people wrote above it stays as it is."""
    text = path.read_text(encoding="utf-8")
    head = text.partition("\nexpect:")[0].rstrip("\n")
    tail = yaml.safe_dump({"expect": found}, sort_keys=False, allow_unicode=True, width=1000)
    path.write_text(f"{head}\n\n{tail}", encoding="utf-8")
