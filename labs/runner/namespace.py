"""One node's namespaces: made by `unshare`, held by a small bash as their process 1, gone when that is killed.

The shell sets the node up, says "ready", and then waits for "go" on its standard input, which it gets once its pid is
on disk. When the runner dies before that, the pipe closes and the shell ends, and the namespaces with it: there is no
moment at which a node runs that a later `destroy` does not know of.
"""

from __future__ import annotations

import os
import select
import shlex
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from labs.runner.errors import LabError, NodeFailed
from labs.runner.reading import PRIVATE
from labs.runner.topology import NodeSpec

_SETUP = r"""
set -eu
mine=" "  # directories whose files are the node's own
own() { for m in $mine; do case $1/ in "$m"/*) return 0 ;; esac; done; return 1; }
point() {  # a mount point at $2, made without touching the machine's file system: f(ile) or d(irectory)
  if [ -e "$2" ]; then return 0; fi
  up=$2; while [ ! -e "$up" ]; do up=$(dirname "$up"); done
  if ! own "$up"; then
    if [ "$up" = / ]; then echo "mount point $2: there is no directory ${2%/*} to put it in" >&2; exit 1; fi
    layer=/run/.layer/$(echo "$up" | tr / _); mkdir -p "$layer/upper" "$layer/work"
    mount -t overlay -o "lowerdir=$up,upperdir=$layer/upper,workdir=$layer/work" overlay "$up"
    mine="$mine$up "
  fi
  case $1 in d) mkdir -p "$2" ;; *) mkdir -p "$(dirname "$2")"; : > "$2" ;; esac
}
# other labs' namespaces were copied with the mount table, and would live as long as this node does
umount -R -l /run/netns 2>/dev/null || true
for d in {private}; do
  if [ -d "$d" ] && [ ! -L "$d" ]; then mount -t tmpfs -o mode=755,size=64m tmpfs "$d"; mine="$mine$d "; fi
done
mkdir -p /run/lock /run/bird /run/frr /var/log/frr
for d in /run/frr /var/log/frr /etc/frr /run/bird /etc/bird; do
  if getent passwd "${d##*/}" >/dev/null && [ -d "$d" ]; then chown "${d##*/}:${d##*/}" "$d"; fi
done
mount -t sysfs sysfs /sys
{mounts}
echo {hostname} > /proc/sys/kernel/hostname
ip link set lo up
sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0
[ ! -d /proc/sys/net/ipv6 ] || sysctl -qw net.ipv6.conf.all.disable_ipv6=0 net.ipv6.conf.all.forwarding=1
cd /
echo ready
read -r go && [ "$go" = go ] || exit 0
exec </dev/null >/dev/null 2>&1
set +eu
while :; do sleep infinity & wait; done  # bash as process 1 reaps every orphan of the node
"""

_READY_SECONDS = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Pid:
    """A process for good: its number and its start in clock ticks since boot, for numbers come again."""

    number: int
    started: int

    @property
    def alive(self) -> bool:
        """False for a zombie: nothing of it is left but its exit code."""
        fields = _stat(self.number)
        return fields is not None and fields[0] not in {"Z", "X"} and int(fields[19]) == self.started

    @classmethod
    def of(cls, number: int) -> Pid:
        fields = _stat(number)
        if fields is None:
            raise LabError(f"process {number} is gone")
        return cls(number=number, started=int(fields[19]))


def _stat(number: int) -> list[str] | None:
    try:
        text = Path(f"/proc/{number}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return text.rpartition(") ")[2].split()


class Starting:
    """A node between `spawn` and `go`."""

    def __init__(self, node: NodeSpec, log: Path) -> None:
        self.node = node
        self.log = log
        script = _script(node)
        with log.open("ab") as errors:
            self._process = subprocess.Popen(
                [
                    *("unshare", "--net", "--mount", "--uts", "--ipc", "--pid", "--fork", "--mount-proc"),
                    *("bash", "--noprofile", "--norc", "-c", script),
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
            )

    def ready(self) -> Pid:
        """Waits until the node is set up; returns its process 1. Raises NodeFailed with what it said otherwise."""
        out = self._process.stdout
        if out is None:
            raise AssertionError("spawned with a pipe")
        said = select.select([out], [], [], _READY_SECONDS)[0] and os.read(out.fileno(), 16)
        if said != b"ready\n":
            raise NodeFailed(self.node.name, "did not come up", self.log.read_text(errors="replace"))
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text(encoding="ascii")
        return Pid.of(int(children.split()[0]))

    def go(self) -> None:
        if self._process.stdin is not None:
            self._process.stdin.write(b"go\n")
            self._process.stdin.flush()
        self._close()

    def abandon(self) -> None:
        """Ends a node that was not let go; one that was is left running. Safe to call at any time."""
        self._close()

    def reap(self) -> None:
        """Collects the exit of `unshare` after its child has been killed, so that no zombie stays with this process."""
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired as error:
            raise LabError(f"node {self.node.name} did not end after SIGKILL") from error

    def _close(self) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()


def kill(pids: list[Pid], *, timeout_seconds: float = 10.0) -> None:
    """SIGKILL to each, and waits until they are gone; a pid that has been given to another process is left alone."""
    for pid in pids:
        if pid.alive:
            try:
                os.kill(pid.number, signal.SIGKILL)
            except ProcessLookupError:
                continue
    deadline = time.monotonic() + timeout_seconds
    while any(pid.alive for pid in pids):
        if time.monotonic() > deadline:
            left = [pid.number for pid in pids if pid.alive]
            raise LabError(f"processes {left} did not end within {timeout_seconds:g}s of SIGKILL")
        time.sleep(0.01)


def _script(node: NodeSpec) -> str:
    mounts = []
    for path in node.tmpfs:
        target = shlex.quote(path)
        mounts.append(f"point d {target}; mount -t tmpfs -o mode=1777,size=64m tmpfs {target}")
    for bind in node.binds:
        source, target = shlex.quote(str(bind.source)), shlex.quote(bind.target)
        mounts.append(f"point {'d' if bind.source.is_dir() else 'f'} {target}; mount --rbind {source} {target}")
        if bind.read_only:
            mounts.append(f"mount -o remount,bind,ro {target}")
    return (
        _SETUP.replace("{private}", " ".join(PRIVATE))
        .replace("{mounts}", "\n".join(mounts))
        .replace("{hostname}", shlex.quote(node.hostname))
    )
