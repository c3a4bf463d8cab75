"""The page's part on an environment: contests by reward and by judge, what became of the texts, what pools cost."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from baselines.evaluate import EpisodeRow
from benchmarks.pools import pools_table
from benchmarks.reporting.document import aligned, markdown
from benchmarks.reporting.fates import FATES, fates, kinds_of
from benchmarks.reporting.judged import judge_line
from benchmarks.reporting.names import title
from benchmarks.reporting.tables import percent, rivals
from benchmarks.running.files import read_json
from benchmarks.running.runs import Run, by_method, rows_of

POOLS = "pools-cost.json"
ASKED = (
    "What became of the texts of the test episodes. {fates} *Asked again* are steps whose edit the episode had before: "
    "the pool of a product does not change, so a policy may take one edit again."
)
AGAIN = "Of {again} rewrites whose edit the episode had before, {copied} are copies; of the {new} others, {plain}."


def section(run: Run, environment: str) -> str:
    """Contests, the judge, fates of the texts, and the cost of the pools."""
    found = by_method(run.of(environment))
    parts = [*map(markdown, rivals(found, run)), *judge_line(run, environment)]
    parts += [ASKED.format(fates=FATES), fates_table(run, environment)]
    rows = [row for cells in found.values() for row in rows_of(cells)]
    parts.append(AGAIN.format(**repeats(rows)))
    if (run.folder / POOLS).exists():
        parts += ["What the pools cost, before the cells:", pools_table(read_json(run.folder / POOLS))]
    return "\n\n".join(parts)


def fates_table(run: Run, environment: str) -> str:
    """What became of the texts of each method, and of all methods."""
    found = {title(method): rows_of(cells) for method, cells in by_method(run.of(environment)).items()}
    found["**all**"] = [row for rows in found.values() for row in rows]
    body, names = [], list[str]()
    for name, rows in found.items():
        shares = fates(rows)
        valid, steps = float(np.mean([row.valid for row in rows])), sum(len(row.texts) - 1 for row in rows)
        again = repeats(rows)["again"] / max(steps, 1)
        body.append([name, str(steps), percent(valid), percent(again), *map(percent, shares.values())])
        names = list(shares)
    return aligned(["agent", "rewrites", "valid", "asked again", *names], body)


def repeats(rows: Sequence[EpisodeRow]) -> dict[str, int]:
    """Rewrites whose edit the episode had before and others, with the number of copies among each."""
    found = {"again": 0, "copied": 0, "new": 0, "plain": 0}
    for row in rows:
        for step, (edit, kind) in enumerate(zip(row.edits, kinds_of(row), strict=False)):
            group, copies = ("again", "copied") if edit in row.edits[:step] else ("new", "plain")
            found[group] += 1
            found[copies] += kind == "copied"
    return found
