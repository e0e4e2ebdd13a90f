"""A real Ollama with a very small model, as `scripts/real-ollama` sets it up: started, asked, stopped.

Run as a program it asks everything once, in a network of its own, and prints what came of it as JSON.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from teagent.adapters.advisor.ollama import OllamaAdvisor, OllamaSettings
from teagent.engine.advise.answer import read_choice
from teagent.engine.advise.prompts import brief, choose, options
from teagent.errors import AdvisorError
from teagent.service.try_model import EXAMPLE

MODEL = "smollm2:135m"
PORT = 11434
URL = f"http://127.0.0.1:{PORT}"


def place() -> Path | None:
    """Where it was set up: TEAGENT_OLLAMA, else .ollama in the checkout; None where it was not."""
    found = Path(os.environ.get("TEAGENT_OLLAMA") or Path(__file__).resolve().parents[2] / ".ollama")
    return found if (found / "complete").exists() and (found / "ollama").exists() else None


@contextmanager
def serving(directory: Path) -> Iterator[subprocess.Popen[bytes]]:
    """With the model in it."""
    ollama, env = str(directory / "ollama"), os.environ | {"OLLAMA_HOST": f"127.0.0.1:{PORT}"}
    with (directory / "serve.log").open("wb") as log:
        server = subprocess.Popen([ollama, "serve"], env=env, stdout=log, stderr=log, start_new_session=True)
    try:
        deadline = time.monotonic() + 20
        create = [ollama, "create", MODEL, "-f", str(directory / "Modelfile")]
        while subprocess.run(create, env=env, capture_output=True).returncode != 0:
            if time.monotonic() > deadline or server.poll() is not None:
                raise RuntimeError((directory / "serve.log").read_text(errors="replace")[-2000:])
        yield server
    finally:
        # The runner that holds the model is a process of its own, and outlives a server that is killed.
        with suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
        server.wait(20)


def advisor(**more: Any) -> OllamaAdvisor:
    return OllamaAdvisor(OllamaSettings(**({"model": MODEL, "url": URL, "timeout_seconds": 60.0} | more)))


async def outcome(asked: Any) -> str:
    try:
        await asked
    except AdvisorError as error:
        return error.reason
    return "ok"


async def everything(server: subprocess.Popen[bytes]) -> dict[str, Any]:
    ids, found = ["c1", "c2", "c3"], dict[str, Any]()
    state = await advisor().state()
    found["state"] = [state.model, state.parameters, state.quantization, state.context, state.size_bytes]
    reply = await advisor().ask(choose("Which?", options(["one", "two", "three"])))
    found["choice"] = read_choice(reply.text, ids)
    found["cost"] = [reply.prompt_tokens, reply.tokens]
    found["brief"] = await outcome(advisor().ask(brief(EXAMPLE)))
    found["missing"] = await outcome(advisor(model="other:1b").ask(brief(EXAMPLE)))
    found["missing_state"] = await outcome(advisor(model="other:1b").state())
    found["late"] = await outcome(advisor(timeout_seconds=0.05).ask(brief(EXAMPLE)))
    found["after_late"] = await outcome(advisor().ask(choose("Which?", options(["one", "two"]))))
    async with asyncio.TaskGroup() as group:
        killed = group.create_task(outcome(advisor(timeout_seconds=20.0).ask(brief(EXAMPLE))))
        await asyncio.sleep(0.1)
        server.kill()
    found["killed"] = killed.result()
    found["gone"] = await outcome(advisor().state())
    return found


def main(directory: Path) -> None:
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    with serving(directory) as server:
        sys.stdout.write(json.dumps(asyncio.run(everything(server))))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
