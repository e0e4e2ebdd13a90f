"""Language models that say what a test wants them to."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

from teagent.errors import AdvisorError
from teagent.model.advice import ModelState, Prompt, Reply

Say = Callable[[Prompt], str]


def obliging(prompt: Prompt) -> str:
    """What the schema asks for: the first option, or a word for each key."""
    properties = prompt.schema["properties"]
    assert isinstance(properties, dict)
    return json.dumps({key: row["enum"][0] if "enum" in row else f"{key}." for key, row in properties.items()})


class FakeAdvisor:
    """Implements ports.Advisor. `error` is raised instead; with `hangs` it never answers."""

    model = "fake:1b"

    def __init__(self, say: Say = obliging) -> None:
        self.say = say
        self.asked: list[Prompt] = []
        self.error: AdvisorError | None = None
        self.hangs = False

    async def state(self) -> ModelState:
        return ModelState(
            model=self.model,
            server="http://x",
            parameters="1B",
            quantization="?",
            size_bytes=1,
            context=8,
            thinks=False,
        )

    async def ask(self, prompt: Prompt) -> Reply:
        self.asked.append(prompt)
        if self.hangs:
            await asyncio.get_running_loop().create_future()
        if self.error is not None:
            raise self.error
        return Reply(text=self.say(prompt), thinking="", model=self.model, prompt_tokens=100, tokens=20, seconds=1.5)
