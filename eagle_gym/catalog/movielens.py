"""MovieLens data sets, read from a folder that you downloaded: https://grouplens.org/datasets/movielens/.

Three layouts:

- CSV (ml-latest-small, ml-latest, ml-20m, ml-25m, ml-32m): `ratings.csv` and `movies.csv`; `tags.csv` is used where
  present.
- `.dat` (ml-1m, ml-10m): `ratings.dat` and `movies.dat`, fields separated by `::`; `users.dat` and `tags.dat` are used
  where present.
- `u.` (ml-100k): `u.data` and `u.item`; `u.user` is used where present.

Files of the last two layouts are UTF-8 or ISO-8859-1. To any of them you may add `overviews.csv`, which GroupLens does
not ship: a column `overview` and one of the columns `movieId`, `tmdbId` or `imdbId`. The last two are joined through
`links.csv`.

A film's text says its genres, year, tags and overview, or those of them that are asked for: as free text
(`eagle_gym.catalog.fields`), or rendered in plot English, where it also carries the tags in users' own words. Users
whose tags are in the texts are the catalog's authors: a split never makes them test users.

F. M. Harper and J. A. Konstan, The MovieLens Datasets: History and Context, ACM TiiS 5(4), 2015,
https://doi.org/10.1145/2827872. Their conditions of use are in the README.txt of each data set.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from eagle_gym import plot_english
from eagle_gym.catalog.cache import cached_catalog, code_in, hash_files
from eagle_gym.catalog.catalog import Catalog, Item, Ratings, Skipped, check_count, check_ratings
from eagle_gym.catalog.fields import Described, Field, checked_fields, describe
from eagle_gym.catalog.reading import (
    existing,
    existing_folder,
    file_errors,
    present,
    read_header,
    read_numbers,
    read_records,
    row_number,
    unique_key,
)
from eagle_gym.errors import CatalogError, ConfigurationError
from eagle_gym.progress import progress_bar

Texts = Literal["rendered", "free"]
MOST_TAGS: Final = 10  # of a film, by frequency

NEED = (
    "expected a folder with movies.csv and ratings.csv, with movies.dat and ratings.dat, or with u.item and u.data, "
    "from https://grouplens.org/datasets/movielens/"
)
NO_GENRES = "(no genres listed)"
# The last columns of u.item, one a genre; "unknown" stands for none.
GENRES_OF_U_ITEM = (
    "unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama", "Fantasy",
    "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western",
)  # fmt: skip
U_ITEM = ("movieId", "title", "release date", "video release date", "IMDb URL", *GENRES_OF_U_ITEM)
LARGEST = 2**53  # id: ratings are read as floats, which hold no larger whole number exactly
_YEAR = re.compile(r"\((\d{4})\)$")
_RELEASED = re.compile(r"-(\d{4})$")
_ID = re.compile(r"([0-9]+)(?:\.0*)?")  # pandas writes the ids of a column with gaps as 123.0


@dataclass(frozen=True)
class _FileNames:
    """Names of the files of a data set, by layout."""

    movies: str
    ratings: str
    tags: str = ""
    users: str = ""


LAYOUTS = (
    _FileNames("movies.csv", "ratings.csv", tags="tags.csv"),
    _FileNames("movies.dat", "ratings.dat", tags="tags.dat", users="users.dat"),
    _FileNames("u.item", "u.data", users="u.user"),
)
ADDED = ("overviews.csv", "links.csv")  # files that may stand next to those of any layout


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

    def only(self, fields: Sequence[Field]) -> _Film:
        """The film without its other fields."""
        return replace(
            self,
            genres=self.genres if "genres" in fields else (),
            year=self.year if "year" in fields else None,
            tags=self.tags if "tags" in fields else Counter(),
            overview=self.overview if "overview" in fields else "",
        )


def load_movielens(
    root: str | Path,
    texts: Texts = "rendered",
    *,
    fields: Sequence[Field] | None = None,
    min_ratings: int = 0,
    seed: int = 0,
    cache_dir: str | Path | None = None,
    progress: bool = True,
) -> Catalog:
    """Read a MovieLens data set.

    Args:
        root: Its folder.
        texts: "rendered" (plot English, which the embedded model speaks) or "free".
        fields: What the texts say: a list of "genres", "year", "tags" and "overview". By default, all of them that the
            data set has; those that are listed it must have. Films of which none is known are left out, with their
            ratings.
        min_ratings: Films with fewer ratings are left out, with their ratings.
        seed: Seed of the order and wording of rendered texts; each film has a generator of its own.
        cache_dir: Where to keep the finished catalog, so that the next call only checks the files' hashes and loads it.
            By default it is not kept.
        progress: Whether to show a bar, on a terminal, where reading or rendering takes more than two seconds.

    Returns:
        A catalog whose `skipped` says what was left out or incomplete.

    Raises:
        ConfigurationError: An unknown value of `texts` or `fields`, or a `min_ratings` that is not a whole number of 0
            or more.
        CatalogError: A file or column is missing or cannot be read, or a row is bad; the message names file, row and
            value.
        PreparationError: `cache_dir` cannot be read or written.
    """
    if texts not in get_args(Texts):
        raise ConfigurationError(f"expected texts to be one of {get_args(Texts)}, got {texts!r}")
    said = checked_fields(fields)
    required = said if fields is not None else ()
    check_count("min_ratings", min_ratings, 0)
    with file_errors(root):
        folder = existing_folder(Path(root), NEED).resolve()
        layout = _layout(folder)
        _check_present(folder, layout, required)

        def read() -> Catalog:
            return _read(folder, layout, texts, said, min_ratings, seed, progress)

        if cache_dir is None:
            return read()
        makers = code_in(Path(__file__).parent, Path(plot_english.__file__).parent)
        sources = [folder / name for name in (layout.movies, layout.ratings, layout.tags, layout.users, *ADDED) if name]
        key = hash_files([*sources, *makers], folder.name, texts, ",".join(said), int(min_ratings), seed)
        return cached_catalog(Path(cache_dir), key, read)


def _read(
    folder: Path,
    layout: _FileNames,
    texts: Texts,
    fields: tuple[Field, ...],
    min_ratings: int,
    seed: int,
    progress: bool,
) -> Catalog:
    films = _read_films(folder / layout.movies)
    taggers = _read_tags(folder / layout.tags, films, layout.movies) if layout.tags else set()
    notes = _read_overviews(folder, films)
    user_ids, film_ids, value, scale = _read_ratings(folder / layout.ratings, films, layout.movies, progress)
    if layout.users:
        _check_users(folder / layout.users, set(user_ids.tolist()))

    counts = Counter(film_ids.tolist())
    notes += _incomplete(films, counts)
    popular = {id: film.only(fields) for id, film in films.items() if counts[id] >= min_ratings}
    rare = [film.title for id, film in films.items() if id not in popular]
    notes += Skipped.of(rare, "films left out", f"fewer than {min_ratings} ratings")
    items, mute = _describe(popular, lambda id, film: _text(id, film, texts, seed), progress)
    lacking = "nothing to describe them with" if len(fields) > 1 else f"no {fields[0]}"
    notes += Skipped.of(mute, "films left out", lacking)
    notes += _unsaid(popular) if texts == "rendered" else ()
    authors = taggers if "tags" in fields else set()
    return _assemble(folder.name, items, user_ids, film_ids, value, scale, texts, notes, authors)


def _check_present(folder: Path, layout: _FileNames, fields: Sequence[Field]) -> None:
    """Check that the files of some fields are there.

    Raises:
        CatalogError: One is not.
    """
    if "overview" in fields:
        need = 'fields with "overview" need it, with the columns movieId (or tmdbId, or imdbId) and overview'
        existing(folder / "overviews.csv", need)
    if "tags" in fields:
        existing(folder / (layout.tags or "tags.csv"), 'fields with "tags" need the data set\'s file of tags')


def _layout(folder: Path) -> _FileNames:
    """The layout of the files in a folder.

    Raises:
        CatalogError: There are files of no layout, of half of one, or of several.
    """
    found = {
        layout: [name for name in (layout.movies, layout.ratings) if (folder / name).exists()] for layout in LAYOUTS
    }
    found = {layout: names for layout, names in found.items() if names}
    if len(found) > 1:
        names = ", ".join(name for names in found.values() for name in names)
        raise CatalogError(f"{folder}: expected the files of one data set, got {names}: move the others away; {NEED}")
    layout = next(iter(found), LAYOUTS[0])
    for name in (layout.movies, layout.ratings):
        existing(folder / name, NEED)
    return layout


def _read_films(path: Path) -> dict[int, _Film]:
    films: dict[int, _Film] = {}
    for row, id, title, released, listed in _listed_films(path):
        key = _identifier(path, row, "movieId", id)
        if key in films:
            raise CatalogError(f"{path}, row {row}: movieId {id!r} stands in row {films[key].row} already")
        title = title.strip()  # some titles end in a space
        if not title:
            raise CatalogError(f"{path}, row {row}: the title of movieId {id!r} is empty")
        year = _YEAR.search(title) or _RELEASED.search(released)
        genres = tuple(_genre(genre) for genre in listed if genre.strip())
        films[key] = _Film(row, title, int(year[1]) if year else None, genres)
    if not films:
        raise CatalogError(f"{path}: expected films; the file has none")
    return films


def _listed_films(path: Path) -> Iterator[tuple[int, str, str, str, list[str]]]:
    """Row, id, title, date of release ("" where the file has none) and genres of each film."""
    if path.suffix != ".item":
        for row, (id, title, genres) in read_records(path, ("movieId", "title", "genres")):
            yield row, id, title, "", [] if genres.strip() == NO_GENRES else genres.split("|")
        return
    for row, (id, title, released, _, _, *flags) in read_records(path, U_ITEM):
        if set(flags) - {"0", "1"}:
            raise CatalogError(f"{path}, row {row}: expected 0 or 1 for each genre, got {'|'.join(flags)!r:.200}")
        given = [genre for genre, flag in zip(GENRES_OF_U_ITEM[1:], flags[1:], strict=True) if flag == "1"]
        yield row, id, title, released, given


def _genre(name: str) -> str:
    """The name in use since ml-10m: older sets say "Children's"."""
    name = name.strip()
    return "Children" if name == "Children's" else name


def _read_tags(path: Path, films: Mapping[int, _Film], movies: str) -> set[int]:
    """Count each film's tags, ignoring case and outer spaces; the ids of the users who wrote them."""
    taggers: set[int] = set()
    if not present(path):
        return taggers
    columns = ("userId", "movieId", "tag", "timestamp") if path.suffix == ".dat" else ("userId", "movieId", "tag")
    for row, (user, id, tag, *_) in read_records(path, columns):
        taggers.add(_identifier(path, row, "userId", user))
        film = _identifier(path, row, "movieId", id)
        if film not in films:
            raise CatalogError(f"{path}, row {row}: movieId {id!r} is not in {movies}")
        films[film].tags[tag.strip().lower()] += 1
    return taggers


def _read_overviews(folder: Path, films: Mapping[int, _Film]) -> tuple[Skipped, ...]:
    """Give each film its overview; notes about overviews of other films."""
    path = folder / "overviews.csv"
    if not present(path):
        return ()
    header = read_header(path)
    key = next((name for name in ("movieId", "tmdbId", "imdbId") if name in header), "movieId")
    links, notes = ({id: [id] for id in films}, ()) if key == "movieId" else _read_links(folder, key, films)
    seen: dict[str, int] = {}
    others: list[str] = []
    for row, (value, overview) in read_records(path, (key, "overview")):
        if not value.strip():
            others.append(f"row {row}")
            continue
        id = _foreign_key(path, row, key, value)
        seen[unique_key(seen, path, row, key, str(id))] = row
        if id not in links:
            others.append(value.strip())
        for film in links.get(id, ()):
            films[film].overview = overview.strip()
    return (*notes, *Skipped.of(others, "overviews left out", f"no film has their {key}"))


def _read_links(
    folder: Path, key: str, films: Mapping[int, _Film]
) -> tuple[dict[int, list[int]], tuple[Skipped, ...]]:
    """Films by the key of another database, and notes. A film may have no key, and two films may share one."""
    path = folder / "links.csv"
    links: dict[int, list[int]] = {}
    others: list[str] = []
    for row, (id, value) in read_records(path, ("movieId", key)):
        film = _identifier(path, row, "movieId", id)
        if film not in films:
            others.append(id.strip())
        elif value.strip():
            links.setdefault(_foreign_key(path, row, key, value), []).append(film)
    return links, Skipped.of(others, "links left out", "no film has their movieId")


def _foreign_key(path: Path, row: int, column: str, value: str) -> int:
    """A key of another database: some files write an imdbId as tt0114709, others as 0114709 or 114709."""
    return _identifier(path, row, column, value.strip().removeprefix("tt"))


def _read_ratings(
    path: Path, films: Mapping[int, _Film], movies: str, progress: bool
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64], tuple[float, float]]:
    """User ids, film ids and ratings [m], and the scale."""
    columns = ("userId", "movieId", "rating") if path.suffix == ".csv" else ("userId", "movieId", "rating", "timestamp")
    table = read_numbers(path, columns, progress=progress)
    if not len(table):
        raise CatalogError(f"{path}: expected ratings; the file has none")

    def where(index: int) -> str:
        return f"{path}, row {row_number(path, columns, index)}"

    for column, name in enumerate(("userId", "movieId")):
        bad = np.flatnonzero((table[:, column] % 1 != 0) | (table[:, column] < 0) | (table[:, column] > LARGEST))
        if bad.size:
            raise CatalogError(f"{where(bad[0])}: expected a whole number as {name}, got {table[bad[0], column]:g}")
    user_ids, film_ids, value = table[:, 0].astype(np.int64), table[:, 1].astype(np.int64), table[:, 2]
    unknown = np.flatnonzero(~np.isin(film_ids, np.fromiter(films, np.int64)))
    if unknown.size:
        raise CatalogError(f"{where(unknown[0])}: movieId {film_ids[unknown[0]]} is not in {movies}")
    # ml-100k and ml-1m rate in whole stars from 1, every other data set in half stars from 0.5
    scale = (1.0, 5.0) if path.suffix != ".csv" and not np.any(value % 1) else (0.5, 5.0)
    users, user = np.unique(user_ids, return_inverse=True)
    items, item = np.unique(film_ids, return_inverse=True)
    check_ratings(Ratings.of(user, item, value), [str(id) for id in users], [str(id) for id in items], scale, where)
    return user_ids, film_ids, value, scale


def _check_users(path: Path, rating: set[int]) -> None:
    """ml-100k and ml-1m list their users: each of them must have rated something."""
    if not present(path):
        return
    for row, (id, *_) in read_records(path, ("userId", "gender", "age", "occupation", "zip")):
        if _identifier(path, row, "userId", id) not in rating:
            raise CatalogError(f"{path}, row {row}: user {id!r} has no rating: leave the user out or add ratings")


def _identifier(path: Path, row: int, column: str, value: str) -> int:
    match = _ID.fullmatch(value.strip())
    digits = (match[1].lstrip("0") or "0") if match else ""
    if not 1 <= len(digits) <= len(str(LARGEST)) or int(digits) > LARGEST:  # int() refuses thousands of digits
        raise CatalogError(f"{path}, row {row}: expected a whole number as {column}, got {value[:40]!r}")
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


def _text(id: int, film: _Film, texts: Texts, seed: int) -> str:
    """The film's text, or "" where nothing is known that it could say."""
    tags = plot_english.clean_tags(film.tags, MOST_TAGS)
    if texts == "free":
        return describe(Described(film.genres, film.year, tags, film.overview))
    attributes = plot_english.from_film(film.genres, film.year, film.ranked_tags(), film.overview)
    if not attributes.pairs() and not tags:
        return ""
    return plot_english.with_tags(plot_english.render(attributes, np.random.default_rng([seed, id])), tags)


def _describe(
    films: Mapping[int, _Film], describe: Callable[[int, _Film], str], progress: bool
) -> tuple[dict[int, Item], list[str]]:
    """Items by film id, and the titles of the films that no text can be made for."""
    items: dict[int, Item] = {}
    mute: list[str] = []
    for id, film in progress_bar(films.items(), show=progress, desc="films", unit="film"):
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
