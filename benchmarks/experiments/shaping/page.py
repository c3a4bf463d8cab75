"""The page on shaped rewards: gain, judge, and what shaping changes, at each budget of steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from baselines.evaluate import EpisodeRow
from benchmarks.judging.true_taste import TrueTaste
from benchmarks.reporting.document import aligned
from benchmarks.running.files import write_json
from benchmarks.running.runs import by_method, read_run, rows_of
from benchmarks.stats import Interval, Keyed, bootstrap, normalised, paired_difference
from eagle_gym.catalog import load_plots, split_catalog
from eagle_gym.errors import ConfigurationError

NOTE = (
    "Gains are in standard deviations over the catalog, on test users, of the plain reward. *Judge* is the gain by the "
    "users' true taste, in standard deviations of the user's ratings, less the mean of other test users. *Confirmed* "
    "is the judge's gain for one unit of rewarded affinity, n/a where the affinity may be 0. Intervals are 95 %, over "
    "users and {seeds} training seed{plural}. *Shaped minus plain* compares the same episodes of the same agent and "
    "budget."
)
RATERS = 64  # test users whose mean is subtracted
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Judged:
    """A method's episodes with the judge's gains."""

    rows: tuple[EpisodeRow, ...]
    judge: tuple[float, ...]

    def keyed(self, score: Callable[[EpisodeRow], float] | None = None) -> Keyed:
        """Scores of the episodes; the judge's if no score is given."""
        scores = self.judge if score is None else [score(row) for row in self.rows]
        return [(row.seed, row.episode, row.user, value) for row, value in zip(self.rows, scores, strict=True)]


class PersonalJudge:
    """The true taste, less that of the mean of other users."""

    def __init__(self) -> None:
        catalog = load_plots()
        self._judge = TrueTaste(catalog)
        self._raters = [str(catalog.users[user]) for user in split_catalog(catalog).test_users[:RATERS]]

    def gains(self, rows: Sequence[EpisodeRow]) -> Floats:
        """`[B]` gains of episodes."""
        users = [row.user for row in rows]
        first, last = ([row.texts[end] for row in rows] for end in (0, -1))
        own = self._judge.standard(users, last) - self._judge.standard(users, first)
        panel = self._judge.panel(self._raters, last) - self._judge.panel(self._raters, first)
        gained: Floats = own - panel.mean(axis=0)
        return gained


def write_page(folder: Path) -> str:
    """Write `REPORT.md`, `SUMMARY.md` and `shaping.json` of the cells that are done."""
    run, judge = read_run(folder), PersonalJudge()
    found = {}
    for method, cells in by_method(run.of("plots")).items():
        rows = tuple(rows_of(cells))
        found[method] = Judged(rows, tuple(judge.gains(rows).tolist()))
    seeds = len({cell.seed for cell in run.done})
    body = [[titled(method), *columns(judged)] for method, judged in sorted(found.items(), key=placed)]
    table = aligned(["agent", "seeds", "gain", "affinity", "judge", "confirmed", "well-formed"], body)
    differences, numbers = compared(found)
    note = NOTE.format(seeds=seeds, plural="s" * (seeds != 1))
    text = "\n\n".join([note, "## Gain and judge", table, "## Shaped minus plain", differences]) + "\n"
    (folder / "REPORT.md").write_text(text)
    (folder / "SUMMARY.md").write_text(differences + "\n")
    write_json({"rows": {row[0]: row[1:] for row in body}, "shaped minus plain": numbers}, folder / "shaping.json")
    return text


def placed(pair: tuple[str, Judged]) -> tuple[str, int, str]:
    """Sorts methods by agent, budget and shape."""
    name, shape, steps = parts(pair[0])
    return name, steps, shape


def parts(method: str) -> tuple[str, str, int]:
    """Agent, shape and budget of a method: `"ppo-par-2560"`."""
    name, _, steps = method.rpartition("-")
    if not steps.isdigit():
        return method, "", 0
    agent, _, shape = name.partition("-")
    return agent, shape, int(steps)


TITLES: Mapping[str, str] = {"ppo": "PPO", "eagle": "EAGLE (latent)"}


def titled(method: str) -> str:
    """A method in words."""
    name, shape, steps = parts(method)
    return f"{TITLES[name]}, {shape.replace('_', '-')}, {steps:,} steps" if steps else method


def columns(judged: Judged) -> list[str]:
    """Seeds, gain, affinity, judge, share confirmed and share well-formed of a method."""
    affinity = judged.keyed(lambda row: row.affinity_gain)
    scores = (judged.keyed(lambda row: row.gain), affinity, judged.keyed(), judged.keyed(lambda row: float(row.valid)))
    gain, liked, judge, valid = (str(average(keyed)) for keyed in scores)
    confirmed = share(judged.keyed(), affinity)
    return [str(len({row.seed for row in judged.rows})), gain, liked, judge, confirmed, valid]


def share(judge: Keyed, affinity: Keyed) -> str:
    """The judge's gain for one unit of affinity; n/a where the affinity is not above 0, or its interval is not."""
    try:
        found = normalised(judge, affinity, np.random.default_rng(0))
    except ConfigurationError:
        return "n/a"
    return str(found) if np.isfinite([found.low, found.high]).all() else "n/a"


def average(keyed: Keyed) -> Interval:
    """Mean of scores."""
    seeds, _, users, scores = zip(*keyed, strict=True)
    return bootstrap(scores, seeds, users, np.random.default_rng(0))


def compared(found: Mapping[str, Judged]) -> tuple[str, dict[str, dict[str, str]]]:
    """What each shape changes, at the same budget of the same agent."""
    body, numbers = [], {}
    for method, shaped in sorted(found.items(), key=placed):
        name, shape, steps = parts(method)
        plain = found.get(f"{name}-plain-{steps}")
        if not steps or shape == "plain" or plain is None:
            continue
        gap = paired_difference(gap_of(shaped), gap_of(plain), np.random.default_rng(0))
        gain = paired_difference(
            shaped.keyed(lambda row: row.gain), plain.keyed(lambda row: row.gain), np.random.default_rng(0)
        )
        judge = paired_difference(shaped.keyed(), plain.keyed(), np.random.default_rng(0))
        body.append([titled(method), str(gain), str(judge), str(gap), verdict(gap)])
        numbers[titled(method)] = {"gain": str(gain), "judge": str(judge), "gap": str(gap)}
    head = ["shaped", "gain", "judge", "gap (affinity less judge)", "the gap is"]
    return (aligned(head, body) if body else "Not run."), numbers


def gap_of(judged: Judged) -> Keyed:
    """Rewarded affinity less the judge's gain."""
    return [
        (row.seed, row.episode, row.user, row.affinity_gain - judge)
        for row, judge in zip(judged.rows, judged.judge, strict=True)
    ]


def verdict(gap: Interval) -> str:
    """What an interval of a difference says."""
    if gap.high < 0:
        return "narrower"
    return "wider" if gap.low > 0 else "undecided"
