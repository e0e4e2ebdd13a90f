from __future__ import annotations

from typing import Any

import pytest

from teagent.engine.choose.decide import decide
from teagent.engine.choose.explain import Explanation, explain_prefix
from teagent.errors import NotFound
from teagent.model.bgp import parse_prefix
from tests.golden.case import CASES, NOW, load, merged, policies_of, snapshot_of

BASE = load(CASES / "two-transit.yaml")


def explained(prefix: str, change: dict[str, Any] | None = None) -> Explanation:
    case = merged(BASE, change or {})
    snapshot = snapshot_of(case)
    return explain_prefix(snapshot, decide(snapshot, policies_of(case), NOW), parse_prefix(prefix))


def test_the_customers_complaint_is_explained_with_figures() -> None:
    found = explained("10.0.0.0/24")
    assert found.at_home
    assert found.owner is None
    assert [(a.link, a.prepend, a.home_prepend) for a in found.announced] == [("transit-a", 0, 0), ("transit-b", 2, 2)]
    (ingress,) = found.ingress
    assert ingress.link == "transit-a"
    assert ingress.share == 1.0
    assert [str(s.source) for s in ingress.top_sources] == ["198.18.1.0/24", "198.18.3.0/24"]
    state = found.links[0]
    assert state.congested
    assert state.above_since is not None
    assert [(str(p.prefix), round(p.share, 2)) for p in state.by_prefixes] == [
        ("11.0.0.0/24", 0.69),
        ("10.0.0.0/24", 0.31),
    ]
    assert str(state.by_sources[0].source) == "198.18.3.0/24"
    (helps,) = found.helps
    assert helps.link == "transit-a"
    assert helps.expected_bps < 4e6
    assert found.summary[0] == "traffic to 10.0.0.0/24 comes 100% (3.10M) over transit-a"
    assert found.summary[1] == "transit-a is congested: 10.0M of 10.0M, above 80% for 20m (needs 15m)"
    assert "11.0.0.0/24 6.90M (69%)" in found.summary[2]
    assert "would help: 11.0.0.0/24 transit-a prepend 0 -> 1" in found.summary[3]


def test_a_prefix_on_a_link_that_is_fine_is_not_blamed_on_the_link() -> None:
    found = explained("12.0.0.0/24")
    assert not found.helps
    assert "no link that carries 12.0.0.0/24 is congested: the trouble is elsewhere" in found.summary


def test_an_override_names_its_owner() -> None:
    found = explained(
        "11.0.0.0/24",
        {
            "overrides": {"11.0.0.0/24": {"transit-a": 1, "transit-b": 0}},
            "busy": {"11.0.0.0/24": {"owner": "p-7f3c", "changed": "5h"}},
        },
    )
    assert (found.at_home, found.owner) == (False, "p-7f3c")


def test_why_nothing_is_proposed_is_said() -> None:
    found = explained("10.0.0.0/24", {"links": {"transit-b": {"capacity": "25Mbps"}}})
    assert not found.helps
    assert any("relieve-transit proposes nothing: all" in note for note in found.notes)


def test_without_flows_and_without_data_it_still_says_what_is_known() -> None:
    found = explained("10.0.0.0/24", {"no_matrix": "no flows for 10m"})
    assert found.ingress == ()
    assert found.links[0].congested
    assert found.links[0].by_prefixes == ()
    assert "who sends what is not known: no flows for 10m" in found.notes
    dead = explained("10.0.0.0/24", {"links": {"transit-a": {"no_data": "router timed out"}}})
    assert dead.links[0].in_bps is None
    assert dead.links[0].message == "no data: router timed out"


def test_a_prefix_that_is_not_ours_is_not_found() -> None:
    with pytest.raises(NotFound, match=r"there is no prefix of ours 192\.0\.2\.0/24, known are 10\.0"):
        explained("192.0.2.0/24")
