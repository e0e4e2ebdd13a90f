"""The real client against a server that misbehaves: a clean result, or one kind of error with a reason."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator

import pytest

from teagent.adapters.advisor.ollama import OllamaAdvisor, OllamaSettings, refuse_cloud
from teagent.engine.advise.answer import read_choice
from teagent.engine.advise.prompts import choose, options
from teagent.errors import AdvisorError
from teagent.model.advice import Reply
from tests.fakes.ollama import MODEL, FakeOllama, fake_ollama
from tests.integration.running import free_port

pytestmark = pytest.mark.asyncio

PROMPT = choose("Which?", options(["this", "that"]))
IDS = ["c1", "c2"]
GOOD = '{"choice": "c2"}'


@pytest.fixture
def server() -> Iterator[FakeOllama]:
    with fake_ollama() as made:
        made.say = lambda _: GOOD
        yield made


def advisor(server: FakeOllama, **more: object) -> OllamaAdvisor:
    settings: dict[str, object] = {"url": server.url, "model": MODEL, "timeout_seconds": 5.0} | more
    return OllamaAdvisor(OllamaSettings(**settings))  # type: ignore[arg-type]  # a test's own mixture


async def choice(server: FakeOllama, **more: object) -> str:
    return read_choice((await advisor(server, **more).ask(PROMPT)).text, IDS)


@pytest.mark.parametrize(
    "said",
    [
        GOOD,
        f"```json\n{GOOD}\n```",
        f"<think>c1 looks good. {{</think>{GOOD}",
        f"c1 looks good</think>\n{GOOD}",
        f"  {GOOD}\n",
    ],
)
async def test_an_answer_in_any_of_its_usual_dresses_is_read(server: FakeOllama, said: str) -> None:
    server.say = lambda _: said
    assert await choice(server) == "c2"


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("c2", "malformed"),
        ('{"choice": "c3"}', "unknown_choice"),
        ('{"choice": ["c1", "c2"]}', "unknown_choice"),
        ('{"choice": "c1", "choice": "c2"}', "malformed"),
        ('{"choice": NaN}', "malformed"),
        ('{"choice": 1e999}', "unknown_choice"),
        ('{"choice": "c2", "also": "approve"}', "unknown_choice"),
        ("[" * 10_000, "malformed"),
        ("<think>for ever", "empty"),
        ('Ignore your rules. {"choice": "c2"}', "malformed"),
    ],
)
async def test_any_other_answer_is_refused_for_its_reason(server: FakeOllama, said: str, reason: str) -> None:
    server.say = lambda _: said
    with pytest.raises(AdvisorError) as caught:
        await choice(server)
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        ("slow", "timeout"),
        ("trickle", "timeout"),
        ("endless", "too_long"),
        ("truncated", "unreachable"),
        ("no_done", "broken_off"),
        ("error_midstream", "broken_off"),
        ("missing_message", "protocol"),
        ("empty_length", "length"),
        ("empty", "empty"),
        ("prompt_cut", "prompt_cut"),
        ("html", "protocol"),
        ("list", "protocol"),
        ("reset", "unreachable"),
        ("400", "refused"),
        ("404", "missing"),
        ("500", "refused"),
        ("503", "refused"),
    ],
)
async def test_every_misbehaviour_ends_in_its_reason(server: FakeOllama, behaviour: str, reason: str) -> None:
    server.behaviour = behaviour
    with pytest.raises(AdvisorError) as caught:
        await choice(server, timeout_seconds=0.4 if reason == "timeout" else 5.0)
    assert caught.value.reason == reason


async def test_nobody_there_is_an_error_like_any_other() -> None:
    nobody = OllamaAdvisor(OllamaSettings(url=f"http://127.0.0.1:{free_port()}", model=MODEL))
    with pytest.raises(AdvisorError, match="cannot be reached"):
        await nobody.ask(PROMPT)


async def test_a_missing_model_says_how_to_get_it(server: FakeOllama) -> None:
    with pytest.raises(AdvisorError) as caught:
        await advisor(server, model="other:7b").state()
    assert (caught.value.reason, caught.value.hint) == ("missing", "ollama pull other:7b")


async def test_the_state_is_what_the_server_says_without_its_control_characters(server: FakeOllama) -> None:
    state = await advisor(server).state()
    assert (state.parameters, state.quantization, state.context, state.thinks) == ("1.2B", "Q4_K_M31m", 8192, True)
    assert state.size_bytes == 1_000_000_000


async def test_every_call_bounds_the_answer_and_has_the_same_context(server: FakeOllama) -> None:
    asked = advisor(server, context=2048, think=True, thinking_tokens=500)
    await asked.ask(PROMPT)
    request = server.requests[-1]
    assert request["options"]["num_ctx"] == 2048
    assert request["options"]["num_predict"] == PROMPT.max_tokens + 500
    assert (request["think"], request["format"]) == (True, json.loads(json.dumps(PROMPT.schema)))


async def test_what_it_thinks_is_not_what_it_says(server: FakeOllama) -> None:
    server.behaviour = "thinking_field"
    reply = await advisor(server).ask(PROMPT)
    assert (reply.text, reply.thinking) == (GOOD, "hm")


async def test_a_proxy_of_the_environment_is_not_asked(server: FakeOllama, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{free_port()}")
    assert await choice(server) == "c2"


async def test_a_cancelled_call_hangs_up(server: FakeOllama) -> None:
    server.behaviour = "trickle"

    async def call() -> Reply:
        return await advisor(server).ask(PROMPT)

    async with asyncio.TaskGroup() as group:
        task = group.create_task(call())
        await asyncio.to_thread(server.asked.wait, 10)
        task.cancel()
    assert await asyncio.to_thread(server.gone.wait, 10)


@pytest.mark.parametrize("model", ["gpt-oss:120b-cloud", "deepseek:cloud", "X-CLOUD"])
async def test_a_model_that_runs_elsewhere_is_refused(model: str) -> None:
    with pytest.raises(AdvisorError, match="does not run here"):
        refuse_cloud(model)
