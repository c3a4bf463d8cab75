"""What judges say of the texts, where the run is judged (`python -m benchmarks judge`), next to the reward."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np

from benchmarks.reporting.document import aligned
from benchmarks.reporting.judged import judge_line
from benchmarks.reporting.names import title
from benchmarks.reporting.standings import Cells, judged_mean
from benchmarks.reporting.verdicts import HEAD, Verdict, rows, verdict
from benchmarks.running.runs import FinishedCell, Run, rows_of

LEARNT: Final = ("ppo", "eagle")
RIVALS: Final = ("no_op", "first", "uniform", "user_blind", "optimistic")
JUDGE: Final = (
    "*By judge* is the gain as a judge sees it who took no part in training: the true taste on Plots, elsewhere a "
    "second opinion, which was fitted to ratings that nothing else reads. The judge knows no novelty, so compare its "
    "gain with *affinity*. Errors of a second opinion are given in percent of the user's mean rating as a prediction. "
    "If that of *text*, its prediction from texts, is below 0, the judge predicts worse than that mean, and its "
    "verdicts say little. A claim holds where reward and judge agree."
)


def extent(run: Run) -> str:
    """How much of a run is judged, as the end of a sentence; "" if all of it is."""
    episodes, judged = len(rows_of(run.done)), len(run.judged(run.done))
    if not judged:
        return ", and gains are by reward only: no judge has read the texts"
    return f"; judges have read {judged:,} of {episodes:,} episodes" if judged < episodes else ""


def by_judge(run: Run, cells: Cells) -> str:
    """The mean gain that the judge sees, "n/a" if nothing is judged."""
    return str(judged_mean(run.judged(cells), lambda item: item.confirmed, np.random.default_rng(0)) or "n/a")


def contests(run: Run, found: Mapping[str, Sequence[FinishedCell]]) -> Iterator[Verdict]:
    """What each learnt policy gains more than each policy without training, over the same episodes."""
    for method in (name for name in LEARNT if name in found):
        for rival in (name for name in RIVALS if name in found):
            yield verdict(run, f"{title(method)} minus {title(rival)}", found[method], found[rival])


def contests_of(run: Run, environment: str, found: Mapping[str, Sequence[FinishedCell]]) -> list[str]:
    """The table of contests, and who judged them."""
    table = rows([*contests(run, found)])
    return [*([aligned(HEAD, table)] if table else []), *judge_line(run, environment)]


def numbers(run: Run, found: Mapping[str, Sequence[FinishedCell]]) -> dict[str, Any]:
    """The contests, for JSON."""
    return {item.claim: [str(item.reward), str(item.judge or "n/a"), item.words] for item in contests(run, found)}
