"""The shipped units: systemd accepts them, finds them tight, and neither pulls the other along."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from teagent.cli.root import COMMANDS
from teagent.errors import ConfigError

PACKAGING = Path(__file__).resolve().parents[2] / "packaging"
UNITS = sorted((PACKAGING / "systemd").glob("*.service"))
EXPOSURE_LIMIT = 15
"""Tenths of what `systemd-analyze security` calls exposure; 0 is best, 100 is no protection at all."""

needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")


def directives(unit: Path) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in unit.read_text(encoding="utf-8").splitlines():
        match = re.match(r"^(\w+)=(.*)$", line)
        if match:
            found.setdefault(match[1], []).append(match[2])
    return found


@pytest.fixture
def installed(tmp_path: Path) -> list[Path]:
    """Copies whose programs exist here, because systemd looks for them."""
    copies = []
    for unit in UNITS:
        text = re.sub(r"/opt/teagent/bin/\w+", shutil.which("true") or "/bin/true", unit.read_text(encoding="utf-8"))
        copy = tmp_path / unit.name
        copy.write_text(text, encoding="utf-8")
        copies.append(copy)
    return copies


def test_both_units_are_there() -> None:
    assert [unit.name for unit in UNITS] == ["exabgp-teagent.service", "teagent.service"]


@needs_systemd
def test_systemd_accepts_the_units(installed: list[Path]) -> None:
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *map(str, installed)], capture_output=True, text=True, timeout=60
    )
    complaints = [line for line in done.stderr.splitlines() if "teagent" in line]
    assert complaints == []
    assert done.returncode == 0


@needs_systemd
@pytest.mark.parametrize("name", [unit.name for unit in UNITS])
def test_systemd_finds_the_units_tight(installed: list[Path], name: str) -> None:
    unit = next(copy for copy in installed if copy.name == name)
    done = subprocess.run(
        ["systemd-analyze", "security", "--no-pager", "--offline=true", f"--threshold={EXPOSURE_LIMIT}", str(unit)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    if "unrecognized option" in done.stderr:
        pytest.skip("this systemd-analyze does not judge unit files offline")
    assert done.returncode == 0, done.stdout


@needs_systemd
def test_systemd_accepts_the_drop_in_for_compiled_code(installed: list[Path]) -> None:
    [daemon] = [unit for unit in installed if unit.name == "teagent.service"]
    shutil.copytree(PACKAGING / "systemd" / "teagent.service.d", daemon.with_name("teagent.service.d"))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(daemon)], capture_output=True, text=True, timeout=60
    )
    assert [line for line in done.stderr.splitlines() if "teagent" in line] == []


def test_only_the_drop_in_lets_memory_become_code_and_its_cache_is_the_daemons_own() -> None:
    found = directives(PACKAGING / "systemd" / "teagent.service.d" / "compiled.conf")
    assert found == {
        "MemoryDenyWriteExecute": ["no"],
        "CacheDirectory": ["teagent"],
        "CacheDirectoryMode": ["0750"],
        "Environment": ["NUMBA_CACHE_DIR=/var/cache/teagent"],
    }
    for unit in UNITS:
        assert directives(unit)["MemoryDenyWriteExecute"] == ["yes"]


def test_neither_unit_pulls_the_other_along() -> None:
    for unit in UNITS:
        found = directives(unit)
        for bond in ("Requires", "Requisite", "BindsTo", "PartOf", "PropagatesReloadTo", "PropagatesStopTo", "Upholds"):
            assert bond not in found


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_each_unit_has_directories_and_a_user_of_its_own(unit: Path) -> None:
    found = directives(unit)
    own = "teagent-exabgp" if unit.name.startswith("exabgp") else "teagent"
    for key in ("User", "Group", "StateDirectory", "RuntimeDirectory"):
        assert found[key] == [own]
    assert found["RuntimeDirectoryPreserve"] == ["yes"]


def test_the_allow_list_is_installed_by_root_before_the_daemon_starts_or_reloads() -> None:
    found = directives(PACKAGING / "systemd" / "teagent.service")
    assert found["ExecStartPre"] == ["-+/opt/teagent/bin/teagent allow-list write"]
    assert found["ExecReload"][-2] == "+/opt/teagent/bin/teagent allow-list write"
    # and not by SIGHUP, which cannot say that the daemon keeps the old configuration
    assert found["ExecReload"][-1] == "+/opt/teagent/bin/teagent config reload"
    assert found["SupplementaryGroups"] == ["teagent-exabgp"]
    assert "SupplementaryGroups" not in directives(PACKAGING / "systemd" / "exabgp-teagent.service")


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_the_control_socket_can_tell_who_is_there(unit: Path) -> None:
    assert "PrivateUsers" not in directives(unit)


def test_the_daemon_is_started_by_commands_that_exist() -> None:
    found = directives(PACKAGING / "systemd" / "teagent.service")
    started = [*found["ExecStartPre"], *found["ExecStart"], *found["ExecReload"]]
    ours = [line.split()[1] for line in started if line.lstrip("-+").startswith("/opt/teagent/bin/teagent ")]
    assert set(ours) == {"config", "allow-list", "run"} <= set(COMMANDS)
    assert found["Type"] == ["notify"]


def test_a_configuration_that_does_not_load_is_not_started_again() -> None:
    found = directives(PACKAGING / "systemd" / "teagent.service")
    assert found["RestartPreventExitStatus"] == [str(ConfigError.exit_code)]
    # systemd heeds it for the main process alone: whatever runs before must leave it to that one to fail
    assert all(line.startswith("-") for line in found["ExecStartPre"])


@pytest.mark.skipif(
    shutil.which("systemd-sysusers") is None or shutil.which("systemd-tmpfiles") is None,
    reason="systemd-sysusers or systemd-tmpfiles is not installed",
)
def test_user_and_directories_are_made(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    for command in (
        ["systemd-sysusers", f"--root={tmp_path}", str(PACKAGING / "sysusers.d" / "teagent.conf")],
        ["systemd-tmpfiles", f"--root={tmp_path}", "--create", str(PACKAGING / "tmpfiles.d" / "teagent.conf")],
    ):
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        if "Operation not permitted" in done.stderr or "Permission denied" in done.stderr:
            pytest.skip("giving files to another user takes root")
        assert done.returncode == 0, done.stderr
    assert "teagent:x:" in (tmp_path / "etc" / "passwd").read_text(encoding="utf-8")
    assert (tmp_path / "etc" / "teagent" / "credentials").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "var" / "lib" / "teagent").stat().st_mode & 0o777 == 0o750
    assert (tmp_path / "run" / "teagent").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "var" / "lib" / "teagent-exabgp").stat().st_mode & 0o777 == 0o750
    groups = (tmp_path / "etc" / "group").read_text(encoding="utf-8")
    assert re.search(r"^teagent-exabgp:x:\d+:teagent$", groups, re.MULTILINE)
