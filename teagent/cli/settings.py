"""What was said on the command line for every command, and where the daemon's socket is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

DEFAULT_SOCKET = Path("/run/teagent/teagent.sock")
DEFAULT_FREEZE_FILE = Path("/etc/teagent/freeze")


@dataclass(slots=True)
class Settings:
    """`output` is wide or empty."""

    socket: Path | None = None
    as_json: bool = False
    quiet: bool = False
    output: str = ""

    @property
    def wide(self) -> bool:
        return self.output == "wide"

    def socket_path(self) -> Path:
        """As given (or in $TEAGENT_SOCKET), else the default if it is there, else as the configuration says.

        A configuration that is named in $TEAGENT_CONFIG comes before the default.
        """
        if self.socket is not None:
            return self.socket
        from teagent.config.secrets import process_environment

        environment = process_environment()
        if not environment.get("TEAGENT_CONFIG") and _is_there(DEFAULT_SOCKET):
            return DEFAULT_SOCKET
        return configured_socket(environment.get("TEAGENT_CONFIG")) or DEFAULT_SOCKET

    def freeze_file(self) -> Path:
        """`bgp.freeze_file` as the configuration says, else the default."""
        from teagent.config.secrets import process_environment

        return configured(process_environment().get("TEAGENT_CONFIG"), "bgp", "freeze_file") or DEFAULT_FREEZE_FILE


def configured_socket(named: str | None) -> Path | None:
    return configured(named, "control", "socket")


def configured(named: str | None, section: str, key: str) -> Path | None:
    """A path of the configuration file, read without checking the rest of it; None where there is none."""
    path = Path(named) if named else next((place for place in _places() if _is_there(place)), None)
    if path is None:
        return None
    from teagent.config.document import read
    from teagent.errors import ConfigError

    try:
        data = read(path).data
    except ConfigError:
        return None
    row = data.get(section) if isinstance(data, dict) else None
    given = row.get(key) if isinstance(row, dict) else None
    return path.parent / given if isinstance(given, str) and given else None


def _is_there(path: Path) -> bool:
    """False also where we may not look."""
    try:
        return path.exists()
    except PermissionError:
        return False


def _places() -> tuple[Path, ...]:
    return (Path("config.yaml"), Path("/etc/teagent/config.yaml"))
