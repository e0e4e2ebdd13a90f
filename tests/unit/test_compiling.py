"""What numba's cache is asked by: it would else give what was compiled of other constants."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("numba", reason="the extra teagent[compiled] is not installed")

from teagent import compiling
from teagent.compiling import made_of, within
from teagent.engine.measure import counting_compiled
from teagent.wire.flow import raw_header_compiled, sflow_compiled

CASES = [
    (sflow_compiled, sflow_compiled._pass, ("MOST_STEPS", "LITTLE", "HASH", "EXTENDED_GATEWAY")),
    (raw_header_compiled, sflow_compiled._pass, ("MOST_LAYERS", "VLAN")),
    (
        counting_compiled,
        counting_compiled._count4,
        ("NOWHERE", "MULTIPLIER", "EVEN", "PART", "LATE", "NOBODYS_ASNS"),
    ),
]
TABLE = np.zeros(3)
PRINT = """
from teagent.compiling import made_of
from teagent.engine.measure.counting_compiled import _count6
from teagent.wire.flow.sflow_compiled import _pass
print(made_of(_pass.py_func), made_of(_count6.py_func))
"""


def looked_up(i):
    return TABLE[i]


@pytest.mark.parametrize(("module", "function", "name"), [(m, f, name) for m, f, names in CASES for name in names])
def test_a_constant_of_another_file_makes_another_function(monkeypatch, module, function, name):
    before, value = made_of(function.py_func), getattr(module, name)
    monkeypatch.setattr(module, name, (*value, 1) if isinstance(value, tuple) else type(value)(not value))
    assert made_of(function.py_func) != before
    monkeypatch.undo()
    assert made_of(function.py_func) == before


def test_another_part_makes_another_function(monkeypatch):
    before = made_of(sflow_compiled._pass.py_func)
    monkeypatch.setattr(raw_header_compiled, "u16", within(lambda octets, at: octets[at]))
    assert made_of(sflow_compiled._pass.py_func) != before


def test_a_table_is_looked_into(monkeypatch):
    before = made_of(looked_up)
    monkeypatch.setitem(globals(), "TABLE", np.ones(3))
    assert made_of(looked_up) != before


def test_other_options_make_another_function(monkeypatch):
    before = made_of(sflow_compiled._pass.py_func)
    monkeypatch.setattr(compiling, "OPTIONS", {**compiling.OPTIONS, "boundscheck": False})
    assert made_of(sflow_compiled._pass.py_func) != before


def test_it_is_the_same_in_every_process():
    told = {
        subprocess.run(
            [sys.executable, "-c", PRINT],
            check=True,
            capture_output=True,
            text=True,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
        ).stdout
        for seed in ("1", "2")
    }
    assert told == {f"{made_of(sflow_compiled._pass.py_func)} {made_of(counting_compiled._count6.py_func)}\n"}
