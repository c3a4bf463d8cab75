"""Puts what was measured into the pages.

The README has a real episode from the demo and a table of the reference run that is committed; the page of the latent
space has those of the experiment on it, the page on speed those on throughput, with their picture. Nothing is typed in
by hand. Texts come from Plots alone: what is made from MovieLens stays out of the repository.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.report import aligned, transcript, typical
from benchmarks.reporting.names import PAPER, title
from benchmarks.reporting.runs import Done, Run, has_cells, read_run
from benchmarks.reporting.scores import Standing, by_method, standings
from benchmarks.reporting.sections import number
from benchmarks.reporting.targets import eagle_targets, verdicts
from benchmarks.results import REFERENCE, read_json, read_rows, shortened
from eagle_gym.errors import ConfigurationError, PreparationError

PLOTS = "EagleGym/Plots-v0"


def fill(page: str, mark: str, content: str) -> str:
    """Replace what stands between ``<!-- mark -->`` and ``<!-- /mark -->``.

    Raises:
        ConfigurationError: The page has no such marks, or more than one pair.
    """
    pattern = re.compile(rf"(<!-- {mark} -->\n).*?(<!-- /{mark} -->)", re.S)
    if len(pattern.findall(page)) != 1:
        raise ConfigurationError(f"the page should have <!-- {mark} --> and <!-- /{mark} --> once")
    return pattern.sub(lambda found: f"{found[1]}{content.strip()}\n{found[2]}", page)


def episode(demo: Path) -> str:
    """The demo's episode of median gain, as Markdown.

    Raises:
        ConfigurationError: The demo ran on another catalog than Plots.
    """
    (cell,) = (item["cell"] for item in read_json(demo / "run.json")["cells"] if item["cell"]["agent"] == "ppo")
    if cell["env_id"] != PLOTS:
        raise ConfigurationError(f"{demo} ran on {cell['env_id']}; only texts of {PLOTS} go into the README")
    row = typical([row for row in read_rows(demo / "episodes.parquet") if row.method == "ppo"])
    return (
        f"A real episode of `make demo`: PPO after {cell['training']['total_timesteps']:,} steps, writing for test "
        "user "
        f"{row.user} (of its well-formed episodes the one with the median gain, {row.gain:+.2f}). The number is the "
        f"utility in catalog standard deviations, `>` the edit that was chosen:\n\n"
        f"```text\n{transcript(row)}\n```"
    )


ROWS = (
    *PAPER,
    *("uniform", "optimistic", "g_optimal"),
    *("beam", "mcts", "lookahead", "best_of_n", "vas", "dqn", "ppo", "ppo-stock"),
)
"""Methods of the README's table; the report has them all."""


def results(reference: Path = REFERENCE / "t1_methods") -> str:
    """The README's results, from the reference run that is committed, with the commands behind them."""
    if not has_cells(reference):
        return (
            "No reference run is committed yet: `python -m benchmarks run t1_methods --size reference` makes one, and "
            "`python -m benchmarks reference` packs it."
        )
    run = read_run(reference)
    parts = [RESULTS, commands(run), origin([cell.header for cell in run.done])]
    for environment in run.environments:
        cells = run.of(environment)
        if cells:
            parts += [f"### {cells[0].header['cell']['env_id']}", short_table(standings(run, environment))]
            parts.append(asked(by_method(cells)))
        holes = [f"{title(name)} {why}" for name, why in run.holes(environment).items() if name in ROWS]
        parts += [f"Not in the numbers of {environment}: {'; '.join(holes)}."] if holes else []
    return "\n\n".join(part.strip() for part in parts)


RESULTS = """Gain in utility over an episode, in standard deviations of the catalog, for users and start texts that
training never saw, with 95 % intervals over seeds and users. The normalised score is 0 for the uniform policy and 1 for
beam search. *User utility* is what a judge who had no part in the training sees of it: the true tastes on Plots, a
second factorisation of other ratings on MovieLens. *Well-formed* is the share of the episodes whose texts all are.
Search is dear and met the first episodes of each seed alone: gains over other episodes compare by normalised score, not
by rank. Every method, curves, maps, judges and costs stand in the
[report](benchmarks/reference/t1_methods/REPORT.md), beside what the paper claims."""


def commands(run: Run) -> str:
    """How the reference came about, as a block; the folder is called what it would be here, wherever it was."""
    given = (str(cell.header["command"]).removeprefix("__main__.py ") for cell in run.done)
    made = dict.fromkeys(re.sub(r" --out[ =]\S+", "", command) for command in given)
    lines = [*(f"{command} --out runs/{run.experiment}" for command in made)]
    lines += [f"judge runs/{run.experiment}", f"reference runs/{run.experiment}", "readme"]
    return "```sh\n" + "\n".join(f"python -m benchmarks {line}" for line in lines) + "\n```"


def asked(methods: Mapping[str, Sequence[Done]]) -> str:
    """What is asked of EAGLE: how much of it is met, and what is missed, by name."""
    lines = verdicts(methods, eagle_targets())
    missed = [f"- {line}" for line in lines if "MISSED" in line]
    met = f"Of {len(lines)} things asked of EAGLE {len(lines) - len(missed)} are met"
    return "\n".join([f"{met}; missed are:\n", *missed]) if missed else f"{met}."


def short_table(found: Sequence[Standing]) -> str:
    """The table of one environment, the best first."""
    head = ["method", "gain", "normalised score", "user utility", "well-formed", "episodes"]
    head += ["calls to train", "calls an episode"]
    body = [
        [
            title(item.method),
            *(number(value) for value in (item.gain, item.normalised, item.user)),
            f"{item.valid:.0%}",
            f"{item.episodes:,}",
            f"{item.training.calls:,.0f}",
            f"{item.evaluation.calls:,.1f}",
        ]
        for item in found
        if item.method in ROWS
    ]
    return aligned(head, body)


def space_results(space: Path) -> str:
    """The page of the experiment on the latent space, with the command and the code behind it.

    Raises:
        PreparationError: It is not finished.
    """
    page, headers = report_of(space, "space", "run.json")
    return f"```sh\npython -m benchmarks run space --data ml-latest-small\n```\n\n{origin(headers)}{page}"


def report_of(folder: Path, experiment: str, headers: str) -> tuple[str, list[dict[str, Any]]]:
    """The page of a run and the headers that say how it came about.

    Raises:
        PreparationError: One of them is missing.
    """
    page, found = folder / "REPORT.md", sorted(folder.glob(headers))
    if not page.exists() or not found:
        raise PreparationError(
            f"{folder} holds no finished run of {experiment}; run the {experiment} experiment there first"
        )
    return page.read_text(), [read_json(path) for path in found]


def origin(headers: Sequence[Mapping[str, Any]]) -> str:
    """Code and machine, as a paragraph."""
    commits = sorted({shortened(header["commit"]) for header in headers})
    return f"Commit {', '.join(commits)}, {headers[0]['machine']['processor']}.\n\n"


def renew_latent(page: Path, space: Path) -> None:
    """Rewrite the measured part of the latent space's page."""
    page.write_text(fill(page.read_text(), "space", space_results(space)))


def renew_speed(page: Path, throughput: Path) -> None:
    """Rewrite the part of the page on speed that was measured on a run's device, and put its picture beside the page.

    Raises:
        PreparationError: The run is not finished.
    """
    report, (header,) = report_of(throughput, "throughput", "run.json")
    if not header["finished"]:
        raise PreparationError(f"the run in {throughput} was ended early; run the throughput experiment there again")
    mark = "throughput" if header["device"] == "cpu" else "throughput-cuda"
    shutil.copyfile(throughput / "throughput.png", page.with_name(f"{mark}.png"))
    tables = re.sub(r"^## ", "#### ", report.removeprefix("# Throughput\n\n"), flags=re.M)
    page.write_text(fill(page.read_text(), mark, f"{tables}\n![The curves of these tables]({mark}.png)"))


def renew(readme: Path, *, demo: Path | None, reference: Path = REFERENCE / "t1_methods") -> None:
    """Rewrite the README's measured parts: the episode where a demo is given, the results from the reference run."""
    page = readme.read_text()
    if demo:
        page = fill(page, "episode", episode(demo))
    readme.write_text(fill(page, "results", results(reference)))
