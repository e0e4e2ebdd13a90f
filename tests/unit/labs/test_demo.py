"""The demo needs root: whoever is not gets a hint and not half a lab."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from labs.demo import main

AS_ROOT = Path(__file__).resolve().parents[3] / "scripts" / "as-root"
NOBODY = 65534


def test_without_root_the_demo_refuses_with_a_hint(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert main([]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "error: the demo needs root, for network namespaces",
        "hint:  make demo, which asks sudo; or run it as root",
    ]


@pytest.fixture
def for_all() -> Iterator[Path]:
    """A copy of the script that somebody else can read, which pytest's own directories are not, and a bare PATH."""
    with tempfile.TemporaryDirectory(prefix="as-root-") as made:
        directory = Path(made)
        directory.chmod(0o755)
        script = directory / "as-root"
        shutil.copy(AS_ROOT, script)
        script.chmod(0o755)
        binaries = directory / "bin"
        binaries.mkdir()
        for name in ("bash", "id", "echo", "env"):
            found = shutil.which(name, path="/usr/bin:/bin")
            assert found is not None
            (binaries / name).symlink_to(found)
        yield directory


def run(directory: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """As nobody where this is root; stdin is no terminal."""
    drop = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"] if os.geteuid() == 0 else []
    return subprocess.run(
        [
            *drop,
            str(directory / "bin" / "env"),
            f"PATH={directory / 'bin'}",
            "bash",
            str(directory / "as-root"),
            *words,
        ],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )


def test_without_root_and_without_sudo_the_script_refuses_with_a_hint(for_all: Path) -> None:
    done = run(for_all, "echo", "ran")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines() == [
        "error: this needs root, for network namespaces, and there is no sudo",
        "hint:  run it as root, or in a container with --privileged",
    ]


def test_where_sudo_would_ask_without_a_terminal_the_script_refuses_with_a_hint(for_all: Path) -> None:
    sudo = for_all / "bin" / "sudo"
    sudo.write_text("#!/bin/bash\nexit 1\n")
    sudo.chmod(0o755)
    done = run(for_all, "echo", "ran")
    assert (done.returncode, done.stdout) == (1, "")
    assert "sudo would ask for a password without a terminal" in done.stderr


def test_with_sudo_the_command_is_run_through_it(for_all: Path) -> None:
    sudo = for_all / "bin" / "sudo"
    sudo.write_text('#!/bin/bash\n[ "$1" = -n ] && exit 0\necho "sudo $*"\n')
    sudo.chmod(0o755)
    done = run(for_all, "echo", "ran")
    assert (done.returncode, done.stdout) == (0, "sudo -E echo ran\n")


@pytest.mark.skipif(os.geteuid() != 0, reason="is about being root")
def test_root_needs_no_sudo() -> None:
    done = subprocess.run([str(AS_ROOT), "echo", "ran"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "ran\n")
