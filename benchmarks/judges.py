"""Judges: what somebody who had no part in the training thinks of the texts that agents have written.

An agent is rewarded by one latent space. Where that space errs, an agent that exploits its errors looks good and writes
badly. The judges have other sources:

- *true tastes*, on Plots: the hidden tastes behind the ratings. No other module of this repository may import them.
- *a second opinion*: a factorisation and an encoder of the test users' judge halves, ratings that the environment's
  space never saw.
- *a language model* that is given the user's profile and the text, where one is named.

Beside them stand measures of the texts themselves: how far they are from the original, how much of the movement in Z
was sideways to the utility's gradient, whether they are well-formed, whether anything changed, how long they are.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from baselines.evaluate import EpisodeRow
from eagle_gym import plot_english
from eagle_gym.catalog import Catalog, Split, load_plots, plots_world
from eagle_gym.errors import ConfigurationError, TextError
from eagle_gym.language.prompts import Prompt
from eagle_gym.latent import (
    ColdStart,
    LatentSpace,
    SpaceParameters,
    Utility,
    cold_start_report,
    cross_validate,
    fit_space,
)
from eagle_gym.latent.quality import restrict

if TYPE_CHECKING:
    from eagle_gym.envs.world import World
    from eagle_gym.language.model import LanguageModel

Floats = NDArray[np.float64]

UNSEEN_SEED = 5  # of the texts on which predicted and true tastes are compared; the catalog's is plots_world.SEED
# What the second opinion may be: few ratings make it, so it chooses for itself, by validation among these.
SECOND = tuple(SpaceParameters(dim=dim, encoder_ridge=ridge) for dim in (2, 4, 8) for ridge in (30.0, 300.0))
STEP = 1e-3  # of the difference quotients of the utility, in units of Z
RATERS = 64  # test users on the panel of other users
BATCH = 64  # questions put to a language model at once

_NUMBER = re.compile(r"\d+")


class TrueTaste:
    """What the users of Plots truly like.

    Args:
        catalog: The embedded catalog.

    Raises:
        ConfigurationError: It is another catalog; nobody knows the true tastes of real users.
    """

    def __init__(self, catalog: Catalog) -> None:
        world = plots_world.make_world()
        if catalog.hash != world.catalog.hash:
            raise ConfigurationError(f"true tastes are known for the catalog 'plots' alone; got {catalog.name!r}")
        self._catalog, self._tastes = catalog, world.tastes

    def rate(self, users: Sequence[str], texts: Sequence[str]) -> Floats:
        """True ratings of texts, [B]; of a text that is not well-formed, what stands in it is rated."""
        rows = [self._catalog.user_index(user) for user in users]
        return self._tastes.rate_films(rows, [plot_english.read(text) for text in texts])

    def rate_all(self, users: NDArray[np.integer], texts: Sequence[str]) -> Floats:
        """True ratings of every text by every one of some users, given by their rows, [U, B]."""
        return self._tastes.rate_all(users, [plot_english.read(text) for text in texts])

    def standard(self, users: Sequence[str], texts: Sequence[str]) -> Floats:
        """`rate` in standard deviations over the catalog, for that user, [B]: the unit of the rewarded affinity."""
        ratings: Floats = self.rate(users, texts) / self._spread[[self._catalog.user_index(user) for user in users]]
        return ratings

    def panel(self, users: Sequence[str], texts: Sequence[str]) -> Floats:
        """`standard` of every text by every one of some users, [U, B]."""
        rows = np.array([self._catalog.user_index(user) for user in users])
        ratings: Floats = self.rate_all(rows, texts) / self._spread[rows][:, None]
        return ratings

    @cached_property
    def _spread(self) -> Floats:
        """Of each user's true ratings over the catalog, [users]."""
        spread: Floats = self.rate_all(np.arange(len(self._catalog.users)), self._catalog.texts).std(axis=1)
        return spread


def unseen_texts(catalog: Catalog, count: int) -> list[str]:
    """Texts from the maker of Plots, of another seed, that no catalog text equals."""
    made = plots_world.make_world(UNSEEN_SEED, films=count, users=2).catalog.texts
    return [text for text in made if text not in set(catalog.texts)]


@dataclass(frozen=True)
class Agreement:
    """Correlation of predicted with true ratings over unseen texts.

    Attributes:
        mean: Over users, of each user's own.
        low: 10 % quantile over users.
        pooled: Of all users' ratings together.
        users: How many.
    """

    mean: float
    low: float
    pooled: float
    users: int


def agreement(
    judge: TrueTaste, catalog: Catalog, space: LatentSpace, users: NDArray[np.integer], texts: int
) -> Agreement:
    """How well a space predicts the true tastes of some users on texts that it never saw.

    Args:
        judge: Knows the tastes.
        catalog: Whose texts are left out.
        space: Under test.
        users: Rows of the users.
        texts: How many texts.
    """
    unseen = unseen_texts(catalog, texts)
    z = space.encoder.encode(unseen)
    predicted = np.array([space.predict(z, np.tile(space.users[user], (len(z), 1))) for user in users])
    true = judge.rate_all(users, unseen)
    own = [correlation(one, other) for one, other in zip(predicted, true, strict=True)]
    pooled = correlation(predicted.ravel(), true.ravel())
    return Agreement(float(np.mean(own)), float(np.quantile(own, 0.1)), pooled, len(users))


class SecondOpinion:
    """A latent space of the judge halves alone: ratings that neither the environment's space nor a profile saw.

    Attributes:
        space: The space.
        quality: How well it predicts ratings of held-out items, by the judge halves.

    Args:
        catalog: Items, users and ratings.
        split: Says which ratings are the judge's.

    Raises:
        PreparationError: They are too few to fit anything.
    """

    def __init__(self, catalog: Catalog, split: Split) -> None:
        everything = np.arange(len(catalog.items))
        (self._catalog, parts), _ = restrict(catalog, split, split.judge, everything)
        # Here the judges' ratings are all there is: their users train, and all of it is support.
        both = np.sort(np.concatenate([parts.train_users, parts.test_users]))
        own = replace(
            parts,
            train_users=both,
            test_users=both[:0],
            support=np.ones(len(parts.support), np.bool_),
            judge=np.zeros(len(parts.judge), np.bool_),
        )
        self.quality: ColdStart = cold_start_report(self._catalog, own, choices=SECOND).errors["all"]
        self.space = fit_space(self._catalog, own, SECOND[int(np.argmax(cross_validate(self._catalog, own, SECOND)))])

    def standard(self, users: Sequence[str], texts: Sequence[str]) -> Floats:
        """Predicted ratings in standard deviations over the catalog, for that user, [B].

        Raises:
            ConfigurationError: A user who left the judge no ratings, such as a train user.
        """
        rows = [self._catalog.user_index(user) for user in users]
        ratings: Floats = np.sum(self.space.encoder.encode(texts) * self._directions(rows), axis=1)
        return ratings

    def panel(self, users: Sequence[str], texts: Sequence[str]) -> Floats:
        """`standard` of every text by every one of some users, [U, B].

        Raises:
            ConfigurationError: As `standard`.
        """
        rows = [self._catalog.user_index(user) for user in users]
        ratings: Floats = self._directions(rows) @ self.space.encoder.encode(texts).T
        return ratings

    @property
    def users(self) -> tuple[str, ...]:
        """Ids of the users who left the judge ratings."""
        return tuple(self._catalog.users)

    def _directions(self, rows: Sequence[int]) -> Floats:
        tastes = self.space.users[rows, :-1]
        norms = np.linalg.norm(tastes, axis=1, keepdims=True)
        directions: Floats = tastes / np.where(norms > 0, norms, 1.0)
        return directions


class ModelJudge:
    """A language model that is asked how much a user would like a text, from 1 to 10 (``task="rate"``).

    Args:
        model: Any language model that reads free text.
        seed: Of its answers.
    """

    def __init__(self, model: LanguageModel, seed: int = 0) -> None:
        self._model, self._seed = model, seed

    def rate(self, profiles: Sequence[str], texts: Sequence[str]) -> Floats:
        """Numbers from 1 to 10, [B]; nan where the user has no profile, or the answer is no such number."""
        asked = [(profile, text) for profile, text in zip(profiles, texts, strict=True) if profile.strip()]
        prompts = [Prompt("rate", text=text, profile=profile) for profile, text in dict.fromkeys(asked)]
        answers: dict[tuple[str, str], float] = {}
        for first in tqdm(range(0, len(prompts), BATCH), desc="language model judging", unit="batch", delay=2.0):
            batch = prompts[first : first + BATCH]
            completions = self._model.generate(batch, [self._seed] * len(batch), temperature=0.0)
            answers |= {(p.profile, p.text): number_in(c.text) for p, c in zip(batch, completions, strict=True)}
        return np.array([answers.get(pair, np.nan) for pair in zip(profiles, texts, strict=True)])


def number_in(answer: str) -> float:
    """The first number of an answer where it lies between 1 and 10, else nan."""
    found = _NUMBER.search(answer)
    number = int(found[0]) if found and len(found[0]) < 3 else 0
    return float(number) if 1 <= number <= 10 else float("nan")


def edits_between(one: str, other: str, *, plot: bool) -> float:
    """How far two texts are apart in what they say.

    Plot English: attribute values added, taken out or exchanged for another of their slot. Free text: share of the
    words that are not common to both, in their order.
    """
    if not plot:
        return 1.0 - difflib.SequenceMatcher(None, one.split(), other.split(), autojunk=False).ratio()
    before, after = plot_english.read(one), plot_english.read(other)
    slots = {slot for slot, _ in (*before.pairs(), *after.pairs())}
    return float(sum(_exchanges(set(before.values(slot)), set(after.values(slot))) for slot in slots))


def _exchanges(before: set[str], after: set[str]) -> int:
    return max(len(before - after), len(after - before))


def gradients(utility: Utility, z: Floats, users: Floats, exclude: NDArray[np.integer]) -> Floats:
    """Gradients of a utility, [B, n], by central differences; arguments as those of the utility."""
    count, width = z.shape
    steps = STEP * np.eye(width)
    points = np.concatenate([z + step for step in steps] + [z - step for step in steps])
    repeats = 2 * width
    totals = utility(points, np.tile(users, (repeats, 1)), np.tile(exclude, repeats)).total.reshape(2, width, count)
    slopes: Floats = ((totals[0] - totals[1]) / (2 * STEP)).T
    return slopes


def steering(utility: Utility, z: Floats, user: Floats, exclude: int) -> tuple[Floats, Floats]:
    """Movement along the utility's gradient and sideways to it, at each step of an episode.

    Args:
        utility: What was rewarded.
        z: Embeddings of the episode's texts, [T + 1, n].
        user: Row of the space's users, [n + 1].
        exclude: Row of the start item, -1 for none.

    Returns:
        Progress, negative against the gradient, and drift, never negative, each [T]. Without a gradient all is drift.
    """
    moved, here = np.diff(z, axis=0), z[:-1]
    slope = gradients(utility, here, np.tile(user, (len(here), 1)), np.full(len(here), exclude))
    length = np.linalg.norm(slope, axis=1, keepdims=True)
    progress = np.sum(moved * slope / np.where(length > 0, length, 1.0), axis=1)
    return progress, np.sqrt(np.maximum(np.sum(moved**2, axis=1) - progress**2, 0.0))


def well_formed(text: str, *, plot: bool) -> bool:
    """Whether a text parses, in plot English; whether there is one, in free text."""
    if not plot:
        return bool(text.strip())
    try:
        plot_english.parse(text)
    except TextError:
        return False
    return True


@dataclass(frozen=True)
class Judgement:
    """One episode under all judges. Gains are of the last text over the first.

    Attributes:
        method: Name of the agent.
        seed: Of its training.
        episode: Seed of the episode.
        user: Id of the user.
        reward: Gain in utility, as rewarded, catalog standard deviations.
        affinity: Gain of its affinity part.
        true_taste: The same by true tastes, standard deviations of the user's true ratings of the catalog; nan where
            they are not known.
        second: The same by the second opinion; nan for users who left it no ratings.
        raters: The mean of the same over a fixed panel of other test users, by true tastes where these are known, else
            by the second opinion; nan without either.
        model: Gain in the language model's number from 1 to 10; nan without one.
        distance: Euclidean distance in Z of the last text from the first.
        edits: What the last text says otherwise than the first (see `edits_between`).
        progress: Sum over the steps of the movement along the utility's gradient.
        drift: Sum of the movement sideways to it.
        parses: Share of the texts after the first that are well-formed.
        no_ops: Share of the steps that changed nothing in what the text says.
        length: Words of the last text over those of the first.
    """

    method: str
    seed: int
    episode: int
    user: str
    reward: float
    affinity: float
    true_taste: float
    second: float
    raters: float
    model: float
    distance: float
    edits: float
    progress: float
    drift: float
    parses: float
    no_ops: float
    length: float


@dataclass(frozen=True, eq=False)
class Judges:
    """Everybody who judges the episodes of one environment.

    Attributes:
        catalog, space, utility: The environment's.
        true_taste: On Plots.
        second: Where there are ratings for it.
        model: Where a language model is named.
        profiles: Of users, by id, for the language model.
        raters: Ids of the panel of other users.
    """

    catalog: Catalog
    space: LatentSpace
    utility: Utility
    true_taste: TrueTaste | None = None
    second: SecondOpinion | None = None
    model: ModelJudge | None = None
    profiles: Any = None
    raters: tuple[str, ...] = ()

    @classmethod
    def of(cls, world: World, model: LanguageModel | None = None, second: SecondOpinion | None = None) -> Judges:
        """The judges of a world.

        Args:
            world: Of the environment in which the episodes were played.
            model: A language model that judges too.
            second: A second opinion of the same catalog and split, where one is formed already.
        """
        catalog, parts = world.catalog, world.resources
        second = second or SecondOpinion(catalog, parts.split)
        asked = [catalog.users[user] for user in parts.split.test_users]
        known = asked if second is None else [user for user in asked if user in set(second.users)]
        return cls(
            catalog=catalog,
            space=world.space,
            utility=parts.utility,
            true_taste=TrueTaste(catalog) if catalog == load_plots() else None,
            second=second,
            model=ModelJudge(model) if model else None,
            profiles=lambda user: parts.profile(catalog.user_index(user)),
            raters=tuple(str(user) for user in known[:RATERS]),
        )

    def judge(self, rows: Sequence[EpisodeRow]) -> list[Judgement]:
        """One judgement for each episode, in their order."""
        bar = tqdm(rows, desc="judging", unit="episode", delay=2.0, leave=False)
        gains = {
            "true_taste": self._gains(rows, self.true_taste.standard) if self.true_taste else None,
            "second": self._gains(rows, self.second.standard) if self.second else None,
            "raters": self._raters(rows) if self.raters else None,
            "model": self._gains(rows, self._model_rates) if self.model else None,
        }
        nothing = np.full(len(rows), np.nan)
        columns = {name: nothing if found is None else found for name, found in gains.items()}
        return [
            self._judgement(row, {name: float(column[i]) for name, column in columns.items()})
            for i, row in enumerate(bar)
        ]

    def _gains(self, rows: Sequence[EpisodeRow], rate: Any) -> Floats:  # noqa: ANN401 - a judge's method
        users = [row.user for row in rows]
        first, last = (rate(users, [row.texts[end] for row in rows]) for end in (0, -1))
        gains: Floats = last - first
        return gains

    def _raters(self, rows: Sequence[EpisodeRow]) -> Floats | None:
        """Mean gains over the panel, the episode's own user left out, [B]."""
        texts = [row.texts[end] for end in (-1, 0) for row in rows]
        judge = self.true_taste or self.second
        if judge is None:
            return None
        found = judge.panel(self.raters, texts)
        others = np.array([[rater != row.user for row in rows] for rater in self.raters])
        gains: Floats = np.average(found[:, : len(rows)] - found[:, len(rows) :], axis=0, weights=others)
        return gains

    def _model_rates(self, users: Sequence[str], texts: Sequence[str]) -> Floats:
        assert self.model is not None
        return self.model.rate([self.profiles(user) for user in users], texts)

    def _judgement(self, row: EpisodeRow, gains: dict[str, float]) -> Judgement:
        plot = self.catalog.language == "plot_english"
        z = self.space.encoder.encode(row.texts)
        user = self.space.users[self.catalog.user_index(row.user)]
        item = self.catalog.item_index(row.item) if row.item != "None" else -1
        progress, drift = steering(self.utility, z, user, item)
        pairs = list(zip(row.texts, row.texts[1:], strict=False))
        return Judgement(
            method=row.method,
            seed=row.seed,
            episode=row.episode,
            user=row.user,
            reward=row.gain,
            affinity=row.affinity_gain,
            **gains,
            distance=float(np.linalg.norm(z[-1] - z[0])),
            edits=edits_between(row.texts[0], row.texts[-1], plot=plot),
            progress=float(progress.sum()),
            drift=float(drift.sum()),
            parses=float(np.mean([well_formed(text, plot=plot) for text in row.texts[1:] or row.texts])),
            no_ops=float(np.mean([edits_between(*pair, plot=plot) == 0 for pair in pairs])) if pairs else 1.0,
            length=len(row.texts[-1].split()) / max(len(row.texts[0].split()), 1),
        )


def correlation(one: Floats, other: Floats) -> float:
    """Pearson's, over the pairs that are both numbers; nan where either does not vary."""
    both = np.isfinite(one) & np.isfinite(other)
    if both.sum() < 2 or np.ptp(one[both]) == 0 or np.ptp(other[both]) == 0:
        return float("nan")
    return float(np.corrcoef(one[both], other[both])[0, 1])
