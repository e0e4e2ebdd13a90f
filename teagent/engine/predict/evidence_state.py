"""What was observed and predicted as plain arrays, for a store to keep, and back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np

from teagent.engine.predict.evidence import Seen
from teagent.engine.predict.ingress import Observation
from teagent.engine.predict.prediction import Prediction
from teagent.model.bgp import parse_prefix
from teagent.model.plan import Band
from teagent.model.traffic import Column, Source

VERSION = 1

State = Mapping[str, Column]


def seen_state(seen: Seen) -> dict[str, Column]:
    observed = seen.observation
    facts = {
        "version": VERSION,
        "at": observed.at.isoformat(),
        "links": observed.links,
        "vector": dict(observed.vector),
        "vector_before": None if observed.vector_before is None else dict(observed.vector_before),
        "prefixes": [str(prefix) for prefix in seen.prefixes],
    }
    return {
        "facts": _text(facts),
        "asn": observed.asn.astype(np.uint32),
        "share": observed.share.astype(np.float32),
        "before": observed.before.astype(np.int8),
        "bps": observed.bps.astype(np.float32),
    }


def seen_of(state: State | None) -> Seen | None:
    """None for what is none, or of a newer version."""
    try:
        facts = _facts(state)
        return Seen(
            prefixes=tuple(parse_prefix(text) for text in facts["prefixes"]),
            observation=Observation(
                at=datetime.fromisoformat(facts["at"]).astimezone(UTC),
                links=tuple(facts["links"]),
                vector=facts["vector"],
                asn=_column(state, "asn").astype(np.int64),
                share=_column(state, "share").astype(np.float64),
                before=_column(state, "before").astype(np.int64),
                bps=_column(state, "bps").astype(np.float64),
                vector_before=facts["vector_before"],
            ),
        )
    except (KeyError, ValueError, TypeError):
        return None


def prediction_state(prediction: Prediction) -> dict[str, Column]:
    facts = {
        "version": VERSION,
        "at": prediction.at.isoformat(),
        "links": prediction.links,
        "sources": [[source.asn, source.prefix] for source in prediction.sources],
        "vectors": {str(prefix): [dict(b), dict(a)] for prefix, (b, a) in prediction.vectors.items()},
        "bands": {name: [band.low, band.expected, band.high] for name, band in prediction.bands.items()},
        "assumption": prediction.assumption,
    }
    return {
        "facts": _text(facts),
        "source_index": prediction.source_index.astype(np.uint32),
        "prefix_index": prediction.prefix_index.astype(np.uint32),
        "link_index": prediction.link_index.astype(np.int16),
        "bps": prediction.bps.astype(np.float32),
        "expected": prediction.expected.astype(np.float32),
    }


def prediction_of(state: State | None) -> Prediction | None:
    """None for what is none, or of a newer version."""
    try:
        facts = _facts(state)
        vectors = {parse_prefix(text): (before, after) for text, (before, after) in facts["vectors"].items()}
        return Prediction(
            at=datetime.fromisoformat(facts["at"]).astimezone(UTC),
            vectors=vectors,
            links=tuple(facts["links"]),
            sources=tuple(Source(asn=asn, prefix=prefix) for asn, prefix in facts["sources"]),
            prefixes=tuple(vectors),
            source_index=_column(state, "source_index").astype(np.int64),
            prefix_index=_column(state, "prefix_index").astype(np.int64),
            link_index=_column(state, "link_index").astype(np.int64),
            bps=_column(state, "bps").astype(np.float64),
            expected=_column(state, "expected").astype(np.float64),
            bands={
                name: Band(low=low, expected=expected, high=high)
                for name, (low, expected, high) in facts["bands"].items()
            },
            assumption=facts["assumption"],
        )
    except (KeyError, ValueError, TypeError):
        return None


def _text(facts: object) -> Column:
    return np.frombuffer(json.dumps(facts).encode(), dtype=np.uint8)


def _facts(state: State | None) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads(_column(state, "facts").tobytes())
    if facts["version"] > VERSION:
        raise ValueError("a newer version")
    return facts


def _column(state: State | None, name: str) -> Column:
    if state is None:
        raise KeyError(name)
    return state[name]
