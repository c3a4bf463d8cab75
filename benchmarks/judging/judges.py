"""All judges of an environment's episodes, and the record that they give of each.

An agent is rewarded by one latent space. Where that space errs, an agent can exploit its errors: it scores well and
writes badly. The judges took no part in training and have other sources: the true tastes on Plots, a second opinion
from other ratings, and a language model if one is named. Measures of the texts themselves complete the record.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from baselines.evaluate import EpisodeRow
from benchmarks.judging.measures import edits_between, steering, well_formed
from benchmarks.judging.model_judge import ModelJudge
from benchmarks.judging.second_opinion import SecondOpinion
from benchmarks.judging.true_taste import TrueTaste
from benchmarks.running.records import Judgement
from eagle_gym.catalog import Catalog, load_plots
from eagle_gym.latent import LatentSpace, Priced, Utility

if TYPE_CHECKING:
    from eagle_gym.envs.world import World
    from eagle_gym.language.model import LanguageModel

Floats = NDArray[np.float64]

Rate = Callable[[Sequence[str], Sequence[str]], Floats]
"""Ratings of texts for users, [B]."""

RATERS = 64  # test users on the panel


def true_taste_of(catalog: Catalog) -> TrueTaste | None:
    """The true tastes of a catalog's users; None where they are unknown."""
    return TrueTaste(catalog) if catalog == load_plots() else None


def rater(world: World) -> Rate:
    """The judge that `Judgement.confirmed` follows: true taste where it is known, otherwise the second opinion."""
    known = true_taste_of(world.catalog)
    return known.standard if known else where_known(SecondOpinion(world.catalog, world.resources.split))


def where_known(judge: SecondOpinion) -> Rate:
    """A second opinion's ratings; nan for users of whom it has none, such as train users."""

    def rate(users: Sequence[str], texts: Sequence[str]) -> Floats:
        known = set(judge.users)
        rows = [row for row, user in enumerate(users) if user in known]
        found = np.full(len(users), np.nan)
        if rows:
            found[rows] = judge.standard([users[row] for row in rows], [texts[row] for row in rows])
        return found

    return rate


@dataclass(frozen=True, eq=False)
class Judges:
    """The judges of one environment's episodes.

    Attributes:
        catalog, space, utility: Those of the environment.
        drift_penalty: That of the environment.
        true_taste: None except on Plots.
        second: The second opinion.
        model: None unless a language model is named.
        profiles: Function from a user's id to the profile that the language model reads.
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
    drift_penalty: float = 0.0

    @classmethod
    def of(cls, world: World, model: LanguageModel | None = None, second: SecondOpinion | None = None) -> Judges:
        """The judges of a world.

        Args:
            world: World of the environment in which the episodes were played.
            model: A language model as a further judge.
            second: A second opinion of the same catalog and split, if there is one already.
        """
        catalog, parts = world.catalog, world.resources
        second = second or SecondOpinion(catalog, parts.split)
        asked = [catalog.users[user] for user in parts.split.test_users]
        known = asked if second is None else [user for user in asked if user in set(second.users)]
        return cls(
            catalog=catalog,
            space=world.space,
            utility=parts.utility,
            true_taste=true_taste_of(catalog),
            second=second,
            model=ModelJudge(model) if model else None,
            profiles=lambda user: parts.profile(catalog.user_index(user)),
            raters=tuple(str(user) for user in known[:RATERS]),
            drift_penalty=world.priced.drift_penalty,
        )

    def judge(self, rows: Sequence[EpisodeRow]) -> list[Judgement]:
        """One judgement for each episode, in the same order."""
        bar = tqdm(rows, desc="judging", unit="episode", delay=2.0, leave=False, disable=None)
        gains = {
            "true_taste": self._gains(rows, self.true_taste.standard) if self.true_taste else None,
            "second": self._gains(rows, where_known(self.second)) if self.second else None,
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
        """Mean gains over the panel without the episode's own user, [B]."""
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
        user = self.catalog.user_index(row.user)
        item = self.catalog.item_index(row.item) if row.item != "None" else -1
        rewarded = Priced(self.utility, self.drift_penalty).anchored(z[0])
        progress, drift = steering(rewarded, z, user, item)
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
