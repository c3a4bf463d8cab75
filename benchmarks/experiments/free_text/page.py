"""The page: gains, what became of the texts, whether edits were followed, why, and what a step costs."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from baselines.evaluate import EpisodeRow
from benchmarks.experiments.free_text import costs, effects, strangers
from benchmarks.reporting.document import aligned
from benchmarks.running.files import read_json, write_json
from benchmarks.running.runs import by_method, read_run, rows_of
from benchmarks.stats import Interval, Keyed, bootstrap, paired_difference
from eagle_gym.actions.surrogate.make import LEAST_R2, UNSEEN
from eagle_gym.catalog.fields import read_description
from eagle_gym.language.change import CHANGES, change, words

NOTE: Final = (
    "Gains are in standard deviations over the catalog, on test users; *affinity* and *novelty* are their parts. "
    "Intervals are 95 %, over users and {seeds} training seed(s). *Valid* is the share of episodes in which every text "
    "is a proper rewrite. Of the single rewrites, *copied*, *edited*, *rewritten*, *summarised* and *rambled* are "
    "found by overlap of words, and *followed* is a rough rule: the answer has at least half of the edit's content "
    "words that the text lacked. Edits without such words are left out. `-served` goes through the server that "
    "`--language-model` names. PPO and EAGLE are small networks on latent observations, {steps} training steps each."
)
LEARNT: Final = ("ppo", "eagle")
RIVALS: Final = ("no_op", "uniform", "user_blind", "optimistic")
_EMPTY: Final = (
    "a add and as at be by change for from give have in into is it its let like make more move of on or put set some "
    "so than that the them then there this to turn with without remove replace instead"
)
EMPTY: Final = frozenset(words(_EMPTY))
Found = Mapping[str, tuple[EpisodeRow, ...]]
"""Episodes by method."""


def followed(before: str, edit: str, after: str) -> bool | None:
    """Whether an answer has at least half of the words that an edit brings; None if it brings none."""
    wanted = set(words(edit)) - EMPTY - set(words(before))
    if not wanted or re.match(r"(?i)\s*(remove|delete|take out)", edit):
        return None
    return len(wanted & set(words(after))) >= len(wanted) / 2


def keyed(rows: Sequence[EpisodeRow], score: Callable[[EpisodeRow], float]) -> Keyed:
    """Scores of episodes."""
    return [(row.seed, row.episode, row.user, score(row)) for row in rows]


def average(scores: Keyed) -> Interval:
    """Mean of scores."""
    seeds, _, users, values = zip(*scores, strict=True)
    return bootstrap(values, seeds, users, np.random.default_rng(0))


def steps_of(rows: Sequence[EpisodeRow]) -> list[tuple[str, str, str]]:
    """Text, edit and rewrite of every step."""
    return [step for row in rows for step in zip(row.texts, row.edits, row.texts[1:], strict=False)]


def fates(rows: Sequence[EpisodeRow]) -> dict[str, float]:
    """Shares of the rewrites that were copied, edited and so on, and the share of edits followed."""
    steps = steps_of(rows)
    kinds: list[str] = [change(before, after) for before, _, after in steps]
    done = [found for step in steps if (found := followed(*step)) is not None]
    shares = {kind: kinds.count(kind) / len(kinds) if kinds else float("nan") for kind in CHANGES}
    return {**shares, "followed": float(np.mean(done)) if done else float("nan")}


def kept_labels(rows: Sequence[EpisodeRow]) -> dict[str, float]:
    """Shares of the rewrites of films that keep what the text says of genres, year and tags."""
    pairs = [(read_description(before), read_description(after)) for before, _, after in steps_of(rows)]
    had = {name: [pair for pair in pairs if getattr(pair[0], name)] for name in ("genres", "year", "tags")}
    return {
        name: float(np.mean([getattr(old, name) == getattr(new, name) for old, new in some]))
        for name, some in had.items()
        if some
    }


def write_page(folder: Path) -> str:
    """Write `REPORT.md` and `free_text.json` of the cells that are done."""
    run = read_run(folder)
    seeds = len({cell.seed for cell in run.done})
    steps = max((cell.steps for cell in run.done), default=0)
    blocks, numbers = ["# A language model on free text", NOTE.format(seeds=seeds, steps=steps)], {}
    for environment in run.environments:
        found = {method: tuple(rows_of(cells)) for method, cells in by_method(run.of(environment)).items()}
        if found:
            table, numbers[environment] = section(found)
            blocks += [f"## {environment}", table, *contests(found)]
    for title, file, table_of in MEASURED:
        if (folder / file).exists():
            numbers[file.removesuffix(".json")] = read_json(folder / file)
            blocks += [f"## {title}", table_of(numbers[file.removesuffix(".json")])]
    if run.missing or run.failed:
        blocks.append(f"{len(run.missing)} cells are missing and {len(run.failed)} failed.")
    text = "\n\n".join(blocks) + "\n"
    (folder / "REPORT.md").write_text(text)
    write_json(numbers, folder / "free_text.json")
    return text


def section(found: Found) -> tuple[str, dict[str, Any]]:
    """The table of an environment, and its numbers."""
    body, numbers = [], {}
    for method, rows in found.items():
        parts = [str(average(keyed(rows, part))) for part in (_gain, _affinity, _novelty)]
        valid, shares = float(np.mean([row.valid for row in rows])), fates(rows)
        facts = dict(zip(("gain", "affinity", "novelty"), parts, strict=True))
        numbers[method] = {**facts, "valid": valid, "episodes": len(rows), **shares, "labels": kept_labels(rows)}
        body.append([method, str(len(rows)), *parts, percent(valid), *map(percent, shares.values())])
    head = ["agent", "episodes", "gain", "affinity", "novelty", "valid", *CHANGES, "followed"]
    return aligned(head, body), numbers


def contests(found: Found) -> list[str]:
    """What each learnt policy gains more than each policy without training, over the same episodes."""
    lines = []
    for method in (name for name in LEARNT if name in found):
        for rival in (name for name in RIVALS if name in found):
            gap = paired_difference(keyed(found[method], _gain), keyed(found[rival], _gain), np.random.default_rng(0))
            verdict = "above" if gap.low > 0 else "below" if gap.high < 0 else "undecided"
            lines.append(f"- {method} minus {rival}: {gap}, {verdict}")
    return ["\n".join(lines)] if lines else []


def _gain(row: EpisodeRow) -> float:
    return row.gain


def _affinity(row: EpisodeRow) -> float:
    return row.affinity_gain


def _novelty(row: EpisodeRow) -> float:
    return row.novelty_gain


def percent(share: float) -> str:
    """A share in words."""
    return "n/a" if np.isnan(share) else f"{100 * share:.0f} %"


def cost_table(found: Mapping[str, Mapping[str, Any]]) -> str:
    """Milliseconds by part."""
    body = [
        [name, *(f"{1000 * one[part]:.1f}" for part in ("rewriting", "encoding", "other")),
         f"{one['pool']:.2f}", "yes" if one["replayed"] else "NO"]
        for name, one in found.items()
    ]  # fmt: skip
    head = ["environment", "rewriting, ms", "encoding, ms", "all else, ms", "eight proposals, s", "replay is equal"]
    return aligned(head, body)


def stranger_table(found: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """Utilities of films by the number of films that a space was fitted to."""
    body = [
        [
            str(one["films"]),
            name,
            *(f"{row[part]:+.2f}" for part in ("total", "affinity", "novelty")),
            f"{row['length']:.2f}",
        ]
        for one in found["spaces"]
        for name, row in one["rows"].items()
    ]
    return aligned(["films in the catalog", "text", "utility", "affinity", "novelty", "length of z"], body)


def surrogate_table(found: Mapping[str, Mapping[str, float]]) -> str:
    """R² of surrogates, and whether rollouts are advised."""
    body = []
    for name, one in found.items():
        for suffix, what in (("", "all"), (UNSEEN, "unseen in the fit")):
            if f"r2{suffix}" in one:
                r2, low, high = (one[f"{part}{suffix}"] for part in ("r2", "r2_low", "r2_high"))
                ceiling, pairs = one.get(f"r2_ceiling{suffix}", float("nan")), one[f"pairs{suffix}"]
                advised = "yes" if r2 < LEAST_R2 else "no"
                body.append(
                    [name, what, f"{pairs:.0f}", f"{r2:.2f} [{low:.2f}, {high:.2f}]", f"{ceiling:.2f}", advised]
                )
    return aligned(["environment", "edits", "pairs", "R²", "ceiling", "rollouts advised"], body)


MEASURED: Final[Sequence[tuple[str, str, Callable[[Any], str]]]] = (
    ("What a step costs", costs.FILE, cost_table),
    ("What a text is worth that a space was not fitted to", strangers.FILE, stranger_table),
    ("A surrogate of the rewrites, on texts that it has not seen", effects.FILE, surrogate_table),
)
