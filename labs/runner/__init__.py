"""Deploys containerlab topologies into network namespaces, with Debian's daemons in place of images.

    with Lab.from_file("labs/two-transit/two-transit.clab.yml", name="try") as lab:
        print(lab.node("ta").run("vtysh -c 'show bgp summary'").stdout)

`docs/how-to/run-a-lab.md` tells what of the format is honoured and how a node differs from a container.
"""

from labs.runner.errors import CommandFailed, CommandTimeout, LabError
from labs.runner.lab import Lab, destroy, node_of
from labs.runner.node import Node, NodeProcess
from labs.runner.reading import load_topology
from labs.runner.topology import Topology

__all__ = [
    "CommandFailed",
    "CommandTimeout",
    "Lab",
    "LabError",
    "Node",
    "NodeProcess",
    "Topology",
    "destroy",
    "load_topology",
    "node_of",
]
