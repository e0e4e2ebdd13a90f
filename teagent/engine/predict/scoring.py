"""Predicted against realised, and what follows for the bands."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta

import numpy as np

from teagent.engine.predict.prediction import Prediction
from teagent.engine.predict.shares import Floats, Ints
from teagent.model.plan import Band
from teagent.model.scorecard import MISPROJECTED_MAX, Scorecard, ScoredLink, ScoredSource, ScoreKind
from teagent.model.traffic import TrafficMatrix

SHOWN = 10
WIDEST = 4.0
"""Bands are never made wider than so many times: from there on it is the model that has to change."""
REMEMBERED = 40
"""So many outcomes of links, the latest, say how wide bands have to be."""
HELD = 0.9
"""The share of outcomes that a band is to hold."""
NARROWEST = 0.01
"""Half a band is taken to be at least this share of the load: an error of nothing is no multiple of anything."""


def score(
    prediction: Prediction,
    matrix: TrafficMatrix,
    loads: Mapping[str, float | None],
    *,
    kind: ScoreKind,
    subject: str = "",
) -> Scorecard | None:
    """`matrix` holds traffic of the predicted vectors alone; `loads` what each whole link carried in its window.

    None where no sender of the prediction was seen again: there is nothing to compare.
    """
    came, where, was, expected = _joined(prediction, matrix)
    total = came.sum(axis=1)
    if not total.sum() > 0:
        return None
    likeliest, realised = expected.argmax(axis=1), came.argmax(axis=1)
    hit = came[np.arange(len(came)), likeliest]
    moved = realised != was
    shares = [expected.T @ total / total.sum(), came.sum(axis=0) / total.sum()]
    error = np.abs(shares[0] - shares[1])
    links = tuple(
        _link(prediction.bands[name], name, loads.get(name), float(shares[0][k]), float(shares[1][k]))
        for k, name in enumerate(prediction.links)
        if name in prediction.bands
    )
    held = [link.within_band for link in links if link.within_band is not None]
    return Scorecard(
        kind=kind,
        subject=subject,
        prefixes=prediction.prefixes,
        predicted_at=prediction.at,
        since=matrix.at - timedelta(seconds=matrix.seconds),
        until=matrix.at,
        bps=float(total.sum()),
        top1=float(hit.sum() / total.sum()),
        moved_bps=float(total[moved].sum()),
        top1_moved=float(hit[moved].sum() / total[moved].sum()) if total[moved].sum() > 0 else None,
        error_points=float(error.max() * 100),
        misprojected=float(error.sum() / 2),
        coverage=sum(held) / len(held) if held else None,
        links=links,
        sources=_missed(prediction, where, (came, likeliest, realised)),
        assumption=prediction.assumption,
    )


def _joined(prediction: Prediction, matrix: TrafficMatrix) -> tuple[Floats, Ints, Ints, Floats]:
    """Of the pairs of sender and prefix that were predicted and seen again: what came (P, K), who (P), over which link
    most of it came before (P), and the chances of each link (P, K), of its demands by their volume.
    """
    pairs, row = np.unique(
        prediction.source_index * len(prediction.prefixes) + prediction.prefix_index, return_inverse=True
    )
    size = (len(pairs), len(prediction.links))
    came, was, chances = np.zeros(size), np.zeros(size), np.zeros(size)
    place, link, bps = _seen(prediction, matrix, pairs)
    np.add.at(came, (place, link), bps)
    np.add.at(was, (row.reshape(-1), prediction.link_index), prediction.bps)
    np.add.at(chances, row.reshape(-1), prediction.bps[:, None] * prediction.expected)
    sent = was.sum(axis=1)
    both = np.flatnonzero((came.sum(axis=1) > 0) & (sent > 0))
    who = pairs[both] // max(1, len(prediction.prefixes))
    return came[both], who, was[both].argmax(axis=1), chances[both] / sent[both][:, None]


def _seen(prediction: Prediction, matrix: TrafficMatrix, pairs: Ints) -> tuple[Ints, Ints, Floats]:
    """Of the matrix's rows that belong to one of the pairs: which, over which link, how much."""
    none = np.zeros(0, dtype=np.int64)
    if not len(matrix) or not len(pairs):
        return none, none, np.zeros(0)
    number = {source: k for k, source in enumerate(prediction.sources)}
    of_source = np.array([number.get(source, -1) for source in matrix.sources], dtype=np.int64)
    of_prefix = np.array([_index(prediction.prefixes, p) for p in matrix.prefixes], dtype=np.int64)
    of_link = np.array([_index(prediction.links, name) for name in matrix.links], dtype=np.int64)
    source, prefix = of_source[matrix.source_index], of_prefix[matrix.prefix_index]
    link = of_link[matrix.link_index]
    key = source * len(prediction.prefixes) + prefix
    place = np.minimum(np.searchsorted(pairs, key), len(pairs) - 1)
    kept = (source >= 0) & (prefix >= 0) & (link >= 0) & (pairs[place] == key)
    return place[kept], link[kept], matrix.bps[kept]


def _index(names: tuple[object, ...], name: object) -> int:
    return names.index(name) if name in names else -1


def _link(band: Band, name: str, load: float | None, predicted: float, realised: float) -> ScoredLink:
    return ScoredLink(
        link=name,
        predicted=band,
        realised_bps=load,
        within_band=None if load is None else band.low <= load <= band.high,
        predicted_share=predicted,
        realised_share=realised,
    )


def _missed(prediction: Prediction, where: Ints, seen: tuple[Floats, Ints, Ints]) -> tuple[ScoredSource, ...]:
    came, likeliest, realised = seen
    missed = came.sum(axis=1) - came[np.arange(len(came)), likeliest]
    rows = [int(row) for row in np.argsort(-missed, kind="stable")[:SHOWN] if missed[row] >= 1]
    return tuple(
        ScoredSource(
            source=prediction.sources[int(where[row])],
            bps=float(came[row].sum()),
            predicted_link=prediction.links[int(likeliest[row])],
            realised_link=prediction.links[int(realised[row])],
            missed_bps=float(missed[row]),
        )
        for row in rows
    )


def widening(scorecards: Iterable[Scorecard]) -> float:
    """By how much bands are to be widened, after the scores of changes, oldest first; 1 where they hold.

    Split conformal prediction (Vovk; Papadopoulos et al. 2002): of the last outcomes, how many half-bands each was off,
    and of these the quantile that would have held HELD of them. Nothing is widened while no score of these was
    misprojected, so that a band that failed by a hair now and then stays what it is.
    """
    changes = [card for card in scorecards if card.kind is not ScoreKind.NO_CHANGE]
    rows = [(card, link) for card in changes for link in card.links if link.realised_bps is not None][-REMEMBERED:]
    if not any(card.misprojected > MISPROJECTED_MAX for card, _ in rows):
        return 1.0
    off = sorted(_half_bands_off(link) for _, link in rows)
    place = min(len(off), math.ceil(HELD * (len(off) + 1))) - 1
    return min(WIDEST, max(1.0, off[place]))


def _half_bands_off(link: ScoredLink) -> float:
    realised = link.realised_bps or 0.0
    error = realised - link.predicted.expected
    half = link.predicted.high - link.predicted.expected if error > 0 else link.predicted.expected - link.predicted.low
    return abs(error) / max(half, NARROWEST * max(link.predicted.expected, 1.0))


def misprojecting(scorecards: Iterable[Scorecard]) -> Scorecard | None:
    """The last score of a change, where that was misprojected."""
    last = None
    for card in scorecards:
        if card.kind is not ScoreKind.NO_CHANGE:
            last = card
    return last if last is not None and last.misprojected > MISPROJECTED_MAX else None


def means(cards: Sequence[Scorecard]) -> Mapping[str, float | None]:
    """Weighted by their traffic where that is what is compared; None of none."""
    bps = sum(card.bps for card in cards)
    moved = sum(card.moved_bps for card in cards)
    held = [card.coverage for card in cards if card.coverage is not None]
    return {
        "top1": sum(card.top1 * card.bps for card in cards) / bps if bps else None,
        "top1_moved": sum((card.top1_moved or 0.0) * card.moved_bps for card in cards) / moved if moved else None,
        "error_points": sum(card.error_points for card in cards) / len(cards) if cards else None,
        "misprojected": sum(card.misprojected for card in cards) / len(cards) if cards else None,
        "coverage": sum(held) / len(held) if held else None,
    }
