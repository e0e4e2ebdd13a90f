"""The learned model as plain arrays, for a store to keep. The AS graph is not among them: it has a file of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from teagent.engine.predict.habit_rates import kinds
from teagent.engine.predict.ingress import IngressModel, Question, empty
from teagent.engine.predict.ingress_learning import with_evidence
from teagent.engine.predict.ingress_scores import Miss, Scores
from teagent.engine.predict.senders import Distances
from teagent.errors import TeagentError

VERSION = 2
"""In files of version 1 there is also how well simple models foretold, which is not looked at any more."""

State = Mapping[str, npt.NDArray[Any]]

LOG_STEP = 16.0
"""Evidence is kept as logarithms in sixteenths of a power of two: two octets each, errors of 2 %."""


def to_state(model: IngressModel) -> dict[str, npt.NDArray[Any]]:
    """Arrays by name, none of them of objects; `np.savez_compressed` takes them as they are."""
    questions = model.open
    width = model.slots.shape[1]
    log = np.round(np.log2(np.maximum(model.evidence, 1e-30)) * LOG_STEP)
    return {
        "version": np.array(VERSION),
        "links": np.array(model.links, dtype=str),
        "asn": model.asn,
        "slots": model.slots.astype(np.int16),
        "bps": model.bps,
        "seen": model.seen,
        "evidence": log.astype(np.int16),
        "open_vector": np.array([q.vector for q in questions], dtype=np.int64).reshape(
            len(questions), len(model.links)
        ),
        "open_at": np.array([q.at.timestamp() for q in questions]),
        "open_before": np.array([q.before for q in questions], dtype=np.int8).reshape(len(questions), len(model.asn)),
        "open_answers": np.array([q.answers for q in questions]).reshape(len(questions), len(model.asn), width),
        "open_seen": np.array([q.seen for q in questions], dtype=np.int64).reshape(len(questions), len(model.asn)),
        "rates": np.zeros(0) if model.pooled is None else model.pooled.rates.flat(),
        "misses": np.array([(m.distance, m.alone, m.together, m.age) for m in model.scores.misses]).reshape(-1, 4),
        "learned_at": np.array(np.nan if model.learned_at is None else model.learned_at.timestamp()),
    }


def from_state(state: State, distances: Distances) -> IngressModel:
    """The model again, with what the graph of now says. Raises TeagentError for a version that is newer than this
    code's, and where the links of the distances are others than the state's.
    """
    version = int(state["version"])
    if version > VERSION:
        raise TeagentError(
            f"the learned ingress model has version {version}, this teagent knows up to {VERSION}",
            hint="run the newer teagent, or forget what was learned",
        )
    links = tuple(str(name) for name in state["links"])
    model = empty(links, distances)
    questions = tuple(
        Question(
            vector=tuple(int(p) for p in vector),
            at=datetime.fromtimestamp(float(at), UTC),
            before=before.astype(np.int64),
            answers=answers,
            seen=seen,
        )
        for vector, at, before, answers, seen in zip(
            state["open_vector"],
            state["open_at"],
            state["open_before"],
            state["open_answers"],
            state["open_seen"],
            strict=True,
        )
    )
    learned_at = float(state["learned_at"])
    return with_evidence(
        replace(
            model,
            asn=state["asn"],
            slots=state["slots"].astype(np.int64),
            bps=state["bps"],
            seen=state["seen"],
            evidence=np.exp2(state["evidence"] / np.float32(LOG_STEP)).astype(np.float32),
            open=questions,
            scores=Scores(
                misses=tuple(
                    Miss(distance=float(d), alone=float(a), together=float(t), age=int(n))
                    for d, a, t, n in state["misses"]
                ),
            ),
            learned_at=None if np.isnan(learned_at) else datetime.fromtimestamp(learned_at, UTC),
        ),
        # Files of before rates were kept have none.
        kinds(model.slots.shape[1]).assumed.of_flat(state.get("rates", np.zeros(0))),
    )
