"""The command line: a client of the control socket, and pure renderers."""

from __future__ import annotations


def main() -> None:
    """The entry point `teagent`."""
    from teagent.cli.root import teagent

    teagent(prog_name="teagent")
