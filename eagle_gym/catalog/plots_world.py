"""The making of Plots: films, users with hidden tastes, and the ratings that follow from them.

Only the maker of the data file, tests and judges import this module; no module that an environment needs does. It knows
each user's true taste, which agents, encoders and environments never see.

Everything is drawn from one seed:

- Each attribute value has a *mood*. A film has a mood too, and takes most of its values from that mood. Some values are
  more common than others.
- The values of a film, and pairs of its values (a tone suits a genre or does not), pull its *charm* in six hidden
  directions and its *quality* up or down. Both saturate: the tenth strong value adds less than the first.
- A user's taste is a direction in charm, close to the tastes of users of the same kind, with a few quirks about single
  values.
- True rating = the user's level + quality + ⟨charm, taste⟩ + quirks. A recorded rating adds noise and is rounded to
  half stars. Popular films and films that a user likes are rated more often than others.

Regenerate the data file with `python -m eagle_gym.catalog.plots_world`.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eagle_gym import plot_english
from eagle_gym.catalog.catalog import Catalog, Item, Ratings
from eagle_gym.catalog.plots import PATH, SCALE, pack
from eagle_gym.errors import ConfigurationError

Floats = NDArray[np.float64]

SEED = 0
FILMS = 2000
USERS = 1000
DIRECTIONS = 6  # of charm
MOODS = 4
KINDS = 10  # of users
QUIRKS = 6  # values that a user likes or dislikes whatever the user's kind

# Probability that a film has a value for a single slot; for a set slot, probabilities that it has 0, 1, 2, … values.
SINGLE_ODDS = {
    "decade": 0.8, "tone": 0.7, "setting": 0.65, "protagonist": 0.75, "trait": 0.45, "goal": 0.6, "antagonist": 0.5,
    "ending": 0.5,
}  # fmt: skip
SET_ODDS = {
    "genres": (0.0, 0.4, 0.4, 0.2),
    "themes": (0.25, 0.45, 0.3),
    "motifs": (0.35, 0.4, 0.25),
    "styles": (0.5, 0.35, 0.15),
}
# Genres and decades are as common as people expect. The weights are relative; values that are not listed weigh 1.
COMMON = {
    "genres": {
        "Drama": 4.0,
        "Comedy": 3.5,
        "Action": 2.0,
        "Thriller": 2.0,
        "Romance": 2.0,
        "Film-Noir": 0.5,
        "IMAX": 0.1,
    },
    "decade": {
        "1900s": 0.05,
        "1910s": 0.1,
        "1920s": 0.2,
        "1930s": 0.4,
        "1990s": 2.0,
        "2000s": 2.5,
        "2010s": 2.5,
        "2020s": 1.5,
    },
}
# How strongly the values of a slot pull, relative to other slots.
PULL = {
    "genres": 1.0, "tone": 0.9, "ending": 0.7, "themes": 0.7, "setting": 0.6, "decade": 0.5, "protagonist": 0.5,
    "goal": 0.5, "antagonist": 0.5, "styles": 0.5, "motifs": 0.5, "trait": 0.4,
}  # fmt: skip
# Slots whose values change each other's effect.
INTERACTIONS = {("genres", "tone"), ("genres", "ending"), ("ending", "tone"), ("decade", "genres")}

INTERACTION_SHARE = 0.5  # of a single value's pull
CHARM_SPREAD = 0.6  # rating units: standard deviation over films and users of what taste adds
QUALITY_SPREAD = 0.3
LEVEL, LEVEL_SPREAD = 3.3, 0.35
QUIRK_SPREAD = 0.35
NOISE = 0.6
POPULARITY_SPREAD = 0.8  # of the log odds that a film is rated
PREFERENCE = 0.6  # log odds that a film is rated, per rating unit of liking it
RATINGS_MEDIAN, RATINGS_SPREAD, RATINGS_RANGE = 55.0, 0.6, (20, 250)  # ratings of a user; spread of the logarithm


@dataclass(frozen=True, eq=False)
class Tastes:
    """The true tastes of the users of Plots, which only a judge may read.

    Attributes:
        taste: Direction and strength of each user's liking, [users, DIRECTIONS].
        level: Each user's mean rating of a film without charm, [users].
        quirks: What single values add for each user, [users, values].
        charm, quality: Pull of each value, [values, DIRECTIONS] and [values].
        pair_charm, pair_quality: Pull of each pair of values that interact, by their indices in ascending order.
        scales: Divisors that bring charm and quality to their spreads.
    """

    taste: Floats
    level: Floats
    quirks: Floats
    charm: Floats
    quality: Floats
    pair_charm: dict[tuple[int, int], Floats]
    pair_quality: dict[tuple[int, int], float]
    scales: tuple[float, float] = (1.0, 1.0)

    def rate(self, users: ArrayLike, texts: Sequence[str]) -> Floats:
        """True ratings of texts, without noise and not clipped to the scale.

        Args:
            users: Rows of the catalog's users, [B].
            texts: In plot English, [B].

        Returns:
            True ratings, [B].

        Raises:
            TextError: A text is not plot English.
        """
        return self.rate_films(users, [plot_english.parse(text) for text in texts])

    def rate_films(self, users: ArrayLike, attributes: Sequence[plot_english.Attributes]) -> Floats:
        """True ratings [B] of films [B], given by their attributes, by users [B]."""
        rows = np.asarray(users, dtype=np.int64)
        films = [_indices(film) for film in attributes]
        if rows.shape != (len(films),):
            raise ConfigurationError(f"expected one user for each of {len(films)} texts, got shape {rows.shape}")
        charm, quality = self.pulls(films)
        quirks = np.array([self.quirks[row, film].sum() for row, film in zip(rows, films, strict=True)])
        liking: Floats = np.sum(charm * self.taste[rows], axis=1)
        total: Floats = self.level[rows] + quality + liking + quirks
        return total

    def rate_all(self, users: ArrayLike, attributes: Sequence[plot_english.Attributes]) -> Floats:
        """True ratings [U, B] of every film [B] by every user [U]."""
        rows = np.asarray(users, dtype=np.int64)
        films = [_indices(film) for film in attributes]
        charm, quality = self.pulls(films)
        values = np.zeros((len(films), self.quirks.shape[1]))
        for row, film in enumerate(films):
            values[row, film] = 1.0
        total: Floats = self.level[rows, None] + quality + self.taste[rows] @ charm.T + self.quirks[rows] @ values.T
        return total

    def pulls(self, films: Sequence[NDArray[np.int64]]) -> tuple[Floats, Floats]:
        """Charm [B, DIRECTIONS] and quality [B] of films, each given as the indices of its values."""
        charm = np.array([self._sum(film, self.charm, self.pair_charm) for film in films]).reshape(-1, DIRECTIONS)
        quality = np.array([self._sum(film, self.quality, self.pair_quality) for film in films])
        norm = np.sqrt(np.sum(charm**2, axis=1, keepdims=True))
        return charm / np.sqrt(1 + norm**2 / 16) / self.scales[0], np.tanh(quality / 2) / self.scales[1]

    @staticmethod
    def _sum(
        film: NDArray[np.int64], single: Floats, pairs: dict[tuple[int, int], Floats] | dict[tuple[int, int], float]
    ) -> Floats:
        total: Floats = single[film].sum(axis=0)
        for pair in combinations(film.tolist(), 2):
            if pair in pairs:
                total = total + pairs[pair]
        return total


@dataclass(frozen=True)
class GroundTruth:
    """A catalog with the tastes that its ratings were drawn from."""

    catalog: Catalog
    tastes: Tastes


def make_plots(seed: int = SEED, films: int = FILMS, users: int = USERS) -> GroundTruth:
    """Draw films, tastes and ratings.

    Args:
        seed: Seed of all draws; `SEED` gives the shipped catalog.
        films: Number of films.
        users: Number of users.
    """
    rng = np.random.default_rng(seed)
    moods = rng.normal(size=(len(plot_english.FEATURES), MOODS))
    attributes = _draw_films(rng, films, moods)
    items = tuple(_item(row, film, rng) for row, film in enumerate(attributes))
    indices = [_indices(film) for film in attributes]
    tastes = _draw_tastes(rng, users, moods, indices)
    ratings = _draw_ratings(rng, tastes, indices)
    ids = tuple(f"u{row:04d}" for row in range(users))
    return GroundTruth(Catalog("plots", items, ids, ratings, SCALE, "plot_english"), tastes)


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the data file that the package ships."""
    parser = argparse.ArgumentParser(
        prog="python -m eagle_gym.catalog.plots_world", description="Write the embedded catalog of Plots again."
    )
    parser.add_argument("--out", type=Path, default=PATH, help="file to write (default: the package's own data)")
    out: Path = parser.parse_args(arguments).out
    out.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(out, allow_pickle=False, **pack(make_plots().catalog))


def _draw_films(rng: np.random.Generator, count: int, moods: Floats) -> list[plot_english.Attributes]:
    """Attributes of films, each of mostly one mood."""
    common = 1.0 / (3.0 + rng.permutation(len(moods)) % 40)  # a few values are common, many are rare
    for row, (slot, value) in enumerate(plot_english.FEATURES):
        if slot in COMMON:
            common[row] = COMMON[slot].get(value, 1.0)
    return [_draw_film(rng, moods @ rng.normal(size=MOODS) * 0.7 + np.log(common)) for _ in range(count)]


def _draw_film(rng: np.random.Generator, logits: Floats) -> plot_english.Attributes:
    pairs: list[plot_english.Pair] = []
    for slot in plot_english.SLOTS:
        odds = SET_ODDS.get(slot) or (1 - SINGLE_ODDS[slot], SINGLE_ODDS[slot])
        size = int(rng.choice(len(odds), p=odds))
        rows = _rows_of(slot)
        keys = logits[rows] + rng.gumbel(size=len(rows))  # the largest keys draw without replacement
        pairs += [plot_english.FEATURES[row] for row in rows[np.argsort(-keys)[:size]]]
    return plot_english.Attributes.from_pairs(pairs)


@cache
def _rows_of(slot: str) -> NDArray[np.int64]:
    return np.array([row for row, pair in enumerate(plot_english.FEATURES) if pair[0] == slot])


def _item(row: int, film: plot_english.Attributes, rng: np.random.Generator) -> Item:
    return Item(f"p{row:04d}", _title(film, rng), plot_english.render(film, rng))


def _title(film: plot_english.Attributes, rng: np.random.Generator) -> str:
    """A title from what the film is about."""
    who = " ".join(filter(None, (film.trait, film.protagonist))) if film.protagonist else ""
    about = [*film.themes, *film.motifs]
    forms = [
        f"the {who}" if who else "",
        f"{film.protagonist or 'nights'} {film.setting}" if film.setting else "",
        f"a matter of {about[0]}" if about else "",
        f"{about[0]} and {about[-1]}" if len(about) > 1 else "",
        f"to {film.goal}" if film.goal else "",
    ]
    usable = [form for form in forms if form] or [f"{film.genres[0]} story"]
    title = usable[int(rng.integers(len(usable)))]
    small = {"a", "and", "at", "in", "of", "on", "the", "to"}
    words = [word if word in small else word[:1].upper() + word[1:] for word in title.split()]
    return " ".join([words[0][:1].upper() + words[0][1:], *words[1:]])


def _draw_tastes(rng: np.random.Generator, users: int, moods: Floats, films: Sequence[NDArray[np.int64]]) -> Tastes:
    """Tastes, scaled so that charm and quality have their spreads over these films."""
    values = len(plot_english.FEATURES)
    pull = np.array([PULL[slot] for slot, _ in plot_english.FEATURES])
    # What people like depends in part on moods, as films do.
    shared = moods @ rng.normal(size=(MOODS, DIRECTIONS)) / np.sqrt(MOODS)
    charm = (0.6 * shared + 0.8 * rng.normal(size=(values, DIRECTIONS))) * pull[:, None]
    quality = rng.normal(size=values) * pull
    pairs = [pair for pair in combinations(range(values), 2) if _interact(*pair)]
    kinds = rng.normal(size=(KINDS, DIRECTIONS))
    taste = 0.8 * kinds[rng.integers(KINDS, size=users)] + 0.6 * rng.normal(size=(users, DIRECTIONS))
    quirks = np.zeros((users, values))
    for row in quirks:
        row[rng.choice(values, QUIRKS, replace=False)] = rng.normal(size=QUIRKS) * QUIRK_SPREAD
    rough = Tastes(
        taste=taste / np.sqrt(np.mean(np.sum(taste**2, axis=1))),
        level=LEVEL + rng.normal(size=users) * LEVEL_SPREAD,
        quirks=quirks,
        charm=charm,
        quality=quality,
        pair_charm={pair: rng.normal(size=DIRECTIONS) * INTERACTION_SHARE for pair in pairs},
        pair_quality={pair: float(rng.normal()) * INTERACTION_SHARE for pair in pairs},
    )
    film_charm, film_quality = rough.pulls(films)
    spread = np.std(film_charm @ rough.taste.T)
    return replace(rough, scales=(float(spread) / CHARM_SPREAD, float(np.std(film_quality)) / QUALITY_SPREAD))


def _interact(one: int, other: int) -> bool:
    slots = sorted((plot_english.FEATURES[one][0], plot_english.FEATURES[other][0]))
    return (slots[0], slots[1]) in INTERACTIONS


def _draw_ratings(rng: np.random.Generator, tastes: Tastes, films: Sequence[NDArray[np.int64]]) -> Ratings:
    charm, quality = tastes.pulls(films)
    values = np.zeros((len(films), tastes.quirks.shape[1]))
    for row, film in enumerate(films):
        values[row, film] = 1.0
    quirks = tastes.quirks @ values.T
    # Rounded because the last bits of a matrix product differ between machines.
    liking = np.round(tastes.taste @ charm.T + quality + quirks, 9)
    popularity = POPULARITY_SPREAD * rng.gumbel(size=len(films))
    low, high = RATINGS_RANGE
    parts: list[Ratings] = []
    for user, likes in enumerate(liking):
        drawn = RATINGS_MEDIAN * np.exp(RATINGS_SPREAD * rng.normal())
        count = min(int(np.clip(drawn, low, high)), len(films))
        chosen = np.sort(np.argsort(-(popularity + PREFERENCE * likes + rng.gumbel(size=len(films))))[:count])
        rated = tastes.level[user] + likes[chosen] + NOISE * rng.normal(size=count)
        parts.append(Ratings.of(np.full(count, user), chosen, np.clip(np.rint(rated * 2) / 2, *SCALE)))
    columns = ([getattr(part, name) for part in parts] for name in ("user", "item", "value"))
    return Ratings(*(np.concatenate(column) for column in columns))


def _indices(film: plot_english.Attributes) -> NDArray[np.int64]:
    rows = _rank()
    return np.array(sorted(rows[pair] for pair in film.pairs()), dtype=np.int64)


@cache
def _rank() -> dict[plot_english.Pair, int]:
    return {pair: row for row, pair in enumerate(plot_english.FEATURES)}


if __name__ == "__main__":
    main()
