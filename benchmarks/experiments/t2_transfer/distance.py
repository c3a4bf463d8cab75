"""The distance between two environments: the total variation between the answers of their language models.

Each model rewrites the same texts by the same edits, many times. The total variation between two distributions is the
largest difference in probability that they give to any event: half the sum of the absolute differences. The estimate,
which uses the observed shares, is above 0 even for equal distributions. For comparison, the same estimate is therefore
computed between two samples of one model.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.stats import Interval, bootstrap
from eagle_gym import plot_english
from eagle_gym.envs.opening import make_world
from eagle_gym.envs.transition import make_states
from eagle_gym.envs.world import RawState, World
from eagle_gym.language import rewriting
from eagle_gym.language.prompts import Prompt


@dataclass(frozen=True)
class Variation:
    """The distance between two environments: means over pairs of a text and an edit, with 95 % intervals.

    Attributes:
        texts: Total variation between the texts.
        attributes: Total variation between the sets of attributes that the texts name.
        sampling: The same between two samples of the first model.
        shift: Distance in the latent space between the mean embeddings of the two models' answers.
        move: Mean distance from a text to the first model's answer, for comparison.
        cases: Pairs of a text and an edit.
        samples: Answers of each model to each pair.
    """

    texts: Interval
    attributes: Interval
    sampling: Interval
    shift: Interval
    move: Interval
    cases: int
    samples: int


def total_variation(one: Sequence[Hashable], other: Sequence[Hashable]) -> float:
    """Total variation between two samples: 0 for equal shares, 1 where no value occurs in both."""
    here, there = Counter(one), Counter(other)
    return 0.5 * sum(abs(here[key] / len(one) - there[key] / len(other)) for key in here | there)


def measure(one: World, other: World, *, cases: int, samples: int, seed: int) -> Variation:
    """Measure the distance between two environments of one catalog, split and temperature.

    Args:
        one: World of an environment; the edits are from its action sets.
        other: World of the other environment.
        cases: Start texts of test episodes, each with one of its edits.
        samples: Answers of each model to each pair.
        seed: Seed of texts, edits and answers.
    """
    rng = np.random.default_rng([seed, 17])
    prompts = draw_prompts(one, cases, rng)
    asked = [prompt for prompt in prompts for _ in range(samples)]

    def answers(world: World) -> list[str]:
        seeds = rng.integers(2**62, size=len(asked)).tolist()
        return rewriting.next_texts(world.model, asked, seeds, temperature=world.settings.temperature)

    here, again, there = answers(one), answers(one), answers(other)
    before = one.space.encoder.encode([prompt.text for prompt in prompts])
    means = [one.space.encoder.encode(texts).reshape(cases, samples, -1).mean(axis=1) for texts in (here, there)]

    def mean(values: Sequence[float] | NDArray[np.float64]) -> Interval:
        return bootstrap(values, np.arange(cases), np.zeros(cases, int), rng)

    def apart(left: list[str], right: list[str], key: Callable[[str], Hashable]) -> Interval:
        rows = [slice(case * samples, (case + 1) * samples) for case in range(cases)]
        return mean([total_variation([*map(key, left[row])], [*map(key, right[row])]) for row in rows])

    return Variation(
        texts=apart(here, there, str),
        attributes=apart(here, there, plot_english.read),
        sampling=apart(here, again, plot_english.read),
        shift=mean(np.linalg.norm(means[0] - means[1], axis=1)),
        move=mean(np.linalg.norm(means[0] - before, axis=1)),
        cases=cases,
        samples=samples,
    )


def draw_prompts(world: World, cases: int, rng: np.random.Generator) -> list[Prompt]:
    """Start texts of test episodes, each with a random edit that its state offers."""
    split = world.resources.split
    items = rng.choice(split.test_items, size=cases, replace=cases > len(split.test_items))
    users = rng.choice(split.test_users, size=cases)
    starts = [
        RawState(world.catalog.items[int(item)].text, int(user), int(item))
        for item, user in zip(items, users, strict=True)
    ]
    found = []
    for state in make_states(world, starts):
        offered = np.flatnonzero(state.action_set.mask)
        chosen = state.action_set.edits[int(rng.choice(offered))]
        found.append(Prompt("rewrite", text=state.text, edit=chosen))
    return found


def describe(found: Variation, one: str, other: str) -> str:
    """The distance between the environments of two language models, given their names, as a paragraph."""

    def shown(interval: Interval) -> str:
        return f"{interval.estimate:.2f} [{interval.low:.2f}, {interval.high:.2f}]"

    return (
        f"Total variation between {one} and {other}, over {found.cases} start texts of test episodes with one edit "
        f"each and {found.samples} answers of each model: {shown(found.attributes)} between the sets of attributes "
        f"that the answers name, against {shown(found.sampling)} between two samples of {one}; "
        f"{shown(found.texts)} between the texts, since each model has its own wording. In the latent space the "
        f"mean answers are {shown(found.shift)} apart, and a step is {shown(found.move)} long."
    )


def distances(
    where: Sequence[tuple[str, str, Mapping[str, Any]]], models: Mapping[str, str], cases: int, samples: int
) -> dict[str, str]:
    """The distances between environments that differ only in their language models: paragraphs for each catalog.

    Args:
        where: Name, id and arguments of the environments, for each catalog.
        models: Specs of the models by their names; effects of edits are those expected for the first.
        cases: See `measure`.
        samples: See `measure`.
    """
    found = {}
    for name, _, arguments in where:
        kwargs = {"catalog": name, "split": "test", "effects_model": next(iter(models.values())), **arguments}
        worlds = {model: make_world(language_model=spec, **kwargs) for model, spec in models.items()}
        found[name] = "\n\n".join(
            describe(measure(worlds[one], worlds[other], cases=cases, samples=samples, seed=0), one, other)
            for one, other in combinations(worlds, 2)
        )
    return found
