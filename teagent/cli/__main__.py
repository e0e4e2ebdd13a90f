"""`python -m teagent.cli`."""

from teagent.cli import main

main()
