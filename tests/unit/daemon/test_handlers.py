"""What the daemon answers before anything was measured, and what it refuses: each with its own words."""

from __future__ import annotations

import getpass
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from unittest.mock import AsyncMock

import pytest

from teagent.config.load import load
from teagent.daemon import handlers
from teagent.daemon.app import App
from teagent.daemon.control import Actor, Right
from teagent.daemon.handlers import Handlers
from teagent.errors import ConfigError, Frozen, NotFound, Refused, TeagentError
from teagent.model.bgp import parse_prefix
from teagent.model.link import Utilisation
from teagent.model.proposal import ProposalState
from teagent.model.traffic import Demand, Source, build_matrix
from teagent.ports import NeighborState, SpeakerState, StoredEvent
from teagent.service.reconcile import Routes
from teagent.wire.control import COMMANDS, check_arguments
from tests.fakes.proposals import example_proposal
from tests.integration.running import ENVIRONMENT, Site

pytestmark = pytest.mark.asyncio

PREFIX = parse_prefix("198.51.100.0/24")
KIM = Actor(uid=1000, gid=1000, pid=1, user="kim", groups=frozenset({"netops"}))


async def ask(app: App, command: str, **arguments: object) -> dict[str, object]:
    """As the control server does it: arguments checked, the answer through JSON."""
    answer = Handlers(app).commands()[command].handler(KIM, check_arguments(command, arguments))
    assert not isinstance(answer, AsyncIterator)
    document = json.loads(json.dumps(await answer, allow_nan=False))
    assert isinstance(document, dict)
    return document


async def test_there_is_a_handler_for_every_command_and_no_other(app: App) -> None:
    assert set(Handlers(app).commands()) == set(COMMANDS)


@pytest.mark.parametrize(
    "command",
    [
        "status",
        "check",
        "link.list",
        "prefix.list",
        "router.list",
        "exporter.list",
        "matrix.show",
        "policy.list",
        "proposal.list",
        "log.list",
        "plan.compute",
    ],
)
async def test_before_anything_was_measured_there_is_an_answer_already(app: App, command: str) -> None:
    assert "at" in await ask(app, command)


async def test_before_anything_was_measured_links_have_no_data_and_not_zero(app: App) -> None:
    await app.observer.poll()
    links = (await ask(app, "link.list"))["links"]
    assert isinstance(links, list)
    assert {row["state"] for row in links} == {"no_data"}
    assert "no_data" in (await ask(app, "matrix.show"))["matrix"]
    explained = await ask(app, "explain.show", prefix="198.51.100.7")
    assert explained["prefix"] == "198.51.100.0/24"


@pytest.mark.parametrize(
    ("command", "arguments", "words"),
    [
        ("link.show", {"name": "transit-z"}, "there is no link transit-z, known are transit-a, transit-b"),
        ("prefix.show", {"prefix": "192.0.2.0/24"}, "there is no prefix of ours 192.0.2.0/24"),
        ("prefix.show", {"prefix": "198.51.0.0/16"}, "there is no prefix of ours 198.51.0.0/16"),
        ("explain.show", {"prefix": "2001:db8::1"}, "there is no prefix of ours 2001:db8::1"),
        ("matrix.show", {"link": "transit-z"}, "there is no link transit-z"),
        ("matrix.show", {"prefix": "192.0.2.1"}, "there is no prefix of ours 192.0.2.1"),
        ("matrix.show", {"window_seconds": 300}, "there is no window of 5m, known are 1m"),
        ("policy.explain", {"policy": "none"}, "there is no policy none, known are relief"),
        ("plan.compute", {"policy": "none"}, "there is no policy none"),
        ("proposal.show", {"id": "p-ffff"}, "there is no proposal p-ffff"),
        ("proposal.approve", {"id": "p-ffff"}, "there is no proposal p-ffff"),
        ("log.list", {"proposal": "p-ffff"}, "there is no proposal p-ffff"),
    ],
)
async def test_what_is_not_there_is_named(app: App, command: str, arguments: dict[str, object], words: str) -> None:
    with pytest.raises(NotFound) as caught:
        await ask(app, command, **arguments)
    assert words in caught.value.message
    assert caught.value.exit_code == 5


@pytest.mark.parametrize("prefix", ["nonsense", "198.51.100.7/24", "300.1.1.1", "::/200"])
async def test_what_is_no_prefix_is_refused_as_it_was_said(app: App, prefix: str) -> None:
    with pytest.raises(Refused, match=f"^'{prefix}' is "):
        await ask(app, "prefix.show", prefix=prefix)


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        ("link.list", {"since_seconds": -1}),
        ("link.show", {"name": "transit-a", "since_seconds": 1e12}),
        ("matrix.show", {"top": 0}),
        ("matrix.show", {"top": 10**9}),
        ("matrix.show", {"window_seconds": -60}),
        ("matrix.show", {"since_seconds": "1h"}),
        ("matrix.show", {"since_seconds": 32 * 86400}),
        ("matrix.show", {"source_as": 2**32}),
        ("log.list", {"limit": 10**9}),
        ("proposal.resolve", {"id": "p-ffff", "reason": ""}),
    ],
)
async def test_numbers_and_texts_have_their_bounds(app: App, command: str, arguments: dict[str, object]) -> None:
    with pytest.raises(TeagentError):
        await ask(app, command, **arguments)


async def test_a_matrix_of_a_sender_over_some_time_is_what_the_store_holds_of_it(app: App) -> None:
    rows = [Demand(source=Source(asn=asn), prefix=PREFIX, link="transit-a", bps=8e6) for asn in (64501, 64502)]
    for age in (90, 30):
        at = app.clock.now() - timedelta(seconds=age)
        await app.store.add_matrix(build_matrix(rows, at=at, seconds=60, coverage={"transit-a": 1.0}))
    answer = await ask(app, "matrix.show", source_as=64502, since_seconds=600)
    matrix = answer["matrix"]
    assert isinstance(matrix, dict)
    assert (answer["source_as"], matrix["seconds"], matrix["total_bps"]) == (64502, 120, 8_000_000)
    assert [row["source"]["asn"] for row in matrix["demands"]] == [64502]


async def test_check_names_the_key_of_a_session_that_is_down_and_never_says_it(
    place: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.bgp = "dry_run: false"
    place.write()
    text = place.config.read_text(encoding="utf-8")
    text = text.replace("edge1: {address", "edge1: {bgp: {md5_password: env:EDGE1_BGP}, address")
    place.config.write_text(text, encoding="utf-8")
    app = App(load(place.config, environment={**ENVIRONMENT, "EDGE1_BGP": "geheim"}))
    neighbor = NeighborState(address="127.0.0.1", state="down", since=None)
    state = SpeakerState(overrides=(), neighbors=(neighbor,), frozen=False, counters={})
    monkeypatch.setattr(Routes, "state", state)
    monkeypatch.setattr(App, "look", AsyncMock())
    await app.store.start()
    try:
        text = json.dumps(await ask(app, "check"))
    finally:
        await app.store.stop()
    assert "signed with the TCP MD5 key of routers.edge1.bgp.md5_password (env:EDGE1_BGP)" in text
    assert "geheim" not in text


async def test_exporters_say_their_doubts_and_check_warns_of_them(app: App) -> None:
    [exporter] = (await ask(app, "exporter.list"))["exporters"]
    assert (exporter["state"], exporter["doubts"]) == ("never heard", [])
    app.exporter_watch._bounds = replace(app.exporter_watch._bounds, silent_seconds=-1)
    [exporter] = (await ask(app, "exporter.list"))["exporters"]
    assert exporter["state"] == "doubtful"
    assert exporter["doubts"][0].startswith("127.0.0.1 has sent no flows ever")
    problems = (await ask(app, "check"))["problems"]
    assert "127.0.0.1" in {problem["subject"] for problem in problems}


async def test_an_address_means_the_prefix_that_covers_it(app: App) -> None:
    for text in ("198.51.100.0/24", "198.51.100.9", "198.51.100.128/25"):
        assert (await ask(app, "prefix.show", prefix=text))["prefix"] == "198.51.100.0/24"


async def test_a_disabled_policy_can_be_explained(place: Site) -> None:
    config = load(place.config, environment=ENVIRONMENT)
    app = App(replace(config, policies=tuple(replace(policy, enabled=False) for policy in config.policies)))
    await app.start()
    try:
        assert "not enabled" in json.dumps(await ask(app, "policy.explain", policy="relief"))
        assert (await ask(app, "plan.compute", policy="relief"))["proposed_changes"] == 0
    finally:
        await app.stop(reverting=False)


async def test_history_is_what_the_store_holds(app: App) -> None:
    now = app.clock.now()
    row = Utilisation(link="transit-a", at=now - timedelta(seconds=90), in_bps=5e6, out_bps=1e6, seconds=30)
    await app.store.add_utilisation([row])
    shown = await ask(app, "link.show", name="transit-a", since_seconds=600)
    assert json.dumps(shown).count("5000000") >= 1
    listed = (await ask(app, "link.list", since_seconds=30))["links"]
    assert isinstance(listed, list)
    assert "5000000" not in json.dumps(listed[0]["history"])


async def test_dry_run_shows_a_proposal_and_refuses_to_apply_it(app: App) -> None:
    proposal = example_proposal(now=app.clock.now())
    await app.store.add_proposal(proposal)
    app.book._keep(proposal)
    assert (await ask(app, "proposal.show", id="p-7f3c"))["state"] == "pending"
    with pytest.raises(Refused, match=r"bgp.dry_run is true"):
        await ask(app, "proposal.approve", id="p-7f3c")
    assert (await ask(app, "proposal.reject", id="p-7", reason="no"))["state"] == "rejected"
    rows = (await ask(app, "log.list", proposal="p-7f3c"))["events"]
    assert isinstance(rows, list)
    assert [(row["kind"], row["actor"]) for row in rows] == [("proposal.rejected", "kim")]
    assert (await ask(app, "proposal.list"))["proposals"] == []
    assert len((await ask(app, "proposal.list", all=True))["proposals"]) == 1  # type: ignore[arg-type]


async def test_the_actor_is_who_asked(app: App) -> None:
    frozen = (await ask(app, "freeze", reason="maintenance"))["frozen"]
    assert isinstance(frozen, dict)
    assert (frozen["by"], frozen["reason"]) == ("kim", "maintenance")
    assert getpass.getuser() != "kim"
    with pytest.raises(Frozen):
        await ask(app, "plan.compute", propose=True)
    assert (await ask(app, "check"))["level"] == "warning"
    assert (await ask(app, "thaw"))["frozen"] is None


async def test_computing_is_reading_and_proposing_is_not(app: App) -> None:
    command = Handlers(app).commands()["plan.compute"]
    assert command.needs({"propose": False}) is Right.VIEW
    assert command.needs({"propose": True}) is Right.APPROVE


async def test_what_changes_something_needs_an_approver_or_an_administrator(app: App) -> None:
    commands = Handlers(app).commands()
    by_right = {right: {name for name, command in commands.items() if command.needs({}) is right} for right in Right}
    assert by_right[Right.ADMINISTER] == {"thaw", "proposal.resolve", "config.reload"}
    assert by_right[Right.APPROVE] == {
        "proposal.approve",
        "proposal.reject",
        "proposal.confirm",
        "proposal.revert",
        "freeze",
    }


async def test_a_reload_of_a_bad_file_is_told_to_whoever_asked(app: App, place: Site) -> None:
    place.config.write_text("version: 1\n")
    with pytest.raises(ConfigError) as caught:
        await ask(app, "config.reload")
    assert caught.value.exit_code == 3


async def test_a_daemon_that_cannot_reload_says_so(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(TeagentError, match="cannot reload"):
        await ask(app, "config.reload")


async def test_following_the_log_gives_what_happens_from_now_on(app: App) -> None:
    await app.store.log(event(app, "before"))
    following = Handlers(app).log_follow(KIM, {"proposal": None})
    assert isinstance(following, AsyncIterator)
    app.clock.sleep = _at_once(app)  # type: ignore[method-assign]
    try:
        first = await anext(following)
        second = await anext(following)
    finally:
        await following.aclose()  # type: ignore[attr-defined]
    assert [first["message"], second["message"]] == ["event 1", "event 2"]


async def test_an_export_holds_both_histories_whole_and_in_order(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handlers, "EXPORT_ROWS", 2)
    for number in range(5):
        await app.store.log(event(app, f"message {number}"))
    exported = [row async for row in Handlers(app).log_export(KIM, {})]
    log = [row for row in exported if row["chain"] == "event"]
    assert [row["position"] for row in log] == list(range(1, len(log) + 1))
    assert [row["row"]["message"] for row in log[-5:]] == [f"message {number}" for number in range(5)]
    assert log[-1]["digest"] == (await app.store.verify_chain())[1].head


def event(app: App, message: str) -> StoredEvent:
    return StoredEvent(at=app.clock.now(), kind="test", actor="kim", subject="daemon", message=message, fields={})


def _at_once(app: App):
    """Something happens while the follower sleeps."""
    slept = iter(range(1, 100))

    async def sleep(_seconds: float) -> None:
        await app.store.log(event(app, f"event {next(slept)}"))

    return sleep


async def test_a_stuck_proposal_is_critical(app: App) -> None:
    stuck = example_proposal(state=ProposalState.STUCK)
    app.book._keep(stuck)
    checked = await ask(app, "check")
    assert checked["level"] == "critical"
