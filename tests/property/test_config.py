"""Any configuration is shown as a file that loads to the same; any bytes are read or refused, never a traceback."""

from __future__ import annotations

import dataclasses
import math
import re
import tempfile
from pathlib import Path
from typing import Any

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from teagent.config import effective as e
from teagent.config.document import AMBIGUOUS, DecimalNumber, parse, resolve
from teagent.config.load import load
from teagent.config.quantities import decimal_text, duration_text, rate_text, share_text
from teagent.config.show import digest_of, document_of, policy_document, to_yaml
from teagent.errors import ConfigError, Problem
from teagent.model.units import parse_duration_seconds, parse_rate_bps, parse_share
from tests.conftest import ROOT
from tests.property.configs import configs, lines, rates, shares


@given(rates)
def test_rates_read_back_as_what_was_written(bps: float) -> None:
    assert parse_rate_bps(rate_text(bps)) == bps


@given(st.one_of(st.integers(1, 10**8).map(float), st.floats(0.001, 1e8, allow_nan=False)))
def test_durations_read_back_as_what_was_written(seconds: float) -> None:
    assert parse_duration_seconds(duration_text(seconds)) == seconds


@given(st.one_of(shares, st.floats(0, 100, allow_nan=False).map(lambda n: n / 100)))
def test_shares_read_back_as_what_was_written(share: float) -> None:
    assert parse_share(share_text(share)) == share


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_are_written_without_an_exponent_and_read_back(number: float) -> None:
    text = decimal_text(number)
    assert "e" not in text
    assert math.copysign(1, float(text)) == math.copysign(1, number)
    assert float(text) == number


@given(st.integers(-(10**18), 10**18))
def test_whole_numbers_are_numbers(number: int) -> None:
    assert resolve(str(number)) == number


@given(st.from_regex(r"\A(0|[1-9][0-9]{0,8})\.[0-9]{1,8}\Z"))
def test_dotted_numbers_keep_their_text(text: str) -> None:
    number = resolve(text)
    assert isinstance(number, DecimalNumber)
    assert (number.text, number) == (text, float(text))


@given(st.from_regex(r"\A[-+]?(0[0-9]+|0o[0-7]+|0x[0-9a-f]+)\Z"))
def test_what_may_be_octal_never_becomes_a_number(text: str) -> None:
    assert AMBIGUOUS.match(text)
    assert parse(f"a: {text}".encode(), file="f").problems


@given(st.from_regex(r"\A[0-9]{1,6}(:[0-9]{1,6}){1,2}\Z"))
def test_communities_and_times_of_day_are_text(text: str) -> None:
    assert parse(f"a: {text}".encode(), file="f").data == {"a": text}


@given(lines)
def test_text_is_the_same_for_us_and_for_every_other_reader(text: str) -> None:
    shown = to_yaml({"a": text})
    assert parse(shown.encode(), file="f").data == {"a": text}
    assert yaml.safe_load(shown) == {"a": text}


def read_or_refuse(raw: bytes) -> None:
    try:
        problems = parse(raw, file="f").problems
    except ConfigError as error:
        problems = error.problems or (Problem(file="f", line=0, column=0, key="", message=""),)
    for problem in problems:
        assert problem.message
        assert problem.line >= 1
        assert problem.column >= 1


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    read_or_refuse(raw)


@given(st.text(st.sampled_from("ab01 \n\t:-?,[]{}#&*!|>'\"%@`.~\\é"), max_size=60))
def test_any_yaml_like_text_is_read_or_refused(text: str) -> None:
    read_or_refuse(text.encode())


@given(configs())
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_what_is_shown_loads_to_the_same(config: e.Config) -> None:
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        for number, policy in enumerate(config.policies):
            (directory / f"{number}.yaml").write_text(to_yaml(policy_document(policy)))
        path = directory / "shown.txt"
        path.write_text(to_yaml(document_of(config) | {"policies": name}))
        loaded = load(path, environment=None)
    assert digest_of(dataclasses.replace(loaded, policies_dir=Path())) == config.digest
    blank: dict[str, Any] = {"path": Path(), "policies_dir": Path(), "policy_files": {}, "digest": ""}
    assert dataclasses.replace(loaded, **blank) == dataclasses.replace(config, **blank)


junk = st.one_of(
    st.sampled_from(
        ["", "~", "[]", "{}", "x", "0", "-1", "65000", "1.10", "true", "10Gbps", "80%", "30s", "a: b", "]", "\t"]
    ),
    st.text(max_size=8),
)


@given(st.booleans(), st.integers(0, 200), junk)
@settings(max_examples=80, deadline=None)
def test_a_shipped_file_with_any_value_spoilt_loads_or_says_where_it_is_wrong(
    in_policy: bool, which: int, spoilt: str
) -> None:
    config, policy = (ROOT / "config.example.yaml").read_text(), (ROOT / "policies/10-transit-balance.yaml").read_text()
    text = policy if in_policy else config
    values = list(re.finditer(r"(?<=: )[^\s,{}\[\]#]+", text))
    value = values[which % len(values)]
    text = text[: value.start()] + spoilt + text[value.end() :]
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "config.yaml"
        (Path(name) / "policies").mkdir()
        (Path(name) / "policies" / "10.yaml").write_text(text if in_policy else policy)
        path.write_text(config if in_policy else text)
        try:
            load(path, environment=None)
        except ConfigError as error:
            problems = error.problems
        else:
            problems = ()
    for problem in problems:
        assert problem.line >= 1
        assert problem.message.isprintable()
        assert "Value error" not in problem.message
        assert "Input should" not in problem.message
