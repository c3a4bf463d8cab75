"""Shares of edits, and how well something that needs no rule agrees with the rules, with intervals over texts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.stats import Interval, counts, percentiles

Floats = NDArray[np.float64]
REPLICATES: Final = 2000


def mean(values: Sequence[float], texts: Sequence[str]) -> Interval:
    """Mean of the values."""
    return _over_texts(lambda a, _, w: w @ a / w.sum(axis=1), values, values, texts)


def agreement(said: Sequence[bool], rule: Sequence[bool], texts: Sequence[str]) -> Interval:
    """Share of equal verdicts."""
    return _over_texts(lambda a, b, w: w @ (a == b) / w.sum(axis=1), said, rule, texts)


def kappa(said: Sequence[bool], rule: Sequence[bool], texts: Sequence[str]) -> Interval:
    """Cohen's kappa: agreement beyond that of two who say yes as often, but at random. 0 where one never varies."""
    return _over_texts(_kappas, said, rule, texts)


def area(score: Sequence[float], rule: Sequence[bool], texts: Sequence[str]) -> Interval:
    """Probability that an edit that the rule calls followed has a higher score than one that it does not (AUC)."""
    return _over_texts(_areas, score, rule, texts)


def _over_texts(
    statistic: Callable[[Floats, Floats, Floats], Floats],
    first: Sequence[float],
    second: Sequence[float],
    texts: Sequence[str],
) -> Interval:
    """A statistic of pairs and its 95 % interval; whole texts are drawn, since edits of one text are alike."""
    places = {text: place for place, text in enumerate(dict.fromkeys(texts))}
    own = np.array([places[text] for text in texts])
    drawn = counts(len(places), np.random.default_rng(0), REPLICATES)[:, own].astype(np.float64)
    one, other = np.asarray(first, np.float64), np.asarray(second, np.float64)
    estimate = float(statistic(one, other, np.ones((1, len(own))))[0])
    found = statistic(one, other, drawn)
    finite = found[np.isfinite(found)]
    return percentiles(estimate, finite, 0.95) if len(finite) else Interval(np.nan, np.nan, np.nan)


def _kappas(one: Floats, other: Floats, weights: Floats) -> Floats:
    total = weights.sum(axis=1)
    yes, wanted, both = weights @ one / total, weights @ other / total, weights @ (one == other) / total
    chance = yes * wanted + (1 - yes) * (1 - wanted)
    return np.where(chance < 1, (both - chance) / np.where(chance < 1, 1 - chance, 1), 0.0)


def _areas(score: Floats, rule: Floats, weights: Floats) -> Floats:
    follow, leave = rule == 1, rule == 0
    higher = score[follow][:, None] - score[leave][None]
    wins = (higher > 0) + 0.5 * (higher == 0)
    positive, negative = weights[:, follow], weights[:, leave]
    pairs = positive.sum(axis=1) * negative.sum(axis=1)
    won = ((positive @ wins) * negative).sum(axis=1)
    return np.where(pairs > 0, won / np.where(pairs > 0, pairs, 1), np.nan)
