"""Running things in a node.

`nsenter -p` forks: the process that one gets a pid of is not the one that does the work, and killing it leaves the
other behind. Entering without `-p` would make the work our own child, but then it would outlive the node: only what is
in the node's pid namespace ends with the node's process 1. So everything enters the pid namespace, the command dies
with its nsenter (`setpriv --pdeathsig`), and a `NodeProcess` sends its signals to the command itself.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from labs.runner.errors import CommandFailed, CommandTimeout

Command = Sequence[str] | str
Stream = int | IO[Any] | None


class NodeProcess(subprocess.Popen[str]):
    """A Popen whose signals reach the command in the node, and whose `kill` reaches its children too.

    `terminate` and `send_signal` go to the command, whose exit code `wait` then returns; `kill` goes to the whole
    process group. `pid` is nsenter's. A child that makes a session of its own (a daemon) ends only with the node.
    """

    def send_signal(self, sig: int) -> None:
        if self.poll() is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            if sig == signal.SIGKILL or not (children := self._children()):
                os.killpg(self.pid, sig)
            for child in children if sig != signal.SIGKILL else ():
                os.kill(child, sig)

    def _children(self) -> list[int]:
        try:
            listed = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text(encoding="ascii")
        except OSError:
            return []
        return [int(number) for number in listed.split()]


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A running node. `pid` is its process 1 as the machine sees it, `netns` its name for `ip netns`."""

    name: str
    lab: str
    pid: int
    env: Mapping[str, str] = field(default_factory=dict)

    @property
    def netns(self) -> str:
        return f"{self.lab}-{self.name}"

    def command(self, cmd: Command, *, cwd: str | Path | None = None) -> list[str]:
        """The words that run `cmd` in the node, for whoever starts processes by himself (asyncio, a terminal).

        Killing the process that they start kills the command with SIGKILL, once that has begun; in the millisecond
        before, only a signal to the process group (as `NodeProcess.kill` sends) reaches both. The command sees the
        caller's environment and the node's `env`, and starts in `cwd` or in /.
        """
        env = [f"{name}={value}" for name, value in self.env.items()]
        return [
            *("nsenter", "-t", str(self.pid), "-m", "-u", "-i", "-n", "-p"),
            *([f"--wdns={cwd}"] if cwd is not None else []),
            *("--", "setpriv", "--pdeathsig", "KILL", "--"),
            *(["env", *env] if env else []),
            *words(cmd),
        ]

    def popen(
        self,
        cmd: Command,
        *,
        cwd: str | Path | None = None,
        env: Mapping[str, str] | None = None,
        stdin: Stream = subprocess.DEVNULL,
        stdout: Stream = None,
        stderr: Stream = None,
    ) -> NodeProcess:
        return NodeProcess(
            self.command(cmd, cwd=cwd),
            env=None if env is None else {**os.environ, **env},
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            text=True,
            start_new_session=True,
        )

    def run(
        self,
        cmd: Command,
        *,
        check: bool = True,
        timeout: float = 60.0,
        input: str | None = None,  # noqa: A002  # as in subprocess.run
        cwd: str | Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Runs to the end and captures both outputs.

        Raises CommandFailed for an exit code other than 0 (unless `check=False`) and CommandTimeout, with the command
        and its children killed, after `timeout` seconds. What goes on in the background must have its output
        redirected, or the end of the output never comes.
        """
        process = self.popen(
            cmd,
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL if input is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        with process:
            try:
                out, err = process.communicate(input, timeout=timeout)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
                raise CommandTimeout(self.name, words(cmd), timeout_seconds=timeout) from None
            except BaseException:
                process.kill()
                raise
        if check and process.returncode != 0:
            raise CommandFailed(self.name, words(cmd), exit_code=process.returncode, output=err or out)
        return subprocess.CompletedProcess(words(cmd), process.returncode, out, err)


def words(cmd: Command) -> list[str]:
    """A text is split as containerlab splits `exec`: into words, without a shell."""
    return shlex.split(cmd) if isinstance(cmd, str) else list(cmd)
