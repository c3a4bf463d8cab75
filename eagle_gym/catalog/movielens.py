"""MovieLens data sets, read from a folder that you downloaded: https://grouplens.org/datasets/movielens/.

Two layouts:

- CSV (ml-latest-small, ml-latest, ml-20m, ml-25m, ml-32m): `ratings.csv` and `movies.csv`; `tags.csv` is used where
  present, as is `overviews.csv`, which GroupLens does not ship: a column `overview` and one of the columns `movieId`,
  `tmdbId` or `imdbId` (the last two are joined through `links.csv`).
- `.dat` (ml-1m, ml-10m): `ratings.dat` and `movies.dat`, fields separated by `::`, ISO-8859-1 or UTF-8; `users.dat` and
  `tags.dat` where present.

A film's text is either rendered in plot English from its genres, year, tags and overview, or its overview as it stands.
Users whose tags are rendered are the catalog's authors: a split never makes them test users.
F. M. Harper and J. A. Konstan, The MovieLens Datasets: History and Context, ACM TiiS 5(4), 2015,
https://doi.org/10.1145/2827872. Their conditions of use are in the README.txt of each data set.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from eagle_gym import plot_english
from eagle_gym.catalog.cache import cached_catalog, code_in, hash_files
from eagle_gym.catalog.catalog import Catalog, Item, Ratings, Skipped, check_ratings
from eagle_gym.catalog.reading import existing, read_header, read_numbers, read_records, row_number, unique_key
from eagle_gym.errors import CatalogError, ConfigurationError

Texts = Literal["rendered", "overview"]

SOURCES = ("movies", "ratings", "tags", "links", "overviews", "users")
NO_GENRES = "(no genres listed)"
LARGEST = 2**53  # id: files of ratings are read as floats, which hold larger whole numbers no more
_YEAR = re.compile(r"\((\d{4})\)$")


@dataclass
class _Film:
    row: int  # in the file of movies, for messages
    title: str
    year: int | None
    genres: tuple[str, ...]
    tags: Counter[str] = field(default_factory=Counter)
    overview: str = ""

    def ranked_tags(self) -> tuple[str, ...]:
        """Its tags, the most frequent first."""
        return tuple(tag for tag, _ in sorted(self.tags.items(), key=lambda pair: (-pair[1], pair[0])))


def load_movielens(
    root: str | Path,
    texts: Texts = "rendered",
    *,
    min_ratings: int = 0,
    seed: int = 0,
    cache_dir: str | Path | None = None,
    progress: bool | None = True,
) -> Catalog:
    """Read a MovieLens data set.

    Args:
        root: Its folder.
        texts: "rendered" (plot English, which the embedded model speaks) or "overview" (free text; films without an
            overview are left out, with their ratings).
        min_ratings: Films with fewer ratings are left out, with their ratings.
        seed: Of the order and wording of rendered texts; each film has a generator of its own.
        cache_dir: Where to keep the finished catalog, so that the next call only checks the files' hashes and loads it;
            by default it is not kept.
        progress: Show a bar where rendering takes more than two seconds; None: only on a terminal.

    Returns:
        A catalog whose `skipped` says what was left out or incomplete.

    Raises:
        ConfigurationError: No such `texts`, or a negative `min_ratings`.
        CatalogError: A file or column is missing, or a row is bad; the message names file, row and value.
    """
    if texts not in get_args(Texts):
        raise ConfigurationError(f"texts must be one of {get_args(Texts)}; got {texts!r}")
    if min_ratings < 0:
        raise ConfigurationError(f"min_ratings must be 0 or more; got {min_ratings!r}")
    folder, suffix = _layout(Path(root))

    def read() -> Catalog:
        return _read(folder, suffix, texts, min_ratings, seed, progress)

    if cache_dir is None:
        return read()
    makers = code_in(Path(__file__).parent, Path(plot_english.__file__).parent)
    sources = [folder / f"{name}{end}" for name in SOURCES for end in (".csv", ".dat")]
    key = hash_files([*sources, *makers], folder.name, texts, min_ratings, seed)
    return cached_catalog(Path(cache_dir), key, read)


def _read(folder: Path, suffix: str, texts: Texts, min_ratings: int, seed: int, progress: bool | None) -> Catalog:
    films = _read_films(folder / f"movies{suffix}")
    taggers = _read_tags(folder / f"tags{suffix}", films)
    _read_overviews(folder, films, required=texts == "overview")
    user_ids, film_ids, value, scale = _read_ratings(folder / f"ratings{suffix}", films)
    _check_users(folder / "users.dat", set(user_ids.tolist()))

    counts = Counter(film_ids.tolist())
    notes = _incomplete(films, counts)
    popular = {id: film for id, film in films.items() if counts[id] >= min_ratings}
    rare = [film.title for id, film in films.items() if id not in popular]
    notes += Skipped.of(rare, "films left out", f"fewer than {min_ratings} ratings")
    describe = _overview if texts == "overview" else lambda id, film: _rendered(id, film, seed)
    items, mute = _describe(popular, describe, progress)
    notes += Skipped.of(
        mute, "films left out", "nothing to describe them with" if texts == "rendered" else "no overview"
    )
    notes += _unsaid(popular) if texts == "rendered" else ()
    authors = taggers if texts == "rendered" else set()
    return _assemble(folder.name, items, user_ids, film_ids, value, scale, texts, notes, authors)


def _layout(root: Path) -> tuple[Path, str]:
    need = (
        "expected a folder with movies.csv and ratings.csv, or with movies.dat and ratings.dat, "
        "from https://grouplens.org/datasets/movielens/"
    )
    if not root.is_dir():
        raise CatalogError(f"{root}: no such folder; {need}")
    suffix = ".dat" if (root / "ratings.dat").is_file() else ".csv"
    for name in ("movies", "ratings"):
        existing(root / f"{name}{suffix}", need)
    return root.resolve(), suffix


def _read_films(path: Path) -> dict[int, _Film]:
    films: dict[int, _Film] = {}
    for row, (id, title, genres) in read_records(path, ("movieId", "title", "genres")):
        key = _identifier(path, row, "movieId", id)
        if key in films:
            raise CatalogError(f"{path}, row {row}: movieId {id!r} stands in row {films[key].row} already")
        title = title.strip()  # some titles end in a space
        if not title:
            raise CatalogError(f"{path}, row {row}: the title of movieId {id!r} is empty")
        year = _YEAR.search(title)
        listed = (
            () if genres.strip() == NO_GENRES else tuple(_genre(genre) for genre in genres.split("|") if genre.strip())
        )
        films[key] = _Film(row, title, int(year[1]) if year else None, listed)
    if not films:
        raise CatalogError(f"{path}: expected films; the file has none")
    return films


def _genre(name: str) -> str:
    """The name in use since ml-10m: ml-1m says "Children's"."""
    name = name.strip()
    return "Children" if name == "Children's" else name


def _read_tags(path: Path, films: Mapping[int, _Film]) -> set[int]:
    """Count each film's tags, ignoring case and outer spaces; the ids of those who wrote them."""
    taggers: set[int] = set()
    if not path.is_file():
        return taggers
    columns = ("userId", "movieId", "tag", "timestamp") if path.suffix == ".dat" else ("userId", "movieId", "tag")
    for row, (user, id, tag, *_) in read_records(path, columns):
        taggers.add(_identifier(path, row, "userId", user))
        films[_known_film(path, row, id, films)].tags[tag.strip().lower()] += 1
    return taggers


def _read_overviews(folder: Path, films: Mapping[int, _Film], *, required: bool) -> None:
    path = folder / "overviews.csv"
    if not path.is_file():
        if required:
            existing(path, 'texts="overview" needs it, with the columns movieId (or tmdbId, or imdbId) and overview')
        return
    header = read_header(path)
    key = next((name for name in ("movieId", "tmdbId", "imdbId") if name in header), "movieId")
    links = _read_links(folder / "links.csv", key, films) if key != "movieId" else {str(id): [id] for id in films}
    seen: dict[str, int] = {}
    for row, (id, overview) in read_records(path, (key, "overview")):
        id = _without_zeros(id)
        seen[unique_key(seen, path, row, key, id)] = row
        if id not in links:
            raise CatalogError(f"{path}, row {row}: no film has {key} {id!r}")
        for film in links[id]:
            films[film].overview = overview.strip()


def _read_links(path: Path, key: str, films: Mapping[int, _Film]) -> dict[str, list[int]]:
    """Films by the key of another database. A film may have none, and two films may share one: both happen."""
    links: dict[str, list[int]] = {}
    for row, (id, other) in read_records(path, ("movieId", key)):
        if other.strip():
            links.setdefault(_without_zeros(other), []).append(_known_film(path, row, id, films))
    return links


def _without_zeros(id: str) -> str:
    """An imdbId is padded with zeros in some files and not in others."""
    return id.strip().removeprefix("tt").lstrip("0")


def _read_ratings(
    path: Path, films: Mapping[int, _Film]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64], tuple[float, float]]:
    """User ids, film ids and ratings [m], and the scale."""
    columns = ("userId", "movieId", "rating", "timestamp") if path.suffix == ".dat" else ("userId", "movieId", "rating")
    table = read_numbers(path, columns)
    if not len(table):
        raise CatalogError(f"{path}: expected ratings; the file has none")

    def where(index: int) -> str:
        return f"{path}, row {row_number(path, index)}"

    for column, name in enumerate(("userId", "movieId")):
        bad = np.flatnonzero((table[:, column] % 1 != 0) | (table[:, column] < 0) | (table[:, column] > LARGEST))
        if bad.size:
            raise CatalogError(f"{where(bad[0])}: expected a whole number as {name}; got {table[bad[0], column]:g}")
    user_ids, film_ids, value = table[:, 0].astype(np.int64), table[:, 1].astype(np.int64), table[:, 2]
    unknown = np.flatnonzero(~np.isin(film_ids, np.fromiter(films, np.int64)))
    if unknown.size:
        raise CatalogError(f"{where(unknown[0])}: movieId {film_ids[unknown[0]]} is not in {_movies(path).name}")
    # ml-1m rates in whole stars from 1, every other data set in half stars from 0.5
    scale = (1.0, 5.0) if path.suffix == ".dat" and not np.any(value % 1) else (0.5, 5.0)
    users, user = np.unique(user_ids, return_inverse=True)
    items, item = np.unique(film_ids, return_inverse=True)
    check_ratings(Ratings.of(user, item, value), [str(id) for id in users], [str(id) for id in items], scale, where)
    return user_ids, film_ids, value, scale


def _check_users(path: Path, rating: set[int]) -> None:
    """ml-1m lists its users: each of them must have rated something."""
    if not path.is_file():
        return
    for row, (id, *_) in read_records(path, ("userId", "gender", "age", "occupation", "zip")):
        if _identifier(path, row, "userId", id) not in rating:
            raise CatalogError(f"{path}, row {row}: user {id!r} has no rating; leave the user out or add ratings")


def _movies(path: Path) -> Path:
    return path.with_name(f"movies{path.suffix}")


def _known_film(path: Path, row: int, id: str, films: Mapping[int, _Film]) -> int:
    key = _identifier(path, row, "movieId", id)
    if key not in films:
        raise CatalogError(f"{path}, row {row}: movieId {id!r} is not in {_movies(path).name}")
    return key


def _identifier(path: Path, row: int, column: str, value: str) -> int:
    digits = value.strip()  # Python reads no number of thousands of digits
    if not digits.isdecimal() or len(digits) > len(str(LARGEST)) or int(digits) > LARGEST:
        raise CatalogError(f"{path}, row {row}: expected a whole number as {column}; got {value[:40]!r}")
    return int(digits)


def _incomplete(films: Mapping[int, _Film], counts: Mapping[int, int]) -> tuple[Skipped, ...]:
    """Notes about films that stay in the catalog although something is missing."""
    unrated = [film.title for id, film in films.items() if not counts[id]]
    undated = [film.title for film in films.values() if film.year is None]
    plain = [film.title for film in films.values() if not film.genres]
    return (
        *Skipped.of(unrated, "films", "no ratings (kept)"),
        *Skipped.of(undated, "films", "no year at the end of the title (kept)"),
        *Skipped.of(plain, "films", "no genres listed (kept)"),
    )


def _unsaid(films: Mapping[int, _Film]) -> tuple[Skipped, ...]:
    """Notes about what plot English has no word or no room for."""
    unsaid = {film.title: plot_english.unsaid(film.genres, film.year, film.ranked_tags()) for film in films.values()}
    genres = sorted({genre for each in unsaid.values() for genre in each.genres})
    tags = Counter(tag for each in unsaid.values() for tag in each.tags)
    return (
        *Skipped.of(genres, "genres", "plot English has no word for them (their films are kept)"),
        *Skipped.of([title for title, each in unsaid.items() if each.year], "films", "no word for their decade (kept)"),
        *Skipped.of([tag for tag, _ in tags.most_common()], "tags", "plot English has no word for them as tags"),
        *Skipped.of(
            [title for title, each in unsaid.items() if each.crowded], "films", "no room for all of their tags (kept)"
        ),
    )


def _rendered(id: int, film: _Film, seed: int) -> str:
    """The film in plot English, or "" where nothing is known that plot English can say."""
    attributes = plot_english.from_film(film.genres, film.year, film.ranked_tags(), film.overview)
    return plot_english.render(attributes, np.random.default_rng([seed, id])) if attributes.pairs() else ""


def _overview(id: int, film: _Film) -> str:
    return film.overview


def _describe(
    films: Mapping[int, _Film], describe: Callable[[int, _Film], str], progress: bool | None
) -> tuple[dict[int, Item], list[str]]:
    """Items by film id, and the titles of the films that no text can be made for."""
    items: dict[int, Item] = {}
    mute: list[str] = []
    hidden = None if progress is None else not progress
    for id, film in tqdm(films.items(), desc="films", delay=2.0, leave=False, disable=hidden):
        text = describe(id, film)
        if text:
            items[id] = Item(str(id), film.title, text)
        else:
            mute.append(film.title)
    return items, mute


def _assemble(
    name: str,
    items: Mapping[int, Item],
    user_ids: NDArray[np.int64],
    film_ids: NDArray[np.int64],
    value: NDArray[np.float64],
    scale: tuple[float, float],
    texts: Texts,
    notes: tuple[Skipped, ...],
    taggers: set[int],
) -> Catalog:
    """Number users and films, leaving out ratings of films that have no item and users who rated nothing else."""
    kept = np.isin(film_ids, np.fromiter(items, np.int64, len(items)))
    if not kept.any():
        raise CatalogError(f"{name}: no rated film is left; left out: {'; '.join(map(str, notes)) or 'none'}")
    users, user = np.unique(user_ids[kept], return_inverse=True)
    lost = np.setdiff1d(user_ids, users)
    notes += Skipped.of([str(id) for id in lost], "users left out", "rated only films that were left out")
    ids = np.sort(np.fromiter(items, np.int64, len(items)))
    item = np.searchsorted(ids, film_ids[kept])
    if not kept.all():
        notes += (Skipped(int((~kept).sum()), "ratings left out", "their films were left out"),)
    authors = tuple(str(id) for id in users if int(id) in taggers)
    notes += Skipped.of(authors, "users", "wrote tags, which are part of the texts (kept, they never test)")
    return Catalog(
        name=name,
        items=tuple(items[int(id)] for id in ids),
        users=tuple(str(id) for id in users),
        ratings=Ratings.of(user, item, value[kept]).sorted(),
        scale=scale,
        language="plot_english" if texts == "rendered" else "free",
        skipped=notes,
        authors=authors,
    )
