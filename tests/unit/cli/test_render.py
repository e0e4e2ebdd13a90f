"""Documents to text, as operators read it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from teagent.cli import (
    render_explain,
    render_exporters,
    render_plan,
    render_prediction,
    render_proposal,
    render_status,
    render_traffic,
)
from teagent.engine.choose.explain import explain_prefix
from teagent.model.link import NoData
from teagent.model.maintenance import DailyWindow
from teagent.model.plan import Band
from teagent.model.proposal import ProposalState
from teagent.service import documents
from teagent.service.score import LinkOutcome, Outcome
from tests.fakes import measured, shown
from tests.fakes.desk import snapshot


def test_links_read_as_in_the_design() -> None:
    document = documents.listing("links", measured.link_documents(), at=measured.NOW)
    assert render_traffic.links(document).splitlines() == [
        "LINK       KIND     ROUTER  CAPACITY     IN  IN%    P95  COMMIT  AGE  STATE",
        "transit-a  transit  edge1        10G  9.31G   93  8.80G      6G  12s  above target 18m",
        "transit-b  transit  edge2        10G      -    -      -       -    -  no data 2m",
    ]


def test_one_link_shows_times_in_full_and_its_history() -> None:
    text = render_traffic.link(
        documents.link_document(
            measured.A,
            latest=measured.READING_A,
            p95=measured.P95_A,
            trigger=measured.FIRING,
            history=measured.HISTORY_A,
        )
    )
    assert "in        9.31G  93%  (30s to 2026-01-12T19:40:18Z)" in text
    assert "above target since 2026-01-12T19:22:30Z" in text
    assert "▅▅▅▅▅▅▅▅▅▅▅▅▅▆▆▆▆▆▆▆▆▆▆▆▆▇▇▇▇▇▇▇▇▇▇▇▇▇██" in text
    assert "lowest 5.00G, highest 8.90G" in text


def test_a_link_on_a_bundle_shows_its_members_and_what_is_left() -> None:
    document = documents.link_document(measured.A, latest=measured.READING_A, members=measured.MEMBERS, left_bps=10e9)
    assert (
        "  bundle    1 of 2 members up, 10G: xe-1/0/0 up, xe-1/0/1 down" in render_traffic.link(document).splitlines()
    )


def test_a_link_without_data_never_shows_a_zero() -> None:
    text = render_traffic.link(documents.link_document(measured.B, latest=measured.SILENT, history=()))
    assert "no data since 2026-01-12T19:38:30Z: edge2 did not answer within 2s" in text
    assert "0%" not in text


def test_hostile_names_of_devices_are_harmless() -> None:
    evil = replace(measured.ROUTER_OK, sys_name="edge1\x1b[2J\n\u202eok", oddities=("odd\x07\nline",))
    row = documents.router_document("edge1", address="192.0.2.1", links=[], reading=evil)
    text = render_traffic.routers(documents.listing("routers", [row], at=measured.NOW))
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "\x07" not in text
    assert len(text.splitlines()) == 4


def test_a_plan_shows_changes_loads_announcements_and_checks() -> None:
    plans = documents.plans_document([documents.decision_document(shown.decision(), measured.NETWORK)], at=measured.NOW)
    assert render_plan.plans(plans).splitlines() == [
        "plan 9a21c0  policy transit-balance  snapshot 2026-01-12T19:40:28Z",
        "",
        "  ~ 198.51.100.0/24  transit-a  prepend 0 -> 2",
        "  ~ 198.51.100.0/24  transit-b  prepend 1 -> 0",
        "",
        "LINK         NOW  NOW%  PREDICTED  PREDICTED%  TARGET",
        "transit-a  9.31G   93%      7.10G      71% ±6     80%",
        "transit-b  4.02G   40%      6.20G      62% ±6     80%",
        "worst case: transit-b at 8.32G  83%, if all that moves lands there",
        "",
        "MOVES    SENDS  OF IT  NOW             THEN",
        "AS64496  2.20G  1.80G  transit-a 100%  transit-b 80%, transit-a 20%",
        "",
        "UNCERTAIN  SENDS  IN DOUBT  WHY",
        "AS64497    2.20G      500M  both are equally good",
        "",
        "cannot move if the AS graph is right: 2.00G on transit-a, from 7 senders with no other way (AS64498, ...)",
        "",
        "to edge1: 198.51.100.0/24 large-community [64500:1:12 64500:1:20]",
        "  transit-a: 192.0.2.9 AS64510 will see AS path 64500 64500 64500",
        "to edge2: 198.51.100.0/24 large-community [64500:1:12 64500:1:20]",
        "  transit-b: 192.0.2.17 AS64520 will see AS path 64500",
        "",
        "plan: 0 to announce, 2 to modify, 0 to withdraw; about 2.20G moves, 2 sources",
        "checks: 2 passed",
        "assumption: a sender moves to the link with the shorter path",
        "warning: no flows from transit-b",
        "",
        "nothing has been announced. to ask for approval: teagent plan --policy transit-balance --propose",
    ]


def test_a_lopsided_band_shows_both_its_sides() -> None:
    first, second = shown.dry_run().links
    lopsided = replace(first, after=Band(low=6.8e9, expected=7.1e9, high=8.9e9))
    document = documents.dry_run_document(replace(shown.dry_run(), links=(lopsided, second)))
    assert "71% -3/+18" in render_plan.forecast(document)


def test_failed_checks_are_listed() -> None:
    text = render_plan.checks(documents.verdict_document(shown.REFUSED))
    assert text == "checks: 1 of 2 failed\n  headroom  transit-b would keep 9%, limit 15%"


def test_a_refused_plan_does_not_invite_to_propose_it() -> None:
    refused = replace(shown.considered(), verdict=shown.REFUSED)
    decision = replace(shown.decision(), chosen=refused, considered=(refused,))
    text = render_plan.plans(
        documents.plans_document([documents.decision_document(decision, measured.NETWORK)], at=measured.NOW)
    )
    assert "--propose" not in text
    assert text.endswith("it will not be proposed. why: teagent policy transit-balance explain")


def test_a_plan_that_leads_home_says_so() -> None:
    home = replace(shown.plan(), before=shown.announcements(2), after=measured.NETWORK.home())
    rows = documents.plan_document(home, measured.NETWORK)["announcements"]
    text = render_plan.announcements(rows)
    assert "to edge1: withdraw the override of 198.51.100.0/24, home is heard again" in text
    assert "192.0.2.17 AS64520 will see AS path 64500 64500" in text


def test_withheld_from_a_neighbor_is_said() -> None:
    after = measured.NETWORK.home().with_vector(measured.EYEBALL, {"transit-b": 0})
    rows = documents.plan_document(replace(shown.plan(), after=after), measured.NETWORK)["announcements"]
    assert "transit-a: 192.0.2.9 AS64510 will not hear it" in render_plan.announcements(rows)


def test_an_explanation_shows_triggers_rules_and_candidates() -> None:
    text = render_plan.explanation(documents.decision_document(shown.decision(), measured.NETWORK, proposal="p-7f3c"))
    assert "transit-a  93%  firing   2026-01-12T19:22:30Z  above 80% for 18m (for 15m)" in text
    assert "ok   headroom" in text
    assert "best 1 of 17 candidates, * is chosen" in text
    assert "proposed as p-7f3c" in text


@pytest.mark.parametrize("state", ProposalState)
def test_every_state_says_where_it_stands_and_what_is_next(state: ProposalState) -> None:
    document = shown.proposal_document(state)
    said = render_proposal.standing(document)
    for verb in document["can"]:
        if state not in {ProposalState.PENDING, ProposalState.APPROVED, ProposalState.CONFIRMING}:
            assert f"teagent proposal {verb} p-7f3c" in said
    if document["final"]:
        assert said == f"{state.value}: nothing of it is announced"


def test_what_waits_and_is_in_doubt_says_so_and_does_not_invite_to_approve_it() -> None:
    doubted = shown.proposal_document() | {"doubts": ["flows are 33% of what the interface of transit-a counts"]}
    text = render_proposal.proposal(doubted)
    assert text.splitlines()[1] == "in doubt: flows are 33% of what the interface of transit-a counts"
    assert "it would be refused now" in text
    assert "approve" not in render_proposal.standing(doubted)
    assert "in doubt" in render_proposal.proposals({"at": doubted["at"], "proposals": [doubted]})


def test_a_link_whose_readings_are_in_doubt_says_so() -> None:
    [link, _] = measured.link_documents()
    assert "in doubt" not in render_traffic.link(link | {"at": "2026-01-12T19:40:30Z"})
    doubted = link | {"doubts": ["the counters of transit-a began anew 3 times"]}
    assert "in doubt  the counters of transit-a began anew 3 times" in render_traffic.link(doubted)


def test_in_dry_run_a_proposal_does_not_invite_to_approve_it() -> None:
    document = documents.proposal_document(shown.proposal(), network=measured.NETWORK, at=measured.NOW, dry_run=True)
    assert render_proposal.standing(document) == (
        "nothing has been announced, and nothing will be: bgp.dry_run is true"
    )


def test_the_question_names_digest_links_and_the_undo() -> None:
    assert render_proposal.question(shown.proposal_document()) == (
        "approve plan 9a21c0: 2 changes on transit-a, transit-b, reverts by itself in 20m unless confirmed?"
    )


def test_a_proposal_shows_what_happened_beside_what_was_predicted() -> None:
    forecast = shown.dry_run().links[0]
    outcome = Outcome(
        proposal="p-7f3c",
        since=measured.ago(600),
        until=measured.NOW,
        links=(
            LinkOutcome(
                link="transit-a",
                before_bps=forecast.before_bps,
                predicted=forecast.after,
                realised_bps=7.3e9,
                within_band=True,
            ),
            LinkOutcome(
                link="transit-b", before_bps=4.02e9, predicted=forecast.after, realised_bps=None, within_band=None
            ),
        ),
    )
    document = shown.proposal_document(ProposalState.ACTIVE) | {"outcome": documents.outcome_document(outcome)}
    text = render_proposal.proposal(document)
    assert "transit-a   9.31G      7.10G     7.30G  yes" in text
    assert "transit-b   4.02G      7.10G         -  -" in text


def test_status_is_one_screen() -> None:
    text = render_status.status(shown.status_document(links=measured.link_documents()))
    assert text.splitlines()[0] == "teagent 0.1.0  AS64500  live  up 1d1h"
    assert "192.0.2.1  up 1h" in text
    assert len(text.splitlines()) < 40


def test_status_says_when_the_speaker_is_away_or_not_wanted() -> None:
    away = NoData(since=measured.ago(60), reason="the relay does not answer")
    assert "no data since 2026-01-12T19:39:30Z: the relay does not answer" in render_status.status(
        shown.status_document(speaker=away)
    )
    dry = render_status.status(shown.status_document(speaker=None, dry_run=True))
    assert "dry run: nothing is announced" in dry
    assert "none: bgp.dry_run is true" in dry


def test_an_exporter_that_is_doubted_says_why_below_the_table() -> None:
    doubtful = documents.exporter_document(measured.EXPORTER, doubts=("the clock of 192.0.2.1 is 1h ahead of ours",))
    document = documents.listing("exporters", [doubtful], at=measured.NOW)
    lines = render_exporters.exporters(document).splitlines()
    assert lines[1].split()[-1] == "doubtful"
    assert lines[-2:] == ["decisions that rest on their links wait", "  the clock of 192.0.2.1 is 1h ahead of ours"]


def test_exporters_with_origins_say_what_they_know_and_what_is_wrong_with_the_file() -> None:
    document = documents.listing("exporters", [documents.exporter_document(measured.EXPORTER)], at=measured.NOW)
    none: dict[str, object] = {"path": "bview.gz", "loaded_at": None, "ipv4": None, "ipv6": None, "problem": None}
    assert render_exporters.exporters(document | {"origins": none}).endswith("origins bview.gz: not read yet")
    known = none | {"loaded_at": "2026-01-12T19:30:30Z", "ipv4": 1000, "ipv6": 20, "problem": "bview.gz ends early"}
    text = render_exporters.exporters(document | {"origins": known})
    assert text.endswith("1000 IPv4 and 20 IPv6 prefixes, read 10m ago; now: bview.gz ends early")


def test_what_was_dropped_here_is_below_the_exporters_with_the_address_that_nobody_configured() -> None:
    document = documents.listing("exporters", [documents.exporter_document(measured.EXPORTER)], at=measured.NOW)
    dropped = {"kernel_buffer_full": 7, "not_taken": 0, "unknown_exporter": 120}
    text = render_exporters.exporters(document | {"dropped": dropped, "last_unknown_exporter": "192.0.2.9"})
    expected = ["dropped here", "  kernel_buffer_full  7", "  unknown_exporter    120, last from 192.0.2.9"]
    assert text.splitlines()[-3:] == expected
    nothing = {"dropped": dict.fromkeys(dropped, 0), "last_unknown_exporter": None}
    assert "dropped" not in render_exporters.exporters(document | nothing)


def test_an_empty_matrix_and_an_absent_one_are_different() -> None:
    empty = documents.matrix_document(measured.matrix(), at=measured.NOW, link="transit-z")
    assert render_exporters.matrix(empty).startswith("no demand by transit-z\n\ntotal 0 bit/s over the 5m to ")
    absent = documents.matrix_document(measured.SILENT, at=measured.NOW)
    assert render_exporters.matrix(absent).startswith("no matrix: no data since")


def test_a_sender_without_demand_may_be_one_whose_as_is_not_known() -> None:
    prefix = measured.EYEBALL
    asked = documents.matrix_document(
        measured.matrix(), at=measured.NOW, source_as=65_551, link="transit-a", prefix=prefix
    )
    expected = (
        f"no demand from AS65551 by transit-a to {prefix}; senders whose AS is not known are named by their prefix"
    )
    assert render_exporters.matrix(asked).startswith(expected)


def test_an_explanation_of_a_link_without_data_does_not_call_it_free() -> None:
    explained = explain_prefix(
        replace(snapshot(), latest={"transit-a": measured.SILENT, "transit-b": measured.READING_B}),
        (shown.decision(proposes=False),),
        measured.EYEBALL,
    )
    text = render_explain.explain(documents.explain_document(explained, at=measured.NOW))
    lines = {line.split()[0]: line for line in text.split("\n\n")[-2].splitlines()}
    assert "not known" in lines["transit-a"]
    assert " no " in lines["transit-b"]


def test_the_log_is_read_oldest_first() -> None:
    newer = replace(shown.EVENT, at=measured.NOW, kind="confirm")
    rows = map(documents.event_document, (newer, shown.EVENT))
    lines = render_status.events(documents.listing("events", rows, at=measured.NOW)).splitlines()
    assert ["approve" in lines[1], "confirm" in lines[2]] == [True, True]


def test_a_proposal_that_waits_for_a_second_person_says_whose_approval_it_has() -> None:
    document = shown.proposal_document() | {"approvals": ["kim"], "approvers": 2}
    text = render_proposal.standing(document)
    assert text.startswith("nothing has been announced. approved by kim; 2 people are needed until 2026-")
    assert text.endswith("somebody else: teagent proposal approve p-7f3c")


def test_scorecards_show_means_by_kind_the_changes_and_wider_bands() -> None:
    document = documents.scorecards_document(
        shown.scorecards(), at=measured.NOW, since=measured.ago(86400), widening=1.5
    )
    assert render_prediction.scorecards(document).splitlines() == [
        "PREDICTED          COUNT  TOP-1  OF MOVED  ERROR  MISPROJECTED  IN BAND  TOP-1 OVER TIME",
        "changes                1    91%       90%    7.5            8%      50%  █",
        "changes by others      0      -         -      -             -        -  -",
        "no change              2    99%         -    7.5            8%      50%  ██",
        "",
        "CHANGE  SCORED                TRAFFIC  TOP-1  OF MOVED  ERROR  MISPROJECTED  IN BAND",
        "p-7f3c  2026-01-12T19:10:30Z    2.20G    91%       90%    7.5            8%      50%",
        "",
        "bands are 1.50 times as wide: what was predicted of changes did not hold",
    ]


def test_without_scores_it_says_when_there_will_be_some() -> None:
    document = documents.scorecards_document([], at=measured.NOW, since=measured.ago(86400), widening=1.0)
    assert render_prediction.scorecards(document).startswith("nothing was scored since 2026-01-11T19:40:30Z: ")


def test_a_sender_is_shown_with_its_reasons() -> None:
    vector = {"transit-a": 0, "transit-b": 1}
    document = documents.ingress_document(
        [(shown.belief(), 2.2e9)], at=measured.NOW, prefix=measured.EYEBALL, vector=vector
    )
    text = render_prediction.sender(document)
    assert "AS64496  towards 198.51.100.0/24, prepends now: transit-a 0, transit-b 1" in text
    assert "transit-b       75%     2" in text
    assert text.endswith("- stays where it is among equally good links")
    assert "transit-b 75%, transit-a 25%" in render_prediction.ingress(document)


def test_where_nobody_is_seen_it_says_so() -> None:
    document = documents.ingress_document([], at=measured.NOW, prefix=measured.EYEBALL, vector={})
    assert render_prediction.ingress(document) == "no sender of a known AS is seen towards 198.51.100.0/24"


def test_a_proposal_says_which_routers_hold_it() -> None:
    lines = render_proposal.proposal(shown.proposal_document(ProposalState.CONFIRMING) | {"outcome": None}).splitlines()
    at = lines.index("proven since 2026-01-12T19:39:32Z")
    assert lines[at + 1 : at + 3] == ["  edge1 has accepted it", "  edge2 has selected it"]


def test_status_shows_who_tells_by_bmp_and_which_of_their_sessions_are_down() -> None:
    lost = replace(measured.WITNESS, router="edge2", connected=False, reason="evil\x1b[2J", sessions=())
    rows = [documents.witness_document(row) for row in (measured.WITNESS, lost)]
    text = render_status.status(shown.status_document(witness=rows))
    assert text.split("\n\n")[2].splitlines() == [
        "witness",
        "  edge1  bmp up 1h, 1 session up",
        "         session to 192.0.2.9 AS64510 down 1m30s: the peer closed it: cease",
        "  edge2  no bmp for 1h: evil[2J",
    ]


def test_status_shows_who_tells_on_a_witness_session() -> None:
    lost = replace(measured.WITNESS_SESSION, router="edge3", connected=False, reason="the router closed it")
    rows = [documents.witness_document(row) for row in (measured.WITNESS_SESSION, lost)]
    assert render_status.status(shown.status_document(witness=rows)).split("\n\n")[2].splitlines() == [
        "witness",
        "  edge2  witness session up 30m, 2 routes",
        "  edge3  no witness session for 30m: the router closed it",
    ]


def test_without_a_witness_status_shows_none() -> None:
    assert "witness" not in render_status.status(shown.status_document())


def test_a_prefix_shows_what_each_router_says() -> None:
    document = documents.prefix_document(
        measured.NETWORK.prefixes[0],
        network=measured.NETWORK,
        live=measured.NETWORK.home(),
        matrix=measured.matrix(),
        proofs=shown.PROOF.routers,
    )
    assert "  on edge2  proven: has selected it" in render_traffic.prefix(document)


def test_experiments_say_what_teaches_most_and_what_is_next() -> None:
    window = DailyWindow.parse("02:00-04:30")
    document = documents.experiments_document([shown.experiment()], at=measured.NOW, window=window, proposal=None)
    assert render_prediction.experiments(document).splitlines() == [
        "PREFIX           FIRST      SECOND      TEACHES  SENDERS  TRAFFIC  SEEN  NEXT                 MOST FROM",
        "198.51.100.0/24  transit-a  transit-b  0.62 bit       12    3.00M  no    step 1: FIRST alone  AS64496",
        "",
        "nothing has been announced. to ask for approval (at 02:00-04:30 UTC): teagent experiment plan --propose",
    ]
    made = documents.experiments_document([shown.experiment()], at=measured.NOW, window=window, proposal="p-1")
    assert render_prediction.experiments(made).endswith(
        "proposed as p-1; it can be approved at 02:00-04:30 UTC: teagent proposal p-1"
    )
    none = documents.experiments_document([], at=measured.NOW, window=window, proposal=None)
    assert render_prediction.experiments(none).startswith("there is nothing to try out")


def test_an_experiment_says_so_and_when() -> None:
    document = shown.proposal_document(ProposalState.PENDING) | {"experiment": "a then b, step 1 of 2", "outcome": None}
    assert "experiment: a then b, step 1 of 2; it can be approved in its hour only" in render_proposal.proposal(
        document
    )
