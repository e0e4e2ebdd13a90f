"""The JSON documents are made of model values and of nothing else."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest

from teagent.engine.lifecycle import TRANSITIONS
from teagent.model.announcement import AnnouncementSet, HeldOverride, Override
from teagent.model.link import NoData
from teagent.model.proposal import ProposalEvent, ProposalState
from teagent.model.witness import ProofState
from teagent.service import documents
from tests.fakes import measured, shown


def in_json(document: object) -> object:
    """As a client reads it; fails on NaN and on anything that is not JSON."""
    return json.loads(json.dumps(document, allow_nan=False))


def test_a_link_shows_base_units_and_shares_of_its_capacity() -> None:
    document = documents.link_document(
        measured.A, latest=measured.READING_A, p95=measured.P95_A, trigger=measured.FIRING
    )
    assert document["capacity_bps"] == 10_000_000_000
    assert document["utilisation"] == {
        "at": "2026-01-12T19:40:18Z",
        "seconds": 30.0,
        "in_bps": 9_310_000_000,
        "out_bps": 1_200_000_000,
        "in_utilisation": 0.931,
        "out_utilisation": 0.12,
    }
    assert document["state"] == "above_target"
    assert document["p95"] == {"month": "2026-01", "bps": 8_800_000_000, "buckets": 3300, "missing": 0}
    assert in_json(document) == document


def test_an_absent_reading_says_since_when_and_why_and_is_never_zero() -> None:
    document = documents.link_document(measured.B, latest=measured.SILENT)
    assert document["utilisation"] == {
        "no_data": {"since": "2026-01-12T19:38:30Z", "reason": "edge2 did not answer within 2s"}
    }
    assert document["state"] == "no_data"


def test_history_is_only_there_when_it_is_given() -> None:
    assert "history" not in documents.link_document(measured.A, latest=measured.READING_A)
    document = documents.link_document(measured.A, latest=measured.READING_A, history=measured.HISTORY_A)
    assert [row["in_bps"] for row in document["history"]][:2] == [5_000_000_000, 5_100_000_000]


def test_a_matrix_shows_the_largest_and_sums_the_rest() -> None:
    document = documents.matrix_document(measured.matrix(), at=measured.NOW, top=2)
    matrix = document["matrix"]
    assert [row["bps"] for row in matrix["demands"]] == [4_000_000_000, 3_100_000_000]
    assert matrix["demands"][0]["source"] == {"name": "192.0.2.0/24", "asn": None, "prefix": "192.0.2.0/24"}
    assert matrix["rest"] == {"demands": 3, "bps": 4_200_000_000}
    assert matrix["total_bps"] == 11_300_000_000
    assert matrix["coverage"] == {"transit-a": 0.97, "transit-b": None}
    assert in_json(document) == document


def test_a_matrix_is_filtered_by_link_and_prefix_and_shares_are_of_the_link() -> None:
    document = documents.matrix_document(measured.matrix(), at=measured.NOW, link="transit-b", prefix=measured.EYEBALL)
    matrix = document["matrix"]
    assert [(row["source"]["name"], row["share_of_link"]) for row in matrix["demands"]] == [("AS64496", 0.3333)]
    assert matrix["rest"] == {"demands": 0, "bps": 0}
    assert set(matrix["coverage"]) == {"transit-b"}


def test_a_matrix_of_a_link_that_it_does_not_know_is_empty() -> None:
    document = documents.matrix_document(measured.matrix(), at=measured.NOW, link="transit-z")
    assert document["matrix"]["demands"] == []


def test_a_matrix_that_is_absent_says_why() -> None:
    document = documents.matrix_document(measured.SILENT, at=measured.NOW)
    assert document["matrix"]["no_data"]["reason"] == measured.SILENT.reason


def test_a_prefix_at_home_shows_paths_as_neighbors_see_them_and_no_signal() -> None:
    own = measured.NETWORK.prefixes[0]
    document = documents.prefix_document(
        own, network=measured.NETWORK, live=measured.NETWORK.home(), matrix=measured.matrix(), top=1
    )
    assert document["owner"] == "home"
    rows = document["announcements"]
    assert [(row["link"], row["as_path"], row["signal"]) for row in rows] == [
        ("transit-a", [64500], None),
        ("transit-b", [64500, 64500], None),
    ]
    assert document["traffic"] == [
        {"link": "transit-a", "bps": 4_300_000_000},
        {"link": "transit-b", "bps": 1_000_000_000},
    ]
    assert [row["source"]["name"] for row in document["sources"]] == ["AS64496"]


def test_a_prefix_under_an_override_shows_its_signals_and_what_home_would_be() -> None:
    document = documents.prefix_document(
        measured.NETWORK.prefixes[0],
        network=measured.NETWORK,
        live=shown.announcements(2),
        owner="p-7f3c",
        matrix=measured.SILENT,
    )
    rows = document["announcements"]
    assert [(row["prepend"], row["home_prepend"], row["signal"]) for row in rows] == [
        (2, 0, "64500:1:12"),
        (0, 1, "64500:1:20"),
    ]
    assert document["traffic"]["no_data"]["reason"] == measured.SILENT.reason


def test_a_prefix_whose_announcements_are_not_known_says_so() -> None:
    own = measured.NETWORK.prefixes[0]
    relay = NoData(since=measured.ago(5), reason="the relay does not answer")
    document = documents.prefix_document(own, network=measured.NETWORK, live=relay, matrix=measured.matrix())
    assert document["announcements"] == {
        "no_data": {"since": "2026-01-12T19:40:25Z", "reason": "the relay does not answer"}
    }


def test_a_plan_states_the_whole_vector_to_each_router() -> None:
    document = documents.plan_document(shown.plan(), measured.NETWORK)
    assert [(c["action"], c["link"], c["before_prepend"], c["after_prepend"]) for c in document["changes"]] == [
        ("modify", "transit-a", 0, 2),
        ("modify", "transit-b", 1, 0),
    ]
    rows = document["announcements"]
    assert [(row["router"], row["large_communities"]) for row in rows] == [
        ("edge1", ["64500:1:12", "64500:1:20"]),
        ("edge2", ["64500:1:12", "64500:1:20"]),
    ]
    assert rows[0]["neighbors"][0]["as_path"] == [64500, 64500, 64500]
    assert rows[1]["neighbors"][0]["as_path"] == [64500]


def test_a_plan_that_leads_home_withdraws_the_override_and_shows_what_is_heard_then() -> None:
    away = shown.announcements(2)
    plan = replace(shown.plan(), before=away, after=measured.NETWORK.home())
    rows = documents.plan_document(plan, measured.NETWORK)["announcements"]
    assert [(row["action"], row["large_communities"]) for row in rows] == [("withdraw", []), ("withdraw", [])]
    assert rows[1]["neighbors"][0]["as_path"] == [64500, 64500]


def test_a_link_that_loses_the_prefix_is_told_not_to_announce_it() -> None:
    after = measured.NETWORK.home().with_vector(measured.EYEBALL, {"transit-b": 0})
    plan = replace(shown.plan(), after=after)
    rows = documents.plan_document(plan, measured.NETWORK)["announcements"]
    assert rows[0]["large_communities"] == ["64500:2:1", "64500:1:20"]
    assert rows[0]["neighbors"][0]["as_path"] is None


def test_a_plan_whose_link_left_the_configuration_still_shows() -> None:
    smaller = replace(measured.NETWORK, links={"transit-b": measured.B})
    rows = documents.plan_document(shown.plan(), smaller)["announcements"]
    assert [row["router"] for row in rows] == ["edge2"]


def test_a_proposal_shows_what_was_approved_by_whom_and_what_can_be_done_next() -> None:
    document = shown.proposal_document(ProposalState.CONFIRMING)
    assert document["digest"] == shown.DIGEST
    assert document["can"] == ["confirm", "revert"]
    assert document["on_wire"] is True
    assert document["confirm_deadline"] == "2026-01-12T19:59:30Z"
    assert document["history"][1]["actor"] == "alice"
    assert document["dry_run"]["sources"] == 2
    assert in_json(document) == document


@pytest.mark.parametrize("state", ProposalState)
def test_what_can_be_done_is_what_the_table_allows_a_person(state: ProposalState) -> None:
    people = {"approve", "reject", "confirm", "revert", "resolve"}
    legal = {event.value for from_state, event in TRANSITIONS if from_state is state}
    assert set(shown.proposal_document(state)["can"]) == legal & people


def test_a_decision_that_proposes_nothing_says_why() -> None:
    document = documents.decision_document(shown.decision(proposes=False), measured.NETWORK)
    assert document["chosen"] is None
    assert document["message"] == "no link is above target for long enough"
    assert documents.plans_document([document], at=measured.NOW)["proposed_changes"] == 0


def test_plans_count_the_changes_that_they_propose() -> None:
    document = documents.decision_document(shown.decision(), measured.NETWORK, proposal="p-7f3c")
    plans = documents.plans_document([document], at=measured.NOW)
    assert plans["proposed_changes"] == 2
    assert in_json(plans) == plans


@pytest.mark.parametrize(
    ("verdict", "word"),
    [(shown.ALLOWED, "allowed"), (shown.NEEDS_APPROVAL, "needs_approval"), (shown.REFUSED, "refused")],
)
def test_a_verdict_is_one_word_with_all_its_reasons(verdict: object, word: str) -> None:
    document = documents.verdict_document(verdict)  # type: ignore[arg-type]
    assert document["verdict"] == word
    assert len(document["reasons"]) == 2


def test_an_exporter_whose_sampling_is_not_a_number_has_none() -> None:
    document = documents.exporter_document(replace(measured.EXPORTER, sampling_rate=math.nan))
    assert document["sampling_rate"] is None
    assert in_json(document) == document


def test_a_silent_router_says_since_when_and_why() -> None:
    document = documents.router_document("edge2", address="192.0.2.2", links=["transit-b"], reading=measured.SILENT)
    assert document["state"] == "no_data"
    assert document["poll"]["no_data"] == {"since": "2026-01-12T19:38:30Z", "reason": "edge2 did not answer within 2s"}


def test_a_router_shows_what_its_last_poll_cost_and_what_was_odd() -> None:
    document = documents.router_document("edge1", address="192.0.2.1", links=["transit-a"], reading=measured.ROUTER_OK)
    assert document["poll"]["pdus"] == 3
    assert document["poll"]["interfaces"] == 1
    assert document["poll"]["oddities"] == ["counters are 32 bits wide on xe-0/0/0"]


def test_a_router_without_sys_uptime_has_none() -> None:
    odd = replace(measured.ROUTER_OK, sys_uptime_seconds=None)
    document = documents.router_document("edge1", address="192.0.2.1", links=[], reading=odd)
    assert document["poll"]["sys_uptime_seconds"] is None


def test_a_healthy_status_checks_ok() -> None:
    status = shown.status_document()
    assert documents.check_document(status) == {
        "at": "2026-01-12T19:40:30Z",
        "level": "ok",
        "problems": [],
        "links": 1,
        "routers": 1,
        "proposals": 0,
    }
    assert in_json(status) == status


def test_a_stuck_proposal_is_critical_and_comes_before_warnings() -> None:
    status = shown.status_document(
        proposals=[documents.proposal_summary_document(shown.proposal(ProposalState.STUCK))],
        links=measured.link_documents(),
    )
    check = documents.check_document(status)
    assert check["level"] == "critical"
    assert [problem["subject"] for problem in check["problems"]] == ["p-7f3c", "transit-b", "transit-a"]


def test_a_speaker_that_is_away_is_critical_but_a_warning_in_dry_run() -> None:
    away = NoData(since=measured.ago(60), reason="the relay does not answer")
    assert documents.check_document(shown.status_document(speaker=away))["level"] == "critical"
    assert documents.check_document(shown.status_document(speaker=away, dry_run=True))["level"] == "warning"
    assert documents.check_document(shown.status_document(speaker=None))["level"] == "ok"


def test_a_session_that_is_down_is_named() -> None:
    down = replace(measured.SPEAKER.neighbors[0], state="down")
    check = documents.check_document(shown.status_document(speaker=replace(measured.SPEAKER, neighbors=(down,))))
    assert [problem["message"] for problem in check["problems"]] == ["session to 192.0.2.1 is down"]


def test_a_session_that_is_down_and_signed_names_the_key_by_reference() -> None:
    down = replace(measured.SPEAKER.neighbors[0], state="down")
    signed = documents.Neighbor(router="edge1", md5_password="env:EDGE1_BGP")
    status = shown.status_document(
        speaker=replace(measured.SPEAKER, neighbors=(down,)), neighbors={"192.0.2.1": signed}
    )
    (problem,) = documents.check_document(status)["problems"]  # type: ignore[misc,attr-defined]
    assert problem["message"] == (
        "session to 192.0.2.1 is down; it is signed with the TCP MD5 key of routers.edge1.bgp.md5_password "
        "(env:EDGE1_BGP): does edge1 have the same?"
    )


def test_a_freeze_a_silent_router_and_distrust_are_warnings() -> None:
    frozen = documents.freeze_document(since=measured.ago(60), by="alice", reason="maintenance")
    silent = documents.router_document("edge2", address="192.0.2.2", links=[], reading=measured.SILENT)
    check = documents.check_document(
        shown.status_document(frozen=frozen, routers=[silent], distrust=["flows cover 40% of transit-a"])
    )
    assert check["level"] == "warning"
    assert [problem["subject"] for problem in check["problems"]] == ["frozen", "edge2", "telemetry"]


def test_doubts_of_a_link_and_of_what_waits_are_warnings() -> None:
    doubt = "the counters of transit-a began anew 3 times within 15m, limit 2"
    link = documents.link_document(measured.NETWORK.links["transit-a"], latest=measured.SILENT, doubts=[doubt]) | {
        "state": "ok"
    }
    waiting = documents.proposal_summary_document(shown.proposal(), doubts=[doubt])
    check = documents.check_document(shown.status_document(links=[link], proposals=[waiting]))
    assert [(row["subject"], row["message"]) for row in check["problems"]] == [
        ("transit-a", doubt),
        ("p-7f3c", "proposal p-7f3c is in doubt, and would be refused now"),
    ]


def test_lists_come_inside_an_object_with_the_time_of_the_answer() -> None:
    listing = documents.listing("links", measured.link_documents(), at=measured.NOW)
    assert listing["at"] == "2026-01-12T19:40:30Z"
    assert [row["name"] for row in listing["links"]] == ["transit-a", "transit-b"]


def test_an_event_keeps_its_fields() -> None:
    assert documents.event_document(shown.EVENT) == {
        "at": "2026-01-12T19:39:30Z",
        "kind": "approve",
        "actor": "alice",
        "subject": "p-7f3c",
        "message": "approved plan 9a21c0",
        "fields": {"seq": 1},
    }


def test_history_of_a_creation_has_no_event() -> None:
    born = documents.history_document(shown.proposal().history[0])
    assert born["event"] is None
    assert born["to_state"] == "pending"


def test_a_held_override_shows_its_vector_and_its_deadline() -> None:
    held = HeldOverride(
        override=Override.of(measured.EYEBALL, {"transit-a": 2, "transit-b": 0}),
        owner="p-7f3c",
        deadline=measured.NOW,
        acknowledged=True,
    )
    assert documents.held_override_document(held) == {
        "prefix": "198.51.100.0/24",
        "owner": "p-7f3c",
        "vector": {"transit-a": 2, "transit-b": 0},
        "deadline": "2026-01-12T19:40:30Z",
        "acknowledged": True,
    }


def test_a_set_without_the_prefix_shows_no_announcement() -> None:
    own = measured.NETWORK.prefixes[0]
    document = documents.prefix_document(
        own, network=measured.NETWORK, live=AnnouncementSet(), matrix=measured.matrix()
    )
    assert document["announcements"] == []


def test_the_events_of_people_are_events_of_the_lifecycle() -> None:
    assert set(documents.OPERATOR_EVENTS) <= set(ProposalEvent)


def test_a_router_that_sends_no_bmp_is_a_warning_and_a_stray_override_critical() -> None:
    lost = replace(measured.WITNESS, connected=False, reason="the router closed the connection")
    stray = documents.stray_documents([(measured.EYEBALL, "edge2")])
    status = shown.status_document(witness=[documents.witness_document(lost)], stray_overrides=stray)
    assert [(row["level"], row["message"]) for row in documents.check_document(status)["problems"]] == [
        ("critical", "edge2 holds an override of 198.51.100.0/24 that nobody owns"),
        ("warning", "edge1 sends no BMP since 2026-01-12T18:40:30Z: the router closed the connection"),
    ]


def test_a_lost_witness_session_is_a_warning() -> None:
    lost = replace(measured.WITNESS_SESSION, connected=False, reason="the router closed it")
    status = shown.status_document(witness=[documents.witness_document(lost)])
    (problem,) = documents.check_document(status)["problems"]  # type: ignore[misc,attr-defined]
    assert problem["message"] == "edge2 has no witness session since 2026-01-12T19:10:30Z: the router closed it"


def test_a_router_that_sends_bmp_is_no_problem() -> None:
    status = shown.status_document(witness=[documents.witness_document(measured.WITNESS)])
    assert documents.check_document(status)["level"] == "ok"


def test_a_proposal_that_never_was_on_the_wire_has_no_proof() -> None:
    assert shown.proposal_document()["proof"] is None
    assert shown.proposal_document(ProposalState.ACTIVE)["proof"] == {
        "state": "proven",
        "since": "2026-01-12T19:39:32Z",
        "routers": [
            {"router": "edge1", "state": "proven", "reason": "has accepted it"},
            {"router": "edge2", "state": "proven", "reason": "has selected it"},
        ],
    }


@pytest.mark.parametrize(("witness", "said"), [(True, ["proposal p-7f3c is unproven"]), (False, [])])
def test_an_unproven_change_is_a_warning_where_proof_is_to_be_had(witness: bool, said: list[str]) -> None:
    unproven = replace(shown.PROOF, state=ProofState.UNPROVEN)
    rows = [documents.proposal_summary_document(shown.proposal(ProposalState.ACTIVE), proof=unproven)]
    told = [documents.witness_document(measured.WITNESS)] if witness else None
    check = documents.check_document(shown.status_document(witness=told, proposals=rows))
    assert [row["message"] for row in check["problems"]] == said  # type: ignore[index,attr-defined]
