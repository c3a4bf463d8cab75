"""Writes measured numbers into pages of the repository: README, docs, and the page of the latent space.

No number on these pages is typed by hand. The only texts shown are those of Plots, none made from MovieLens.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.reporting.document import Table, markdown
from benchmarks.reporting.episodes import PLOTS, transcript, typical
from benchmarks.reporting.names import title
from benchmarks.reporting.standings import Standing, standings
from benchmarks.reporting.tables import number
from benchmarks.running.files import REFERENCE, read_json
from benchmarks.running.provenance import commits
from benchmarks.running.runs import Run, has_cells, read_run, rows_of
from eagle_gym.errors import ConfigurationError, PreparationError

ROWS = (
    *("beam", "eagle-optimistic", "dqn", "ppo", "elm", "optimistic", "supervised-optimistic", "best_of_n"),
    *("g_optimal", "uniform"),
)
"""Methods of the README's table; the report has all of them."""
RESULTS = """*Gain* is the gain in utility (affinity and novelty) over an episode, for users and start texts that
training never saw. *Judged* is only the gain in affinity, by a judge that took no part in training: the true tastes on
Plots, a second factorisation of other ratings on MovieLens. Both are in standard deviations of the catalog, with 95 %
intervals over seeds and users. *Well-formed* is the share of episodes with only well-formed texts. Search ran on the
first episodes of each seed only. *Optimistic* takes the edit with the highest expected utility. The
[report](benchmarks/reference/t1_methods/REPORT.md) has all methods, curves, costs and the comparison with the paper."""


def fill(page: str, mark: str, content: str) -> str:
    """Replace the text between `<!-- mark -->` and `<!-- /mark -->`.

    Raises:
        ConfigurationError: The page does not have exactly one pair of these marks.
    """
    pattern = re.compile(rf"(<!-- {mark} -->\n).*?(<!-- /{mark} -->)", re.S)
    if len(pattern.findall(page)) != 1:
        raise ConfigurationError(f"expected one pair of <!-- {mark} --> and <!-- /{mark} --> on the page")
    return pattern.sub(lambda found: f"{found[1]}{content.strip()}\n{found[2]}", page)


def episode(demo: Path) -> str:
    """The demo's episode of median gain, as Markdown.

    Raises:
        ConfigurationError: The demo ran on a catalog other than Plots.
    """
    cells = [cell for cell in read_run(demo).done if cell.method == "ppo"]
    if not cells or cells[0].env_id != PLOTS:
        ran = cells[0].env_id if cells else "no environment"
        raise ConfigurationError(f"{demo} ran PPO on {ran}: only texts of {PLOTS} go into the README")
    row = typical(rows_of(cells))
    return (
        f"An episode of `make demo`: PPO after {cells[0].steps:,} steps, for test user {row.user} (of its well-formed "
        f"episodes the one with the median gain, {row.gain:+.2f}). The number is the utility in standard deviations of "
        f"the catalog, `>` marks the chosen edit:\n\n```text\n{transcript(row)}\n```"
    )


def results(reference: Path = REFERENCE / "t1_methods") -> str:
    """The README's results, from the committed reference run, with the commands that made it."""
    if not has_cells(reference):
        return (
            "No reference run is committed yet: `python -m benchmarks run t1_methods --size reference` makes one, and "
            "`python -m benchmarks reference` packs it."
        )
    run = read_run(reference)
    parts = [RESULTS, markdown(results_table(run)), commands(run), origin([cell.header for cell in run.done])]
    for environment in run.environments:
        holes = [f"{title(name)} {why}" for name, why in run.holes(environment).items() if name in ROWS]
        parts += [f"Not in the numbers of {environment}: {'; '.join(holes)}."] if holes else []
    return "\n\n".join(part.strip() for part in parts)


def results_table(run: Run) -> Table:
    """Gain and judged gain of a few methods, all environments next to each other, the best method first."""
    found = {
        name: {item.method: item for item in standings(run, name) if item.method in ROWS} for name in run.environments
    }
    first = next(iter(found.values()))
    methods = sorted(first, key=lambda method: -score(first[method]))
    numbers = [f"{name}, {what}" for name in found for what in ("gain", "judged")]
    head = ["method", *numbers, "well-formed", "calls per episode"]
    body = []
    for method in methods:
        items = [found[name].get(method) for name in found]
        cells = [cell for item in items for cell in (("", "") if item is None else (str(item.gain), number(item.user)))]
        valid = np.mean([item.valid for item in items if item is not None])
        body.append([title(method), *cells, f"{valid:.0%}", f"{first[method].evaluation.calls:,.0f}"])
    return Table(head, body)


def score(item: Standing) -> float:
    """The normalised score, or the gain where there is no scale: search ran on fewer episodes than the others."""
    return item.gain.estimate if item.normalised is None else item.normalised.estimate


def commands(run: Run) -> str:
    """The commands that made a reference run, as a block, with the folder's name in this repository."""
    given = (str(cell.header["command"]).removeprefix("__main__.py ") for cell in run.done)
    made = dict.fromkeys(re.sub(r" --out[ =]\S+", "", command) for command in given)
    lines = [*(f"{command} --out runs/{run.experiment}" for command in made)]
    lines += [f"judge runs/{run.experiment}", f"reference runs/{run.experiment}", "readme"]
    return "```sh\n" + "\n".join(f"python -m benchmarks {line}" for line in lines) + "\n```"


def report_of(folder: Path, experiment: str) -> tuple[str, dict[str, Any]]:
    """The page of a run and its header.

    Raises:
        PreparationError: One of them is missing.
    """
    page, header = folder / "REPORT.md", folder / "run.json"
    if not page.exists() or not header.exists():
        raise PreparationError(f"{folder} holds no finished run; run the {experiment} experiment there first")
    return page.read_text(), read_json(header)


def origin(headers: Sequence[Mapping[str, Any]]) -> str:
    """Code and machine, as a paragraph."""
    return f"Commit {', '.join(sorted(commits(headers)))}, {headers[0]['machine']['processor']}.\n\n"


def renew_latent(page: Path, space: Path) -> None:
    """Rewrite the measured part of the latent space's page.

    Raises:
        PreparationError: The run is not finished.
    """
    report, header = report_of(space, "space")
    command = "```sh\npython -m benchmarks run space --data ml-latest-small\n```"
    page.write_text(fill(page.read_text(), "space", f"{command}\n\n{origin([header])}{report}"))


def renew_speed(page: Path, throughput: Path) -> None:
    """Rewrite what was measured on a run's device: the summary on the page on speed, the tables in its log, the plots.

    Raises:
        PreparationError: The run is not finished.
    """
    report, header = report_of(throughput, "throughput")
    if not header["finished"]:
        raise PreparationError(f"the run in {throughput} was ended early; run the throughput experiment there again")
    mark = "throughput" if header["device"] == "cpu" else "throughput-cuda"
    shutil.copyfile(throughput / "throughput.png", page.with_name(f"{mark}.png"))
    summary, tables = report.removeprefix("# Throughput\n\n").split("## ", 1)
    page.write_text(fill(page.read_text(), mark, summary.rstrip()))
    log, tables = page.with_name(f"{page.stem}_log.md"), re.sub(r"^## ", "#### ", f"## {tables}", flags=re.M)
    log.write_text(fill(log.read_text(), mark, f"{tables}\n![Curves of these tables]({mark}.png)"))


def renew_results(readme: Path, reference: Path = REFERENCE / "t1_methods") -> None:
    """Rewrite the README's results, from the reference run."""
    readme.write_text(fill(readme.read_text(), "results", results(reference)))


def renew_episode(page: Path, demo: Path) -> None:
    """Rewrite the episode on the introduction's page, from a demo."""
    page.write_text(fill(page.read_text(), "episode", episode(demo)))
