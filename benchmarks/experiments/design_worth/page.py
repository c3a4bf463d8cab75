"""The page on the worth of a design: gains of both policies with every kind of set, and the comparisons of the page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.reporting.document import aligned
from benchmarks.reporting.names import title
from benchmarks.reporting.standings import Cells, average, given, judged_mean, keyed
from benchmarks.reporting.verdicts import HEAD, Verdict, judged, rows, verdict
from benchmarks.running.runs import Run, by_method, read_run, rows_of
from benchmarks.stats import Interval, Keyed, paired_difference, shared
from eagle_gym.errors import ConfigurationError

NOTE = (
    "`HYPOTHESIS.md` of the experiment says what was expected, and was committed before the run. Gains are in standard "
    "deviations over the catalog, on test users. The judge is the true taste. Intervals are 95 %, over seeds and users."
)
POLICIES = ("linucb", "uniform")
FURTHER = ("no_op", "first", "user_blind", "optimistic")  # with the first set
ADDED = (
    "The no-op, the first offered edit, user-blind greedy and the optimistic policy, with designed sets only, are "
    "not part of the hypothesis. *Reads* marks what is privileged: what edits are expected to do "
    "(`effects`) or to be worth (`expected`)."
)


def write_page(folder: Path, sets: Sequence[str]) -> str:
    """Write `REPORT.md` of the cells that are done.

    Args:
        folder: Folder of the run.
        sets: Names of the sets; the first is compared with the others, and the second is the rival that decides.

    Returns:
        The page.
    """
    run = read_run(folder)
    found = [item for other in sets[1:] for item in comparisons(run, sets[0], other)]
    decides = f"**{found[0].claim}**: {found[0].words}. **{found[1].claim}**: {found[1].words}."
    tables = [aligned(HEAD, rows(found)), table(run, sets)]
    parts = ["# What designed action sets are worth", decides, NOTE, *tables, ADDED]
    text = "\n\n".join(parts) + "\n"
    (folder / "REPORT.md").write_text(text)
    return text


def cells_of(run: Run, name: str, policy: str) -> Cells:
    """The cells of a policy with a kind of set."""
    return by_method(run.of(f"plots-{name}")).get(policy, [])


def comparisons(run: Run, one: str, other: str) -> list[Verdict]:
    """LinUCB with one kind of set and another; the same beyond what the uniform policy gains; the uniform policy."""
    ours, theirs = ([cells_of(run, name, policy) for policy in POLICIES] for name in (one, other))
    reward, judge = (beyond(*(read(cells) for cells in (*ours, *theirs))) for read in (keyed, lambda x: judged(run, x)))
    return [
        verdict(run, f"LinUCB, {one} minus {other}", ours[0], theirs[0]),
        Verdict(f"LinUCB minus uniform, {one} minus {other}", reward, judge),
        verdict(run, f"uniform, {one} minus {other}", ours[1], theirs[1]),
    ]


def beyond(ours: Keyed, control: Keyed, theirs: Keyed, their_control: Keyed) -> Interval | None:
    """Mean difference of differences over shared episodes; None without any."""
    try:
        four = shared(ours, control, theirs, their_control)
        return paired_difference(less(*four[:2]), less(*four[2:]), np.random.default_rng(0))
    except ConfigurationError:
        return None


def less(one: Keyed, other: Keyed) -> Keyed:
    """Differences of scores, episode by episode."""
    scores = {tuple(row[:3]): row[3] for row in other}
    return [(*row[:3], row[3] - scores[tuple(row[:3])]) for row in one]


def table(run: Run, sets: Sequence[str]) -> str:
    """Gains of both policies with every kind of set, then of the further policies."""
    shown = [(name, policy) for name in sets for policy in POLICIES] + [(sets[0], policy) for policy in FURTHER]
    body = []
    for name, policy in shown:
        if cells := cells_of(run, name, policy):
            rng = np.random.default_rng(0)
            gain = average(rows_of(cells), lambda row: row.gain, rng)
            opinion = judged_mean(run.judged(cells), lambda item: item.confirmed, rng)
            words = [f"{title(policy)}, {name}", given(cells[0]), str(len(rows_of(cells)))]
            body.append([*words, str(gain), str(opinion or "n/a")])
    head = ["policy, set", "reads", "episodes", "gain by reward", "gain by judge"]
    return aligned(head, body) if body else "No cell is done."
