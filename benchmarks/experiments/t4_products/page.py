"""The page's part on an environment: contests by reward and by judge, what became of the texts, what pools cost."""

from __future__ import annotations

import numpy as np

from benchmarks.experiments.free_text import judged
from benchmarks.experiments.free_text.page import fates, pools_table
from benchmarks.reporting.document import aligned, markdown
from benchmarks.reporting.names import title
from benchmarks.reporting.tables import percent, rivals
from benchmarks.running.files import read_json
from benchmarks.running.runs import Run, by_method, rows_of

POOLS = "pools-cost.json"
FATES = (
    "What became of the texts of the test episodes. *Valid* is the share of episodes in which every text is a proper "
    "rewrite. Of the single rewrites, *copied*, *edited*, *rewritten*, *summarised* and *rambled* are found by overlap "
    "of words; *cut off* are those of which no answer was finished, so that the text stayed. *Followed* is a rough "
    "rule: the answer has at least half of the edit's content words that the text lacked, keeps at least half of the "
    "text, does not repeat the edit, and no longer has what the edit replaces."
)


def section(run: Run, environment: str) -> str:
    """Contests, the judge, fates of the texts, and the cost of the pools."""
    found = by_method(run.of(environment))
    parts = [*map(markdown, rivals(found, run)), *judged.who(run, environment), FATES, fates_table(run, environment)]
    if (run.folder / POOLS).exists():
        parts += ["What the pools cost, before the cells:", pools_table(read_json(run.folder / POOLS))]
    return "\n\n".join(parts)


def fates_table(run: Run, environment: str) -> str:
    """What became of the texts of each method, and of all."""
    found = {title(method): rows_of(cells) for method, cells in by_method(run.of(environment)).items()}
    found["**all**"] = [row for rows in found.values() for row in rows]
    body, names = [], list[str]()
    for name, rows in found.items():
        shares = fates(rows)
        valid, steps = float(np.mean([row.valid for row in rows])), sum(len(row.texts) - 1 for row in rows)
        body.append([name, str(steps), percent(valid), *map(percent, shares.values())])
        names = list(shares)
    return aligned(["agent", "rewrites", "valid", *names], body)
