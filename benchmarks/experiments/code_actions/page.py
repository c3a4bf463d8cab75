"""The page on codes as actions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.reporting.document import aligned
from benchmarks.reporting.tables import spread
from benchmarks.running.files import read_json, write_json
from benchmarks.stats import bootstrap
from eagle_gym.errors import PreparationError

NOTE = (
    "Codes as actions on Plots, default task, {seeds} training seed{plural}. Gains are in standard deviations over the "
    "catalog. Intervals are 95 %, bootstrapped over seeds and users. Numbers in brackets behind a mean over seeds only "
    "are the smallest and the largest. A code decides a whole edit; the grammar makes the rewrites. *Shown words* are "
    "those of the edit to which each code leads, or of each of the K edits, with their match with the taste and, for "
    "codes, a mask of those whose edits can change the text; K edits always can. K edits come in an arbitrary order "
    '(`order="pool"`), so the place of an edit says nothing of the taste. gamma is the discount of PPO, 1 where '
    "a row does not say it; with 0 only the next rewrite counts."
)
TESTED = (  # kind, method, title
    ("words", "ppo", "PPO on codes, shown words"),
    ("words", "ppo_{mark}", "the same after {mark:,} rewrites"),
    ("words_next", "ppo", "PPO on codes, shown words, gamma = 0"),
    ("words_next", "ppo_{mark}", "the same, gamma = 0, after {mark:,} rewrites"),
    ("plain", "ppo", "PPO on codes, words not shown"),
    ("untrained", "match", "codes of the best match"),
    ("untrained", "changing", "uniform codes among those that change something"),
    ("untrained", "prior", "codes of the code model's own policy"),
    ("untrained", "uniform", "uniform codes"),
    ("edits", "ppo", "PPO on K edits"),
    ("edits_next", "ppo", "PPO on K edits, gamma = 0"),
    ("edits_long", "ppo", "PPO on K edits, long"),
    ("edits", "match", "edits of the best match"),
    ("edits", "uniform", "uniform edits"),
)
TITLES = {(kind, method): title for kind, method, title in TESTED}
CONTRASTS = (
    (("words", "ppo"), ("untrained", "uniform")),
    (("words_next", "ppo"), ("untrained", "uniform")),
    (("words_next", "ppo"), ("untrained", "prior")),
    (("words_next", "ppo"), ("untrained", "changing")),
    (("words_next", "ppo"), ("untrained", "match")),
    (("words_next", "ppo"), ("plain", "ppo")),
    (("words", "ppo"), ("edits", "ppo")),
    (("words_next", "ppo"), ("edits_next", "ppo")),
    (("edits_next", "ppo"), ("edits", "match")),
    (("plain", "ppo"), ("untrained", "uniform")),
)
QUALITY = {"gain": "gain", "judge": "judge", "parses": "parses"}
CHANGES = {"mean": "mean gain", "best": "best gain", "spread": "standard deviation", "distinct": "different edits"}
SHOWN = {"codes": "codes, words not shown", "words": "codes, shown words", "edits": "K edits"}
SPENT = ("rewrites", "generations", "tokens", "seconds")
Found = Mapping[str, Mapping[int, Any]]  # kind -> seed -> what it found


def write_page(folder: Path, size: Mapping[str, Any]) -> str:
    """Write `REPORT.md` and `code_actions.json` of the pieces that are done.

    Raises:
        PreparationError: None is.
    """
    pieces = [read_json(path) for path in sorted((folder / "pieces").glob("*.json"))]
    if not pieces:
        raise PreparationError(f"{folder} holds no finished pieces: run the experiment there first")
    found: dict[str, dict[int, Any]] = {}
    for piece in pieces:
        found.setdefault(piece["kind"], {})[piece["seed"]] = piece["found"]
    seeds = len({piece["seed"] for piece in pieces})
    parts, compact = [NOTE.format(seeds=seeds, plural="s" * (seeds != 1))], {}
    for title, make in SECTIONS.items():
        table, compact[title] = make(found, size)
        parts += [f"## {title}", table or "Not run."]
    write_json(compact, folder / "code_actions.json", compact=True)
    text = "\n\n".join(parts) + "\n"
    (folder / "REPORT.md").write_text(text)
    return text


Section = tuple[str, dict[str, Any]]


def tested(found: Found, size: Mapping[str, Any]) -> Section:
    """Gain and judge on test users, and the paired differences."""
    rows = []
    for kind, method, title in TESTED:
        marks = size["marks"] if "{" in method else (0,)
        rows += [(kind, method.format(mark=mark), title.format(mark=mark)) for mark in marks]
    table, numbers = intervals(found, rows, QUALITY)
    lines = [table] if table else []
    for one, other in CONTRASTS:
        both = pairs(found, one, other)
        for name in ("gain", "judge") if both else ():
            key = f"{name}, {TITLES[one]}, minus {TITLES[other]}"
            less = {s: [a - b for a, b in zip(x[name], y[name], strict=True)] for s, (x, y) in both.items()}
            numbers[key] = over(less, {seed: x["users"] for seed, (x, _) in both.items()})
            lines.append(f"{key[0].upper()}{key[1:]}: {numbers[key]}.")
    return "\n\n".join(lines), numbers


def pairs(found: Found, one: tuple[str, str], other: tuple[str, str]) -> dict[int, tuple[Any, Any]]:
    """What two methods (kind, name) did, for the seeds that have both."""
    first, second = (
        {seed: content[name] for seed, content in found.get(kind, {}).items() if name in content}
        for kind, name in (one, other)
    )
    return {seed: (own, second[seed]) for seed, own in first.items() if seed in second}


def spent(found: Found, _: Mapping[str, Any]) -> Section:
    """What trainings used."""
    body, numbers = [], {}
    for kind, method, title in TESTED:
        learnt = [own["ppo"] for own in found.get(kind, {}).values()] if method == "ppo" else []
        if learnt:
            numbers[title] = {name: spread([one[name] for one in learnt]) for name in SPENT}
            body.append([title, str(len(learnt)), *numbers[title].values()])
    head = ["training", "seeds", "rewrites", "generations", "tokens written", "processor seconds"]
    return (aligned(head, body) if body else ""), numbers


def reached(found: Found, _: Mapping[str, Any]) -> Section:
    """What a choice can change in one rewrite, for test users."""
    rows = [("reach", "codes", "codes"), ("reach", "edits", "K edits")]
    return intervals(found, rows, CHANGES)


def predicted(found: Found, _: Mapping[str, Any]) -> Section:
    """What an observation tells of gains, in unseen states of train users."""
    names = {"chosen": "gain of the choice", "mean": "mean gain", "best": "best gain"}
    table, numbers = intervals(found, [("predictable", name, title) for name, title in SHOWN.items()], names)
    if not table:
        return "", {}
    for name, title in SHOWN.items():
        numbers[title]["explained"] = spread([own[name]["explained"] for own in found["predictable"].values()])
    body = [[title, *own.values()] for title, own in numbers.items()]
    return aligned(["", *names.values(), "explained variance within states"], body), numbers


SECTIONS = {
    "PPO for test users": tested,
    "What the trainings used": spent,
    "What a choice can change in one rewrite": reached,
    "What an observation tells of the gain": predicted,
}


def intervals(found: Found, rows: Sequence[tuple[str, str, str]], names: Mapping[str, str]) -> Section:
    """A table with a row for each method (kind, name, title) and an interval for each column."""
    body, numbers = [], {}
    for kind, method, title in rows:
        own = {seed: content[method] for seed, content in found.get(kind, {}).items() if method in content}
        if own:
            users = {seed: content["users"] for seed, content in own.items()}
            cells = {name: over({s: c[name] for s, c in own.items()}, users) for name in names}
            numbers[title] = cells
            body.append([title, str(len(own)), *cells.values()])
    return (aligned(["", "seeds", *names.values()], body) if body else ""), numbers


def over(columns: Mapping[int, Sequence[float]], users: Mapping[int, Sequence[str]]) -> str:
    """Mean over seeds and users, with its interval."""
    rows = [(x, seed, user) for seed, own in columns.items() for x, user in zip(own, users[seed], strict=True)]
    values, seeds, who = (list(map(itemgetter(i), rows)) for i in range(3))
    return str(bootstrap(values, seeds, who, np.random.default_rng(0)))
