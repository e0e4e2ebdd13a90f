"""What is on disk about each lab that is up: /run/teagent-lab/NAME, gone with the machine's boot as the labs are.

The directory is made first and removed last; making it is what keeps two deployments from sharing a name.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from labs.runner.errors import LabError, NotDeployed
from labs.runner.namespace import Pid

ROOT = Path("/run/teagent-lab")
_FILE = "state.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """`pids` holds each node's process 1; it is filled while a lab comes up, so it may lack some of `nodes`."""

    name: str
    topology: str
    nodes: tuple[str, ...]
    images: Mapping[str, str]
    env: Mapping[str, Mapping[str, str]]
    pids: Mapping[str, Pid]

    @property
    def directory(self) -> Path:
        return ROOT / self.name

    @property
    def running(self) -> bool:
        return any(pid.alive for pid in self.pids.values())

    def netns(self, node: str) -> str:
        return f"{self.name}-{node}"

    def log(self, node: str) -> Path:
        return self.directory / f"{node}.log"


def claim(name: str) -> bool:
    """Makes the instance's directory; False where it is there already."""
    ROOT.mkdir(mode=0o755, parents=True, exist_ok=True)
    try:
        (ROOT / name).mkdir(mode=0o755)
    except FileExistsError:
        return False
    return True


def save(instance: Instance) -> None:
    body = {
        "name": instance.name,
        "topology": instance.topology,
        "nodes": list(instance.nodes),
        "images": dict(instance.images),
        "env": {node: dict(env) for node, env in instance.env.items()},
        "pids": {node: {"number": p.number, "started": p.started} for node, p in instance.pids.items()},
    }
    whole = instance.directory / f"{_FILE}.new"
    whole.write_text(json.dumps(body, indent=1) + "\n", encoding="utf-8")
    whole.replace(instance.directory / _FILE)


def read(name: str) -> Instance:
    """Raises NotDeployed where there is no such lab. One that died before its first save has no nodes."""
    directory = ROOT / name
    if not directory.is_dir():
        raise NotDeployed(name, known=names())
    try:
        body = json.loads((directory / _FILE).read_text(encoding="utf-8"))
        return Instance(
            name=name,
            topology=body["topology"],
            nodes=tuple(body["nodes"]),
            images=body["images"],
            env=body["env"],
            pids={node: Pid(number=p["number"], started=p["started"]) for node, p in body["pids"].items()},
        )
    except FileNotFoundError:
        return Instance(name=name, topology="", nodes=(), images={}, env={}, pids={})
    except (ValueError, KeyError, TypeError) as error:
        raise LabError(f"{directory / _FILE} is not what the runner wrote: {error}") from error


def forget(name: str) -> None:
    shutil.rmtree(ROOT / name, ignore_errors=True)


def names() -> Sequence[str]:
    return sorted(entry.name for entry in ROOT.iterdir() if entry.is_dir()) if ROOT.is_dir() else []
