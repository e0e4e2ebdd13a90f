#!/usr/bin/env python3
"""Coverage-guided fuzzing of the flow codecs with atheris; see README.md."""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["teagent"]):
    from tests.fuzz.targets import run

atheris.Setup(sys.argv, run)
atheris.Fuzz()
