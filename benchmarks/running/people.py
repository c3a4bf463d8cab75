"""What people said of a run's episodes, as a study left it in the run's folder (see `benchmarks.rating`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.running.files import read_json
from benchmarks.running.runs import Run
from benchmarks.stats import Interval
from eagle_gym.errors import PreparationError

PEOPLE = "people.json"


@dataclass(frozen=True)
class Opinion:
    """Mean of raters' points for the last text of an episode.

    Attributes:
        method, seed, episode: The episode.
        gain: Its rewarded gain, by which it is recognised.
        mean: Mean point, from 1 to 5.
        raters: Number of raters.
    """

    method: str
    seed: int
    episode: int
    gain: float
    mean: float
    raters: int


@dataclass(frozen=True)
class Preference:
    """Mean preference of raters between the last texts of two episodes from one start.

    Attributes:
        first, second: The methods.
        seed, episode: The start.
        gains: Rewarded gains of both.
        mean: From -1 (all prefer the first) to 1.
        raters: Number of raters.
    """

    first: str
    second: str
    seed: int
    episode: int
    gains: tuple[float, float]
    mean: float
    raters: int


@dataclass(frozen=True)
class Strength:
    """How a method did in pairs.

    Attributes:
        method: The method.
        strength: Logarithm of its strength in the model of Bradley and Terry; the mean over methods is 0.
        wins: Share of its comparisons that it won, ties half.
        comparisons: Number of its comparisons.
        first: Share of the bootstrap replicates in which it is the strongest.
    """

    method: str
    strength: Interval
    wins: Interval
    comparisons: int
    first: float


@dataclass(frozen=True)
class People:
    """What people said in one environment.

    Attributes:
        study: Version of the study.
        simulated: Whether the raters were simulated.
        sentence: The criterion.
        raters: Raters that count.
        excluded: Excluded raters.
        alpha: Agreement between raters, for scales and pairs; None where it is not defined.
        means: Mean point of each method.
        strengths: Of each method, the strongest first.
        opinions: By episode.
        preferences: By pair of episodes.
    """

    study: str
    simulated: bool
    sentence: str
    raters: int
    excluded: int
    alpha: tuple[Interval | None, Interval | None]
    means: Mapping[str, Interval] = field(default_factory=dict)
    strengths: Sequence[Strength] = ()
    opinions: Sequence[Opinion] = ()
    preferences: Sequence[Preference] = ()

    @property
    def name(self) -> str:
        """What these raters are called in tables."""
        return "simulated raters" if self.simulated else "people"


def read_people(run: Run) -> dict[str, People]:
    """What people said of a run, by environment; without episodes that were repeated since.

    Raises:
        PreparationError: The file is broken.
    """
    path = run.folder / PEOPLE
    if not path.exists():
        return {}
    try:
        return {name: current(people_of(found), run, name) for name, found in read_json(path).items()}
    except (KeyError, TypeError, ValueError) as error:
        raise PreparationError(f"{path} is broken ({error!r}): run `ratings` again") from error


def people_of(found: Mapping[str, Any]) -> People:
    """What people said, from JSON."""
    alpha = [Interval(**item) if item else None for item in found["alpha"]]
    strengths = [
        Strength(**{**item, "strength": Interval(**item["strength"]), "wins": Interval(**item["wins"])})
        for item in found["strengths"]
    ]
    return People(
        **{
            **found,
            "alpha": (alpha[0], alpha[1]),
            "means": {name: Interval(**item) for name, item in found["means"].items()},
            "strengths": strengths,
            "opinions": [Opinion(**item) for item in found["opinions"]],
            "preferences": [Preference(**{**item, "gains": tuple(item["gains"])}) for item in found["preferences"]],
        }
    )


def current(people: People, run: Run, environment: str) -> People:
    """The opinions of the episodes that a run holds now, up to the rounding of packed runs."""
    gains = {
        (row.method, row.seed, row.episode): row.gain
        for cell in run.done
        if cell.environment == environment
        for row in cell.rows
    }

    def same(method: str, seed: int, episode: int, gain: float) -> bool:
        held = gains.get((method, seed, episode))
        return held is not None and bool(np.isclose(held, gain, rtol=1e-6, atol=1e-4))

    opinions = [item for item in people.opinions if same(item.method, item.seed, item.episode, item.gain)]
    preferences = [
        item
        for item in people.preferences
        if all(
            same(name, item.seed, item.episode, gain)
            for name, gain in zip((item.first, item.second), item.gains, strict=True)
        )
    ]
    kept = {"opinions": opinions, "preferences": preferences}
    return People(**{**{name: getattr(people, name) for name in People.__dataclass_fields__}, **kept})
