"""Puts what was measured into the pages.

The README has a real episode from the demo and the tables of the learning experiment; the page of the latent space has
those of the experiment on it, the page on speed those on throughput, with their picture. Nothing is typed in by hand.
Texts come from Plots alone: what is made from MovieLens stays out of the repository.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.report import transcript, typical
from benchmarks.results import read_json, read_rows
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
        f"A real episode of `make demo`: PPO after {cell['training']['steps']:,} steps, writing for test user "
        f"{row.user} (of its well-formed episodes the one with the median gain, {row.gain:+.2f}). The number is the "
        f"utility in catalog standard deviations, `>` the edit that was chosen:\n\n"
        f"```text\n{transcript(row)}\n```"
    )


def results(learning: Path) -> str:
    """The pages of the learning experiment, as Markdown, with the command and the code behind them.

    Raises:
        PreparationError: It is not finished.
    """
    page, headers = report_of(learning, "learning", "cells/*/run.json")
    return (
        "Mean gain in utility over an episode of five steps, on users and start texts that training never saw; "
        "`valid` is the share of episodes in which every text was well-formed.\n\n"
        "```sh\npython -m benchmarks run learning --size reference --data ml-latest-small\n```\n\n"
        + origin(headers)
        + re.sub(r"^## ", "### ", page, flags=re.M)
    )


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


def origin(headers: Sequence[dict[str, Any]]) -> str:
    """Code and machine, as a paragraph."""
    commits = sorted({str(header["commit"])[:10] for header in headers})
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


def renew(readme: Path, *, demo: Path | None, learning: Path | None) -> None:
    """Rewrite the README's measured parts from the runs that are given."""
    page = readme.read_text()
    if demo:
        page = fill(page, "episode", episode(demo))
    if learning:
        page = fill(page, "results", results(learning))
    readme.write_text(page)
