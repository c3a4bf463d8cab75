"""How well predicted ratings rank what a user rated: AUC and NDCG@10.

Both compare the predictions for a user's items with each other, so it does not matter how the user uses the scale. They
are defined for users with two different ratings; others have no order to predict.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def auc(predicted: Floats, rated: Floats) -> float:
    """Share of pairs of differently rated items in which the item rated higher is predicted higher.

    Args:
        predicted: Predictions for one user, [m].
        rated: The user's ratings, at least two of them different, [m].

    Returns:
        1 for the right order, 0.5 for a random one; tied predictions count one half.
    """
    order = np.argsort(rated, kind="stable")
    ranked, first = np.unique(rated[order], return_index=True)
    guess, won, pairs = predicted[order], 0.0, 0
    for start in first[1:]:  # few: scales have about ten values
        below, level = np.sort(guess[:start]), guess[start:][rated[order][start:] == ranked[first == start]]
        won += float(sum(np.searchsorted(below, level, side).sum() for side in ("left", "right"))) / 2
        pairs += len(below) * len(level)
    return won / pairs


def ndcg(predicted: Floats, rated: Floats, k: int = 10) -> float:
    """Normalised discounted cumulative gain of the k items predicted highest.

    An item rated r gains 2^r - 1, which the place p, from 1, divides by log2(p + 1). Items of equal predictions each
    have their mean gain, which is the expectation over their order.

    Args:
        predicted: Predictions for one user, [m].
        rated: The user's ratings, not all 0, [m].
        k: Number of places.

    Returns:
        The gain divided by that of the best order; at most 1.
    """
    gains = np.exp2(rated) - 1.0
    _, group = np.unique(-predicted, return_inverse=True)
    shared = (np.bincount(group, weights=gains) / np.bincount(group))[np.sort(group)]
    discounts = 1.0 / np.log2(np.arange(2, min(k, len(rated)) + 2))
    return float(shared[:k] @ discounts / (np.sort(gains)[::-1][:k] @ discounts))


def mean_ranking(user: NDArray[np.integer], predicted: Floats, rated: Floats) -> tuple[float, float]:
    """AUC and NDCG@10, means over users with two different ratings.

    Args:
        user: User of each rating, [m].
        predicted: Predicted ratings, [m].
        rated: The ratings, [m].

    Returns:
        AUC and NDCG@10; NaN if no user has two different ratings.
    """
    order = np.argsort(user, kind="stable")
    _, first = np.unique(user[order], return_index=True)
    scores = [
        (auc(predicted[rows], rated[rows]), ndcg(predicted[rows], rated[rows]))
        for rows in np.split(order, first[1:])
        if len(rows) and np.ptp(rated[rows]) > 0
    ]
    if not scores:
        return float("nan"), float("nan")
    means = np.mean(scores, axis=0)
    return float(means[0]), float(means[1])
