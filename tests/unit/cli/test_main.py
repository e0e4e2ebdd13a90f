"""The entry point, in a process of its own: what it does to the process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

CALL = """
import os, sys, teagent.cli
sys.argv = ["teagent", "--version"]
try:
    teagent.cli.main()
except SystemExit:
    assert "numpy" not in sys.modules
    print(os.environ["OPENBLAS_NUM_THREADS"])
"""


@pytest.mark.parametrize(("given", "wanted"), [({}, "1"), ({"OPENBLAS_NUM_THREADS": "2"}, "2")])
def test_blas_has_one_thread_unless_the_environment_says_otherwise(given: dict[str, str], wanted: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "OPENBLAS_NUM_THREADS"}
    done = subprocess.run([sys.executable, "-c", CALL], capture_output=True, text=True, env=environment | given)
    assert done.stdout.splitlines()[-1:] == [wanted], done.stderr


@pytest.mark.parametrize("words", [["--version"], ["freeze", "--help"]])
def test_a_disk_that_is_full_under_the_answer_is_said_in_a_line(words: list[str]) -> None:
    with Path("/dev/full").open("wb") as full:
        line = [sys.executable, "-m", "teagent.cli", *words]
        done = subprocess.run(line, stdout=full, stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr) == (1, "error: the answer cannot be written: no space left on device\n")
