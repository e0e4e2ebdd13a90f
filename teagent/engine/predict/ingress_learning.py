"""Learning one observation: who is known, what each answered, what that says of it and of those like it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from teagent.engine.predict.choosers import own_choice
from teagent.engine.predict.habit_rates import Rates, kinds, pattern, patterns_of
from teagent.engine.predict.ingress import (
    CHANGES,
    ERROR,
    HALF_LIFE,
    SENDERS_MAX,
    Flags,
    Floats,
    IngressModel,
    Ints,
    Observation,
    Question,
    Vector,
)
from teagent.engine.predict.ingress_scores import misses_of
from teagent.engine.predict.ingress_shares import Chances
from teagent.engine.predict.nearness import likely, shifted
from teagent.engine.predict.pooling import Pooled, Ties, Weights, pool
from teagent.engine.predict.propagation import FAR
from teagent.engine.predict.senders import slots

Column: TypeAlias = npt.NDArray[Any]

OPEN_MAX = 3
"""So many vectors are asked at the same time: prefixes differ in theirs."""

ROUNDS_FIRST, ROUNDS = 12, 2
"""Of pooling: from what is assumed to what one picture of where senders are says of all takes more than from there on.
"""
MAINLY = 3
"""The power by which shares of what comes from one sender count as answers: a smaller part that is seen elsewhere is
more often attributed wrongly than a part with rules of its own.
"""
MORE_RULES = 0.5
"""Rules against following prepends cannot be seen before a change. Until one was scored they are assumed to be by so
much more common where all senders choose for themselves.
"""
FADES = 0.95
"""What a sender's remembered volume keeps with each observation in which it is not seen."""


def learn(model: IngressModel, observation: Observation) -> IngressModel:
    """The model with this observation in it. Links that the model does not know are left out of it."""
    column = np.array([observation.links.index(k) if k in observation.links else -1 for k in model.links])
    share = np.where(column >= 0, observation.share[:, column], 0.0)
    place = np.array([model.links.index(k) if k in model.links else -1 for k in observation.links])
    before = np.where(observation.before >= 0, place[observation.before], -1)
    seen = share.sum(axis=1) > 0
    vector = model.vector(observation.vector)
    new = not any(question.vector == vector for question in model.open)
    if new and model.open:
        model = _scored(model, observation, vector, share, before)
    model = _admitted(model, observation.asn[seen], share[seen], observation.bps[seen])
    if new:
        model = _asked(model, vector, observation.at)
    rows = model.rows(observation.asn)
    kept = np.flatnonzero(seen & (rows >= 0))
    model = _answered(model, vector, rows[kept], share[kept], before[kept])
    rounds = ROUNDS_FIRST if model.pooled is None else ROUNDS if new else 1
    return replace(_pooled(model, rounds), learned_at=observation.at)


def with_evidence(model: IngressModel, rates: Rates | None = None) -> IngressModel:
    """A model whose senders, evidence and open questions were set from outside, made whole; `rates` are those that it
    had.
    """
    model = replace(model, ties=_ties(model), pooled=None)
    return _pooled(model, ROUNDS_FIRST if rates is None else ROUNDS, rates) if len(model.asn) else model


def _pooled(model: IngressModel, rounds: int, rates: Rates | None = None) -> IngressModel:
    explains = _weigh(model)
    own = _own_choice(model)
    model, moved = _at_distances(model, explains, own)
    if moved and rates is None:
        rounds = ROUNDS_FIRST
    known = kinds(model.slots.shape[1]).with_more(0.0 if model.scores.misses else MORE_RULES * own)
    return replace(model, pooled=pool(known, model.ties, explains, rates or model.pooled, rounds))


def _own_choice(model: IngressModel) -> float:
    """By distances as the graph has them: how far links turn out to be depends on it."""
    distances = pattern(model.distances.as_in_graph().hops_of(model.asn), int(FAR))
    homes = []
    for question in model.open:
        main = np.take_along_axis(model.slots, question.answers.argmax(axis=1)[:, None], axis=1)[:, 0]
        homes.append(np.where(question.seen > 0, main, -1))
    return own_choice(distances, *model.distances.upstreams_of(model.asn), homes)


def _at_distances(model: IngressModel, explains: Weights, own: float) -> tuple[IngressModel, bool]:
    """With links as far as they turn out to be, where senders choose for themselves as far as `own`; and whether the
    likeliest is news: what was learned of all begins again then.
    """
    graph = model.distances.as_in_graph()
    if not len(graph.asn):
        return model, False
    hops = np.take_along_axis(graph.hops_of(model.asn), model.slots, axis=1)
    shifts, chances = likely(hops, model.slots, len(model.links), explains, own * model.ties.independent())
    patterns = np.stack([_patterns(shifted(hops, np.array(shift)[model.slots])) for shift in shifts])
    found = shifts[0] if any(shifts[0]) else ()
    moved = found != model.distances.further
    if moved:
        model = replace(model, distances=graph.turned_out(found), pooled=None)
    return replace(model, ties=replace(model.ties, patterns=patterns, chances=chances)), moved


# --- who is known -----------------------------------------------------------------------------------------------------


def _admitted(model: IngressModel, asn: Ints, share: Floats, bps: Floats) -> IngressModel:
    """Senders that are new come in, as far as there is room for the heaviest; lighter ones make room."""
    rows = model.rows(asn)
    known, new = np.flatnonzero(rows >= 0), np.flatnonzero(rows < 0)
    heavy = model.bps * FADES
    heavy[rows[known]] = (model.bps[rows[known]] + bps[known]) / 2
    model = replace(model, bps=heavy)
    model = _moved_slots(model, rows[known], share[known])
    if not len(new):
        return model
    every = np.concatenate([model.asn, asn[new]])
    weight = np.concatenate([heavy, bps[new]])
    kept = np.argsort(-weight, kind="stable")[:SENDERS_MAX]
    kept = kept[np.argsort(every[kept], kind="stable")]
    old = kept < len(model.asn)
    added = kept[~old] - len(model.asn)
    hops = model.distances.hops_of(asn[new][added])
    result = replace(
        model,
        asn=every[kept],
        bps=weight[kept],
        slots=_spread(old, model.slots[kept[old]], slots(hops, np.argmax(share[new][added], axis=1))),
        seen=_spread(old, model.seen[kept[old]], np.zeros(len(added), dtype=np.int64)),
        evidence=_spread(old, model.evidence[kept[old]], np.ones((len(added), len(model.habits)), np.float32)),
        open=tuple(
            replace(
                q,
                before=_spread(old, q.before[kept[old]], np.full(len(added), -1)),
                answers=_spread(old, q.answers[kept[old]], np.zeros((len(added), model.slots.shape[1]))),
                seen=_spread(old, q.seen[kept[old]], np.zeros(len(added), dtype=np.int64)),
            )
            for q in model.open
        ),
        pooled=None,
    )
    result = replace(result, ties=_ties(result))
    if model.pooled is None or not old.any():
        return result
    return replace(result, pooled=_with_newcomers(model.pooled, result, old, kept[old]))


def _spread(old: Flags, of_old: Column, of_new: Column) -> Column:
    result: Column = np.empty((len(old), *of_old.shape[1:]), dtype=of_old.dtype)
    result[old], result[~old] = of_old, of_new
    return result


def _with_newcomers(pooled: Pooled, model: IngressModel, old: Flags, kept: Ints) -> Pooled:
    """The last result, with rows for senders that came in since."""
    known, ties = kinds(model.slots.shape[1]), model.ties
    base = known.of_habits(known.of_ways(pooled.rates)).astype(np.float32)
    fresh = base[ties.pattern_of[~old]]
    return replace(
        pooled, prior=_spread(old, pooled.prior[kept], fresh), posterior=_spread(old, pooled.posterior[kept], fresh)
    )


def _moved_slots(model: IngressModel, rows: Ints, share: Floats) -> IngressModel:
    """A sender that comes in where it was not thought to: it begins again, with that link among its slots."""
    top = np.argmax(share, axis=1)
    wrong = ~(model.slots[rows] == top[:, None]).any(axis=1)
    if not wrong.any():
        return model
    rows, top = rows[wrong], top[wrong]
    places, evidence, seen = model.slots.copy(), model.evidence.copy(), model.seen.copy()
    places[rows] = slots(model.distances.hops_of(model.asn[rows]), top)
    evidence[rows], seen[rows] = 1.0, 0
    questions = []
    for question in model.open:
        before, answers, count = question.before.copy(), question.answers.copy(), question.seen.copy()
        before[rows], answers[rows], count[rows] = -1, 0.0, 0
        questions.append(replace(question, before=before, answers=answers, seen=count))
    result = replace(model, slots=places, evidence=evidence, seen=seen, open=tuple(questions))
    return replace(result, ties=_ties(result))


def _ties(model: IngressModel) -> Ties:
    """Who is like whom, as `pooling` wants it."""
    width = model.slots.shape[1]
    hops = np.take_along_axis(model.distances.hops_of(model.asn), model.slots, axis=1)
    over = model.slots @ len(model.links) ** np.arange(width)
    member, upstream = model.distances.upstreams_of(model.asn)
    _, upstream_of = np.unique(np.stack([over[member], upstream]), axis=1, return_inverse=True)
    return Ties(patterns=_patterns(hops)[None], chances=(1.0,), member=member, upstream_of=upstream_of.reshape(-1))


def _patterns(hops: Ints) -> Ints:
    """(N) of `hops` (N, S), their places among all patterns."""
    return patterns_of(kinds(hops.shape[1]).patterns, pattern(hops, int(FAR)))


# --- whether that was foretold ----------------------------------------------------------------------------------------


def _scored(model: IngressModel, observation: Observation, vector: Vector, share: Floats, before: Ints) -> IngressModel:
    """What would have been said of this vector, against what was seen first."""
    last = model.vector(observation.vector_before) if observation.vector_before is not None else model.open[-1].vector
    rows = np.flatnonzero((before >= 0) & (share.sum(axis=1) > 0) & (observation.bps > 0))
    if not len(rows) or last == vector:
        return model
    chances = Chances(model).each(observation.asn[rows], before[rows], last, vector)
    misses = misses_of(observation.bps[rows], chances, share[rows], before[rows])
    return replace(model, scores=model.scores.with_outcome(misses))


# --- what they answered -----------------------------------------------------------------------------------------------


def _asked(model: IngressModel, vector: Vector, at: datetime) -> IngressModel:
    """A new question; the oldest one is closed when there are too many, and becomes evidence."""
    if len(model.open) == OPEN_MAX:
        oldest, *others = model.open
        evidence = _after(model, model.evidence, oldest, model.open[1].at - oldest.at)
        answered = model.seen + (oldest.seen > 0)
        model = replace(model, evidence=evidence, seen=answered, open=tuple(others))
    count, width = model.slots.shape
    question = Question(
        vector=vector,
        at=at,
        before=np.full(count, -1),
        answers=np.zeros((count, width)),
        seen=np.zeros(count, dtype=np.int64),
    )
    return replace(model, open=(*model.open, question))


def _answered(model: IngressModel, vector: Vector, rows: Ints, share: Floats, before: Ints) -> IngressModel:
    """`share` (N, K) and `before` (N), of the model's links, for the senders at `rows`."""
    question = next(q for q in model.open if q.vector == vector)
    inside = np.take_along_axis(share, model.slots[rows], axis=1)
    answers, seen, slot = question.answers.copy(), question.seen.copy(), question.before.copy()
    answers[rows] += inside
    seen[rows] += 1
    match = model.slots[rows] == before[:, None]
    first = seen[rows] == 1
    slot[rows] = np.where(first, np.where(match.any(axis=1), match.argmax(axis=1), -1), slot[rows])
    done = replace(question, answers=answers, seen=seen, before=slot)
    return replace(model, open=tuple(done if q.vector == vector else q for q in model.open))


def _weigh(model: IngressModel) -> Weights:
    """(n, H): how well each habit explains all that was seen of each sender, questions that are still open too."""
    evidence = model.evidence
    for question, later in zip(model.open, (*model.open[1:], None), strict=True):
        if later is None:
            return evidence * _likelihood(model, question)
        evidence = _after(model, evidence, question, later.at - question.at)
    return evidence


def _after(model: IngressModel, evidence: Weights, question: Question, time: timedelta) -> Weights:
    """The evidence once this question is answered and that time has gone by, in units of what was to be expected.

    A filter with jumps: a sender keeps its habits, or draws new ones as its like have them.
    """
    keeps = (1 - CHANGES) * 0.5 ** (max(time, timedelta(0)) / HALF_LIFE)
    grown = evidence * _likelihood(model, question)
    if model.pooled is None:
        expected = grown.mean(axis=1, keepdims=True)
    else:
        expected = np.einsum("nh,nh->n", grown, model.pooled.prior)[:, None]
    result: Weights = grown * (keeps / np.maximum(expected, 1e-30)).astype(np.float32)
    result += np.float32(1 - keeps)
    return result


def _likelihood(model: IngressModel, question: Question) -> Weights:
    """(n, H): how well each habit goes with the answers; 1 where there is none."""
    width = model.slots.shape[1]
    result = np.ones((len(model.asn), len(model.habits)), dtype=np.float32)
    if width < 2:
        return result
    answered = question.seen > 0
    share = ((question.answers / np.maximum(question.seen, 1)[:, None]) ** MAINLY).astype(np.float32)
    share /= np.maximum(share.sum(axis=1, keepdims=True), np.finfo(np.float32).tiny)
    over = model.slots @ len(model.links) ** np.arange(width) * (width + 1) + question.before + 1
    for case in np.unique(over[answered]):
        rows = np.flatnonzero((over == case) & answered)
        chosen = model.answers(question.vector, model.slots[rows[0]], int(question.before[rows[0]]))
        right = np.eye(width, dtype=np.float32)[chosen].T
        result[rows] = share[rows] @ (
            right * np.float32(1 - ERROR - ERROR / (width - 1)) + np.float32(ERROR / (width - 1))
        )
    return result
