"""Log lines: one line an event, whatever is in it."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from teagent.daemon import logs

HOSTILE = 'edge1"\nlevel=error event="all is well"\x1b[2J\u202e'


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield io.StringIO()
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()


def test_logfmt_has_the_event_before_its_keys(stream: io.StringIO) -> None:
    logs.configure(level="info", form="logfmt", stream=stream)
    structlog.get_logger("observe").warning("link is above target", link="transit-a", in_utilisation=0.93, note=None)
    line = stream.getvalue()
    assert line.startswith("timestamp=2")
    assert line.endswith(
        'level=warning logger=observe event="link is above target" in_utilisation=0.93 link=transit-a\n'
    )


def test_json_has_the_same_facts(stream: io.StringIO) -> None:
    logs.configure(level="info", form="json", stream=stream)
    structlog.get_logger("observe").info("router is back", router="edge1", polls=3, at={"deep": (1, 2)})
    document = json.loads(stream.getvalue())
    assert (document["event"], document["router"], document["polls"]) == ("router is back", "edge1", 3)
    assert list(document)[:4] == ["timestamp", "level", "logger", "event"]


@pytest.mark.parametrize("form", ["logfmt", "json"])
def test_hostile_text_stays_one_line_of_plain_ascii(stream: io.StringIO, form: str) -> None:
    logs.configure(level="info", form=form, stream=stream)
    structlog.get_logger("observe").info("found", name=HOSTILE, **{"bad key=\n": 1})
    line = stream.getvalue()
    assert line.count("\n") == 1
    assert line.isascii()
    assert "\x1b" not in line
    assert 'event="all is well"' not in line.replace('\\"', "")


@pytest.mark.parametrize("form", ["logfmt", "json"])
def test_records_of_libraries_take_the_same_way(stream: io.StringIO, form: str) -> None:
    logs.configure(level="info", form=form, stream=stream)
    logging.getLogger("pysnmp.entity").warning("bad %s", HOSTILE, extra={"peer": "192.0.2.1"})
    line = stream.getvalue()
    assert line.count("\n") == 1
    assert "pysnmp.entity" in line
    assert "192.0.2.1" in line


def test_a_chatty_scheduler_is_quiet_until_it_warns(stream: io.StringIO) -> None:
    logs.configure(level="info", form="logfmt", stream=stream)
    logging.getLogger("apscheduler.executors.default").info("Running job")
    assert stream.getvalue() == ""
    logging.getLogger("apscheduler.executors.default").warning("Run time was missed")
    assert "Run time was missed" in stream.getvalue()


def test_a_trace_is_escaped_into_its_line(stream: io.StringIO) -> None:
    logs.configure(level="info", form="logfmt", stream=stream)
    try:
        int("boom")
    except ValueError:
        structlog.get_logger("jobs").exception("job broke", job="poll")
    line = stream.getvalue()
    assert line.count("\n") == 1
    assert "ValueError: invalid literal" in line


def test_what_is_below_the_level_is_dropped_and_a_reload_may_change_it(stream: io.StringIO) -> None:
    log = structlog.get_logger("observe")
    logs.configure(level="warning", form="logfmt", stream=stream)
    log.info("unheard")
    logs.configure(level="debug", form="logfmt", stream=stream)
    log.debug("heard")
    assert "unheard" not in stream.getvalue()
    assert stream.getvalue().count("\n") == 1


def test_a_value_is_cut_where_it_would_flood_the_log(stream: io.StringIO) -> None:
    logs.configure(level="info", form="logfmt", stream=stream)
    structlog.get_logger("observe").info("found", name="x" * 10_000)
    assert "(6000 more)" in stream.getvalue()
    assert len(stream.getvalue()) < 5000


def test_a_library_whose_errors_we_say_ourselves_does_not_say_them_again(stream: io.StringIO) -> None:
    logs.configure(level="debug", form="logfmt", stream=stream)
    logging.getLogger("clickhouse_connect.driver").warning("Unexpected Http Driver Exception")
    assert stream.getvalue() == ""
