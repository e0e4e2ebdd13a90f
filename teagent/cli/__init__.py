"""The command line: a client of the control socket, and pure renderers."""

from __future__ import annotations

import os


def main() -> None:
    """The entry point `teagent`."""
    # Before anything loads numpy: threads of its BLAS wait busily for each other, and are no quicker with arrays of
    # our sizes.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # noqa: TID251  not to be known, but to be handed on
    from teagent.cli.root import teagent

    teagent(prog_name="teagent")
