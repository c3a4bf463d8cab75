"""Put a run's episodes before the judges: ``python -m benchmarks judge RUN``; a table, a plot, one row an episode.

Nothing is played or trained: the episodes are read from the run's cells, and the environment is opened for its latent
space, utility and profiles alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from baselines.evaluate import make_envs
from benchmarks import plots
from benchmarks.judges import Judgement, Judges, SecondOpinion, correlation
from benchmarks.latent_map import LatentMap, draw_map
from benchmarks.report import aligned, average
from benchmarks.reporting.names import title
from benchmarks.results import write_json, write_table
from benchmarks.stats import Interval, bootstrap
from benchmarks.suite import CellResult, Fingerprints, check_alike, check_made_of, read_run
from eagle_gym.language.loading import load_language_model
from eagle_gym.language.model import LanguageModel

# Columns of the table of texts, and how they are printed.
TEXTS = {
    "distance": "{:.2f}",
    "edits": "{:.1f}",
    "progress": "{:+.2f}",
    "drift": "{:.2f}",
    "parses": "{:.1%}",
    "no_ops": "{:.1%}",
    "length": "{:.2f}",
}
OPINIONS = {
    "true_taste": "true taste",
    "second": "second opinion",
    "raters": "other users",
    "model": "language model, of 10",
}


def judge_run(folder: Path, *, language_model: str | None = None) -> str:
    """Judge every episode of a run; write ``JUDGES.md``, ``judges.png``, ``judgements.parquet`` and ``judges.json``.

    The last holds facts about the judges, and a map of the latent space for a report, which opens no environment.

    Args:
        folder: Of the run, with its ``cells``.
        language_model: Spec of a language model that judges too (see `load_language_model`).

    Returns:
        The page.

    Raises:
        CellsDiffer: The run's world is no longer the one that can be opened, or its cells are of several.
        PreparationError: There is no such run.
    """
    results = read_run(folder)
    check_alike(results)
    bench = Bench(folder, load_language_model(language_model) if language_model else None)
    judged: list[dict[str, Any]] = []
    pages, panels, facts = [], [], {}
    for name in dict.fromkeys(result.cell.environment for result in results):
        some = [result for result in results if result.cell.environment == name]
        found, judges, latent_map = bench.judge(some)
        judged += [{"environment": name, **asdict(row)} for row in found]
        pages.append(page(some[0].cell.env_id, found, judges))
        panels.append((some[0].cell.env_id, found))
        facts[name] = {
            "second": str(judges.second.quality) if judges.second else None,
            "raters": len(judges.raters),
            "language_model": language_model,
            "map": asdict(latent_map),
        }
    text = "\n\n".join([HEAD, *pages]) + "\n"
    (folder / "JUDGES.md").write_text(text)
    write_table(judged, folder / "judgements.parquet")
    write_json(facts, folder / "judges.json")
    plots.save_judges(panels, OPINIONS, folder / "judges.png")
    return text


@dataclass
class Bench:
    """Opens the environments of a run for its judges; what they share is formed once.

    Attributes:
        folder: Of the run.
        model: A language model that judges too.
        seconds: Second opinions by the hashes of catalog and split.
    """

    folder: Path
    model: LanguageModel | None
    seconds: dict[tuple[str, str], SecondOpinion] = field(default_factory=dict)

    def judge(self, results: Sequence[CellResult]) -> tuple[list[Judgement], Judges, LatentMap]:
        """The judgements of one environment's episodes, the judges that gave them, and a map of the latent space."""
        cell = results[0].cell
        (env_id, kwargs), *_ = cell.environments()
        envs = make_envs(env_id, 1, split="test", **kwargs)
        try:
            check_made_of(self.folder / cell.place, Fingerprints().of(cell))
            world = envs.unwrapped.world  # type: ignore[attr-defined]
            key = (world.catalog.hash, world.resources.split.hash)
            judges = Judges.of(world, self.model, self.seconds.get(key))
            if judges.second is not None:
                self.seconds[key] = judges.second
            rows = [row for result in results for row in result.rows]
            return judges.judge(rows), judges, draw_map(world, rows)
        finally:
            envs.close()


HEAD = """# Judges

Gains of the last text over the first. Reward and its affinity part are in catalog standard deviations; so are true
taste and second opinion, which stand against the affinity: where they are smaller, part of what was rewarded is an
error of the space that rewards. *Other users* is the mean of the same over a fixed panel of other test users, by true
tastes where these are known, else by the second opinion. *Progress* is movement in Z along the utility's gradient,
*drift* movement sideways to it; *edits* counts the attribute values that the last text says otherwise than the first;
*length* is in words, relative to the first. Intervals are 95 %, over seeds and users."""


def page(env_id: str, judged: Sequence[Judgement], judges: Judges, seed: int = 0) -> str:
    """The page of one environment."""
    rng = np.random.default_rng(seed)
    methods = {
        method: [row for row in judged if row.method == method] for method in dict.fromkeys(r.method for r in judged)
    }
    ranked = sorted(methods.items(), key=lambda item: -average(row.reward for row in item[1]))
    opinions = aligned(
        ["method", "reward", "affinity", *OPINIONS.values(), "affinity confirmed"],
        [[title(name), *opinion_cells(rows, rng)] for name, rows in ranked],
    )
    texts = aligned(
        ["method", *(name.replace("_", "-") for name in TEXTS)],
        [[title(name), *text_cells(rows)] for name, rows in ranked],
    )
    parts = [f"## {env_id}", opinions, texts]
    if judges.second is not None:
        parts.append(f"The second opinion, on items it never saw: {judges.second.quality}.")
    return "\n\n".join([*parts, agreement_lines(ranked)])


def opinion_cells(rows: Sequence[Judgement], rng: np.random.Generator) -> list[str]:
    """Reward, affinity and what the judges say, for one method."""
    found = {name: estimate(rows, name, rng) for name in ("reward", "affinity", *OPINIONS)}
    return [*(shown(interval) for interval in found.values()), confirmed(found)]


def estimate(rows: Sequence[Judgement], name: str, rng: np.random.Generator) -> Interval | None:
    """Mean of a column over the episodes that have it, None where none has."""
    some = [row for row in rows if np.isfinite(getattr(row, name))]
    if not some:
        return None
    return bootstrap([getattr(row, name) for row in some], [row.seed for row in some], [row.user for row in some], rng)


def shown(interval: Interval | None) -> str:
    """An interval for a table."""
    return "n/a" if interval is None else str(interval)


def confirmed(found: dict[str, Interval | None]) -> str:
    """Shares of the affinity gained that true taste and second opinion see too; nothing where hardly any was gained."""
    affinity = found["affinity"]
    if affinity is None or affinity.low <= 0:
        return ""
    shares = [(found[name], word) for name, word in (("true_taste", "true"), ("second", "second"))]
    return ", ".join(f"{word} {part.estimate / affinity.estimate:.0%}" for part, word in shares if part is not None)


def text_cells(rows: Sequence[Judgement]) -> list[str]:
    """Measures of the texts, for one method."""
    return [form.format(average(getattr(row, name) for row in rows)) for name, form in TEXTS.items()]


def agreement_lines(ranked: Sequence[tuple[str, Sequence[Judgement]]]) -> str:
    """Correlations over episodes of the rewarded affinity with each judge."""
    lines = []
    for name, rows in ranked:
        columns = {field.name: np.array([getattr(row, field.name) for row in rows]) for field in fields(Judgement)[4:]}
        found = {title: correlation(columns["affinity"], columns[key]) for key, title in OPINIONS.items()}
        known = ", ".join(f"{title} {value:.2f}" for title, value in found.items() if np.isfinite(value))
        lines.append(f"- {title(name)}: {known or 'n/a'}")
    return "\n".join(["Correlation over episodes of the affinity gained with:", "", *lines])
