"""Logs: one line an event on stderr, logfmt or JSON, our own records and the libraries' through one pipeline.

What routers and peers say ends up in log lines; here it can't end a line, colour a terminal or forge a key.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, TextIO

import structlog

NOISY = {"apscheduler": logging.WARNING, "asyncio": logging.WARNING, "clickhouse_connect": logging.CRITICAL}
"""Libraries that tell of every step; what they warn of is kept, but where they raise it, too, and we say it."""

ORDER = ("timestamp", "level", "logger", "event")
BARE = re.compile(r"^[!#-<>-\[\]-~]+$")
"""A logfmt value that needs no quotes: printable ASCII without space, quote, equals sign and backslash."""

MAX_VALUE = 4000


def configure(*, level: str, form: str, stream: TextIO | None = None) -> None:
    """May be called again, as a reload does. `form` is logfmt or json; `level` debug, info, warning or error."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared[:3],
            *shared[4:],
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        # Not cached: a reload may change the level, and the tests configure many times.
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _json_line if form == "json" else _logfmt_line,
            ],
        )
    )
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level.upper())
    for name, at_least in NOISY.items():
        logging.getLogger(name).setLevel(max(at_least, root.level))
    logging.captureWarnings(capture=True)


def _ordered(event: Mapping[str, Any]) -> dict[str, Any]:
    first = {key: event[key] for key in ORDER if key in event}
    return first | {key: event[key] for key in sorted(event) if key not in first and event[key] is not None}


def _json_line(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> str:
    # ensure_ascii: an escape sequence or a lone surrogate stays an escape in the file.
    return json.dumps(_ordered(event), default=str, ensure_ascii=True)


def _logfmt_line(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> str:
    return " ".join(f"{_key(key)}={_value(value)}" for key, value in _ordered(event).items())


def _key(key: str) -> str:
    return re.sub(r"[^0-9A-Za-z_.-]", "_", key) or "_"


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value)
    if len(text) > MAX_VALUE:
        text = f"{text[:MAX_VALUE]}...({len(text) - MAX_VALUE} more)"
    # JSON's escapes are those of logfmt readers, and leave no control character behind.
    return text if BARE.match(text) else json.dumps(text, ensure_ascii=True)
