"""Where the socket is: as said, as in the environment, as configured, or where it always is."""

from __future__ import annotations

from pathlib import Path

import pytest

from teagent.cli import settings
from teagent.cli.settings import Settings


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TEAGENT_CONFIG", raising=False)
    monkeypatch.setattr(settings, "DEFAULT_SOCKET", tmp_path / "run" / "teagent.sock")
    monkeypatch.chdir(tmp_path)


def configured(directory: Path, text: str) -> Path:
    path = directory / "config.yaml"
    path.write_text(text)
    return path


def test_what_is_said_comes_first(tmp_path: Path) -> None:
    configured(tmp_path, "control: {socket: /elsewhere.sock}\n")
    assert Settings(socket=Path("/said.sock")).socket_path() == Path("/said.sock")


def test_a_configuration_named_in_the_environment_comes_before_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.DEFAULT_SOCKET.parent.mkdir()
    settings.DEFAULT_SOCKET.touch()
    path = configured(tmp_path, "control: {socket: run/lab.sock}\n")
    monkeypatch.setenv("TEAGENT_CONFIG", str(path))
    assert Settings().socket_path() == tmp_path / "run" / "lab.sock"


def test_the_default_is_taken_where_it_is_there(tmp_path: Path) -> None:
    settings.DEFAULT_SOCKET.parent.mkdir()
    settings.DEFAULT_SOCKET.touch()
    configured(tmp_path, "control: {socket: /elsewhere.sock}\n")
    assert Settings().socket_path() == settings.DEFAULT_SOCKET


def test_otherwise_the_configuration_says(tmp_path: Path) -> None:
    configured(tmp_path, "control: {socket: /elsewhere.sock}\n")
    assert Settings().socket_path() == Path("/elsewhere.sock")


@pytest.mark.parametrize(
    "text", ["", "control:\n", "control: {socket: 7}\n", "[\n", "control: {socket: ''}\n", "- 1\n"]
)
def test_a_configuration_that_does_not_say_leaves_the_default(tmp_path: Path, text: str) -> None:
    configured(tmp_path, text)
    assert Settings().socket_path() == settings.DEFAULT_SOCKET


def test_without_any_configuration_it_is_the_default() -> None:
    assert Settings().socket_path() == settings.DEFAULT_SOCKET
