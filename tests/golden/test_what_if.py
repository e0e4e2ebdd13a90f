"""Given a snapshot and changes, expect loads, movers, doubts and what cannot move: every file under what_if/ is a test.

As in test_golden. `what_if` lists the changes as `teagent simulate` takes them, `as_graph` an AS graph in serial-1,
`learned` what was seen before: a list of {vector, came: {AS100: link}}.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from teagent.engine.choose.what_if import what_if
from teagent.model.what_if import parse_wish
from tests.golden.case import CASES, dry_run_of, load, model_of, snapshot_of, topology_of
from tests.golden.test_golden import _rewrite

FILES = sorted((CASES.parent / "what_if").glob("*.yaml"))


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_the_what_if_comes_out_as_written(path: Path, update_golden: bool) -> None:
    case = load(path)
    snapshot = snapshot_of(case)
    wishes = [parse_wish(text) for text in case["what_if"]]
    topology = topology_of(case, snapshot.network)
    forecaster = model_of(case, snapshot.network, topology)
    found = [dry_run_of(what_if(snapshot, wishes, forecaster=forecaster, topology=topology).dry_run)]
    for key, wanted in (case.get("must") or {}).items():
        assert set(wanted) == set(found[0][key]), key
    if update_golden:
        assert not os.environ.get("CI"), "golden cases are rewritten by people, not by CI"
        _rewrite(path, found)
        case["expect"] = found
    assert found == case.get("expect"), f"run: pytest tests/golden --update-golden, and look at {path.name}"
