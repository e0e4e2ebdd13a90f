"""Reads a containerlab topology file into a `Topology`, or says everything that is wrong with it, with its place."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from labs.runner import document
from labs.runner.document import Document
from labs.runner.links import read_links
from labs.runner.topology import Bind, NodeSpec, Topology

_TOP = frozenset({"name", "prefix", "mgmt", "topology", "settings", "debug"})
_TOPOLOGY = frozenset({"defaults", "kinds", "groups", "nodes", "links"})
_HONOURED = frozenset({
    "binds", "cmd", "entrypoint", "env", "env-files", "exec", "group", "hostname", "image", "kind", "network-mode",
    "startup-delay", "sysctls", "tmpfs",
})  # fmt: skip
# these dress a container and change nothing that a namespace has
_PASSED_OVER = frozenset({
    "aliases", "auto-remove", "cap-add", "certificate", "cgroup-parent", "cgroupns-mode", "cpu", "cpu-set",
    "credentials", "devices", "dns", "enforce-startup-config", "extras", "healthcheck", "image-pull-policy", "labels",
    "link-apply-mode", "memory", "mgmt-ipv4", "mgmt-ipv6", "ports", "privileged", "restart-policy", "runtime",
    "security-opts", "shm-size", "suppress-startup-config", "type", "user", "volumes",
})  # fmt: skip
_NEEDS_DOCKER = frozenset({"components", "config", "license", "pid-mode", "stages", "startup-config"})
_KINDS = frozenset({"linux", "bridge"})
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._-]*")

# directories that each node has of its own: a bind's source below them could not be seen from within the node
PRIVATE = ("/run", "/var/run", "/var/log", "/var/tmp", "/etc/frr", "/etc/bird", "/var/lib/snmp", "/var/lib/frr", "/var/agentx")  # noqa: E501  # fmt: skip

Layer = tuple[str, Mapping[str, yaml.Node]]


def load_topology(path: Path) -> Topology:
    """Raises `teagent.errors.ConfigError` with all problems of the file."""
    path = path.absolute()
    doc, root = document.read(path)
    top = doc.mapping(root, "")
    doc.one_of(top, "", _TOP)
    name = doc.text(top.get("name"), "name")
    if name is None:
        doc.problem(root, "name", "is missing")
    elif not valid_name(name):
        doc.problem(top["name"], "name", f"{name!r} is not a name of letters, digits, dots, dashes and underscores")
    body = doc.mapping(top.get("topology"), "topology")
    doc.one_of(body, "topology", _TOPOLOGY)
    nodes = _Nodes(doc, body, path.parent).read()
    if not nodes:
        doc.problem(body.get("nodes", root), "topology.nodes", "there is no node")
    links = read_links(doc, body.get("links"), known=[n.name for n in nodes])
    doc.raise_problems()
    return Topology(name=name or "", path=path, nodes=tuple(nodes), links=tuple(links))


def valid_name(name: str) -> bool:
    return _NAME.fullmatch(name) is not None and len(name) <= 64


class _Nodes:
    """The nodes section with the layers that a node inherits from: defaults, kind, group, itself."""

    def __init__(self, doc: Document, body: Mapping[str, yaml.Node], base: Path) -> None:
        self._doc = doc
        self._base = base
        self._defaults = doc.mapping(body.get("defaults"), "topology.defaults")
        self._kinds = doc.mapping(body.get("kinds"), "topology.kinds")
        self._groups = doc.mapping(body.get("groups"), "topology.groups")
        self._nodes = doc.mapping(body.get("nodes"), "topology.nodes")
        self._check_keys("topology.defaults", self._defaults)
        for section, entries in (("kinds", self._kinds), ("groups", self._groups)):
            for name, node in entries.items():
                self._check_keys(f"topology.{section}.{name}", doc.mapping(node, f"topology.{section}.{name}"))

    def read(self) -> list[NodeSpec]:
        return [self._node(name, node) for name, node in self._nodes.items()]

    def _check_keys(self, key: str, values: Mapping[str, yaml.Node]) -> None:
        for name, node in values.items():
            if name in _NEEDS_DOCKER:
                self._doc.problem(
                    node, f"{key}.{name}", "needs containerlab with Docker, namespaces have no such thing"
                )
        self._doc.one_of(dict(values), key, _HONOURED | _PASSED_OVER | _NEEDS_DOCKER)

    def _node(self, name: str, node: yaml.Node) -> NodeSpec:
        doc, key = self._doc, f"topology.nodes.{name}"
        own = doc.mapping(node, key)
        self._check_keys(key, own)
        if not valid_name(name):
            doc.problem(node, key, "a node's name is letters, digits, dots, dashes and underscores")
        group = self._text("group", [(key, own), ("topology.defaults", self._defaults)])
        grouped = self._layer("groups", group)
        kind = self._text("kind", [(key, own), grouped, ("topology.defaults", self._defaults)]) or "linux"
        if kind not in _KINDS:
            doc.problem(
                own.get("kind", node), f"{key}.kind", f"{kind} cannot run in a namespace, only linux and bridge"
            )
        if group is not None and group not in self._groups:
            doc.problem(own.get("group", node), f"{key}.group", f"there is no group {group} in topology.groups")
        # most specific first
        layers = [(key, own), grouped, self._layer("kinds", kind), ("topology.defaults", self._defaults)]
        self._refuse_foreign_network(layers)
        return NodeSpec(
            name=name,
            kind=kind,
            image=self._text("image", layers) or "",
            hostname=self._text("hostname", layers) or name,
            binds=self._binds(layers, name),
            tmpfs=tuple(self._tmpfs(layers)),
            env=self._env(layers),
            sysctls=self._merged("sysctls", layers),
            command=self._command(layers),
            exec=self._exec(layers, name),
            startup_delay_seconds=self._delay(layers),
        )

    def _layer(self, section: str, name: str | None) -> Layer:
        entries = {"groups": self._groups, "kinds": self._kinds}[section]
        key = f"topology.{section}.{name}"
        return key, self._doc.mapping(entries.get(name), key) if name is not None else {}

    def _text(self, field: str, layers: Sequence[Layer]) -> str | None:
        for key, values in layers:
            if (text := self._doc.text(values.get(field), f"{key}.{field}")) is not None:
                return text
        return None

    def _refuse_foreign_network(self, layers: Sequence[Layer]) -> None:
        key, values = next(((k, v) for k, v in layers if "network-mode" in v), ("", {}))
        mode = self._doc.text(values.get("network-mode"), f"{key}.network-mode")
        if mode not in {None, "none", "bridge"}:
            self._doc.problem(values["network-mode"], f"{key}.network-mode", f"{mode} is not possible, only none")

    def _merged(self, field: str, layers: Sequence[Layer]) -> dict[str, str]:
        merged: dict[str, str] = {}
        for key, values in reversed(layers):
            for name, node in self._doc.mapping(values.get(field), f"{key}.{field}").items():
                merged[name] = self._doc.text(node, f"{key}.{field}.{name}") or ""
        return merged

    def _env(self, layers: Sequence[Layer]) -> dict[str, str]:
        env: dict[str, str] = {}
        for key, values in reversed(layers):
            for name, node in self._doc.texts(values.get("env-files"), f"{key}.env-files"):
                env |= self._env_file(name, node, f"{key}.env-files")
        return env | self._merged("env", layers)

    def _env_file(self, name: str, node: yaml.Node, key: str) -> dict[str, str]:
        try:
            lines = (self._base / name).read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError):
            self._doc.problem(node, key, f"{name} cannot be read")
            return {}
        pairs = [line.split("=", 1) for line in lines if line.strip() and not line.lstrip().startswith("#")]
        return {pair[0].strip(): pair[1] for pair in pairs if len(pair) == 2}

    def _exec(self, layers: Sequence[Layer], node_name: str) -> tuple[tuple[str, ...], ...]:
        commands = []
        for key, values in reversed(layers):
            for text, node in self._doc.texts(values.get("exec"), f"{key}.exec"):
                command = self._words(text.replace("__clabNodeName__", node_name), node, f"{key}.exec")
                commands += [command] if command else []
        return tuple(commands)

    def _words(self, text: str, node: yaml.Node, key: str) -> tuple[str, ...]:
        # containerlab runs exec without a shell; a pipe or a semicolon there needs `bash -c "..."` in both
        try:
            words = tuple(shlex.split(text))
        except ValueError as error:
            self._doc.problem(node, key, f"{text!r} cannot be split into words: {str(error).lower()}")
            return ()
        if not words:
            self._doc.problem(node, key, "an empty command")
        return words

    def _command(self, layers: Sequence[Layer]) -> tuple[str, ...]:
        words: tuple[str, ...] = ()
        for field in ("entrypoint", "cmd"):
            key, values = next(((k, v) for k, v in layers if field in v), ("", {}))
            text = self._doc.text(values.get(field), f"{key}.{field}")
            words += self._words(text, values[field], f"{key}.{field}") if text else ()
        return words

    def _delay(self, layers: Sequence[Layer]) -> int:
        key, values = next(((k, v) for k, v in layers if "startup-delay" in v), ("", {}))
        return self._doc.number(values.get("startup-delay"), f"{key}.startup-delay", low=0, high=600) or 0

    def _tmpfs(self, layers: Sequence[Layer]) -> list[str]:
        found = []
        for key, values in reversed(layers):
            for text, node in self._doc.texts(values.get("tmpfs"), f"{key}.tmpfs"):
                if not text.startswith("/"):
                    self._doc.problem(node, f"{key}.tmpfs", f"{text!r} is not an absolute path")
                found.append(text.split(":")[0])
        return found

    def _binds(self, layers: Sequence[Layer], node_name: str) -> tuple[Bind, ...]:
        """By target, the most specific layer's bind winning; in the order of first mention."""
        by_target: dict[str, Bind] = {}
        for key, values in reversed(layers):
            for text, node in self._doc.texts(values.get("binds"), f"{key}.binds"):
                bind = self._bind(text.replace("__clabNodeName__", node_name), node, f"{key}.binds")
                if bind is not None:
                    by_target[bind.target] = bind
        return tuple(by_target.values())

    def _bind(self, text: str, node: yaml.Node, key: str) -> Bind | None:
        parts = text.split(":")
        if len(parts) not in {2, 3} or not parts[0] or not parts[1].startswith("/"):
            self._doc.problem(node, key, f"{text!r} is not SOURCE:/TARGET or SOURCE:/TARGET:ro")
            return None
        source = (self._base / Path(parts[0]).expanduser()).resolve()
        if not source.exists():
            self._doc.problem(node, key, f"there is no {parts[0]} beside the topology file")
            return None
        if any(source.is_relative_to(private) for private in PRIVATE):
            self._doc.problem(node, key, f"{parts[0]} is under a directory that every node has of its own")
            return None
        options = set(parts[2].split(",")) if len(parts) == 3 else set()
        return Bind(source=source, target=parts[1].rstrip("/") or "/", read_only="ro" in options)
