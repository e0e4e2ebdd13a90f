#!/usr/bin/env python3
"""Coverage-guided fuzzing of the BMP codec with atheris; see README.md."""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["teagent"]):
    from tests.fuzz.bmp_target import read

atheris.Setup(sys.argv, read)
atheris.Fuzz()
