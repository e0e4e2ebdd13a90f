"""ClickHouse's engine (chDB, in process) behind its HTTP interface, so far as clickhouse-connect needs it.

python -m tests.integration.clickhouse.server DIRECTORY USER PASSWORD     prints its port

What is real: the parser, the types, the functions, the tables, the settings and the errors, all of the current engine.
What is ours: the HTTP around it, with users, parameters and settings as the manual has them.
"""

from __future__ import annotations

import base64
import json
import re
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock
from urllib.parse import parse_qs, urlsplit

from chdb.session import Session

CODE = re.compile(r"Code: (\d+)\.")
FORMAT = re.compile(r"\bFORMAT\s+(\w+)\s*$", re.IGNORECASE)
OF_HTTP = {"query", "database", "default_format", "session_id", "query_id", "wait_end_of_query", "compress", "user"}
OF_HTTP |= {"password", "buffer_size", "client_protocol_version", "session_timeout", "enable_http_compression", "role"}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    session: Session
    credentials: str
    one_at_a_time = Lock()  # settings and parameters belong to the session, and there is one session

    def do_GET(self) -> None:
        self._answer("")

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers.get("Content-Length", 0))).decode())

    def _answer(self, body: str) -> None:
        given = {key: values[-1] for key, values in parse_qs(urlsplit(self.path).query).items()}
        if urlsplit(self.path).path == "/ping":
            self._send(200, b"Ok.\n")
            return
        expected = "Basic " + base64.b64encode(self.credentials.encode()).decode()
        if self.headers.get("Authorization") != expected:
            text = "Code: 516. DB::Exception: Authentication failed: password is incorrect. (AUTHENTICATION_FAILED)"
            self._send(403, text.encode(), code="516")
            return
        statement = (given.get("query", "") + "\n" + body).strip().rstrip(";")
        found = FORMAT.search(statement)
        form = found[1] if found else given.get("default_format", "TabSeparated")
        statement = FORMAT.sub("", statement) if found else statement
        parameters = {key[6:]: value for key, value in given.items() if key.startswith("param_")}
        settings = {k: v for k, v in given.items() if k not in OF_HTTP and not k.startswith("param_")}
        try:
            with self.one_at_a_time:
                answer = self._run(statement, form, parameters, settings)
            self._send(200, answer)
        except Exception as error:
            text = str(error)
            code = CODE.search(text)
            self._send(404 if code and code[1] in {"60", "81"} else 500, text.encode(), code=code[1] if code else "1")

    def _run(self, statement: str, form: str, parameters: dict[str, str], settings: dict[str, str]) -> bytes:
        for key, value in settings.items():
            self.session.query(f"SET {key} = {value if value.isdigit() else repr(value)}")
        return bytes(self.session.query(statement, form, params=parameters).bytes() or b"")

    def _send(self, status: int, body: bytes, *, code: str | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-ClickHouse-Summary", json.dumps({"read_rows": "0"}))
        if code is not None:
            self.send_header("X-ClickHouse-Exception-Code", code)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


def main(directory: str, user: str, password: str) -> None:
    Handler.session = Session(str(Path(directory)))
    Handler.session.query("SET allow_suspicious_low_cardinality_types = 1")
    Handler.credentials = f"{user}:{password}"
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)  # a client may keep its connection
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
