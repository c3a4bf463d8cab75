"""Writes measured numbers into pages of the repository: README, docs, and the page of the latent space.

No number on these pages is typed by hand. The only texts shown are those of Plots, none made from MovieLens.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.reporting.document import markdown
from benchmarks.reporting.episodes import PLOTS, transcript, typical
from benchmarks.reporting.names import PAPER, title
from benchmarks.reporting.standings import Methods, standings
from benchmarks.reporting.tables import gains_table
from benchmarks.reporting.targets import checks, eagle_targets
from benchmarks.running.files import REFERENCE, read_json
from benchmarks.running.provenance import commits
from benchmarks.running.runs import Run, by_method, has_cells, read_run, rows_of
from eagle_gym.errors import ConfigurationError, PreparationError

ROWS = (
    *PAPER,
    *("uniform", "optimistic", "g_optimal"),
    *("beam", "mcts", "lookahead", "best_of_n", "vas", "dqn", "ppo", "ppo-stock"),
)
"""Methods of the README's table; the report has all of them."""
COLUMNS = (
    *("method", "gain", "normalised score", "user utility", "well-formed", "episodes", "calls to train"),
    "calls per episode",
)
RESULTS = """Gain in utility over an episode, in standard deviations of the catalog, for users and start texts that
training never saw, with 95 % intervals over seeds and users. The normalised score is 0 for the uniform policy and 1 for
beam search. *User utility* is the gain by a judge that took no part in training: the true tastes on Plots, a second
factorisation of other ratings on MovieLens. *Well-formed* is the share of episodes with only well-formed texts. Search
is expensive, so it ran only on each seed's first episodes; compare its normalised score, not its gain. The
[report](benchmarks/reference/t1_methods/REPORT.md) has all methods, curves, maps, judges, costs and paper claims."""


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
    parts = [RESULTS, commands(run), origin([cell.header for cell in run.done])]
    for environment in run.environments:
        cells = run.of(environment)
        if cells:
            found = [item for item in standings(run, environment) if item.method in ROWS]
            parts += [f"### {cells[0].env_id}", markdown(gains_table(found, COLUMNS, "")), targets(by_method(cells))]
        holes = [f"{title(name)} {why}" for name, why in run.holes(environment).items() if name in ROWS]
        parts += [f"Not in the numbers of {environment}: {'; '.join(holes)}."] if holes else []
    return "\n\n".join(part.strip() for part in parts)


def commands(run: Run) -> str:
    """The commands that made a reference run, as a block, with the folder's name in this repository."""
    given = (str(cell.header["command"]).removeprefix("__main__.py ") for cell in run.done)
    made = dict.fromkeys(re.sub(r" --out[ =]\S+", "", command) for command in given)
    lines = [*(f"{command} --out runs/{run.experiment}" for command in made)]
    lines += [f"judge runs/{run.experiment}", f"reference runs/{run.experiment}", "readme"]
    return "```sh\n" + "\n".join(f"python -m benchmarks {line}" for line in lines) + "\n```"


def targets(methods: Methods) -> str:
    """How many of EAGLE's targets are met, and the missed ones by name."""
    found = [check for check in checks(methods, eagle_targets()) if check.found is not None]
    missed = [f"- {check}" for check in found if not check.met]
    met = f"EAGLE meets {len(found) - len(missed)} of its {len(found)} targets"
    return "\n".join([f"{met} and misses:\n", *missed]) if missed else f"{met}."


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


def renew(readme: Path, *, demo: Path | None, reference: Path = REFERENCE / "t1_methods") -> None:
    """Rewrite the README's measured parts: the episode if a demo is given, and the results of the reference run."""
    page = readme.read_text()
    if demo:
        page = fill(page, "episode", episode(demo))
    readme.write_text(fill(page, "results", results(reference)))
