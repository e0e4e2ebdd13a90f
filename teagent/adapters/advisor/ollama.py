"""The language model behind an Ollama server. The only module that knows the `ollama` client, which takes long to
import and is imported when it is first needed.
"""

from __future__ import annotations

import asyncio
import importlib
import re
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from teagent.engine.advise.answer import MAX_ANSWER
from teagent.engine.advise.check import without_thinking
from teagent.errors import AdvisorError
from teagent.model.advice import ModelState, Prompt, Reply

if TYPE_CHECKING:
    from ollama import AsyncClient, ChatResponse

DEFAULT_URL = "http://127.0.0.1:11434"
CONNECT_SECONDS = 2.0
STATE_SECONDS = 10.0
MAX_THINKING = 200_000
"""Characters of thought that are waited for; the deadline ends what is slower."""
_CLOUD = re.compile(r"[-:]cloud$", re.IGNORECASE)


def refuse_cloud(model: str) -> None:
    """Raises AdvisorError for a model that the local server only passes on: what it is told would leave the machine."""
    if _CLOUD.search(model.strip()):
        raise AdvisorError(
            f"{model} does not run here: the server would send what it is told away",
            reason="cloud_model",
            hint="name a model without -cloud, as in llama3.2:3b",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class OllamaSettings:
    """`context` is sent with every call alike, for another one makes the server load the model anew. `thinking_tokens`
    are added to what an answer may take where `think` lets the model think first.
    """

    model: str
    url: str = DEFAULT_URL
    context: int = 4096
    timeout_seconds: float = 120.0
    keep_alive_seconds: float = 1800.0
    think: bool = False
    thinking_tokens: int = 1024


class OllamaAdvisor:
    """Inert: every call opens a connection of its own and closes it, which also stops the server's work."""

    def __init__(self, settings: OllamaSettings, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        refuse_cloud(settings.model)
        self._settings = settings
        self._monotonic = monotonic

    @property
    def model(self) -> str:
        return self._settings.model

    async def state(self) -> ModelState:
        async with self._client(STATE_SECONDS) as client:
            shown = await client.show(self.model)
            listed = await client.list()
        wanted = {self.model, f"{self.model}:latest"}
        size = next((row.size for row in listed.models if row.model in wanted), None)
        details, info = shown.details, shown.modelinfo or {}
        context = next((v for k, v in info.items() if k.endswith(".context_length") and isinstance(v, int)), None)
        return ModelState(
            model=self.model,
            server=self._settings.url,
            parameters=_word(details.parameter_size if details else None),
            quantization=_word(details.quantization_level if details else None),
            size_bytes=None if size is None else int(size),
            context=context,
            thinks="thinking" in (shown.capabilities or ()),
        )

    async def ask(self, prompt: Prompt) -> Reply:
        settings, begun = self._settings, self._monotonic()
        most = prompt.max_tokens + (settings.thinking_tokens if settings.think else 0)
        said, thought, last = "", "", None
        async with self._client(settings.timeout_seconds) as client:
            stream = await client.chat(
                self.model,
                messages=[{"role": "system", "content": prompt.system}, {"role": "user", "content": prompt.user}],
                stream=True,
                think=settings.think,
                format=dict(prompt.schema),
                options={"num_ctx": settings.context, "num_predict": most, "temperature": 0, "seed": 1},
                keep_alive=settings.keep_alive_seconds,
            )
            async for part in stream:
                said += part.message.content or ""
                thought += part.message.thinking or ""
                if len(said) > MAX_ANSWER + MAX_THINKING or len(thought) > MAX_THINKING:
                    raise AdvisorError("the model does not stop talking", reason="too_long")
                if part.done:
                    last = part
                    break
        _refuse_cut(last, said, settings.context, most)
        answer, inline = without_thinking(said)
        assert last is not None  # noqa: S101 - _refuse_cut has looked
        return Reply(
            text=answer,
            thinking=thought or inline,
            model=self.model,
            prompt_tokens=last.prompt_eval_count or 0,
            tokens=last.eval_count or 0,
            seconds=self._monotonic() - begun,
        )

    @asynccontextmanager
    async def _client(self, seconds: float) -> AsyncIterator[AsyncClient]:
        """A client; whatever goes wrong inside becomes an AdvisorError, and so does the deadline."""
        # In a thread the first time: the loop has other things to do than to wait for their import.
        await asyncio.to_thread(importlib.import_module, "ollama")
        import httpx
        from ollama import AsyncClient, ResponseError

        url, model = self._settings.url, self.model
        try:
            # The client's own time-outs are per read: a server that trickles would never be late.
            async with asyncio.timeout(seconds):
                # trust_env: otherwise HTTP_PROXY would be obeyed, for loopback too.
                timeout = httpx.Timeout(seconds, connect=CONNECT_SECONDS)
                # Reading the certificates of all authorities would hold the loop up, for plain HTTP in vain.
                secure = url.startswith("https:")
                async with AsyncClient(host=url, timeout=timeout, trust_env=False, verify=secure) as client:
                    yield client
        except TimeoutError as error:
            raise AdvisorError(f"{model} did not answer in {seconds:g}s", reason="timeout") from error
        except ResponseError as error:
            raise _response_error(error.status_code, url, model) from error
        except (ConnectionError, httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise AdvisorError(
                f"the language model's server cannot be reached on {url}",
                reason="unreachable",
                hint="systemctl status ollama; advisor.url in the configuration",
            ) from error
        except (ValueError, TypeError, AttributeError) as error:  # the client's ValidationError is a ValueError
            raise AdvisorError(f"what answers on {url} does not speak as Ollama does", reason="protocol") from error


def _response_error(status: int, url: str, model: str) -> AdvisorError:
    """By the status; the text is the server's and may say anything."""
    if status == 404:
        return AdvisorError(f"{url} has no model {model}", reason="missing", hint=f"ollama pull {model}")
    if status == -1:
        return AdvisorError(f"the server broke off while {model} answered", reason="broken_off")
    return AdvisorError(
        f"the server refused to ask {model}, status {status}", reason="refused", hint="journalctl -u ollama"
    )


def _refuse_cut(last: ChatResponse | None, said: str, context: int, most: int) -> None:
    """Raises AdvisorError for an answer that is not whole, or was made of a prompt that was not."""
    if last is None:
        raise AdvisorError("the answer ends in the middle", reason="broken_off")
    if last.done_reason == "length":
        raise AdvisorError(f"the answer is not complete after {most} tokens", reason="length")
    if (last.prompt_eval_count or 0) + most > context:
        raise AdvisorError(
            f"the prompt may have been cut: {last.prompt_eval_count} tokens, {most} for the answer, context {context}",
            reason="prompt_cut",
            hint="advisor.context in the configuration",
        )
    if not said.strip():
        raise AdvisorError("the model's answer is empty", reason="empty")


def _word(text: Any) -> str:
    """A server's word, as far as it is one."""
    return re.sub(r"[^A-Za-z0-9._-]", "", str(text or ""))[:20] or "?"
