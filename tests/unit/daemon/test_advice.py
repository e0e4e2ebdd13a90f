"""Questions in words, asked of the daemon with a model behind a real HTTP server, and without one."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_asyncio

from teagent.daemon.advice import AdviceHandlers
from teagent.daemon.app import App
from teagent.daemon.control import Actor
from teagent.daemon.handlers import Handlers
from teagent.errors import Refused
from teagent.wire.control import check_arguments
from tests.fakes.ollama import MODEL, FakeOllama, fake_ollama
from tests.integration.running import Site
from tests.unit.daemon.conftest import inert

pytestmark = pytest.mark.asyncio

KIM = Actor(uid=1000, gid=1000, pid=1, user="kim", groups=frozenset())


async def ask(app: App, command: str, **arguments: object) -> dict[str, Any]:
    answer: Any = Handlers(app).commands()[command].handler(KIM, check_arguments(command, arguments))
    document: dict[str, Any] = json.loads(json.dumps(await answer, allow_nan=False))
    return document


def choosing(words: str) -> Any:
    """A model that finds the option with these words in either order."""

    def say(request: dict[str, Any]) -> str:
        properties = request["format"]["properties"]
        if "choice" not in properties:
            return json.dumps(dict.fromkeys(properties, "transit-a has no data."))
        found = re.search(rf"^(c\d+): .*{re.escape(words)}", request["messages"][1]["content"], re.MULTILINE)
        return json.dumps({"choice": found.group(1) if found else "c1"})

    return say


@pytest.fixture
def server() -> Iterator[FakeOllama]:
    with fake_ollama() as made:
        yield made


@pytest_asyncio.fixture
async def advised(place: Site, server: FakeOllama) -> AsyncIterator[App]:
    place.extra = f'advisor: {{enabled: true, url: "{server.url}", model: "{MODEL}"}}'
    place.write()
    app = inert(place)
    await app.start()
    yield app
    await app.stop(reverting=False)


async def test_without_a_model_the_lookups_are_listed(app: App) -> None:
    document = await ask(app, "ask", question="why is 198.51.100.7 slow?")
    assert (document["model"], document["lookup"], document["result"]) == (None, None, None)
    assert document["choices"][0]["typed"] == "teagent explain 198.51.100.0/24"
    with pytest.raises(Refused, match="no language model is configured"):
        await ask(app, "advisor.status")


async def test_a_question_becomes_a_lookup_and_its_result_is_worded(advised: App, server: FakeOllama) -> None:
    server.say = choosing("why it is slow")
    document = await ask(advised, "ask", question="why is 198.51.100.0/24 slow?")
    assert document["lookup"]["command"] == "explain.show"
    assert document["result"]["prefix"] == "198.51.100.0/24"
    assert document["answer"]["parts"] == [{"heading": "answer", "text": "transit-a has no data."}]
    assert document["cost"]["calls"] == 3


async def test_a_link_that_fails_is_told_of_without_a_forecast(advised: App, server: FakeOllama) -> None:
    server.say = choosing("what if transit-a failed")
    document = await ask(advised, "ask", question="what if transit-a fails tonight?")
    assert document["lookup"]["command"] == "link.list"
    assert "would take instead is not predicted" in server.requests[-1]["messages"][1]["content"]


async def test_a_model_that_follows_the_place_is_not_followed(advised: App) -> None:
    document = await ask(advised, "ask", question="how busy is transit-a?")
    assert document["lookup"] is None
    assert document["abstained"] == ["choice: asked in reversed order the model chose another one"]
    assert len(document["choices"]) > 3


async def test_an_intent_becomes_a_draft_and_nothing_else(place: Site, server: FakeOllama) -> None:
    place.extra = f'advisor: {{enabled: true, url: "{server.url}", model: "{MODEL}"}}'
    config = place.write()
    lone = "{prefix: 203.0.113.0/24}"
    assert lone in config.read_text()
    config.write_text(config.read_text().replace(lone, "{prefix: 203.0.113.0/24, tags: [customer], engineer: true}"))
    before = {path: path.read_text() for path in place.directory.rglob("*.yaml")}
    server.say = choosing("draft a policy")
    app = inert(place)
    await app.start()
    try:
        document = await ask(app, "ask", question="keep 198.51.100.0/24 on transit-a this week")
    finally:
        await app.stop(reverting=False)
    assert document["draft"]["policy"] == "relief"
    assert document["draft"]["problems"] == []
    assert "203.0.113.0/24" in document["draft"]["text"]
    assert "198.51.100.0/24" not in document["draft"]["text"]
    assert {path: path.read_text() for path in place.directory.rglob("*.yaml")} == before


async def test_there_is_no_draft_where_a_policy_moves_nothing_else(advised: App, server: FakeOllama) -> None:
    server.say = choosing("draft a policy")
    with pytest.raises(Refused, match="no draft can be made"):
        await ask(advised, "ask", question="keep 198.51.100.0/24 on transit-a this week")


async def test_no_lookup_can_be_a_command_that_changes_anything(advised: App) -> None:
    from teagent.engine.advise.lookups import Lookup

    handlers = AdviceHandlers(advised, Handlers(advised).commands())
    for command in ("freeze", "config.reload"):
        with pytest.raises(Refused, match="is no look-up"):
            await handlers._look_up(KIM, Lookup(text="", typed="", command=command, arguments={}))


async def test_the_state_has_model_and_cost(advised: App) -> None:
    document = await ask(advised, "advisor.status")
    assert (document["model"], document["problems"]) == (MODEL, [])
    assert document["today"]["calls"] == 0


async def test_a_model_that_is_missing_does_not_keep_the_daemon_from_starting(place: Site, server: FakeOllama) -> None:
    place.extra = f'advisor: {{enabled: true, url: "{server.url}", model: "other:1b"}}'
    place.write()
    app = inert(place)
    await app.start()
    try:
        document = await ask(app, "ask", question="how busy is transit-a?")
    finally:
        await app.stop(reverting=False)
    assert document["abstained"] == [f"choice: {server.url} has no model other:1b"]
