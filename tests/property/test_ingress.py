from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from teagent.engine.predict.habits import WITHHELD
from teagent.engine.predict.ingress import Observation, empty
from teagent.engine.predict.ingress_learning import learn
from teagent.engine.predict.ingress_shares import Chances
from teagent.engine.predict.ingress_state import from_state, to_state
from teagent.engine.predict.propagation import FAR
from teagent.engine.predict.senders import Distances

START = datetime(2026, 3, 1, tzinfo=UTC)


@st.composite
def histories(draw):
    """A model of two to four links that saw up to four vectors, of senders some of which the graph does not know."""
    links = tuple("abcd"[: draw(st.integers(2, 4))])
    width, count = len(links), draw(st.integers(1, 12))
    asn = np.arange(64496, 64496 + count)
    hop = st.integers(1, 6) | st.just(int(FAR))
    hops = np.array(draw(st.lists(st.lists(hop, min_size=width, max_size=width), min_size=count, max_size=count)))
    known = draw(st.integers(0, count))
    distances = Distances(
        links=links,
        asn=asn[:known],
        hops=hops[:known].reshape(known, width),
        start=np.arange(known + 1),
        upstream=np.full(known, 3356) + np.arange(known) % 3,
    )
    model = empty(links, distances)
    prepends = st.lists(st.integers(0, 3) | st.just(WITHHELD), min_size=width, max_size=width)
    for day in range(draw(st.integers(0, 4))):
        vector = draw(prepends.filter(lambda v: min(v) < WITHHELD))
        on = np.array(draw(st.lists(st.integers(0, width - 1), min_size=count, max_size=count)))
        before = np.array(draw(st.lists(st.integers(-1, width - 1), min_size=count, max_size=count)))
        seen = np.flatnonzero(draw(st.lists(st.booleans(), min_size=count, max_size=count)))
        observation = Observation(
            at=START + timedelta(days=day),
            links=links,
            vector={link: p for link, p in zip(links, vector, strict=True) if p < WITHHELD},
            asn=asn[seen],
            share=np.eye(width)[on[seen]],
            before=before[seen],
            bps=np.full(len(seen), 1e6),
        )
        model = learn(model, observation)
    after = tuple(draw(prepends.filter(lambda v: min(v) < WITHHELD)))
    return model, asn, after


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(histories(), st.integers(0, 3))
def test_chances_are_chances_and_nobody_takes_a_link_that_does_not_announce(history, link):
    model, asn, after = history
    on = np.full(len(asn), link % len(model.links))
    each = Chances(model).each(asn, on, (0,) * len(model.links), after)
    assert np.isfinite(each).all()
    assert (each >= -1e-9).all()
    assert np.allclose(each.sum(axis=1), 1.0, atol=1e-5)
    assert (each[:, np.array(after) >= WITHHELD] == 0).all()


@pytest.mark.slow
@settings(max_examples=20, deadline=None)
@given(histories())
def test_a_model_survives_being_kept(history):
    model, asn, after = history
    again = from_state(to_state(model), model.distances)
    on, before = np.zeros(len(asn), dtype=np.int64), (0,) * len(model.links)
    one, other = (chances.of(chances.cases(asn, on), before, after) for chances in (Chances(model), Chances(again)))
    assert one.shape == other.shape
    assert again.scores == model.scores
