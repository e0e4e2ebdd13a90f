"""`teagent router probe` against net-snmp's agent."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from click.testing import CliRunner

from teagent.cli.root import teagent
from tests.conftest import ROOT
from tests.integration.snmp_agents import free_port, running, snmpd_command

CONFIG = """
rocommunity hush-hush
createUser te SHA-256 correct-horse AES battery-staple
rouser te priv
sysName edge1
"""
SECRETS = {"COMMUNITY": "hush-hush", "WRONG": "not-this-one", "AUTH": "correct-horse", "PRIV": "battery-staple"}


@pytest.fixture(scope="module")
def port(tmp_path_factory):
    base = tmp_path_factory.mktemp("snmpd")
    port = free_port()
    command = snmpd_command(base / "snmpd.conf", base / "state", port, text=CONFIG)
    if command is None:
        pytest.skip("net-snmp's snmpd is not installed")
    with running(command, port=port, community="hush-hush", log=base / "log"):
        yield port


def invoke(*arguments: str):
    return CliRunner().invoke(teagent, ["router", "probe", *arguments], env=SECRETS)


def test_v2c_probe_lists_interfaces(port):
    result = invoke(f"127.0.0.1:{port}", "--community", "env:COMMUNITY")
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    lines = result.stdout.splitlines()
    assert lines[0].startswith(f"edge1  127.0.0.1:{port}  up ")
    lo = next(line.split() for line in lines if line.split()[1:2] == ["lo"])
    assert lo[-3:] == ["up", "64", "yes"]


def test_v3_probe_gives_json(port):
    result = invoke(
        f"127.0.0.1:{port}", "--user", "te", "--auth", "sha256:env:AUTH", "--priv", "aes128:env:PRIV", "--json"
    )
    assert result.exit_code == 0, result.output
    shown = json.loads(result.stdout)
    assert set(shown) == {
        "address",
        "sys_name",
        "sys_descr",
        "sys_uptime_seconds",
        "interfaces",
        "oddities",
        "pdus",
    }
    assert shown["sys_name"] == "edge1"
    lo = next(row for row in shown["interfaces"] if row["if_name"] == "lo")
    assert (lo["counters"], lo["discontinuity"], lo["if_oper_status"]) == (64, True, "up")


@pytest.mark.parametrize(
    ("options", "error", "hint"),
    [
        # Nobody answers this one; the others get an answer, which a busy machine may give late.
        (
            ["--community", "env:WRONG", "--timeout", "0.2"],
            "gave no SNMP answer within 0.2s, 1 attempt",
            "a wrong community looks the same",
        ),
        # an answer comes, however busy the machine: it is worth waiting for
        (["--user", "nobody", "--timeout", "10"], "the agent knows no user nobody", "check the user name"),
        (
            ["--user", "te", "--auth", "sha256:env:WRONG", "--timeout", "10"],
            "refuses the authentication of user te",
            "not sha256",
        ),
    ],
)
def test_failure_has_a_message_a_hint_and_exit_1(port, options, error, hint):
    result = invoke(f"127.0.0.1:{port}", *options, "--retries", "0")
    assert result.exit_code == 1
    assert result.stdout == ""
    first, second = result.stderr.splitlines()
    assert first.startswith("error: ")
    assert error in first
    assert second.startswith("hint:  ")
    assert hint in second
    assert not any(secret in result.stderr for secret in SECRETS.values())


def test_refusing_host_exits_1():
    result = invoke(f"127.0.0.1:{free_port()}", "--community", "env:COMMUNITY")
    assert result.exit_code == 1
    assert "refuses SNMP: nothing listens there" in result.stderr


def test_probe_in_a_process_of_its_own_leaves_no_warning(port):
    """A socket or a loop left open would be reported at the end of the process."""
    command = [sys.executable, "-W", "error", "-m", "teagent.cli", "router", "probe", f"127.0.0.1:{port}"]
    command += ["--user", "te", "--auth", "sha256:env:AUTH", "--priv", "aes128:env:PRIV"]
    result = subprocess.run(
        command, capture_output=True, text=True, cwd=ROOT, env={**os.environ, **SECRETS}, check=False
    )
    assert (result.returncode, result.stderr) == (0, "")
