"""How a report on methods begins: a paragraph of findings, and one picture of scores by reward and by judge."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from benchmarks.reporting import paper, plots
from benchmarks.reporting.document import Block, Heading, Picture, Text
from benchmarks.reporting.names import PAPER, title
from benchmarks.reporting.standings import (
    UNIFORM,
    Cells,
    Methods,
    Reader,
    average,
    difference,
    is_privileged,
    judged_mean,
    keyed,
    oracle,
)
from benchmarks.reporting.tables import named
from benchmarks.reporting.verdicts import judge_of, judged_difference, side
from benchmarks.running.runs import Run, by_method, rows_of
from benchmarks.stats import Interval, normalised, shared
from eagle_gym.errors import ConfigurationError

SHOWN = ("no_op", "user_blind", "optimistic", *PAPER, "ppo", "ppo-bc-optimistic", "mcts", "beam")
"""Methods of the picture and of the paragraph, if they were run."""
NAMED = 2  # largest number of methods of which the pairs are named on which reward and judge disagree
CAPTION = (
    "Normalised score of each method: 0 is the uniform policy, 1 is beam search. Left by the reward, right by a judge "
    "that took no part in training. Bars are 95 % intervals over seeds and users. Methods with a dagger were given "
    "more than anybody who plays can read: what edits are expected to do or to be worth, or what any point is worth."
)
Scores = Mapping[str, Mapping[str, Interval]]
"""Intervals by environment, then by method."""


def lead(runs: Sequence[Run]) -> list[Block]:
    """The beginning of a report: findings of the runs of T1, and their picture; empty without such a run."""
    blocks: list[Block] = []
    for run in runs:
        places = [name for name in run.environments if run.experiment == "t1_methods" and run.of(name)]
        if places:
            panels = {words: scores(run, places, read) for words, read in readers(run).items()}
            for name in places:
                by = {words: found[name] for words, found in panels.items()}
                blocks.append(Text(findings(run, name, by)))
            marked = [cell.method for name in places for cell in run.of(name) if is_privileged([cell])]
            drawn = plots.lead(panels, marked)
            blocks.append(Picture(f"{run.folder.name}-scores", drawn, CAPTION))
    return [Heading("Findings"), *blocks] if blocks else []


def readers(run: Run) -> dict[str, Reader]:
    """What is drawn: gains by reward, and by judge if the run is judged."""
    by_reward: dict[str, Reader] = {"by reward": keyed}
    return by_reward | ({"by judge": judge_of(run)} if run.judgements else {})


def scores(run: Run, places: Sequence[str], read: Reader) -> Scores:
    """Normalised scores in each environment."""
    return {name: dict(scored(by_method(run.of(name)), read)) for name in places}


def scored(methods: Methods, read: Reader) -> Iterator[tuple[str, Interval]]:
    """The normalised score of every shown method for which it is defined."""
    top, bottom = oracle(methods), methods.get(UNIFORM)
    for name in SHOWN if top and bottom else ():
        if name in methods:
            try:
                one, high, low = shared(*(read(cells) for cells in (methods[name], top, bottom) if cells))
                yield name, normalised(one, high, np.random.default_rng(0), bottom=low)
            except ConfigurationError:  # nothing is judged, or beam search is not above uniform
                continue


def findings(run: Run, environment: str, by: Mapping[str, Mapping[str, Interval]]) -> str:
    """A paragraph on an environment: where reward and judge disagree, what reaches which score, the paper's claims.

    Args:
        run: The run.
        environment: One of its environments.
        by: Scores by title of the panel, then by method.
    """
    cells = run.of(environment)
    methods = {name: some for name, some in by_method(cells).items() if name in SHOWN}
    found = paper.findings(by_method(cells), run)
    sentences = [*disagreements(run, methods), *reached(methods, by), most(run, methods), paper.counts(found)]
    return f"**{cells[0].where}**: {' '.join(sentences)}"


def reached(methods: Methods, by: Mapping[str, Mapping[str, Interval]]) -> Iterator[str]:
    """Scores of the best learner that is not privileged, of EAGLE, and of greed with and without the user's taste."""
    first = next(iter(by.values()))
    learnt = [name for name in first if any(cell.training for cell in methods[name])]
    fair = [name for name in learnt if not is_privileged(methods[name])]
    eagles = [name for name in learnt if name.startswith("eagle")]

    def said(name: str) -> str:
        return " and ".join(f"{found[name]} {words}" for words, found in by.items() if name in found)

    if fair:
        best = max(fair, key=lambda name: first[name].estimate)
        words = "From the uniform policy (0) to beam search (1), the best learner that reads no more than a player is"
        yield f"{words} {named(best, methods)}, at {said(best)}."
    if eagles:
        best = max(eagles, key=lambda name: first[name].estimate)
        more = ", which was shown more," if is_privileged(methods[best]) else ""
        yield f"The best EAGLE is {named(best, methods)}{more} at {said(best)}."
    if "optimistic" in first and "user_blind" in first:
        greedy = f"Greed with expected utilities, which nobody who plays is shown, is at {said('optimistic')};"
        yield f"{greedy} for the mean user in place of the own one, at {said('user_blind')}."


def disagreements(run: Run, methods: Methods) -> Iterator[str]:
    """Pairs of methods of which the judge says something that the reward does not, of few methods by name."""
    if not run.judgements:
        yield "No judge has read the episodes: everything below is by reward."
        return
    found = {name: [other for other in methods if parted(run, methods[name], methods[other])] for name in methods}
    order = sorted((name for name in found if found[name]), key=lambda name: -len(found[name]))
    if not order:
        yield "By the judge, no method gains more than another one that it does not beat by reward."
    for name in order[:NAMED]:
        words = ", ".join(title(other) for other in found[name])
        yield f"By the judge, {named(name, methods)} gains more than {words}; by reward, it does not."
    if len(order) > NAMED:
        pairs = sum(len(found[name]) for name in order[NAMED:])
        yield f"The same holds of {pairs} more pairs of methods in the picture."


def parted(run: Run, one: Cells, other: Cells) -> bool:
    """Whether a method is above another one by judge and not by reward."""
    if side(judged_difference(run, one, other)) != "above":
        return False
    return side(difference(one, other, np.random.default_rng(0))) != "above"


def most(run: Run, methods: Methods) -> str:
    """The method with the largest mean gain by reward, and by judge."""
    rng = np.random.default_rng(0)
    by_reward = {name: average(rows_of(cells), lambda row: row.gain, rng) for name, cells in methods.items()}
    opinions = {
        name: judged_mean(run.judged(cells), lambda item: item.confirmed, rng) for name, cells in methods.items()
    }
    parts = []
    for words, gains in (("by reward", by_reward), ("by the judge", opinions)):
        some = {name: gain for name, gain in gains.items() if gain is not None}
        if some:
            best = max(some, key=lambda name: some[name].estimate)
            parts.append(f"{named(best, methods)} {words} ({some[best]})")
    return f"The largest gain: {' and '.join(parts)}."
