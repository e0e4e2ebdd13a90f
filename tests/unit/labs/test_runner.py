"""What the runner decides before it touches the machine."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from labs.runner import Lab, LabError, images, state
from labs.runner.__main__ import main
from labs.runner.errors import MissingPrograms, NotDeployed, NotRoot
from labs.runner.namespace import Pid, kill
from labs.runner.topology import Bind, NodeSpec

TOPOLOGY = "name: lab\ntopology: {nodes: {a: {image: frr, exec: [no-such-program-1 x, softflowd-that-is-not -i]}}}\n"


def node(image: str = "", **fields: object) -> NodeSpec:
    return NodeSpec(name="n", kind="linux", image=image, hostname="n", env={}, sysctls={}, **fields)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The labs that are up on this machine are not these tests' business."""
    monkeypatch.setattr(state, "ROOT", tmp_path / "labs")


@pytest.mark.parametrize(
    ("image", "started"),
    [
        ("quay.io/frrouting/frr:8.4.4", "frr"),
        ("frr", "frr"),
        ("registry.example:5000/frrouting/frr@sha256:00", "frr"),
        ("ghcr.io/example/bird:2", "bird"),
        ("teagent-lab/frr:bookworm", "frr"),
        ("debian:12", None),
        ("frr.example/debian:12", None),
        ("", None),
    ],
)
def test_an_image_is_known_by_its_name(image: str, started: str | None) -> None:
    daemon = images.daemon(node(image))
    assert (daemon.word if daemon else None) == started


def test_a_node_with_a_command_starts_no_daemon() -> None:
    assert images.daemon(node("frr", command=("sleep", "infinity"))) is None


def test_a_program_that_is_missing_is_told_with_its_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(images, "PATH", str(tmp_path))
    script = Bind(source=tmp_path, target="/opt/lab/start", read_only=True)
    wanted = node("bird", exec=(("tc", "x"), ("unheard-of",), ("tc", "y"), ("/opt/lab/start",)), binds=(script,))
    assert images.missing(wanted) == [("bird", "bird2"), ("tc", "iproute2"), ("unheard-of", None)]
    said = MissingPrograms([("n", program, package) for program, package in images.missing(wanted)])
    assert str(said) == "not installed: bird for node n, tc for node n, unheard-of for node n"
    assert said.hint == "apt-get install -y --no-install-recommends bird2 iproute2"


def test_a_program_that_a_script_did_not_find_is_told_with_its_package() -> None:
    said = "/opt/lab/start: line 9: softflowd: command not found\nsh: 1: snmpd: not found\nx: command not found\n"
    assert images.install_hint(said) == "apt-get install -y --no-install-recommends snmpd softflowd"
    assert images.install_hint("RTNETLINK answers: File exists\n") is None


def test_nothing_is_deployed_where_a_program_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "lab.yml"
    path.write_text(TOPOLOGY)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with pytest.raises(MissingPrograms, match="no-such-program-1 for node a"):
        Lab.from_file(path).deploy()
    assert state.names() == []


def test_without_root_nothing_is_deployed_or_destroyed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "lab.yml"
    path.write_text("name: lab\ntopology: {nodes: {a: }}\n")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    lab = Lab.from_file(path)
    with pytest.raises(NotRoot) as caught:
        lab.deploy()
    assert (caught.value.message, caught.value.hint) == (
        "cannot deploy a lab without root: it makes network namespaces",
        "run it again with sudo",
    )
    assert state.claim("lab")
    with pytest.raises(NotRoot):
        lab.destroy()
    assert state.names() == ["lab"]


@pytest.mark.parametrize("name", ["", "a/b", "-a", "../a", "a b", "a" * 65])
def test_a_name_that_could_be_a_path_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    path = tmp_path / "lab.yml"
    path.write_text("name: lab\ntopology: {nodes: {a: }}\n")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with pytest.raises(LabError, match="is not a name for a lab"):
        Lab.from_file(path, name=name).deploy()


def test_a_pid_that_was_given_to_another_process_is_left_alone() -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        ours = Pid.of(process.pid)
        stranger = Pid(number=ours.number, started=ours.started - 1)
        assert (ours.alive, stranger.alive) == (True, False)
        kill([stranger])
        assert process.poll() is None
        kill([ours])
        assert not ours.alive
        assert process.wait(timeout=5) == -9


def test_a_state_file_that_is_not_ours_is_told_and_kept() -> None:
    assert state.claim("odd")
    (state.ROOT / "odd" / "state.json").write_text('{"name": 5}')
    with pytest.raises(LabError, match="is not what the runner wrote"):
        state.read("odd")
    assert state.names() == ["odd"]


def test_a_lab_that_is_not_up_is_told_with_those_that_are() -> None:
    assert state.claim("one")
    with pytest.raises(NotDeployed, match="there is no lab two, deployed are one"):
        state.read("two")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["inspect"], 1, "error: which lab is meant is not said\nhint:  give -t FILE or --name INSTANCE\n"),
        (["inspect", "--name", "x"], 1, "error: there is no lab x, none is deployed\n"),
        (["exec", "--name", "x", "-n", "y"], 1, "error: there is no command to run\nhint:  exec -n NODE -- COMMAND\n"),
        (["deploy", "-t", "absent.clab.yml"], 3, "absent.clab.yml: no such file or directory\n"),
    ],
)
def test_the_command_line_says_what_is_wrong(
    words: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == code
    assert said in capsys.readouterr().err
