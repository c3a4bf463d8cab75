"""The page on tasks: one table for each preset, and what the presets are wanted to show."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from baselines import registry
from benchmarks.experiments.tasks.judged import ROWS, comparisons, scores, verdicts
from benchmarks.experiments.tasks.methods import MANY, PLOTS, SETS, SOME, learners, presets
from benchmarks.reporting.document import aligned
from benchmarks.reporting.names import title
from benchmarks.reporting.standings import Cells, Methods, average, compare, difference, score
from benchmarks.reporting.targets import Check
from benchmarks.running.files import write_json
from benchmarks.running.runs import FinishedCell, Run, by_method, read_run, rows_of
from benchmarks.stats import Interval, normalised
from eagle_gym.actions.surrogate.make import SUFFIXES, Budget

NOTE = (
    "Gains are in standard deviations of utility over the catalog, on test users. Normalised: 0 is the uniform policy, "
    "1 is beam search with the designed action sets. *Reads* says what a policy was given: `effects` are the expected "
    "displacements of the actions, `expected` is their expected utility, `rewrites` are trial generations. *Calls* are "
    "generations for one episode and for all of the training. The surrogate behind designed and longest sets and "
    "behind expected utilities took {surrogate:,} more generations, once. Intervals are 95 %, over users and "
    "{seeds} training seed{plural}: with one seed, they cover users only."
)
SEARCHED = (
    "Searches play the first {searched} of the {episodes} episodes of a seed. Scores and differences are taken over "
    "the episodes that all compared policies have played."
)
JUDGED = (
    "The judge is the true taste behind the ratings on Plots, and elsewhere a second factorisation, of ratings that no "
    "reward has seen. It says how much more the user would like the last text than the first, and knows nothing of "
    "novelty, interests and prices."
)
UNJUDGED = "Everything is measured by the rewarded utility: no judge has read the episodes."
BUDGET = Budget()
SURROGATE = BUDGET.trials + len(SUFFIXES) * BUDGET.checks * BUDGET.check_samples  # generations of its fit


def fresh() -> np.random.Generator:
    """The generator of one bootstrap: each has its own, so that a number has one interval wherever it stands."""
    return np.random.default_rng(0)


@dataclass(frozen=True)
class Row:
    """One method with one kind of action set.

    Attributes:
        name: The method, in words.
        cells: Its cells, one for each seed.
        reads: What it was given besides the observation.
    """

    name: str
    cells: Cells
    reads: str


def write_page(folder: Path, names: Sequence[str], size: Mapping[str, Any]) -> str:
    """Write `REPORT.md` and `tasks.json` of the cells that are done.

    Args:
        folder: Folder of the run.
        names: Short names of the catalogs.
        size: One of `SIZES`.

    Returns:
        The page.
    """
    run = read_run(folder)
    seeds = len({cell.seed for cell in run.done})
    parts, found = [NOTE.format(seeds=seeds, plural="s" * (seeds != 1), surrogate=SURROGATE)], {}
    if size["searched"]:
        parts.append(SEARCHED.format(**size))
    parts.append(JUDGED if run.judgements else UNJUDGED)
    for name in names:
        for task in presets(name, size):
            place = f"{name}-{task}"
            parts += [f"## {name}, {task}", table(run, place)]
            checked = checks(run, name, task, size)
            parts.append("\n".join(f"- {said(check)}" for check in checked))
            if run.judgements:
                parts += judged_tables(run, name, task, size)
            found[place] = {check.name: [check.found and str(check.found), check.verdict] for check in checked}
    write_json(found, folder / "tasks.json")
    (folder / "SUMMARY.md").write_text(summary(run, names, size))
    text = "\n\n".join(part for part in parts if part) + "\n"
    (folder / "REPORT.md").write_text(text)
    return text


def judged_tables(run: Run, catalog: str, task: str, size: Mapping[str, Any]) -> list[str]:
    """Gains by the judge, and comparisons by reward and by judge."""
    place = f"{catalog}-{task}"
    best = best_of(by_method(run.of(place)), catalog, task, size)
    pairs = [("Privileged greedy minus user-blind greedy", "optimistic", "user_blind")]
    for name in best:
        pairs += [(f"{worded(name)} minus {words}", name, other) for words, other in OPPONENTS.items()]
    pairs += [(f"{worded(name)} minus {worded(twin)}", name, twin) for name, twin in twins(best)]
    named = [worded(name) for name in (*ROWS, *best)]
    found = comparisons(run, place, pairs, sets=task in size["compared"])
    return [scores(run, place, best, named), verdicts(run, found)]


def twins(best: Sequence[str]) -> list[tuple[str, str]]:
    """Learners with the PPO that had as many steps, as far as there is one."""
    pairs = [(name, f"ppo-{name.rpartition('-')[2]}") for name in best]
    return [(name, twin) for name, twin in pairs if twin in best and twin != name]


def best_of(methods: Methods, catalog: str, task: str, size: Mapping[str, Any]) -> list[str]:
    """The learners of a preset, each with the largest budget that is done."""
    budgets = learners(catalog, task, size).items()
    done = {name: [number for number in numbers if f"{name}-{number}" in methods] for name, numbers in budgets}
    return [f"{name}-{max(numbers)}" for name, numbers in done.items() if numbers]


FIRST = 10_000  # steps, fewer than which an agent is wanted not to have solved the default task
OPPONENTS = {"uniform": "uniform", "user-blind greedy": "user_blind", "privileged greedy": "optimistic"}
SHOWN = ("default", "plan", "hidden")  # presets of the summary on Plots
SHOWN_ELSEWHERE = ("default", "plan")
ENDS = ("uniform", "beam")  # of the scale: 0 and 1
BRIEF = ("no_op", "user_blind", "optimistic")  # policies of the summary after those that learn


def summary(run: Run, names: Sequence[str], size: Mapping[str, Any]) -> str:
    """Normalised scores of a few policies, presets next to each other; of a learner, the largest budget.

    SB3's stock policy and LinUCB only stand on the page, so that the README's tables stay small.
    """
    shown = {}
    for name in names:
        shown_here = SHOWN if name == PLOTS else SHOWN_ELSEWHERE
        for task in (task for task in presets(name, size) if task in shown_here):
            if methods := by_method(run.of(f"{name}-{task}")):
                best = [key for key in best_of(methods, name, task, size) if "stock" not in key]
                keys = (*ENDS, *best, *BRIEF)
                shown[f"{name}-{task}"] = {key: methods[key] for key in keys if key in methods}
    learnt = dict.fromkeys(key for methods in shown.values() for key in methods if key not in (*BRIEF, *ENDS))
    body = [
        [worded(key), *(str((key in methods and placed(methods, key)) or "") for methods in shown.values())]
        for key in (*learnt, *BRIEF)
        if any(key in methods for methods in shown.values())
    ]
    return aligned(["policy", *(place.replace("-", ", ") for place in shown)], body) + "\n"


def said(check: Check) -> str:
    """A check and its verdict; where a target lies inside the interval, the interval does not decide."""
    undecided = check.found is not None and check.target is not None and not check.decided
    return f"{check} The interval does not decide." if undecided else str(check)


def table(run: Run, place: str) -> str:
    """The table of one preset."""
    usual = by_method(run.of(place))
    top, bottom = usual.get("beam"), usual.get("uniform")
    body = []
    for row in rows(run, place):
        gain = average(rows_of(row.cells), lambda episode: episode.gain, fresh())
        trained = [cell.training.calls for cell in row.cells if cell.training]
        played = sum(cell.evaluation.calls for cell in row.cells) / len(rows_of(row.cells))
        calls = f"{played:.0f}" + (f" + {np.mean(trained):.0f}" if trained else "")
        body.append([row.name, str(gain), str(score(row.cells, top, bottom, fresh()) or "n/a"), row.reads, calls])
    return aligned(["policy", "gain", "normalised", "reads", "calls"], body) if body else "No cell is done."


def rows(run: Run, place: str) -> Iterator[Row]:
    """The methods of a preset, those with other action sets or observations last."""
    for environment in [name for name in run.environments if name == place or name.startswith(f"{place}-")]:
        kind = environment.removeprefix(place).strip("-")
        for method, cells in by_method(run.of(environment)).items():
            yield Row(worded(method) + (f", {KINDS[kind]}" if kind else ""), cells, given(cells[0]))


def given(cell: FinishedCell) -> str:
    """What the agent of a cell was given besides the observation."""
    spec = cell.header["cell"]
    return registry.reads(spec["agent"], spec.get("training", {}))


KINDS = {"random": "random set", "longest": "longest set", "shown": "taste shown"}


def worded(method: str) -> str:
    """A method's name with its budget: `"ppo-stock-20480"` is "PPO (SB3, stock policy), 20,480 steps"."""
    name, _, steps = method.rpartition("-")
    if not steps.isdigit():
        return title(method)
    return f"{title(name)}, {int(steps):,} steps"


def checks(run: Run, catalog: str, task: str, size: Mapping[str, Any]) -> list[Check]:
    """What a preset is wanted to show, of the agents that learn on the catalog."""
    place, budgets = f"{catalog}-{task}", learners(catalog, task, size)
    usual, steps = by_method(run.of(place)), budgets.get("ppo", ())
    sets = {kind: by_method(run.of(f"{place}-{kind}")) for kind in (*SETS, "shown")}
    found: list[Check] = []
    if task == "default":
        found = default_checks(usual, steps, stock="ppo-stock" in budgets)
    elif task == "plan":
        found = plan_checks(usual, max(steps, default=0))
    elif task == "hidden":
        found = hidden_checks(usual, steps)
    if task == "hidden" and catalog == PLOTS and size["shown"]:
        some = max(number for number in steps if number <= SOME)
        less = difference_of(sets["shown"].get(f"ppo-{some}"), usual.get(f"ppo-{some}"))
        found.append(Check(f"{worded(f'ppo-{some}')}: taste shown minus hidden, above 0", less))
    for kind in SETS if task in size["compared"] else ():
        for method in ("optimistic", "beam"):
            less = difference_of(usual.get(method), sets[kind].get(method))
            found.append(Check(f"{title(method)}: designed set minus {kind} set, above 0", less))
    return found


def default_checks(methods: Methods, steps: Sequence[int], *, stock: bool) -> list[Check]:
    """The default task asks who the user is, and what edits do. What is wanted of many steps is not asked of few."""

    def at(name: str) -> Interval | None:
        return placed(methods, name)

    most, least = max(steps, default=0), min(steps, default=FIRST)
    early, best = f"ppo-{least}", f"ppo-{most}"
    found = [Check("User-blind greedy, at most 0.5", at("user_blind"), 0.5, at_most=True)]
    if least < FIRST:
        found.append(Check(f"{worded(early)}, at most 0.5", at(early), 0.5, at_most=True))
    if most >= MANY:
        found.append(Check(f"{worded(best)}, at least 0.8", at(best), 0.8))
    if stock:
        ratio = compare(
            lambda one, other, low: normalised(one, other, fresh(), bottom=low),
            *(methods.get(name) for name in (f"ppo-stock-{most}", best, "uniform")),
        )
        words = f"SB3's stock policy at {most:,} steps, as a share of the equivariant one, at least 0.5"
        found.append(Check(words, ratio, 0.5))
    return found


def plan_checks(methods: Methods, most: int) -> list[Check]:
    """The planning task asks for more than one step of greed, and for many steps of training."""
    best = f"ppo-{most}"
    less = difference_of(methods.get(best), methods.get("optimistic"))
    learnt = [Check(f"{worded(best)} minus privileged greedy, above 0", less)] if most >= MANY else []
    return [Check("Privileged greedy, at most 0.65", placed(methods, "optimistic"), 0.65, at_most=True), *learnt]


def hidden_checks(methods: Methods, steps: Sequence[int]) -> list[Check]:
    """The hidden task asks for memory: there is something to infer within an episode, and memory infers it."""
    blind, bandit = methods.get("user_blind"), methods.get("linucb")
    found = [
        Check("User-blind greedy, at most 0.4", placed(methods, "user_blind"), 0.4, at_most=True),
        Check("LinUCB minus user-blind greedy, above 0", difference_of(bandit, blind)),
    ]
    if steps:
        twin, memory = f"ppo-{max(steps)}", methods.get(f"recurrent_ppo-{max(steps)}")
        found.insert(1, Check(f"{worded(twin)}, at most 0.4", placed(methods, twin), 0.4, at_most=True))
        found.append(Check("RecurrentPPO minus PPO, above 0", difference_of(memory, methods.get(twin))))
    return found


def placed(methods: Methods, name: str) -> Interval | None:
    """The normalised score of a method; None if it was not run."""
    cells = methods.get(name)
    return score(cells, methods.get("beam"), methods.get("uniform"), fresh()) if cells else None


def difference_of(one: Cells | None, other: Cells | None) -> Interval | None:
    """Mean paired difference of gains; None if one of the two was not run."""
    return difference(one, other, fresh()) if one else None
