"""Tables of an experiment, from what its cells have left."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from baselines.evaluate import EpisodeRow
from baselines.run import read_curve
from benchmarks.reporting.names import title
from benchmarks.stats import Interval, bootstrap, normalised, paired_difference, weighted_iqm
from benchmarks.suite import CellResult

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Summary:
    """One agent over all its seeds in one environment.

    Attributes:
        agent: Its name.
        gain: Mean gain in utility, catalog standard deviations.
        iqm: Interquartile mean of the same.
        affinity: Mean gain of the affinity part.
        novelty: Mean gain of the novelty part.
        percentile: Mean percentile of the last text's predicted rating among the catalog's.
        valid: Share of episodes in which every text was well-formed.
        episodes: How many, over all seeds.
        seeds: How many.
        training_calls: Language-model calls of training, mean over seeds.
        calls: Language-model calls of an episode, mean.
    """

    agent: str
    gain: Interval
    iqm: Interval
    affinity: float
    novelty: float
    percentile: float
    valid: float
    episodes: int
    seeds: int
    training_calls: float
    calls: float


def summarise(results: Sequence[CellResult], rng: np.random.Generator) -> list[Summary]:
    """One summary for each agent, the best first."""
    agents = dict.fromkeys(result.cell.method for result in results)
    summaries = [summary([result for result in results if result.cell.method == agent], rng) for agent in agents]
    return sorted(summaries, key=lambda item: -item.gain.estimate)


def summary(results: Sequence[CellResult], rng: np.random.Generator) -> Summary:
    """The summary of one agent's cells."""
    rows = [row for result in results for row in result.rows]
    gains, seeds, users = [row.gain for row in rows], [row.seed for row in rows], [row.user for row in rows]
    return Summary(
        agent=results[0].cell.method,
        gain=bootstrap(gains, seeds, users, rng),
        iqm=bootstrap(gains, seeds, users, rng, statistic=weighted_iqm),
        affinity=average(row.affinity_gain for row in rows),
        novelty=average(row.novelty_gain for row in rows),
        percentile=average(row.percentile for row in rows),
        valid=average(float(row.valid) for row in rows),
        episodes=len(rows),
        seeds=len(results),
        training_calls=average(result.training.calls if result.training else 0 for result in results),
        calls=sum(result.evaluation.calls for result in results) / len(rows),
    )


@dataclass(frozen=True, eq=False)
class Curve:
    """How an agent's return on its training episodes grew, over seeds.

    Attributes:
        agent: Its name.
        steps: Environment steps taken, [P].
        calls: Language-model calls made, [P].
        mean: Mean return over seeds, [P].
        low: Of the worst seed, [P].
        high: Of the best, [P].
    """

    agent: str
    steps: Floats
    calls: Floats
    mean: Floats
    low: Floats
    high: Floats


def learning_curves(results: Sequence[CellResult], folder: Path) -> list[Curve]:
    """The curves of the agents that were trained on episodes, from the ``agent`` folders of their cells.

    Calls are spread evenly over the steps of a run, as they are: each step is one generation, repeated ones aside.

    Args:
        results: Of one environment.
        folder: Of the run.
    """
    found: dict[str, list[tuple[CellResult, dict[float, float]]]] = {}
    for result in results:
        agent = folder / result.cell.place / "agent"
        rows = read_curve(agent) if agent.exists() else []
        if rows and all("return" in row for row in rows):  # other curves are of losses against updates
            found.setdefault(result.cell.method, []).append((result, {row["steps"]: row["return"] for row in rows}))
    return [_curve(agent, runs) for agent, runs in found.items()]


def _curve(agent: str, runs: Sequence[tuple[CellResult, dict[float, float]]]) -> Curve:
    steps = sorted(set(runs[0][1]).intersection(*(rows for _, rows in runs)))
    returns = np.array([[rows[step] for step in steps] for _, rows in runs])
    rates = [result.training.calls / max(rows) for result, rows in runs if result.training]
    taken = np.array(steps, dtype=np.float64)
    return Curve(agent, taken, taken * np.mean(rates), returns.mean(0), returns.min(0), returns.max(0))


def average(values: Iterable[float]) -> float:
    """Plain mean of an iterable."""
    return float(np.mean(list(values)))


def table(summaries: Sequence[Summary]) -> str:
    """The table, in plain characters that are Markdown too."""
    head = ["method", "gain", "95 % interval", "IQM", "affinity", "novelty", "percentile", "valid"]
    head += ["calls to train", "calls an episode"]
    body = [
        [
            title(item.agent),
            f"{item.gain.estimate:.2f}",
            f"[{item.gain.low:.2f}, {item.gain.high:.2f}]",
            f"{item.iqm.estimate:.2f}",
            f"{item.affinity:+.2f}",
            f"{item.novelty:+.2f}",
            f"{item.percentile:.0f}",
            f"{item.valid:.1%}",
            f"{item.training_calls:,.0f}",
            f"{item.calls:.1f}",
        ]
        for item in summaries
    ]
    return aligned(head, body)


def aligned(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """A Markdown table whose columns line up; the first to the left, the others to the right."""
    widths = [max(len(row[i]) for row in [head, *body]) for i in range(len(head))]

    def line(row: Sequence[str]) -> str:
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        return f"| {' | '.join(cells)} |"

    rule = "|".join(["", "-" * (widths[0] + 2), *("-" * (width + 1) + ":" for width in widths[1:]), ""])
    return "\n".join([line(head), rule, *(line(row) for row in body)])


def difference(results: Sequence[CellResult], first: str, second: str, rng: np.random.Generator) -> Interval:
    """Mean paired difference of the gains of two agents, over the episodes that both have met."""
    return paired_difference(keyed(results, first), keyed(results, second), rng)


def share(results: Sequence[CellResult], first: str, second: str, rng: np.random.Generator) -> Interval:
    """Gain of one agent over that of another, over the episodes that both have met."""
    return normalised(keyed(results, first), keyed(results, second), rng)


def keyed(results: Sequence[CellResult], agent: str) -> list[tuple[Any, Any, Any, float]]:
    """``(seed, episode, user, gain)`` of an agent's episodes."""
    rows: list[EpisodeRow] = [row for result in results if result.cell.method == agent for row in result.rows]
    return [(row.seed, row.episode, row.user, row.gain) for row in rows]


def typical(rows: Sequence[EpisodeRow]) -> EpisodeRow:
    """The episode to show: of median gain among those whose texts are all well-formed (among all, where none is)."""
    shown = [row for row in rows if row.valid] or list(rows)
    return sorted(shown, key=lambda row: (row.gain, row.episode))[len(shown) // 2]


def transcript(row: EpisodeRow, width: int = 110) -> str:
    """An episode in plain text: utility and text of every step, the chosen edits between them."""
    lines = []
    for step, (text, utility) in enumerate(zip(row.texts, row.utilities, strict=True)):
        lines += textwrap.wrap(text, width, initial_indent=f"{utility:+5.2f}  ", subsequent_indent=" " * 7)
        lines += [f"       > {row.edits[step]}"] if step < len(row.edits) else []
    return "\n".join(lines)
