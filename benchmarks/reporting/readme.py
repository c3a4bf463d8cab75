"""Writes measured numbers into pages of the repository: README, docs, and the page of the latent space.

No number on these pages is typed by hand. The only texts shown are those of Plots, none made from MovieLens.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.reporting.document import aligned
from benchmarks.reporting.episodes import PLOTS, transcript, typical
from benchmarks.reporting.names import title
from benchmarks.reporting.reference import without_paths
from benchmarks.reporting.verdicts import VERDICTS
from benchmarks.running.files import REFERENCE, read_json
from benchmarks.running.provenance import commits
from benchmarks.running.runs import Run, read_run, rows_of
from eagle_gym.errors import ConfigurationError, PreparationError

RESULTS = """Scores on test users: 0 is the uniform policy, 1 is beam search, with 95 % intervals over users and
training seeds. The language model is the grammar. *Optimistic* is greedy with the expected utility of each edit,
which agents are not shown on the default task. *User-blind greedy* knows what edits do and not for whom, and *no-op*
takes the edit that does least ([report](benchmarks/reference/tasks/REPORT.md),
[commands](benchmarks/reference/tasks/ORIGIN.md))."""
COMPARED = "Differences of gains on Plots' default task:"


@dataclass(frozen=True)
class Finding:
    """A row of the README's second table.

    Attributes:
        words: What is compared, in words.
        experiment: Name of the experiment, whose committed run has the verdict.
        table, claim: Table of its `verdicts.json`, and the claim there.
    """

    words: str
    experiment: str
    table: str
    claim: str


FINDINGS = (
    Finding(
        "Transfer: trained with another language model, less trained with this one",
        *("t2_transfer", "plots", "All agents: trained elsewhere minus trained here"),
    ),
    Finding(
        "Greed on action sets: designed less random",
        *("t3_action_sets", "plots-default", "optimistic: designed minus random"),
    ),
    Finding(
        "Greed on action sets: designed less longest",
        *("t3_action_sets", "plots-default", "optimistic: designed minus longest"),
    ),
    Finding(
        "Exploration: best text of ten steps, G-optimal less uniform",
        *("exploration", "plots", "G-optimal minus uniform"),
    ),
)


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


def results(reference: Path) -> str:
    """The README's results, from the committed runs: scores of policies, and findings of other experiments."""
    scores = (reference / "tasks" / "SUMMARY.md").read_text()
    head = ["difference", "by reward", "by judge", "verdict"]
    found = [finding_row(item, reference) for item in FINDINGS]
    return "\n\n".join(part.strip() for part in (RESULTS, scores, COMPARED, aligned(head, found)))


def finding_row(item: Finding, reference: Path) -> list[str]:
    """A row of the table of findings: its words with a link, and the verdict.

    Raises:
        PreparationError: The committed run has no such verdict.
    """
    path = reference / item.experiment / VERDICTS
    rows = [row for row in read_json(path).get(item.table, ()) if row[0] == item.claim]
    if not rows:
        raise PreparationError(f"{path} should have a verdict on {item.claim!r} in {item.table!r}: commit a new run")
    name, _, rest = item.words.partition(":")
    return [f"[{name}](benchmarks/reference/{item.experiment}/REPORT.md):{rest}", *rows[0][1:]]


def made(tasks: Path) -> str:
    """How a run of the experiment on tasks was made, as a page.

    Raises:
        PreparationError: The run is not finished.
    """
    if not (tasks / "SUMMARY.md").exists():
        raise PreparationError(f"{tasks} holds no finished run; run the tasks experiment there first")
    run = read_run(tasks)
    parts = ["# Commands and commits", commands(run), origin([cell.header for cell in run.done])]
    for environment in run.environments:
        holes = [f"{title(name)} {why}" for name, why in run.holes(environment).items()]
        parts += [f"Not in the numbers of {environment}: {'; '.join(holes)}."] if holes else []
    return "\n\n".join(part.strip() for part in parts) + "\n"


def commands(run: Run) -> str:
    """The commands that make a run, as a block, with the folder's name in this repository; not in pieces (`--only`)."""
    given = (str(cell.header["command"]).removeprefix("__main__.py ") for cell in run.done)
    made = dict.fromkeys(re.sub(r" (--out|--jobs|--only)[ =]\S+", "", command) for command in given)
    lines = [*(f"{command} --out runs/{run.experiment}" for command in made), f"readme --tasks runs/{run.experiment}"]
    return without_paths("```sh\n" + "\n".join(f"python -m benchmarks {line}" for line in lines) + "\n```")


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


def keep_tasks(tasks: Path, reference: Path = REFERENCE) -> None:
    """Keep the page of a run of the experiment on tasks, and how it was made, among the committed runs.

    Raises:
        PreparationError: The run is not finished.
    """
    text, folder = made(tasks), reference / "tasks"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "ORIGIN.md").write_text(text)
    for name in ("REPORT.md", "SUMMARY.md", "tasks.json"):
        shutil.copyfile(tasks / name, folder / name)


def renew_results(readme: Path, reference: Path = REFERENCE) -> None:
    """Rewrite the README's results from the committed runs.

    Raises:
        PreparationError: One of them lacks a verdict.
    """
    readme.write_text(fill(readme.read_text(), "results", results(reference)))


def renew_episode(page: Path, demo: Path) -> None:
    """Rewrite the episode on the introduction's page, from a demo."""
    page.write_text(fill(page.read_text(), "episode", episode(demo)))
