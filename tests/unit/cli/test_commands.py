"""Every command: what it asks the daemon, what it prints, how it exits."""

from __future__ import annotations

import json

import pytest

from teagent.errors import Expired, Frozen, GuardRefused, NotAuthorised, StalePlan, StoreError
from teagent.model.proposal import ProposalState
from tests.fakes import measured, shown
from tests.fakes.desk import Desk
from tests.unit.cli.conftest import Run

READING = {
    "status": "status",
    "link": "link.list",
    "link transit-a": "link.show",
    "prefix": "prefix.list",
    "prefix 198.51.100.0/24": "prefix.show",
    "router": "router.list",
    "router edge1": "router.list",
    "exporter": "exporter.list",
    "matrix": "matrix.show",
    "policy": "policy.list",
    "policy transit-balance": "policy.list",
    "policy transit-balance explain": "policy.explain",
    "plan": "plan.compute",
    "proposal": "proposal.list",
    "proposal p-7f3c": "proposal.show",
    "proposal p-7f3c show": "proposal.show",
    "proposal show p-7f3c": "proposal.show",
    "ingress": "ingress.show",
    "ingress AS64496": "ingress.show",
    "scorecard": "scorecard.list",
    "experiment plan": "experiment.plan",
    "log": "log.list",
    "explain 198.51.100.0/24": "explain.show",
}


@pytest.mark.parametrize(("line", "command"), READING.items())
def test_a_reading_command_asks_one_thing_and_answers_on_stdout(run: Run, desk: Desk, line: str, command: str) -> None:
    result = run(*line.split())
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.endswith("\n")
    assert [asked for asked, _ in desk.asked] == [command]


@pytest.mark.parametrize("line", READING)
def test_json_is_one_document_of_the_daemons_facts(run: Run, line: str) -> None:
    result = run(*line.split(), "--json")
    assert result.exit_code == 0
    assert isinstance(json.loads(result.stdout), dict)


@pytest.mark.parametrize(
    ("line", "message", "hint"),
    [
        ("matrix --source-as 0 --json", "Invalid value for '--source-as': '0' is not an AS number", "teagent matrix"),
        ("--json graph path", "Missing argument 'ASN'.", "teagent graph path"),
        ("graph propagate --origin 1 --config x --json", "say who announces", "teagent graph propagate"),
        ("nonsense --json", "No such command 'nonsense'.", "teagent"),
        ("--nonsense --json status", "No such option", "teagent"),
    ],
)
def test_wrong_usage_is_a_document_too_where_documents_are_asked_for(
    run: Run, line: str, message: str, hint: str
) -> None:
    result = run(*line.split())
    error = json.loads(result.stderr)["error"]
    assert (result.exit_code, error["exit_code"], error["kind"], result.stdout) == (2, 2, "WrongUsage", "")
    assert message in error["message"]
    assert error["hint"] == f"{hint} --help"


@pytest.mark.parametrize("line", [line for line in READING if line != "router edge1"])
def test_wide_keeps_the_columns_and_adds_at_the_end(run: Run, line: str) -> None:
    narrow, wide = run(*line.split()).stdout, run(*line.split(), "-o", "wide").stdout
    for one, other in zip(narrow.splitlines(), wide.splitlines(), strict=True):
        assert other.startswith(one.rstrip())


def test_options_may_stand_before_and_behind_the_command(run: Run) -> None:
    before, behind = run("--json", "link"), run("link", "--json")
    assert json.loads(before.stdout) == json.loads(behind.stdout)


def test_since_reaches_the_daemon_in_seconds(run: Run, desk: Desk) -> None:
    run("link", "--since", "24h")
    run("link", "transit-a", "--since", "1h30m")
    run("link", "--since", "2h", "transit-a")
    assert desk.asked == [
        ("link.list", {"since_seconds": 86400.0}),
        ("link.show", {"name": "transit-a", "since_seconds": 5400.0}),
        ("link.show", {"name": "transit-a", "since_seconds": 7200.0}),
    ]


def test_matrix_passes_its_sender_and_its_times(run: Run, desk: Desk) -> None:
    run("matrix", "--source-as", "AS64496", "--window", "1m", "--since", "30m")
    assert desk.asked == [("matrix.show", {"source_as": 64496, "window_seconds": 60, "since_seconds": 1800, "top": 20})]
    assert run("matrix", "--source-as", "0").exit_code == 2


def test_matrix_passes_its_filters(run: Run, desk: Desk) -> None:
    run("matrix", "--link", "transit-a", "--prefix", "198.51.100.0/24", "--top", "3")
    assert desk.asked == [("matrix.show", {"link": "transit-a", "prefix": "198.51.100.0/24", "top": 3})]


def test_what_does_not_exist_is_refused_with_what_does(run: Run) -> None:
    for line in ("link transit-z", "router edge9", "policy nothing"):
        result = run(*line.split())
        assert result.exit_code == 5
        assert result.stdout == ""
        assert "known are" in result.stderr


def test_an_unknown_verb_is_wrong_usage(run: Run) -> None:
    result = run("proposal", "p-7f3c", "aprove")
    assert result.exit_code == 2
    assert "no verb 'aprove'" in result.stderr


# --- plan -----------------------------------------------------------------------------------------------------------


def test_plan_says_that_nothing_has_been_announced_and_what_is_next(run: Run) -> None:
    result = run("plan", "--policy", "transit-balance")
    last = result.stdout.strip().splitlines()[-1]
    assert last == ("nothing has been announced. to ask for approval: teagent plan --policy transit-balance --propose")


def test_plan_that_proposes_names_the_proposal(run: Run) -> None:
    assert "teagent proposal approve p-7f3c" in run("plan", "--propose").stdout


@pytest.mark.parametrize(("proposes", "code"), [(True, 10), (False, 0)])
def test_plan_exits_10_for_changes_only_when_asked_to(run: Run, desk: Desk, proposes: bool, code: int) -> None:
    desk.proposes = proposes
    assert run("plan").exit_code == 0
    assert run("plan", "--exit-code").exit_code == code


# --- proposals ------------------------------------------------------------------------------------------------------


def test_approve_binds_to_the_digest_that_it_showed(run: Run, desk: Desk) -> None:
    result = run("proposal", "approve", "7f", "--yes")
    assert result.exit_code == 0
    assert desk.asked == [
        ("proposal.show", {"id": "7f"}),
        ("proposal.approve", {"id": "p-7f3c", "digest": shown.DIGEST}),
    ]
    assert "will see AS path 64500 64500 64500" in result.stderr
    assert f"plan {shown.DIGEST}" in result.stderr
    assert result.stdout.startswith("p-7f3c is confirming. announced. reverts by itself in 19m")


def test_approve_takes_a_digest_that_was_read_elsewhere(run: Run, desk: Desk) -> None:
    run("proposal", "p-7f3c", "approve", "--digest", "9a21c0", "--yes", "--quiet")
    assert desk.asked[-1] == ("proposal.approve", {"id": "p-7f3c", "digest": "9a21c0"})


def test_quiet_leaves_only_the_answer(run: Run) -> None:
    assert run("proposal", "approve", "p-7f3c", "--yes", "--quiet").stderr == ""


@pytest.mark.parametrize("verb", ["approve", "revert", "resolve"])
def test_where_nobody_can_be_asked_yes_has_to_be_said(run: Run, desk: Desk, verb: str) -> None:
    state = {"approve": ProposalState.PENDING, "revert": ProposalState.ACTIVE, "resolve": ProposalState.STUCK}[verb]
    desk.proposals["p-7f3c"] = shown.proposal(state)
    reason = ["--reason", "looked"] if verb == "resolve" else []
    result = run("proposal", verb, "p-7f3c", *reason)
    assert result.exit_code == 2
    assert "add --yes" in result.stderr
    assert [asked for asked, _ in desk.asked] == ["proposal.show"]


def test_thaw_has_to_be_said_with_yes_as_well(run: Run, desk: Desk) -> None:
    assert run("thaw").exit_code == 2
    assert desk.asked == []
    assert run("thaw", "--yes").exit_code == 0


@pytest.mark.parametrize(
    ("state", "verb", "options", "becomes"),
    [
        (ProposalState.PENDING, "reject", ["--reason", "no"], "rejected"),
        (ProposalState.CONFIRMING, "confirm", [], "active"),
        (ProposalState.CONFIRMING, "revert", ["--yes"], "reverting"),
        (ProposalState.ACTIVE, "revert", ["--yes", "--reason", "peak is over"], "reverting"),
        (ProposalState.STUCK, "resolve", ["--yes", "--reason", "cleared by hand"], "reverted"),
    ],
)
def test_a_verb_moves_its_proposal(
    run: Run, desk: Desk, state: ProposalState, verb: str, options: list[str], becomes: str
) -> None:
    desk.proposals["p-7f3c"] = shown.proposal(state)
    result = run("proposal", "p-7f3c", verb, *options)
    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith(f"p-7f3c is {becomes}. ")


def test_resolve_needs_a_reason(run: Run) -> None:
    result = run("proposal", "resolve", "p-7f3c", "--yes")
    assert result.exit_code == 2
    assert "--reason" in result.stderr


def test_what_the_state_does_not_allow_is_refused_by_the_daemon_without_asking(run: Run, desk: Desk) -> None:
    desk.proposals["p-7f3c"] = shown.proposal(ProposalState.ACTIVE)
    result = run("proposal", "approve", "p-7f3c")
    assert result.exit_code == 5
    assert "proposal p-7f3c is active: approve is not possible" in result.stderr


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (Expired("proposal p-7f3c is expired and cannot be approved", hint="teagent plan --propose"), 5, "hint:  te"),
        (NotAuthorised(actor="carol", needs=["netops"], action="proposal.approve"), 5, "membership of netops"),
        (Frozen(since="2026-01-12T19:00:00Z", by="bob", reason="works"), 5, "frozen since 2026-01-12T19:00:00Z by bob"),
        (
            StalePlan(approved="9a21c0ff", current="51be0711", differences=["transit-b in_utilisation 41% -> 78%"]),
            6,
            "       transit-b in_utilisation 41% -> 78%",
        ),
        (StoreError("the store is locked"), 1, "error: the store is locked"),
    ],
)
def test_a_refusal_keeps_its_reason_and_its_exit_code(
    run: Run, desk: Desk, error: Exception, code: int, words: str
) -> None:
    desk.errors["proposal.approve"] = error
    result = run("proposal", "approve", "p-7f3c", "--yes", "--quiet")
    assert (result.exit_code, result.stdout) == (code, "")
    assert words in result.stderr


def test_a_guards_refusal_lists_every_check(run: Run, desk: Desk) -> None:
    failed = [
        {"rule": "headroom", "message": "transit-b would keep 9%, limit 15%", "value": 0.09, "limit": 0.15},
        {"rule": "cooldown", "message": "changed 4m ago, limit 1h", "value": 240, "limit": 3600},
    ]
    desk.errors["proposal.approve"] = GuardRefused(failed, checks=6)
    result = run("proposal", "approve", "p-7f3c", "--yes", "--quiet")
    assert result.stderr.splitlines() == [
        "refused: 2 of 6 checks failed",
        "  headroom  transit-b would keep 9%, limit 15%",
        "  cooldown  changed 4m ago, limit 1h",
    ]


def test_json_errors_carry_the_same_facts(run: Run, desk: Desk) -> None:
    desk.errors["proposal.show"] = StalePlan(approved="9a", current="51", differences=["x"], hint="look again")
    result = run("proposal", "p-7f3c", "--json")
    assert (result.exit_code, result.stdout) == (6, "")
    assert json.loads(result.stderr) == {
        "error": {
            "kind": "StalePlan",
            "exit_code": 6,
            "message": "plan changed since it was shown (shown 9a, now 51)\n       x",
            "hint": "look again",
            "fields": {"approved": "9a", "current": "51", "differences": ["x"]},
        }
    }


# --- the daemon itself ----------------------------------------------------------------------------------------------


def test_freeze_and_thaw(run: Run, desk: Desk) -> None:
    frozen = run("freeze", "--reason", "maintenance")
    assert frozen.stdout == "frozen since 2026-01-12T19:40:30Z by alice: maintenance. to go on: teagent thaw\n"
    assert "frozen since" in run("status").stdout
    assert run("thaw", "--yes").stdout == "not frozen: proposals may be approved\n"
    assert desk.frozen is None


def test_a_reason_that_could_break_a_line_is_not_sent(run: Run, desk: Desk) -> None:
    result = run("freeze", "--reason", "two\nlines")
    assert result.exit_code == 1
    assert desk.asked == []


@pytest.mark.parametrize(
    ("changes", "code", "word"),
    [
        ({}, 0, "ok: 1 link, 1 router, 0 live proposals"),
        ({"distrust": ["flows cover 40% of transit-a"]}, 1, "warning: 1 problem: flows cover 40% of transit-a"),
        ({"speaker": measured.SILENT}, 2, "critical: 1 problem: speaker is away"),
    ],
)
def test_check_is_one_line_with_codes_of_its_own(
    run: Run, desk: Desk, changes: dict[str, object], code: int, word: str
) -> None:
    desk.status_changes = changes
    result = run("check")
    assert result.exit_code == code
    assert result.stdout.startswith(word)
    assert result.stdout.count("\n") == 1


def test_log_follows_until_the_stream_ends(run: Run) -> None:
    result = run("log", "--follow")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == ["2026-01-12T19:39:30Z  alice  p-7f3c  approve  approved plan 9a21c0"] * 2
    rows = [json.loads(line) for line in run("log", "-f", "--json").stdout.splitlines()]
    assert [row["kind"] for row in rows] == ["approve", "approve"]


def test_log_is_narrowed_to_a_proposal(run: Run, desk: Desk) -> None:
    run("log", "--proposal", "p-7f3c", "--limit", "5")
    assert desk.asked == [("log.list", {"limit": 5, "proposal": "p-7f3c"})]


def test_explain_names_what_there_is_to_approve(run: Run) -> None:
    text = run("explain", "198.51.100.0/24").stdout
    assert "transit-a is congested" in text
    assert text.strip().endswith("what helps: teagent proposal p-7f3c show")


def test_config_reload_asks_the_daemon(run: Run, desk: Desk) -> None:
    assert run("config", "reload").stdout == "reloading /etc/teagent/config.yaml\n"
    assert desk.asked == [("config.reload", {})]


def test_router_probe_is_there_without_a_daemon(run: Run) -> None:
    assert "ADDRESS" in run("router", "probe", "--help").stdout


def test_help_of_every_command_works(run: Run) -> None:
    from teagent.cli.root import COMMANDS

    for name in COMMANDS:
        result = run(name, "--help")
        assert result.exit_code == 0, name
        assert result.stdout.startswith(f"Usage: teagent {name}")
