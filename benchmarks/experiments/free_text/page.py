"""The page: gains by reward and judge, what became of the texts, whether edits were followed, and what a step costs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from operator import attrgetter
from pathlib import Path
from typing import Any, Final

import numpy as np

from baselines.evaluate import EpisodeRow
from benchmarks.experiments.free_text import costs, effects, judged, methods, strangers
from benchmarks.pools import pools_table
from benchmarks.reporting.document import aligned
from benchmarks.reporting.fates import FATES, fates, steps_of
from benchmarks.reporting.names import title
from benchmarks.reporting.standings import average, given
from benchmarks.reporting.tables import percent
from benchmarks.running.files import read_json, write_json
from benchmarks.running.runs import FinishedCell, Run, by_method, read_run, rows_of
from benchmarks.stats import bootstrap
from eagle_gym.actions.surrogate.make import LEAST_R2, UNSEEN
from eagle_gym.catalog.fields import read_description
from eagle_gym.language.change import CHANGES, CUT_OFF

SHORT: Final = (
    "**PPO and EAGLE train for {steps} steps each, which shows that everything runs. So few steps cannot show whether "
    "RL learns here{judges}.**"
)
NOTE: Final = (
    "Gains are in standard deviations over the catalog, on test users; *affinity* and *novelty* are their parts. "
    "Intervals are 95 %, over users and {seeds} training seed(s). *Reads* marks what is privileged: what an agent was "
    "given besides observations and rewards. *Calls* are generations of the language model, for an episode and for the "
    "training. {fates} For films, a table says what "
    "rewrites that keep genres, year and tags are paid, and what others are, over all agents. `-served` goes through "
    "the server that `--language-model` names."
)
PAID: Final = ("gain", "affinity_gain", "novelty_gain")
STILL: Final = 0.05  # standard deviations: a rewrite that changes utility by less is as good as not read
FILMS: Final = (
    "Spaces are fitted without a fifth of the films, in a small catalog once for each fifth; a film is averaged over "
    "them first. Intervals are 95 %, over films."
)
Found = Mapping[str, Sequence[FinishedCell]]
"""Finished cells by method."""


def kept_labels(rows: Sequence[EpisodeRow]) -> dict[str, float]:
    """Shares of the rewrites of films that keep what the text says of genres, year and tags."""
    pairs = [(read_description(before), read_description(after)) for before, _, after in steps_of(rows)]
    had = {name: [pair for pair in pairs if getattr(pair[0], name)] for name in ("genres", "year", "tags")}
    return {
        name: float(np.mean([getattr(old, name) == getattr(new, name) for old, new in some]))
        for name, some in had.items()
        if some
    }


def by_labels(rows: Sequence[EpisodeRow]) -> dict[str, dict[str, Any]]:
    """What rewrites of films are paid that keep genres, year and tags, and what others are paid."""
    groups: dict[str, list[tuple[int, str, float]]] = {"kept": [], "changed": []}
    for row in rows:
        paid = np.diff(row.utilities).tolist()
        for before, after, change_in_utility in zip(row.texts, row.texts[1:], paid, strict=False):
            same = replace(read_description(before), overview="") == replace(read_description(after), overview="")
            groups["kept" if same else "changed"].append((row.seed, row.user, change_in_utility))
    found = {}
    for name, steps in groups.items():
        if steps:
            seeds, users, values = zip(*steps, strict=True)
            still = float(np.mean(np.abs(values) < STILL))
            mean = bootstrap(values, seeds, users, np.random.default_rng(0))
            found[name] = {"rewrites": len(steps), "change": str(mean), "still": still}
    return found


def labels_table(found: Mapping[str, Mapping[str, Any]]) -> str:
    """What rewrites are paid by what they do to the labels, over all agents."""
    body = [[name, str(one["rewrites"]), one["change"], percent(one["still"])] for name, one in found.items()]
    return aligned(["genres, year and tags", "rewrites", "change in utility", f"less than {STILL:g}"], body)


def write_page(folder: Path) -> str:
    """Write `REPORT.md` and `free_text.json` of the cells that are done."""
    run = read_run(folder)
    seeds = len({cell.seed for cell in run.done})
    steps = max((cell.steps for cell in run.done), default=0)
    short = SHORT.format(steps=steps, judges=judged.extent(run))
    note = NOTE.format(seeds=seeds, fates=FATES)
    blocks, numbers = ["# A language model on free text", short, note, judged.JUDGE], {}
    blocks.append(f"Size {run.size}. Code: {', '.join(run.commits)}.")
    for environment in run.environments:
        found = by_method(run.of(environment))
        if found:
            table, numbers[environment] = section(run, found)
            numbers[environment]["contests"] = judged.numbers(run, found)
            blocks += [f"## {environment}", table, *judged.contests_of(run, environment, found)]
            rows = [row for cells in found.values() for row in rows_of(cells)]
            if kept_labels(rows):
                numbers[environment]["by labels"] = by_labels(rows)
                blocks += [labels_table(numbers[environment]["by labels"])]
    for heading, file, table_of in MEASURED:
        if (folder / file).exists():
            numbers[file.removesuffix(".json")] = read_json(folder / file)
            blocks += [f"## {heading}", table_of(numbers[file.removesuffix(".json")])]
    if run.missing or run.failed:
        blocks.append(f"{len(run.missing)} cells are missing and {len(run.failed)} failed.")
        blocks += [f"- {name} failed: {error}" for name, error in run.failed.items()]
    text = "\n\n".join(blocks) + "\n"
    (folder / "REPORT.md").write_text(text)
    write_json(numbers, folder / "free_text.json")
    return text


def section(run: Run, found: Found) -> tuple[str, dict[str, Any]]:
    """The table of an environment, and its numbers."""
    body, numbers = [], {}
    for method, cells in found.items():
        rows = rows_of(cells)
        parts = [str(average(rows, attrgetter(part), np.random.default_rng(0))) for part in PAID]
        valid, shares = float(np.mean([row.valid for row in rows])), fates(rows)
        calls = sum(cell.evaluation.calls for cell in cells) / len(rows)
        trained = float(np.mean([cell.training.calls if cell.training else 0 for cell in cells]))
        facts = dict(zip(("gain", "affinity", "novelty"), parts, strict=True))
        facts["by judge"] = judged.by_judge(run, cells)
        counts = {"valid": valid, "episodes": len(rows), "calls": calls, "training calls": trained}
        numbers[method] = {**facts, **counts, **shares, "labels": kept_labels(rows)}
        said = [title(method), given(cells[0]), str(len(rows)), *facts.values(), f"{calls:.1f}", f"{trained:,.0f}"]
        body.append([*said, percent(valid), *map(percent, shares.values())])
    head = ["agent", "reads", "episodes", "gain", "affinity", "novelty", "by judge", "calls", "in training", "valid"]
    return aligned([*head, *CHANGES, CUT_OFF, "followed"], body), numbers


def cost_table(found: Mapping[str, Mapping[str, Any]]) -> str:
    """Milliseconds by part."""
    body = [
        [name, *(f"{1000 * one[part]:.1f}" for part in ("rewriting", "encoding", "other")),
         f"{one['pool']:.2f}", "yes" if one["replayed"] else "NO"]
        for name, one in found.items()
    ]  # fmt: skip
    head = ["environment", "rewriting, ms", "encoding, ms", "all else, ms", "eight proposals, s", "replay is equal"]
    return aligned(head, body) + "\n\nSeconds are wall-clock time: on a busy machine they are upper bounds."


def stranger_table(found: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """Utilities of films by the number of films in the catalog, and by what reads their texts."""
    body = [
        [str(one["films"]), one["encoder"], name, str(row["films"]),
         *(f"{row[part]:+.2f}" for part in ("total", "affinity", "novelty")),
         "{:+.2f} [{:+.2f}, {:+.2f}]".format(*row["difference"])]
        for one in found["spaces"]
        for name, row in one["rows"].items()
    ]  # fmt: skip
    head = ["films in the catalog", "read by", "text", "films", "utility", "affinity", "novelty", "minus whole films"]
    return f"{FILMS}\n\n{aligned(head, body)}"


def surrogate_table(found: Mapping[str, Mapping[str, float]]) -> str:
    """R² of surrogates, and whether rollouts are advised."""
    body = []
    for name, one in found.items():
        for suffix, what in (("", "all"), (UNSEEN, "unseen in the fit")):
            if f"r2{suffix}" in one:
                r2, low, high = (one[f"{part}{suffix}"] for part in ("r2", "r2_low", "r2_high"))
                best, advised = one.get(f"r2_ceiling{suffix}"), "yes" if r2 < LEAST_R2 else "no"
                ceiling = "n/a" if best is None else f"{best:.2f}"
                pairs = f"{one[f'pairs{suffix}']:.0f}"
                body.append([name, what, pairs, f"{r2:.2f} [{low:.2f}, {high:.2f}]", ceiling, advised])
    return aligned(["environment", "edits", "pairs", "R²", "ceiling", "rollouts advised"], body)


MEASURED: Final[Sequence[tuple[str, str, Callable[[Any], str]]]] = (
    ("What a step costs", costs.FILE, cost_table),
    ("What the pools of products cost, before the cells", methods.POOLS, pools_table),
    ("Films that the space has not seen, and films without a part of their text", strangers.FILE, stranger_table),
    ("A surrogate of the rewrites, on texts that it has not seen", effects.FILE, surrogate_table),
)
