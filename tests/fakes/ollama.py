"""A small Ollama on loopback that misbehaves as it is told to: a real HTTP server for the real client."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MODEL = "test-model:1b"
Say = Callable[[dict[str, Any]], str]


def part(text: str, *, done: bool = False, **more: object) -> bytes:
    message = {"model": MODEL, "message": {"role": "assistant", "content": text}, "done": done}
    return json.dumps(message | more).encode() + b"\n"


def last(text: str = "", *, reason: str = "stop", prompt: int = 100) -> bytes:
    return part(text, done=True, done_reason=reason, prompt_eval_count=prompt, eval_count=20)


def brief_of(_request: dict[str, Any]) -> str:
    keys = ("wrong", "does", "risk", "watch")
    return json.dumps({key: f"transit-a is what {key} is about." for key in keys})


def obliging(request: dict[str, Any]) -> str:
    """What the schema asks for: the first option, or a word for each key."""
    properties = request["format"]["properties"]
    return json.dumps(
        {key: row["enum"][0] if "enum" in row else f"transit-a: {key}." for key, row in properties.items()}
    )


class FakeOllama(ThreadingHTTPServer):
    """`behaviour` names what becomes of the next chats; `say` makes the text of those that go well. `requests` is what
    was asked; `gone` is set when a client left in the middle.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.behaviour = "well"
        self.say: Say = obliging
        self.requests: list[dict[str, Any]] = []
        self.release = threading.Event()
        self.gone = threading.Event()
        self.asked = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        self.gone.set()


@contextmanager
def fake_ollama() -> Iterator[FakeOllama]:
    server = FakeOllama()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.release.set()
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: FakeOllama
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None: ...  # noqa: A002  # the base class's name

    def _whole(self, status: int, body: bytes, kind: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _json(self, status: int, document: object) -> None:
        self._whole(status, json.dumps(document).encode())

    def do_GET(self) -> None:
        rows = [{"name": MODEL, "model": MODEL, "size": 1_000_000_000}]
        self._json(200, {"models": rows} if self.path == "/api/tags" else {"version": "0.0.0"})

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests.append(request)
        self.server.asked.set()
        if request["model"] != MODEL:
            return self._json(404, {"error": "try pulling it first"})
        if self.path == "/api/show":
            details = {"parameter_size": "1.2B", "quantization_level": "Q4_K_M\u001b[31m"}
            info = {"test.context_length": 8192}
            return self._json(200, {"details": details, "model_info": info, "capabilities": ["completion", "thinking"]})
        if self.server.behaviour.isdigit():
            return self._json(int(self.server.behaviour), {"error": "no"})
        getattr(self, f"_{self.server.behaviour}")(self.server.say(request))
        return None

    def _stream(self, *parts: bytes, end: bool = True) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/x-ndjson")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for each in parts:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(each), each))
            self.wfile.flush()
        if end:
            self.wfile.write(b"0\r\n\r\n")
        else:
            self.close_connection = True

    def _well(self, text: str) -> None:
        self._stream(part(text[:5]), part(text[5:]), last())

    def _slow(self, _text: str) -> None:
        self.server.release.wait(30)
        self.close_connection = True

    def _trickle(self, _text: str) -> None:
        self._stream(end=False)
        while not self.server.release.wait(0.02):
            each = part(" ")
            self.wfile.write(b"%x\r\n%s\r\n" % (len(each), each))

    def _endless(self, _text: str) -> None:
        self._stream(end=False)
        each = part("x" * 50_000)
        while not self.server.release.is_set():
            self.wfile.write(b"%x\r\n%s\r\n" % (len(each), each))

    def _truncated(self, text: str) -> None:
        self._stream(part(text[:7]), end=False)

    def _no_done(self, text: str) -> None:
        self._stream(part(text))

    def _error_midstream(self, text: str) -> None:
        self._stream(part(text[:7]), b'{"error": "the runner has died"}\n')

    def _missing_message(self, _text: str) -> None:
        self._stream(b'{"done": true}\n')

    def _empty_length(self, _text: str) -> None:
        self._stream(last("", reason="length"))

    def _empty(self, _text: str) -> None:
        self._stream(last(""))

    def _prompt_cut(self, text: str) -> None:
        self._stream(part(text), last(prompt=4096))

    def _html(self, _text: str) -> None:
        self._whole(200, b"<html><body>It works!</body></html>", "text/html")

    def _list(self, _text: str) -> None:
        self._stream(b"[1, 2]\n")

    def _thinking_field(self, text: str) -> None:
        thought = {"role": "assistant", "content": "", "thinking": "hm"}
        self._stream(json.dumps({"message": thought, "done": False}).encode() + b"\n", part(text), last())

    def _reset(self, _text: str) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True
