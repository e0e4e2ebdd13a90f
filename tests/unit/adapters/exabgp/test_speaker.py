"""The speaker's side of the relay's protocol, against sockets that answer whatever they like."""

from __future__ import annotations

import asyncio
import contextlib
import json
import tempfile
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from teagent.adapters.exabgp import speaker as speaker_module
from teagent.adapters.exabgp.speaker import RelaySpeaker
from teagent.errors import NotAcknowledged, SpeakerDown, SpeakerError, SpeakerRejected
from teagent.model.announcement import Override, Signal

pytestmark = pytest.mark.asyncio

PREFIX = ip_network("198.51.100.0/24")
OVERRIDE = Override(prefix=PREFIX, signals=(Signal(link="a", prepend=2), Signal(link="b", prepend=None)))
LINK_IDS = {"a": 1, "b": 2}
Answer = Callable[[dict[str, Any]], bytes]


@contextlib.asynccontextmanager
async def relay_answering(answer: Answer) -> AsyncIterator[tuple[RelaySpeaker, list[dict[str, Any]]]]:
    """A socket that gives `answer` to each request, and the requests that it got; b"" closes without an answer."""
    requests: list[dict[str, Any]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests.append(json.loads(await reader.readline()))
        writer.write(answer(requests[-1]))
        writer.close()
        await writer.wait_closed()

    with tempfile.TemporaryDirectory(prefix="te-") as directory:
        path = Path(directory) / "relay.sock"
        async with await asyncio.start_unix_server(serve, path):
            yield RelaySpeaker(path, link_ids=LINK_IDS), requests


def ok(**fields: Any) -> Answer:
    return lambda request: json.dumps({"version": 1, "id": request["id"], "ok": True, **fields}).encode() + b"\n"


def no(kind: str, rule: str = "some_rule", **error: Any) -> Answer:
    full = {"kind": kind, "rule": rule, "message": "it is so", "value": None, "limit": None, **error}
    return lambda request: json.dumps({"version": 1, "id": request["id"], "ok": False, "error": full}).encode() + b"\n"


async def announce(speaker: RelaySpeaker) -> None:
    await speaker.announce(OVERRIDE, owner="p-1", deadline=datetime(2026, 1, 12, 19, 40, tzinfo=UTC))


async def test_an_override_is_sent_with_link_ids_and_seconds_since_the_epoch():
    async with relay_answering(ok(acked=True)) as (speaker, requests):
        await announce(speaker)
        await speaker.withdraw(PREFIX, owner="p-1")
        await speaker.confirm(PREFIX, owner="p-1")
        await speaker.freeze(frozen=True)
        await speaker.freeze(frozen=False)
    assert requests[0] == {
        "version": 1,
        "id": 1,
        "do": "announce",
        "prefix": "198.51.100.0/24",
        "signals": [{"link_id": 1, "prepend": 2}, {"link_id": 2, "withhold": True}],
        "owner": "p-1",
        "deadline": 1768246800.0,
    }
    assert [request["do"] for request in requests] == ["announce", "withdraw", "confirm", "freeze", "thaw"]


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("refused", SpeakerRejected),
        ("bad_request", SpeakerRejected),
        ("journal", SpeakerRejected),
        ("something new", SpeakerRejected),
        ("down", SpeakerDown),
        ("busy", SpeakerDown),
        ("unknown", NotAcknowledged),
    ],
)
async def test_each_kind_of_refusal_is_its_own_error_with_the_rule_in_its_fields(kind, error):
    async with relay_answering(no(kind, "max_prepend", value=4, limit=3)) as (speaker, _):
        with pytest.raises(SpeakerError) as caught:
            await announce(speaker)
    assert type(caught.value) is error
    assert caught.value.fields == {"prefix": "198.51.100.0/24", "rule": "max_prepend", "value": 4, "limit": 3}
    assert "198.51.100.0/24: it is so (value 4, limit 3)" in caught.value.message


@pytest.mark.parametrize(
    "answer",
    [
        b"nonsense\n",
        b"[]\n",
        b"{}\n",
        b"\xff\n",
        b'{"version": 2, "id": 1, "ok": true}\n',
        b'{"version": 1, "id": 99, "ok": true}\n',
        b'{"version": 1, "id": 1, "ok": false}\n',
        b'{"version": 1, "id": 1, "ok": "yes"}\n',
        b'{"version": 1, "id": 1, "ok": false, "error": "no"}\n',
    ],
)
async def test_an_answer_of_another_protocol_is_down_and_names_it(answer):
    async with relay_answering(lambda _: answer) as (speaker, _):
        with pytest.raises(SpeakerDown, match="does not speak protocol 1"):
            await announce(speaker)


@pytest.mark.parametrize(
    "state",
    [None, [], {}, {"overrides": [{}]}, {"overrides": [], "neighbors": [{"address": 1}]}, {"overrides": 7}],
)
async def test_a_state_that_is_not_one_is_down(state):
    async with relay_answering(ok(state=state)) as (speaker, _):
        with pytest.raises(SpeakerDown, match="does not speak protocol 1"):
            await speaker.state()


async def test_a_state_is_read_with_link_names_in_the_order_of_the_model():
    held = {
        "prefix": "198.51.100.0/24",
        "signals": [{"link_id": 2, "withhold": True}, {"link_id": 1, "prepend": 2}, {"link_id": 9, "prepend": 0}],
        "owner": "p-1",
        "deadline": 1768246800.0,
        "acked": True,
    }
    neighbors = [{"address": "192.0.2.65", "state": "unknown", "since": None}]
    full = {
        "allow_list": {"digest": "5f", "problem": None},
        "overrides": [held],
        "neighbors": neighbors,
        "frozen": True,
        "counters": {"announces": 3},
    }
    async with relay_answering(ok(state=full)) as (speaker, _):
        state = await speaker.state()
    signals = (*OVERRIDE.signals, Signal(link="link-9", prepend=0))
    assert state.overrides[0].override == Override(prefix=PREFIX, signals=signals)
    assert state.overrides[0].deadline == datetime(2026, 1, 12, 19, 40, tzinfo=UTC)
    assert (state.neighbors[0].state, state.neighbors[0].since) == ("unknown", None)
    assert (state.frozen, state.counters) == (True, {"announces": 3})


async def test_a_connection_that_ends_before_the_answer_is_unknown_for_a_prefix_and_down_for_the_rest():
    async with relay_answering(lambda _: b"") as (speaker, _):
        with pytest.raises(NotAcknowledged, match="it may still go out"):
            await announce(speaker)
        with pytest.raises(SpeakerDown):
            await speaker.state()


async def test_a_relay_that_never_answers_is_given_up(monkeypatch):
    monkeypatch.setattr(speaker_module, "WIRE_SECONDS", 0.05)
    monkeypatch.setattr(speaker_module, "QUICK_SECONDS", 0.05)
    never = asyncio.Event()

    async def silent(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await never.wait()
        writer.close()

    with tempfile.TemporaryDirectory(prefix="te-") as directory:
        path = Path(directory) / "relay.sock"
        async with await asyncio.start_unix_server(silent, path):
            speaker = RelaySpeaker(path, link_ids=LINK_IDS)
            with pytest.raises(NotAcknowledged, match=r"no answer to announce 198\.51\.100\.0/24 within 0\.05s"):
                await announce(speaker)
            with pytest.raises(SpeakerDown, match=r"no answer to state within 0\.05s"):
                await speaker.state()
            never.set()
            await asyncio.sleep(0)


async def test_nobody_at_the_socket_is_down_at_once(tmp_path):
    speaker = RelaySpeaker(tmp_path / "none.sock", link_ids=LINK_IDS)
    with pytest.raises(SpeakerDown, match=r"none\.sock: No such file or directory"):
        await announce(speaker)
    await speaker.start()
    await speaker.stop()
    await speaker.stop()


async def test_a_link_that_has_no_id_is_refused_before_anything_is_sent():
    async with relay_answering(ok()) as (speaker, requests):
        with pytest.raises(SpeakerRejected, match="link c has no id"):
            await speaker.announce(
                Override(prefix=PREFIX, signals=(Signal(link="c", prepend=0),)), owner="p-1", deadline=None
            )
    assert requests == []


async def test_routers_are_told_again_by_a_request_of_its_own():
    async with relay_answering(ok()) as (speaker, requests):
        await speaker.repeat()
    assert requests == [{"version": 1, "id": 1, "do": "repeat"}]
