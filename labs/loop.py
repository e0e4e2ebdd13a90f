"""teagent, ExaBGP and the relay on a running lab's management node: started, asked, killed, stopped."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from labs.runner import Lab, LabError, NodeProcess

BIN = Path(sys.executable).parent
NODE = "mgmt"
RUN = "/run/teagent"
ENVIRONMENT = {"TEAGENT_LAB_COMMUNITY": "public", "NO_COLOR": "1", "PYTHONUNBUFFERED": "1"}


class ClosedLoop:
    """A context manager: what it started has ended when it is left. `config` is teagent's, as the node sees it.

    Logs go to `logs`, one file a process, appended to over restarts.
    """

    def __init__(self, lab: Lab, config: Path, *, logs: Path) -> None:
        self.lab = lab
        self.config = config
        self._logs = logs
        self._exabgp: NodeProcess | None = None
        self._daemon: NodeProcess | None = None
        self._files: list[IO[str]] = []

    def __enter__(self) -> Self:
        self._node_run(["mkdir", "-p", RUN])
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.stop()

    def _node_run(self, words: list[str], **more: Any) -> subprocess.CompletedProcess[str]:
        return self.lab.node(NODE).run(words, env=ENVIRONMENT, **more)

    def _log(self, name: str) -> IO[str]:
        file = (self._logs / f"{name}.log").open("a", encoding="utf-8")
        self._files.append(file)
        return file

    def log(self, name: str) -> str:
        path = self._logs / f"{name}.log"
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    # --- ExaBGP with the relay -------------------------------------------------------------------------------------

    def write_exabgp_files(self) -> None:
        self.teagent("exabgp-config", "--config", str(self.config), "--user", "root", "--output", RUN)

    def start_exabgp(self) -> None:
        """Its two files are those that `teagent exabgp-config` writes."""
        self.write_exabgp_files()
        log = self._log("exabgp")
        self._exabgp = self.lab.node(NODE).popen(
            [str(BIN / "exabgp"), "server", f"{RUN}/exabgp.conf"],
            env={**ENVIRONMENT, "EXABGP_ENVFILE": f"{RUN}/exabgp.env"},
            stdout=log,
            stderr=log,
        )

    def kill_exabgp(self) -> None:
        """SIGKILL, as the kernel's out-of-memory killer would."""
        self._kill(self._exabgp)
        self._exabgp = None

    # --- the daemon ------------------------------------------------------------------------------------------------

    def start_daemon(self) -> None:
        log = self._log("teagent")
        self._daemon = self.lab.node(NODE).popen(
            [str(BIN / "teagent"), "run", "--config", str(self.config)], env=ENVIRONMENT, stdout=log, stderr=log
        )

    def kill_daemon(self) -> None:
        self._kill(self._daemon)
        self._daemon = None

    def stop_daemon(self) -> int:
        """SIGTERM, as systemd stops it; its exit code."""
        if self._daemon is None:
            raise LabError("the daemon is not running")
        self._daemon.terminate()
        code = self._daemon.wait(timeout=60)
        self._daemon = None
        return code

    def signal_daemon(self, number: int) -> None:
        if self._daemon is None:
            raise LabError("the daemon is not running")
        self._daemon.send_signal(number)

    @staticmethod
    def _kill(process: NodeProcess | None) -> None:
        if process is not None:
            process.kill()
            process.wait(timeout=30)

    def stop(self) -> None:
        self.kill_daemon()
        self.kill_exabgp()
        for file in self._files:
            file.close()
        self._files = []

    # --- its files -------------------------------------------------------------------------------------------------

    def read(self, path: str) -> str:
        """A file as the node sees it."""
        return self._node_run(["cat", path]).stdout

    def write(self, path: str, text: str) -> None:
        self._node_run(["tee", path], input=text)

    # --- asking ----------------------------------------------------------------------------------------------------

    def teagent(
        self, *words: str, check: bool = True, timeout: float = 60, user: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """The command line, on the management node, as a person would use it; as another user with `user`."""
        command = [str(BIN / "teagent"), *words]
        if user is not None:
            command = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", "--", *command]
        return self._node_run(command, check=check, timeout=timeout)

    def ask(self, *words: str) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self.teagent(*words, "--json").stdout)
        return answer

    def wait_for(
        self,
        what: str,
        look: Callable[[], Any],
        *,
        seconds: float,
        every: float = 1.0,
        tell: Callable[[float], None] | None = None,
    ) -> Any:
        """The first answer of `look` that is true. Raises LabError, with the ends of both logs, when there is none."""
        started = time.monotonic()
        while not (found := look()):
            elapsed = time.monotonic() - started
            if tell is not None:
                tell(elapsed)
            for name, process in (("teagent", self._daemon), ("exabgp", self._exabgp)):
                if process is not None and process.poll() is not None:
                    raise LabError(f"{name} ended with {process.returncode} while waiting for {what}\n{self._tails()}")
            if elapsed > seconds:
                raise LabError(f"{what}: not within {seconds:.0f}s\n{self._tails()}")
            time.sleep(every)
        return found

    def _tails(self) -> str:
        ends = []
        for name in ("teagent", "exabgp"):
            lines = self.log(name).splitlines()[-15:]
            ends.append("\n".join([f"--- {name}.log", *lines]))
        return "\n".join(ends)

    def ready(self) -> bool:
        """The daemon answers, the relay answers it, and the session with the edge is up."""
        done = self.teagent("status", "--json", check=False)
        if done.returncode != 0:
            return False
        speaker: Mapping[str, Any] | None = json.loads(done.stdout)["speaker"]
        neighbors = (speaker or {}).get("neighbors", [])
        return bool(neighbors) and all(row["state"] == "up" for row in neighbors)

    def proposals(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self.ask("proposal", "--all")["proposals"]
        return rows

    def state(self, proposal: str) -> str:
        return str(self.ask("proposal", proposal, "show")["state"])
