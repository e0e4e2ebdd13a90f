"""A language model on a running lab's management node: an Ollama started, watched, killed, stopped."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Self

from labs.loop import NODE
from labs.runner import Lab, NodeProcess

ADDRESS = "127.0.0.1:11434"


class ModelServer:
    """A context manager. `program` is an `ollama` that has the model already: the node reaches no registry."""

    def __init__(self, lab: Lab, program: str, *, logs: Path) -> None:
        self._lab = lab
        self._program = program
        self._logs = logs
        self._process: NodeProcess | None = None

    def __enter__(self) -> Self:
        with (self._logs / "ollama.log").open("a", encoding="utf-8") as log:
            self._process = self._lab.node(NODE).popen(
                [self._program, "serve"], env={"OLLAMA_HOST": ADDRESS}, stdout=log, stderr=log
            )
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.kill()

    def asked(self) -> bool:
        """Is somebody waiting for an answer just now?"""
        found = self._lab.node(NODE).run(["ss", "-Htn", "state", "established", "dst", ADDRESS])
        return bool(found.stdout.strip())

    def kill(self) -> None:
        """SIGKILL: a stop in the middle of an answer, without a word to who waits for it."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait(timeout=30)


def advised(config: Path, model: str, *, directory: Path) -> Path:
    """A copy of teagent's configuration with the advisor on, in `directory`; the policies stay where they are."""
    text = config.read_text(encoding="utf-8").replace("policies: policies", f"policies: {config.parent / 'policies'}")
    text += f'\nadvisor: {{enabled: true, url: "http://{ADDRESS}", model: "{model}", timeout: 3m, suggest: false}}\n'
    copy = directory / "teagent-advised.yaml"
    copy.write_text(text, encoding="utf-8")
    return copy
