"""Transfer between two environments: how far they lie apart, and what an agent loses that was trained in the other.

Distance is the total variation between what their language models answer.

For some texts and prompts, each model rewrites the same text as the same prompt asks, many times. The total variation
between two distributions is the largest difference in probability that any event has under them: half the sum of the
absolute differences. It is estimated by that of the observed shares, which sampling alone keeps above 0; so the same is
measured between two sets of answers of one model, beside it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.report import aligned
from benchmarks.reporting.names import title
from benchmarks.reporting.runs import Done, Run
from benchmarks.reporting.scores import UNIFORM, apart, by_method
from benchmarks.stats import Interval, bootstrap
from eagle_gym import plot_english
from eagle_gym.envs.opening import make_world
from eagle_gym.envs.transition import make_states
from eagle_gym.envs.world import RawState, World
from eagle_gym.language import rewriting
from eagle_gym.language.prompts import Prompt


@dataclass(frozen=True)
class Variation:
    """Between two environments, means over texts and prompts with 95 % intervals.

    Attributes:
        texts: Total variation between the texts.
        attributes: Between the sets of attributes that the texts name.
        sampling: Between the sets of attributes of two sets of answers of the first model: what sampling alone gives.
        shift: Distance in the latent space between the mean embeddings of the two models' answers.
        move: Mean length of the first model's step from the text it rewrites, for comparison.
        cases: (text, prompt) pairs.
        samples: Answers of each model to each.
    """

    texts: Interval
    attributes: Interval
    sampling: Interval
    shift: Interval
    move: Interval
    cases: int
    samples: int


def total_variation(one: Sequence[Hashable], other: Sequence[Hashable]) -> float:
    """Between the shares of what was observed: 0 where they are the same, 1 where nothing occurs in both."""
    here, there = Counter(one), Counter(other)
    return 0.5 * sum(abs(here[key] / len(one) - there[key] / len(other)) for key in here | there)


def measure(one: World, other: World, *, cases: int, samples: int, seed: int) -> Variation:
    """Measure how far two environments of one catalog, split and temperature lie apart.

    Args:
        one: An environment's world, whose action sets the prompts are from.
        other: The other's.
        cases: Start texts of test episodes, each with one of its prompts.
        samples: Answers of each model to each.
        seed: Of texts, prompts and answers.
    """
    rng = np.random.default_rng([seed, 17])
    prompts = draw_prompts(one, cases, rng)
    asked = [prompt for prompt in prompts for _ in range(samples)]

    def answers(world: World) -> list[str]:
        seeds = rng.integers(2**62, size=len(asked)).tolist()
        return rewriting.rewrite(world.model, asked, seeds, temperature=world.settings.temperature)

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
    """Test start texts with a prompt each that their states offer to a test user."""
    split = world.resources.split
    items = rng.choice(split.test_items, size=cases, replace=cases > len(split.test_items))
    users = rng.choice(split.test_users, size=cases)
    arrivals = [
        RawState(world.catalog.items[int(item)].text, int(user), int(item))
        for item, user in zip(items, users, strict=True)
    ]
    found = []
    for state in make_states(world, arrivals):
        offered = np.flatnonzero(state.action_set.mask)
        chosen = state.action_set.edits[int(rng.choice(offered))]
        found.append(Prompt("rewrite", text=state.text, edit=chosen))
    return found


def describe(found: Variation) -> str:
    """The same as a paragraph."""

    def shown(interval: Interval) -> str:
        return f"{interval.estimate:.2f} [{interval.low:.2f}, {interval.high:.2f}]"

    return (
        f"Total variation between the two environments, over {found.cases} start texts of test episodes with a prompt "
        f"each and {found.samples} answers of each model: {shown(found.attributes)} between the sets of attributes "
        f"that the answers name, where two sets of answers of one model come to {shown(found.sampling)} by sampling "
        f"alone; {shown(found.texts)} between the texts as such, since each model writes its own dialect. The mean "
        f"answers lie {shown(found.shift)} apart in the latent space, where a step is {shown(found.move)} long."
    )


def distances(
    where: Sequence[tuple[str, str, Mapping[str, Any]]], models: Sequence[str], cases: int, samples: int
) -> dict[str, str]:
    """How far two environments lie apart that differ in their language models alone: a paragraph for each catalog.

    Args:
        where: Name, id and arguments of both, for each catalog.
        models: Specs of the two; prompts' effects are those foreseen for the first.
        cases: As of :func:`measure`.
        samples: As of :func:`measure`.
    """
    found = {}
    for name, _, arguments in where:
        kwargs = {"catalog": name, "split": "test", "effects_model": models[0], **arguments}
        one, other = (make_world(language_model=spec, **kwargs) for spec in models)
        found[name] = describe(measure(one, other, cases=cases, samples=samples, seed=0))
    return found


def more(run: Run, environment: str, models: Sequence[str], learners: Sequence[str], apart: Mapping[str, str]) -> str:
    """What the page says of an environment: what is lost there, and, once for a catalog, how far the two lie apart.

    Args:
        run: Of the experiment.
        environment: Its name: that of the catalog, then that of a model.
        models: Names of the two.
        learners: Their names.
        apart: Of :func:`distances`.
    """
    catalog, _, here = environment.rpartition("-")
    (there,) = set(models) - {here}
    trained = {f"{name}-{there}": f"{name}-{here}" for name in learners}
    said = [apart[catalog]] if here == models[0] and catalog in apart else []
    return "\n\n".join([losses(run, environment, trained), *said])


def losses(run: Run, environment: str, trained: Mapping[str, str]) -> str:
    """What is lost by having been trained with another model, over the same test episodes of an environment.

    Args:
        run: Where both kinds of agents were tested there.
        environment: Its name.
        trained: By the agents that were trained elsewhere, those that were trained there.
    """
    methods, rng = by_method(run.of(environment)), np.random.default_rng(0)
    body = [
        [title(foreign), str(apart(methods[foreign], methods.get(own), rng)), str(above_uniform(methods, foreign, rng))]
        for foreign, own in trained.items()
        if foreign in methods
    ]
    return aligned(["trained elsewhere", "less the one trained here", "less uniform"], body)


def above_uniform(methods: Mapping[str, Sequence[Done]], name: str, rng: np.random.Generator) -> Interval | None:
    """What a method gains more than the uniform policy."""
    return apart(methods[name], methods.get(UNIFORM), rng)
