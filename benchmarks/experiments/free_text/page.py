"""The page: gains, what became of the texts, whether edits were followed, and what a step costs."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from baselines.evaluate import EpisodeRow
from benchmarks.experiments.free_text.costs import FILE
from benchmarks.reporting.document import aligned
from benchmarks.running.files import read_json, write_json
from benchmarks.running.runs import by_method, read_run, rows_of
from benchmarks.stats import Interval, Keyed, bootstrap, paired_difference
from eagle_gym.language.change import CHANGES, change, words

NOTE: Final = (
    "Gains are in standard deviations over the catalog, on test users. Intervals are 95 %, over users and {seeds} "
    "training seed(s). *Valid* is the share of episodes in which every text is a proper rewrite. Of the single "
    "rewrites, *copied*, *edited*, *rewritten*, *summarised* and *rambled* are found by overlap of words, and "
    "*followed* is a rough rule: the answer has at least half of the edit's content words that the text lacked. Edits "
    "without such words are left out. `-served` goes through the server that `--language-model` names."
)
_EMPTY: Final = (
    "a add and as at be by change for from give have in into is it its let like make more move of on or put set some "
    "so than that the them then there this to turn with without remove replace instead"
)
EMPTY: Final = frozenset(words(_EMPTY))


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


def fates(rows: Sequence[EpisodeRow]) -> dict[str, float]:
    """Shares of the rewrites that were copied, edited and so on, and the share of edits followed."""
    steps = [step for row in rows for step in zip(row.texts, row.edits, row.texts[1:], strict=False)]
    kinds: list[str] = [change(before, after) for before, _, after in steps]
    done = [found for step in steps if (found := followed(*step)) is not None]
    shares = {kind: kinds.count(kind) / len(kinds) if kinds else float("nan") for kind in CHANGES}
    return {**shares, "followed": float(np.mean(done)) if done else float("nan"), "rewrites": len(kinds)}


def write_page(folder: Path) -> str:
    """Write `REPORT.md` and `free_text.json` of the cells that are done."""
    run = read_run(folder)
    seeds = len({cell.seed for cell in run.done})
    blocks, numbers = [NOTE.format(seeds=seeds)], {}
    for environment in run.environments:
        found = {method: tuple(rows_of(cells)) for method, cells in by_method(run.of(environment)).items()}
        if found:
            table, numbers[environment] = section(found)
            blocks += [f"## {environment}", table]
    costs = folder / FILE
    if costs.exists():
        numbers["costs"] = read_json(costs)
        blocks += ["## What a step costs", cost_table(numbers["costs"])]
    if run.missing or run.failed:
        blocks.append(f"{len(run.missing)} cells are missing and {len(run.failed)} failed.")
    text = "\n\n".join(blocks) + "\n"
    (folder / "REPORT.md").write_text(text)
    write_json(numbers, folder / "free_text.json")
    return text


def section(found: dict[str, tuple[EpisodeRow, ...]]) -> tuple[str, dict[str, Any]]:
    """The table of an environment."""
    body, numbers = [], {}
    base = found.get("uniform", ())
    for method, rows in found.items():
        gain, valid = average(keyed(rows, lambda row: row.gain)), float(np.mean([row.valid for row in rows]))
        gap = "" if method == "uniform" or not base else str(
            paired_difference(keyed(rows, _gain), keyed(base, _gain), np.random.default_rng(0))
        )
        shares = fates(rows)
        facts = {"gain": str(gain), "minus uniform": gap, "valid": valid, "episodes": len(rows)}
        numbers[method] = facts | shares
        body.append([method, str(len(rows)), str(gain), gap, percent(valid), *map(percent, list(shares.values())[:-1])])
    return aligned(["agent", "episodes", "gain", "minus uniform", "valid", *CHANGES, "followed"], body), numbers


def _gain(row: EpisodeRow) -> float:
    return row.gain


def percent(share: float) -> str:
    """A share in words."""
    return "n/a" if np.isnan(share) else f"{100 * share:.0f} %"


def cost_table(costs: dict[str, dict[str, Any]]) -> str:
    """Milliseconds by part."""
    body = [
        [name, *(f"{1000 * one[part]:.1f}" for part in ("rewriting", "encoding", "other")),
         f"{one['pool']:.2f}", "yes" if one["replayed"] else "NO"]
        for name, one in costs.items()
    ]  # fmt: skip
    head = ["environment", "rewriting, ms", "encoding, ms", "all else, ms", "a pool of edits, s", "replay is equal"]
    return aligned(head, body)
