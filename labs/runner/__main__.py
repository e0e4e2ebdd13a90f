"""python -m labs.runner deploy|destroy|exec|inspect|list"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from labs.runner import state
from labs.runner.errors import LabError, NotRoot
from labs.runner.lab import Lab, destroy, node_of
from labs.runner.reading import load_topology
from teagent.errors import TeagentError


def main(arguments: Sequence[str] | None = None) -> int:
    signal.signal(signal.SIGTERM, _interrupted)
    given = list(sys.argv[1:] if arguments is None else arguments)
    # what follows a bare -- is the node's command, dashes and all
    cut = given.index("--") if "--" in given else len(given)
    options = _parser().parse_args(given[:cut])
    options.cmd = given[cut + 1 :]
    try:
        return int(options.action(options))
    except TeagentError as error:
        sys.stderr.write(f"error: {error.message}\n")
        if error.hint:
            sys.stderr.write(f"hint:  {error.hint}\n")
        return error.exit_code
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return 130


def _interrupted(_signal: int, _frame: object) -> None:
    # as with control-C: a deployment that is under way cleans up behind itself
    raise KeyboardInterrupt


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m labs.runner", description="Runs containerlab topologies in network namespaces, without Docker."
    )
    actions = parser.add_subparsers(required=True, metavar="deploy|destroy|exec|inspect|list")
    for name, action, words in (
        ("deploy", _deploy, "bring a topology up"),
        ("destroy", _destroy, "take one down, also what a crash left of it"),
        ("exec", _exec, "run a command in a node: exec -t FILE -n NODE -- COMMAND"),
        ("inspect", _inspect, "the nodes of one lab, as JSON"),
        ("list", _list, "the labs that are up"),
    ):
        sub = actions.add_parser(name, help=words, description=words)
        sub.set_defaults(action=action)
        if name != "list":
            sub.add_argument("-t", "--topology", type=Path, metavar="FILE", required=name == "deploy")
            sub.add_argument("--name", metavar="INSTANCE", help="the lab's name, by default the topology's")
        if name == "exec":
            sub.add_argument("-n", "--node", required=True)
    return parser


def _name(options: argparse.Namespace) -> str:
    if options.name is not None:
        return str(options.name)
    if options.topology is None:
        raise LabError("which lab is meant is not said", hint="give -t FILE or --name INSTANCE")
    return load_topology(options.topology).name


def _deploy(options: argparse.Namespace) -> int:
    started = time.monotonic()
    lab = Lab.from_file(options.topology, name=options.name)
    lab.deploy()
    print(f"{lab.name} is up: {len(lab.nodes)} nodes in {time.monotonic() - started:.1f}s")
    return 0


def _destroy(options: argparse.Namespace) -> int:
    name = _name(options)
    print(f"{name} is down" if destroy(name) else f"{name} was not up")
    return 0


def _exec(options: argparse.Namespace) -> int:
    if not options.cmd:
        raise LabError("there is no command to run", hint="exec -n NODE -- COMMAND")
    if os.geteuid() != 0:
        raise NotRoot("enter")
    command = node_of(state.read(_name(options)), options.node).command(options.cmd)
    sys.stdout.flush()
    os.execvp(command[0], command)


def _inspect(options: argparse.Namespace) -> int:
    instance = state.read(_name(options))
    nodes = {
        name: {
            "image": instance.images[name],
            "netns": instance.netns(name),
            "pid": pid.number if (pid := instance.pids.get(name)) else None,
            "running": bool(pid and pid.alive),
            "log": str(instance.log(name)),
        }
        for name in instance.nodes
    }
    print(json.dumps({"name": instance.name, "topology": instance.topology, "nodes": nodes}, indent=2))
    return 0


def _list(_options: argparse.Namespace) -> int:
    for name in state.names():
        instance = state.read(name)
        alive = sum(pid.alive for pid in instance.pids.values())
        print(f"{name}  {alive}/{len(instance.nodes)} nodes running  {instance.topology}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
