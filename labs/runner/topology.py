"""A containerlab topology as values: nodes with everything that they inherit, and links between two of them.

The format is containerlab's (containerlab.dev/manual/topo-def-file). What would need Docker or the machine's own
network is a problem with its place in the file, never silently left out; what only dresses a container (labels,
memory, ports, ...) is read over.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Bind:
    """A file or directory of the machine, seen in the node at `target`."""

    source: Path
    target: str
    read_only: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSpec:
    """One node after defaults, kind and group have been applied; `command` replaces what the image would start."""

    name: str
    kind: str
    image: str
    hostname: str
    binds: tuple[Bind, ...] = ()
    tmpfs: tuple[str, ...] = ()
    env: Mapping[str, str]
    sysctls: Mapping[str, str]
    command: tuple[str, ...] = ()
    exec: tuple[tuple[str, ...], ...] = ()
    startup_delay_seconds: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    node: str
    interface: str
    mac: str | None = None
    addresses: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.node}:{self.interface}"


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkSpec:
    a: Endpoint
    b: Endpoint
    mtu: int | None = None

    @property
    def endpoints(self) -> tuple[Endpoint, Endpoint]:
        return self.a, self.b


@dataclass(frozen=True, slots=True, kw_only=True)
class Topology:
    name: str
    path: Path
    nodes: tuple[NodeSpec, ...]
    links: tuple[LinkSpec, ...]

    def interfaces(self, node: str) -> tuple[Endpoint, ...]:
        return tuple(end for link in self.links for end in link.endpoints if end.node == node)
