"""The one door to clickhouse-connect: asks the server, and puts its answers into our terms."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from teagent.adapters.clickhouse.statement import COUNT_ROW, ROW, Columns, Grouping, Statements, quoted
from teagent.errors import TelemetryError
from teagent.model.traffic import Column

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

MOST_GROUPS: Final = 500_000  # rows of one answer, some 40 MB
MOST_MEMORY_OCTETS: Final = 2 << 30  # of the server, for one query
CONNECT_SECONDS: Final = 5

_HINTS: Final[Mapping[int, tuple[str, str]]] = {
    60: ("has no such table", "flows.clickhouse.database and flows.clickhouse.table say which"),
    81: ("has no such database", "flows.clickhouse.database says which"),
    47: ("knows no such column", "flows.clickhouse.columns says what they are called"),
    158: ("has more rows than it may read", "shorten flows.clickhouse.interval, or raise the user's limits"),
    159: ("did not finish in time", "raise flows.clickhouse.timeout, or shorten flows.clickhouse.interval"),
    160: ("expects to be too slow", "raise flows.clickhouse.timeout, or shorten flows.clickhouse.interval"),
    164: ("lets its user change no settings", "give the user readonly = 2: the limits of a query are settings"),
    192: ("knows no such user", "flows.clickhouse.user says which"),
    193: ("refuses the password", "flows.clickhouse.password refers to it"),
    194: ("wants a password", "flows.clickhouse.password refers to it"),
    241: ("ran out of the memory that a query may take", "shorten flows.clickhouse.interval"),
    396: ("has a result that is too large", "shorten flows.clickhouse.interval"),
    497: ("does not let its user read the table", "GRANT SELECT on it"),
    516: ("refuses the user or the password", "flows.clickhouse.user and flows.clickhouse.password say which"),
}
"""By ClickHouse's error code: what the server does, and what to do about it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """`password` prints as nothing: a Server is never shown. `ca_cert` is the path of a PEM file."""

    host: str
    port: int
    user: str
    password: str
    database: str
    table: str
    tls: bool = False
    verify: bool = True
    ca_cert: str | None = None
    timeout_seconds: float = 10.0

    def __str__(self) -> str:
        return f"{'https' if self.tls else 'http'}://{self.host}:{self.port}"

    def __repr__(self) -> str:
        return f"Server({self})"


class Reader:
    """Connects when first asked, and anew after a failure. Raises TelemetryError, and nothing else."""

    def __init__(self, server: Server, columns: Columns) -> None:
        self._server = server
        self._columns = columns
        self._client: Client | None = None
        self._statements: Statements | None = None

    def flows(self, grouping: Grouping, *, since: int, until: int) -> Column:
        """All of [since, until), unix seconds, as an array of ROW."""
        statement, parameters = self._ready().flows(grouping)
        return self._ask(statement, {**parameters, "since": since, "until": until}, ROW)

    def count(self, exporters: Sequence[str], *, since: int, until: int) -> dict[str, int]:
        """Rows in [since, until) by exporter."""
        statement, parameters = self._ready().count(exporters)
        found = self._ask(statement, {**parameters, "since": since, "until": until}, COUNT_ROW)
        return {exporters[number - 1]: rows for number, rows in found.tolist()}

    def close(self) -> None:
        client, self._client, self._statements = self._client, None, None
        if client is not None:
            with contextlib.suppress(Exception):  # it is being thrown away, most often because it does not work
                client.close()

    def _ready(self) -> Statements:
        if self._statements is None:
            with self._explained():
                self._client = self._connect()
                self._statements = self._look(self._client)
        return self._statements

    def _connect(self) -> Client:
        clickhouse_connect = _library()
        server = self._server
        client: Client = clickhouse_connect.get_client(
            host=server.host,
            port=server.port,
            username=server.user,
            password=server.password,
            secure=server.tls,
            verify=server.verify,
            ca_cert=server.ca_cert,
            connect_timeout=CONNECT_SECONDS,
            # The server gives up first, so that its reason is what we hear.
            send_receive_timeout=round(server.timeout_seconds) + CONNECT_SECONDS,
            autogenerate_session_id=False,
            query_retries=0,
            client_name="teagent",
        )
        return client

    def _look(self, client: Client) -> Statements:
        place = f"{quoted(self._server.database)}.{quoted(self._server.table)}"
        answer = client.raw_query(f"DESCRIBE TABLE {place} FORMAT TabSeparated").decode()
        types = {}
        for line in answer.splitlines():
            name, kind = line.split("\t")[:2]
            types[name] = kind.replace("\\'", "'")
        return Statements(database=self._server.database, table=self._server.table, columns=self._columns, types=types)

    def _ask(self, statement: str, parameters: dict[str, object], row: np.dtype[Any]) -> Column:
        if self._client is None:
            raise TelemetryError("not connected to ClickHouse")
        limits = {
            "max_execution_time": max(1, round(self._server.timeout_seconds)),
            "max_memory_usage": MOST_MEMORY_OCTETS,
            "max_rows_to_group_by": MOST_GROUPS,
            "group_by_overflow_mode": "throw",
            "wait_end_of_query": 1,  # an error in the middle is then an error, not the end of the answer
        }
        with self._explained():
            answer = self._client.raw_query(statement, parameters=parameters, settings=limits)
        if len(answer) % row.itemsize:
            self.close()
            raise TelemetryError(f"ClickHouse at {self._server} broke off in the middle of its answer")
        return np.frombuffer(answer, dtype=row)

    def _explained(self) -> contextlib.AbstractContextManager[None]:
        return _Explained(self)

    def explain(self, error: Exception) -> TelemetryError:
        """What went wrong as one line and what to do about it. The password is in none of them."""
        if isinstance(error, TelemetryError):
            return error
        server = self._server
        code = getattr(error, "code", None)
        if isinstance(code, int) and code in _HINTS:
            what, hint = _HINTS[code]
            return TelemetryError(
                f"ClickHouse at {server} {what}: {_first_line(error)}", hint=hint, server=str(server), code=code
            )
        if isinstance(code, int):
            return TelemetryError(
                f"ClickHouse at {server} refuses the query: {_first_line(error)}", server=str(server), code=code
            )
        return TelemetryError(
            f"ClickHouse at {server} cannot be reached: {_first_line(error)}",
            hint="flows.clickhouse.host and .port are those of its HTTP interface (8123, with TLS 8443)",
            server=str(server),
        )


class _Explained(contextlib.AbstractContextManager[None]):
    """What is raised inside leaves as TelemetryError, and the connection is not used again."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, Exception):
            self._reader.close()
            raise self._reader.explain(error) from error


def _library() -> Any:
    try:
        import clickhouse_connect
    except ImportError as error:
        raise TelemetryError(
            "flows.clickhouse needs the Python package clickhouse-connect, which is not installed",
            hint="pip install 'teagent[clickhouse]'",
        ) from error
    return clickhouse_connect


def _first_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text[:300] if text else type(error).__name__
