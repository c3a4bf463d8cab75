"""Measures of texts and of their paths in the latent space."""

from __future__ import annotations

import difflib

import numpy as np
from numpy.typing import NDArray

from eagle_gym import plot_english
from eagle_gym.errors import TextError
from eagle_gym.latent import Utility, central_differences

Floats = NDArray[np.float64]


def edits_between(one: str, other: str, *, plot: bool) -> float:
    """Difference in content between two texts.

    Plot English: number of attribute values that were added, removed or exchanged within their slot. Free text: share
    of the words that both texts do not share in the same order.
    """
    if not plot:
        return 1.0 - difflib.SequenceMatcher(None, one.split(), other.split(), autojunk=False).ratio()
    before, after = plot_english.read(one), plot_english.read(other)
    slots = {slot for slot, _ in (*before.pairs(), *after.pairs())}
    return float(sum(_exchanges(set(before.values(slot)), set(after.values(slot))) for slot in slots))


def _exchanges(before: set[str], after: set[str]) -> int:
    return max(len(before - after), len(after - before))


def gradients(utility: Utility, z: Floats, users: NDArray[np.integer], exclude: NDArray[np.integer]) -> Floats:
    """Gradients of a utility by central differences, [B, n]; arguments as for the utility."""
    repeats = 2 * z.shape[1]
    all_users, all_excluded = np.tile(users, repeats), np.tile(exclude, repeats)
    return central_differences(lambda points: utility(points, all_users, all_excluded).total, z)


def steering(utility: Utility, z: Floats, user: int, exclude: int) -> tuple[Floats, Floats]:
    """Movement along the utility's gradient and orthogonal to it, at each step of an episode.

    Args:
        utility: The rewarded utility.
        z: Embeddings of the episode's texts, [T + 1, n].
        user: Row of the user in the space.
        exclude: Row of the start item, -1 for none.

    Returns:
        Progress, negative against the gradient, and drift, never negative, each [T]. If the gradient is zero, all
        movement is drift.
    """
    moved, here = np.diff(z, axis=0), z[:-1]
    slope = gradients(utility, here, np.full(len(here), user), np.full(len(here), exclude))
    length = np.linalg.norm(slope, axis=1, keepdims=True)
    progress = np.sum(moved * slope / np.where(length > 0, length, 1.0), axis=1)
    return progress, np.sqrt(np.maximum(np.sum(moved**2, axis=1) - progress**2, 0.0))


def well_formed(text: str, *, plot: bool) -> bool:
    """Plot English: whether a text parses. Free text: whether it is not empty."""
    if not plot:
        return bool(text.strip())
    try:
        plot_english.parse(text)
    except TextError:
        return False
    return True


def correlation(one: Floats, other: Floats) -> float:
    """Pearson correlation over pairs of finite numbers; nan if either side is constant."""
    both = np.isfinite(one) & np.isfinite(other)
    if both.sum() < 2 or np.ptp(one[both]) == 0 or np.ptp(other[both]) == 0:
        return float("nan")
    return float(np.corrcoef(one[both], other[both])[0, 1])
