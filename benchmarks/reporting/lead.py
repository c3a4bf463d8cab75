"""How a report on methods begins: findings on each environment, and one picture of scores by reward and by judge."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

import numpy as np

from benchmarks.reporting import paper, score_picture
from benchmarks.reporting.document import Block, Bullets, Heading, Picture, Table, Text
from benchmarks.reporting.names import PAPER, is_writer, title
from benchmarks.reporting.score_picture import Scores
from benchmarks.reporting.standings import (
    UNIFORM,
    Methods,
    Reader,
    average,
    is_privileged,
    judged_mean,
    keyed,
    oracle,
    score,
)
from benchmarks.reporting.tables import ill_formed, named, number
from benchmarks.reporting.verdicts import Verdict, cannot_move, judge_of, side, verdict
from benchmarks.running.runs import Run, by_method, rows_of
from benchmarks.stats import Interval

SHOWN = (
    *("no_op", "first", "user_blind", "optimistic", *PAPER, "cola", "grpo_tokens"),
    *("ppo", "ppo-bc-optimistic", "mcts", "beam"),
)
"""Methods of the picture, if they were run; tables and texts are about all methods."""
NAMED = 2  # largest number of pairs that are named on which reward and judge contradict each other
CAPTION = (
    "Normalised scores of the main methods: 0 is the uniform policy, 1 is beam search. The judge took no part in "
    "training. Bars are 95 % intervals over seeds and users; those that reach the edge go on beyond it, and an arrow "
    "is a score beyond the edge. Methods with a dagger were given more than anybody who plays can read: what edits are "
    "expected to do or to be worth, or what any point is worth. Where there is no diamond, beam search may equal the "
    "uniform policy by judge, or no judge read the episodes."
)
WORDS = (
    "Scores run from the uniform policy (0) to beam search (1), with 95 % intervals over seeds and users. *Best* is "
    "the largest score by reward on these episodes, among all learners that were run; the picture shows only the main "
    "methods. Methods with † were given more than anybody who plays can read. *Optimistic* takes the edit with the "
    "highest expected utility for the user, *user-blind greedy* that for the mean user. Where a score is n/a, beam "
    "search may equal the uniform policy."
)
JUDGED = (
    "Two methods are in order by reward, or by judge, if the 95 % interval of the mean paired difference of their "
    "gains does not contain 0. If no two methods differed, about 5 % of the pairs would still be in order by chance. "
    "All methods that were run are compared, but for imitators of the uniform policy, which cannot move."
)
UNJUDGED = "No judge has read the episodes: everything is by reward."


def lead(runs: Sequence[Run]) -> list[Block]:
    """The beginning of a report: findings of the runs of T1, and their picture; empty without such a run."""
    blocks: list[Block] = []
    for run in runs:
        places = [name for name in run.environments if run.experiment == "t1_methods" and run.of(name)]
        if places:
            found = {words: scores(run, places, read) for words, read in readers(run).items()}
            blocks += [*picture(run, found), Text(WORDS), *table(run, found)]
            blocks += [Text(JUDGED if run.judgements else UNJUDGED), Bullets([findings(run, name) for name in places])]
    return [Heading("Findings"), *blocks] if blocks else []


def readers(run: Run) -> dict[str, Reader]:
    """How gains are read: by reward, and by judge if the run is judged."""
    by_reward: dict[str, Reader] = {"by reward": keyed}
    return by_reward | ({"by judge": judge_of(run)} if run.judgements else {})


def scores(run: Run, places: Sequence[str], read: Reader) -> Scores:
    """Normalised scores in each environment, of every method for which they are defined."""
    return {name: dict(scored(by_method(run.of(name)), read)) for name in places}


def scored(methods: Methods, read: Reader) -> Iterator[tuple[str, Interval]]:
    """The normalised scores of an environment: none without judgements, or where beam search may equal uniform."""
    top, bottom = oracle(methods), methods.get(UNIFORM)
    for name, cells in methods.items() if top and bottom else ():
        found = score(cells, top, bottom, np.random.default_rng(0), read)
        if found is not None and np.isfinite([found.low, found.high]).all():
            yield name, found


def picture(run: Run, found: Mapping[str, Scores]) -> list[Block]:
    """The picture of the main methods' scores."""
    shown = {
        words: {place: {name: some[name] for name in SHOWN if name in some} for place, some in by_place.items()}
        for words, by_place in found.items()
    }
    if not any(some for by_place in shown.values() for some in by_place.values()):
        return []
    marked = {cell.method for cell in run.done if is_privileged([cell])}
    return [Picture(f"{run.folder.name}-scores", score_picture.draw(shown, marked), CAPTION)]


def table(run: Run, found: Mapping[str, Scores]) -> list[Block]:
    """Scores of the best learners and of simple policies in each environment."""
    body: list[list[str]] = []
    for place, first in next(iter(found.values())).items():
        methods = by_method(run.of(place))
        chosen = {**best_learners({name: methods[name] for name in first}, first), **simple(first)}
        where = methods[next(iter(methods))][0].where
        for words, name in chosen.items():
            marked = named(name, methods) + (" †" if is_privileged(methods[name]) else "")
            numbers = [number(some[place].get(name)) for some in found.values()]
            body.append([where, words, marked, str(len(methods[name])), *numbers])
            where = ""
    return [Table(["environment", "", "method", "seeds", *found], body)] if body else []


def simple(scores: Mapping[str, Interval]) -> dict[str, str]:
    """The policies without training that show what is to be won."""
    words = {"greed": "optimistic", "greed without the user's taste": "user_blind", "first in the order": "first"}
    return {role: name for role, name in words.items() if name in scores}


def best_learners(methods: Methods, scores: Mapping[str, Interval]) -> dict[str, str]:
    """The learners with the largest scores, by what they are the best of; each is named once."""
    learnt = [name for name, cells in methods.items() if any(cell.training for cell in cells)]
    fair = [name for name in learnt if not is_privileged(methods[name])]
    groups = {
        "best learner": learnt,
        "best with well-formed texts": [name for name in learnt if not ill_formed(methods[name])],
        "best without †": fair,
        "best without † that chooses offered edits": [name for name in fair if not is_writer(name)],
        "best EAGLE": [name for name in learnt if name.startswith("eagle")],
    }
    best: dict[str, str] = {}
    for words, some in groups.items():
        name = max(some, key=lambda name: scores[name].estimate, default="")
        if name and name not in best.values():
            best[words] = name
    return best


def findings(run: Run, environment: str) -> str:
    """A paragraph on an environment: the largest gains, where reward and judge part, and the paper's claims."""
    cells = run.of(environment)
    methods = by_method(cells)
    sentences = [most(run, methods), *parted(run, methods), paper.counts(paper.findings(methods, run))]
    return f"**{cells[0].where}** ({len(methods)} methods): {' '.join(sentences)}"


def most(run: Run, methods: Methods) -> str:
    """The method with the largest mean gain by reward, and by judge."""
    rng = np.random.default_rng(0)
    by_reward = {name: average(rows_of(cells), lambda row: row.gain, rng) for name, cells in methods.items()}
    opinions = {
        name: judged_mean(run.judged(cells), lambda item: item.confirmed, rng) for name, cells in methods.items()
    }
    parts: list[str] = []
    for words, gains in (("by reward", by_reward), ("by judge", opinions)):
        some = {name: gain for name, gain in gains.items() if gain is not None}
        if some:
            best = max(some, key=lambda name: some[name].estimate)
            who = f"{named(best, methods)} "
            parts.append(f"{'' if parts and parts[0].startswith(who) else who}{words} ({some[best]})")
    return f"largest gain: {' and '.join(parts)}."


def parted(run: Run, methods: Methods) -> Iterator[str]:
    """How many pairs of methods are in order by reward and by judge, and which are in opposite orders."""
    compared = compare_all(run, methods)
    if not compared:
        return
    sides = [(side(item.reward), side(item.judge)) for item in compared]
    by_reward, by_judge = (sum(pair[i] != "undecided" for pair in sides) for i in (0, 1))
    only = sum(reward == "undecided" != judge for reward, judge in sides)
    numbers = f"{by_reward} are in order by reward and {by_judge} by judge, of these {only} by judge only"
    yield f"Of {len(compared)} pairs, {numbers} and {opposed(compared)}"


def compare_all(run: Run, methods: Methods) -> list[Verdict]:
    """Both differences of every judged pair of methods that can move; by judge, the first gains more."""
    moving = [name for name in methods if not cannot_move(name)]
    found = []
    for one, other in combinations(moving, 2):
        item = verdict(run, f"{title(one)} gains more than {title(other)}", methods[one], methods[other])
        if item.reward is not None and item.judge is not None:
            turned = Verdict(f"{title(other)} gains more than {title(one)}", -item.reward, -item.judge)
            found.append(item if item.judge.estimate >= 0 else turned)
    return found


def opposed(compared: Sequence[Verdict]) -> str:
    """The pairs that reward and judge put in opposite orders, the largest difference by judge first."""
    found = [item for item in compared if (side(item.judge), side(item.reward)) == ("above", "below")]
    if not found:
        return "none in the opposite order."
    found.sort(key=lambda item: -item.judge.estimate if item.judge else 0.0)
    names = [f"{item.claim} ({item.judge}; by reward {item.reward})" for item in found[:NAMED]]
    more = [f"{len(found) - NAMED} more"] if len(found) > NAMED else []
    return f"{len(found)} in the opposite order. By judge, {'; '.join([*names, *more])}."
