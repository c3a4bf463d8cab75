"""Divides tasks among raters: a slot is the list of tasks of one rater.

Every task is in the slots of at least so many raters as the study wants. Which text of a pair comes first alternates
between its raters, and begins at random with each side equally often. Each slot has its share of attention checks, gold
items and repeated pairs, in random order.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import count

import numpy as np

from benchmarks.rating.checks import make_checks
from benchmarks.rating.settings import Settings
from benchmarks.rating.study import Showing, Task

APART = 3  # tasks between a pair and its repeat

Slots = tuple[tuple[Showing, ...], ...]
Planned = tuple[Task, bool, bool]
"""A task of a slot, whether its sides are exchanged, and whether it is a repeat."""


def assign(tasks: Sequence[Task], settings: Settings, rng: np.random.Generator) -> tuple[list[Task], Slots]:
    """Name the tasks and divide them among raters.

    Args:
        tasks: The tasks without ids or checks.
        settings: The design.
        rng: Draws order, sides and checks.

    Returns:
        All tasks with ids, checks among them, in random order, and the slots.
    """
    design = settings.design
    spread = divide(tasks, design.raters, design.tasks_per_rater, rng)
    sides = first_sides(tasks, rng)
    met = [0] * len(tasks)
    plans: list[list[Planned]] = []
    for members in spread:
        plan = []
        for i in members:
            plan.append((tasks[i], bool((sides[i] + met[i]) % 2) and tasks[i].paired, False))
            met[i] += 1
        plans.append([*plan, *repeats(plan, design.repeats, rng)])
    checked = [[*plan, *checks_of(plan, tasks, settings, rng)] for plan in plans]
    return named(tasks, [in_order(plan, rng) for plan in checked], rng)


def divide(tasks: Sequence[Task], raters: int, size: int, rng: np.random.Generator) -> list[list[int]]:
    """Rows of the tasks of each slot; each task is in `raters` slots, and the lengths of slots differ by one at most.

    A slot takes a task about a user whom it has not met where one is left to choose.
    """
    slots = max(raters, math.ceil(len(tasks) * raters / size))
    found: list[list[int]] = [[] for _ in range(slots)]
    users: list[set[tuple[str, str]]] = [set() for _ in range(slots)]
    for i in rng.permutation(len(tasks)).tolist():
        user, noise = (tasks[i].environment, tasks[i].user), rng.random(slots)
        order = sorted(range(slots), key=lambda slot: (len(found[slot]), user in users[slot], noise[slot]))
        for slot in order[:raters]:
            found[slot].append(i)
            users[slot].add(user)
    return found


def first_sides(tasks: Sequence[Task], rng: np.random.Generator) -> list[int]:
    """Which text of each pair its first rater sees first; each side equally often for each pair of methods."""
    following: dict[tuple[str, ...], int] = {}
    sides = []
    for task in tasks:
        sides.append(following.setdefault(task.methods, int(rng.integers(2))))
        following[task.methods] = 1 - sides[-1]
    return sides


def repeats(plan: Sequence[Planned], share: float, rng: np.random.Generator) -> list[Planned]:
    """Some pairs of a plan once more, with the sides exchanged."""
    pairs = [item for item in plan if item[0].paired]
    wanted = max(1, round(share * len(pairs))) if share > 0 and pairs else 0
    return [(pairs[i][0], not pairs[i][1], True) for i in rng.permutation(len(pairs))[:wanted]]


def checks_of(
    plan: Sequence[Planned], tasks: Sequence[Task], settings: Settings, rng: np.random.Generator
) -> list[Planned]:
    """The checks of a slot, made of tasks that it does not hold where there are such."""
    design = settings.design
    whole = len(plan) / (1 - design.attention - design.gold)
    wanted = [max(1, round(share * whole)) if share > 0 else 0 for share in (design.attention, design.gold)]
    held = {id(task) for task, _, _ in plan}
    bases = [task for task in tasks if id(task) not in held] or list(tasks)
    checks, gold = make_checks(bases, settings, wanted[0], wanted[1], rng)
    return [(task, task.paired and bool(rng.integers(2)), False) for task in (*checks, *gold)]


def in_order(plan: Sequence[Planned], rng: np.random.Generator) -> list[Planned]:
    """A plan in random order, with each repeat some tasks after its first showing if there are that many."""
    firsts = [item for item in plan if not item[2]]
    mixed = [firsts[i] for i in rng.permutation(len(firsts))]
    for repeat in (item for item in plan if item[2]):
        earliest = next(i for i, item in enumerate(mixed) if item[0] is repeat[0]) + 1 + APART
        mixed.insert(int(rng.integers(min(earliest, len(mixed)), len(mixed) + 1)), repeat)
    return mixed


def named(
    tasks: Sequence[Task], plans: Sequence[Sequence[Planned]], rng: np.random.Generator
) -> tuple[list[Task], Slots]:
    """Tasks with ids in an order that does not tell checks from others, and the slots by id."""
    every = {id(task): task for task in (*tasks, *(task for plan in plans for task, _, _ in plan))}
    keys = list(every)
    width = len(str(len(keys)))
    numbers = count(1)
    ids = {keys[i]: f"t{next(numbers):0{width}}" for i in rng.permutation(len(keys))}
    slots = tuple(
        tuple(
            Showing(ids[id(task)] + ("-again" if again else ""), ids[id(task)], swapped, again)
            for task, swapped, again in plan
        )
        for plan in plans
    )
    return sorted((replace(every[key], id=ids[key]) for key in keys), key=lambda task: task.id), slots
