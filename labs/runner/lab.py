"""A lab: one topology file, deployed under a name, and taken down again."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from labs.runner import images, state
from labs.runner.errors import (
    AlreadyDeployed,
    LabError,
    MissingPrograms,
    NamespaceTaken,
    NodeFailed,
    NoSuchNode,
    NotDeployed,
    NotRoot,
)
from labs.runner.namespace import Pid, Starting, kill
from labs.runner.node import Node
from labs.runner.reading import load_topology, valid_name
from labs.runner.state import Instance
from labs.runner.topology import Endpoint, NodeSpec, Topology

_NETNS = Path("/run/netns")
_EXEC_SECONDS = 60.0


class Lab:
    """The constructor touches nothing; `deploy` brings everything up or leaves nothing; `destroy` may be called twice.

    As a context manager it is deployed on entry and destroyed on exit, whatever happens between.
    """

    def __init__(self, topology: Topology, *, name: str | None = None) -> None:
        self.topology = topology
        self.name = name if name is not None else topology.name
        self._starting: list[Starting] = []
        self._instance: Instance | None = None

    @classmethod
    def from_file(cls, path: str | Path, *, name: str | None = None) -> Self:
        """Raises `teagent.errors.ConfigError` with everything that is wrong in the file."""
        return cls(load_topology(Path(path)), name=name)

    @classmethod
    def running(cls, name: str) -> Self:
        """The lab that somebody has deployed under this name. Raises NotDeployed."""
        instance = state.read(name)
        lab = cls(load_topology(Path(instance.topology)), name=name)
        lab._instance = instance
        return lab

    def __enter__(self) -> Self:
        self.deploy()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.destroy()

    @property
    def nodes(self) -> tuple[str, ...]:
        return tuple(node.name for node in self.topology.nodes)

    def node(self, name: str) -> Node:
        """Raises NotDeployed or NoSuchNode."""
        if self._instance is None:
            raise NotDeployed(self.name, known=state.names())
        return node_of(self._instance, name)

    def deploy(self) -> None:
        """Raises LabError; whatever had come up by then has been taken down again."""
        self._check()
        if not state.claim(self.name):
            raise AlreadyDeployed(self.name, running=state.read(self.name).running)
        try:
            self._spawn()
            self._connect()
            self._each(self._boot)
            self._each(self._exec)
        except BaseException:
            self.destroy()
            raise

    def destroy(self) -> None:
        for starting in self._starting:
            starting.abandon()
        destroy(self.name)
        for starting in self._starting:
            starting.reap()
        self._starting = []
        self._instance = None

    def _check(self) -> None:
        if os.geteuid() != 0:
            raise NotRoot("deploy")
        if not valid_name(self.name):
            raise LabError(f"{self.name!r} is not a name for a lab: letters, digits, dots, dashes and underscores")
        wanted = [("the runner", program, package) for program, package in images.missing_tools()]
        missing: list[tuple[str, str, str | None]] = [*wanted]
        for node in self.topology.nodes:
            missing += [(node.name, program, package) for program, package in images.missing(node)]
        if missing:
            raise MissingPrograms(missing)
        if self.name not in state.names():
            for node in self.topology.nodes:
                if (_NETNS / f"{self.name}-{node.name}").exists():
                    raise NamespaceTaken(f"{self.name}-{node.name}")

    def _spawn(self) -> None:
        specs = self.topology.nodes
        instance = Instance(
            name=self.name,
            topology=str(self.topology.path),
            nodes=tuple(spec.name for spec in specs),
            images={spec.name: spec.image for spec in specs},
            env={spec.name: dict(spec.env) for spec in specs},
            pids={},
        )
        state.save(instance)
        for spec in specs:
            self._starting.append(Starting(spec, instance.log(spec.name)))
        pids = {starting.node.name: starting.ready() for starting in self._starting}
        self._instance = replace(instance, pids=pids)
        state.save(self._instance)
        for starting in self._starting:
            starting.go()
        for name, pid in pids.items():
            _ip(["netns", "attach", self._instance.netns(name), str(pid.number)])

    def _connect(self) -> None:
        made = []
        for link in self.topology.links:
            mtu = f"mtu {link.mtu} " if link.mtu else ""
            a, b = (f"name {e.interface} netns {self.name}-{e.node}{_mac(e)}" for e in link.endpoints)
            made.append(f"link add {mtu}{a} type veth peer {mtu}{b}")
        _ip(["-batch", "-"], made)
        for spec in self.topology.nodes:
            ends = self.topology.interfaces(spec.name)
            up = ["link add br0 type bridge", "link set br0 up"] if spec.kind == "bridge" else []
            up += [f"link set {end.interface} master br0" for end in ends if spec.kind == "bridge"]
            for end in ends:
                up += [f"link set {end.interface} up"]
                up += [f"addr add {address} dev {end.interface}" for address in end.addresses]
            _ip(["-n", f"{self.name}-{spec.name}", "-batch", "-"], up)

    def _each(self, step: Callable[[NodeSpec], None]) -> None:
        with ThreadPoolExecutor(max_workers=8) as pool:
            try:
                for _ in pool.map(step, self.topology.nodes):
                    pass
            except BaseException:
                # what the other nodes are at would be waited for: it ends with them
                kill(list(self._instance.pids.values()) if self._instance else [])
                raise

    def _boot(self, spec: NodeSpec) -> None:
        """What the container's start would do: kernel settings, then the image's daemon or the given command."""
        time.sleep(spec.startup_delay_seconds)
        for name, value in spec.sysctls.items():
            self._run(spec, ["sysctl", "-qw", f"{name}={value}"], "sysctl")
        started = images.daemon(spec)
        if started is not None and started.word == "frr":
            self._run(spec, ["bash", "-c", _FRR_FILES], "preparing /etc/frr")
        if started is not None:
            self._run(spec, list(started.command), started.command[0])
        if spec.command:
            with self._log(spec) as log:
                # the node's main process: it lives as long as it likes and ends with the node
                self.node(spec.name).popen(["setsid", "--fork", *spec.command], stdout=log, stderr=log).wait()

    def _exec(self, spec: NodeSpec) -> None:
        for command in spec.exec:
            self._run(spec, list(command), "exec")

    def _run(self, spec: NodeSpec, command: list[str], what: str) -> None:
        """Output goes to the node's log, for a daemon that keeps it open would hold up a pipe forever."""
        with self._log(spec) as log:
            start = log.tell()
            process = self.node(spec.name).popen(command, stdout=log, stderr=log)
            try:
                code = process.wait(timeout=_EXEC_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                raise NodeFailed(spec.name, f"{what} {' '.join(command)!r} took longer than 60s", "") from None
        if code != 0:
            with Path(log.name).open(errors="replace") as written:
                written.seek(start)
                said = written.read()
            failed = f"{what} {' '.join(command)!r} exited with {code}"
            raise NodeFailed(spec.name, failed, said, hint=images.install_hint(said))

    def _log(self, spec: NodeSpec) -> IO[str]:
        if self._instance is None:
            raise AssertionError("only while deploying")
        log = self._instance.log(spec.name).open("a", encoding="utf-8")
        log.seek(0, os.SEEK_END)
        return log


# The FRR image brings these; Debian's own in /etc/frr are hidden, for they may be those of a router that this is
_FRR_FILES = """
[ -e /etc/frr/vtysh.conf ] || echo 'service integrated-vtysh-config' > /etc/frr/vtysh.conf
[ -e /etc/frr/daemons ] || printf '%s\\n' vtysh_enable=yes 'zebra_options="-A 127.0.0.1"' > /etc/frr/daemons
[ -e /etc/frr/frr.conf ] || : > /etc/frr/frr.conf
"""


def node_of(instance: Instance, name: str) -> Node:
    """Raises NoSuchNode, and LabError where the node's process 1 is gone."""
    if name not in instance.nodes:
        raise NoSuchNode(instance.name, name, known=instance.nodes)
    pid = instance.pids.get(name)
    if pid is None or not pid.alive:
        raise LabError(
            f"node {name} of lab {instance.name} is not running",
            hint=f"python -m labs.runner destroy --name {instance.name}",
        )
    return Node(name=name, lab=instance.name, pid=pid.number, env=instance.env.get(name, {}))


def destroy(name: str) -> bool:
    """Takes down whatever there is of the lab, whoever deployed it; False where there was nothing.

    Raises NotRoot, and LabError where a process would not die; then the state stays, so that it can be tried again.
    """
    try:
        instance = state.read(name)
    except NotDeployed:
        return False
    if os.geteuid() != 0:
        raise NotRoot("destroy")
    namespaces = [instance.netns(node) for node in instance.nodes if (_NETNS / instance.netns(node)).exists()]
    kill(list(instance.pids.values()))
    # what somebody put into a namespace by `ip netns exec` is in none of the nodes' pid namespaces
    kill([pid for namespace in namespaces for pid in _inside(namespace)])
    for namespace in namespaces:
        _ip(["netns", "del", namespace])
    state.forget(name)
    return True


def _inside(namespace: str) -> Iterable[Pid]:
    for number in _ip(["netns", "pids", namespace]).split():
        try:
            yield Pid.of(int(number))
        except LabError:
            continue


def _mac(end: Endpoint) -> str:
    return f" address {end.mac}" if end.mac else ""


def _ip(arguments: Sequence[str], lines: Sequence[str] = ()) -> str:
    done = subprocess.run(
        ["ip", *arguments], input="".join(f"{line}\n" for line in lines), text=True, capture_output=True, check=False
    )
    if done.returncode != 0:
        raise LabError(f"ip {' '.join(arguments)}: {' / '.join(done.stderr.strip().splitlines())}")
    return done.stdout
