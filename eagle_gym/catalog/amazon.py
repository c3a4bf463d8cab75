"""Amazon review data sets, read from a folder that you downloaded.

The collection has three editions. Each is a file of reviews and a file of metadata, plain or gzipped, with one JSON
object a line:

- 2014 (https://cseweb.ucsd.edu/~jmcauley/datasets/amazon/links.html): `reviews_CATEGORY_5.json` and
  `meta_CATEGORY.json`, whose lines are Python literals rather than JSON;
- 2018 (https://cseweb.ucsd.edu/~jmcauley/datasets/amazon_v2/): `CATEGORY_5.json` and `meta_CATEGORY.json`;
- 2023 (https://amazon-reviews-2023.github.io/): `CATEGORY.jsonl` and `meta_CATEGORY.jsonl`.

A product's text is its title and its description (its features, where there is no description), without markup, scripts
and style sheets. It is free text. The words of reviews are not read, so texts hold nothing that a test user wrote.

J. Ni, J. Li and J. McAuley, Justifying Recommendations using Distantly-Labeled Reviews and Fine-grained Aspects, 2019.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eagle_gym.catalog.cache import cached_catalog, code_in, hash_files
from eagle_gym.catalog.catalog import Catalog, Item, Ratings, Skipped, check_count
from eagle_gym.catalog.markup import plain_text
from eagle_gym.catalog.reading import existing, existing_folder, file_errors, number, read_lines
from eagle_gym.errors import CatalogError
from eagle_gym.progress import progress_bar

SCALE = (1.0, 5.0)
CORE = 5
SUFFIXES = (".json", ".jsonl", ".json.gz", ".jsonl.gz")
# Fields that hold a review's user, product, rating and time, by edition.
EDITIONS = (("reviewerID", "asin", "overall", "unixReviewTime"), ("user_id", "parent_asin", "rating", "timestamp"))
NEED = (
    "expected a folder with one file of reviews and one of metadata (meta_…), each .json or .jsonl, plain or .gz, "
    "from https://amazon-reviews-2023.github.io/ or its earlier editions"
)


@dataclass(frozen=True, eq=False)
class _Reviews:
    """Reviews as numbers, in the order of the file.

    Attributes:
        users, products: Ids of users and products.
        user, product: For each review, the places of its ids in these lists, [m].
        value, time: Rating and time of each review, [m].
    """

    users: list[str]
    products: list[str]
    user: NDArray[np.int64]
    product: NDArray[np.int64]
    value: NDArray[np.float64]
    time: NDArray[np.float64]


@dataclass(frozen=True)
class _Cutoffs:
    """What is kept of a data set; the arguments of `load_amazon`."""

    core: int
    min_ratings: int
    words: int


def load_amazon(
    root: str | Path,
    *,
    core: int | None = None,
    min_ratings: int | None = None,
    words: int = 150,
    cache_dir: str | Path | None = None,
    progress: bool = True,
) -> Catalog:
    """Read an Amazon data set.

    Args:
        root: Its folder.
        core: Users and products with fewer ratings are left out, repeatedly, until all that remain have that many among
            each other. By default 0 where `min_ratings` is given, else 5, which changes nothing in files that are
            5-cores.
        min_ratings: Products with fewer ratings are left out, with their ratings. By default 0.
        words: Number of words after which a text is cut.
        cache_dir: Where to keep the finished catalog, so that the next call only checks the files' hashes and loads it.
            By default it is not kept.
        progress: Whether to show bars, on a terminal, where reading takes more than two seconds.

    Returns:
        A catalog of free text whose `skipped` says what was left out, cut or incomplete.

    Raises:
        ConfigurationError: `core` or `min_ratings` is not a whole number of 0 or more, or `words` not one of 1 or more.
        CatalogError: A file or field is missing or cannot be read, or a line is bad; the message names file, row and
            value.
        PreparationError: `cache_dir` cannot be read or written.
    """
    core = core if core is not None else CORE if min_ratings is None else 0
    min_ratings = 0 if min_ratings is None else min_ratings
    check_count("core", core, 0)
    check_count("min_ratings", min_ratings, 0)
    check_count("words", words, 1)
    limits = _Cutoffs(int(core), int(min_ratings), int(words))
    with file_errors(root):
        reviews, meta = _files(Path(root))

        def read() -> Catalog:
            return _read(reviews, meta, limits, progress)

        if cache_dir is None:
            return read()
        key = hash_files([reviews, meta, *code_in(Path(__file__).parent)], limits)
        return cached_catalog(Path(cache_dir), key, read)


def _files(root: Path) -> tuple[Path, Path]:
    """The files of reviews and of metadata."""
    folder = existing_folder(root, NEED).resolve()
    found = sorted(path for path in folder.iterdir() if path.name.endswith(SUFFIXES))
    meta = [path for path in found if path.name.startswith("meta_")]
    reviews = [path for path in found if path not in meta]
    for paths, what in ((reviews, "reviews"), (meta, "metadata")):
        if len(paths) != 1:
            names = ", ".join(path.name for path in paths) or "none"
            raise CatalogError(f"{root}: expected one file of {what}; there is {names}; {NEED}")
    return existing(reviews[0], NEED), existing(meta[0], NEED)


def _read(reviews: Path, meta: Path, limits: _Cutoffs, progress: bool) -> Catalog:
    found, off_scale = _read_reviews(reviews, progress)
    titles, texts, notes = _read_products(meta, set(found.products), limits.words, progress)
    kept, left_out = _keep(found, texts, limits)
    notes = (*off_scale, *notes, *left_out)
    if not kept.any():
        raise CatalogError(f"{reviews}: no rating is left; left out: {'; '.join(map(str, notes)) or 'none'}")
    products = sorted({found.products[row] for row in found.product[kept]})
    users = sorted({found.users[row] for row in found.user[kept]})
    return Catalog(
        name=reviews.name.split(".")[0],
        items=tuple(Item(product, titles[product] or product, texts[product]) for product in products),
        users=tuple(users),
        ratings=Ratings.of(
            _numbers(found.users, users)[found.user[kept]],
            _numbers(found.products, products)[found.product[kept]],
            found.value[kept],
        ).sorted(),
        scale=SCALE,
        language="free",
        skipped=notes,
    )


def _numbers(ids: list[str], kept: list[str]) -> NDArray[np.int64]:
    """The place of each id among those kept, -1 where it is left out."""
    places = {id: place for place, id in enumerate(kept)}
    return np.array([places.get(id, -1) for id in ids], dtype=np.int64)


def _read_reviews(path: Path, progress: bool) -> tuple[_Reviews, tuple[Skipped, ...]]:
    """The reviews whose ratings are on the scale, and a note about the others."""
    users: dict[str, int] = {}
    products: dict[str, int] = {}
    columns: tuple[list[int], list[int], list[float], list[float]] = ([], [], [], [])
    names: tuple[str, ...] = ()
    off_scale: list[str] = []
    for row, record in _records(path, progress):
        names = names or _edition(path, row, record)
        fields = [_field(path, row, record, name) for name in names]
        user, product = (_key(path, row, *pair) for pair in zip(names[:2], fields[:2], strict=True))
        value, time = (number(path, row, name, str(field)) for name, field in zip(names[2:], fields[2:], strict=True))
        if not SCALE[0] <= value <= SCALE[1]:
            off_scale.append(f"{value:g} in row {row}")
            continue
        columns[0].append(users.setdefault(user, len(users)))
        columns[1].append(products.setdefault(product, len(products)))
        columns[2].append(value)
        columns[3].append(time)
    if not names:
        raise CatalogError(f"{path}: expected reviews; the file has none")
    reviews = _Reviews(
        list(users),
        list(products),
        np.array(columns[0], np.int64),
        np.array(columns[1], np.int64),
        np.array(columns[2], np.float64),
        np.array(columns[3], np.float64),
    )
    return reviews, Skipped.of(off_scale, "reviews left out", "their ratings are not from 1 to 5")


def _read_products(
    path: Path, wanted: set[str], words: int, progress: bool
) -> tuple[dict[str, str], dict[str, str], tuple[Skipped, ...]]:
    """Titles and texts of the products that were reviewed, by id, and notes about them."""
    titles: dict[str, str] = {}
    texts: dict[str, str] = {}
    alike: list[str] = []
    otherwise: list[str] = []
    cut: list[str] = []
    for row, record in _records(path, progress):
        name = "parent_asin" if "parent_asin" in record else "asin"
        product = _key(path, row, name, _field(path, row, record, name))
        if product not in wanted:
            continue
        title, text = _plain(record.get("title")), _description(record, words)
        if product in texts:
            (alike if (title, text) == (titles[product], texts[product]) else otherwise).append(product)
            continue
        titles[product], texts[product] = title, text
        if text.endswith("…"):
            cut.append(product)
    absent, mute = sorted(wanted - set(texts)), [product for product, text in texts.items() if not text]
    notes = (
        *Skipped.of(alike, "rows of metadata left out", "the same product again, described alike"),
        *Skipped.of(otherwise, "rows of metadata left out", "the same product again, described otherwise (first kept)"),
        *Skipped.of(cut, "texts", f"longer than {words} words (cut)"),
        *Skipped.of(absent, "products left out", "reviewed, but not in the metadata"),
        *Skipped.of(mute, "products left out", "nothing to describe them with"),
    )
    return titles, {product: text for product, text in texts.items() if text}, notes


def _keep(found: _Reviews, texts: Mapping[str, str], limits: _Cutoffs) -> tuple[NDArray[np.bool_], tuple[Skipped, ...]]:
    """The reviews that become ratings, bool [m], and notes about the others."""
    known = np.array([product in texts for product in found.products], np.bool_)[found.product]
    latest = known & _latest(found)
    counts = np.bincount(found.product[latest], minlength=len(found.products))
    often = latest & (counts[found.product] >= limits.min_ratings)
    kept = often.copy()
    before = -1
    while limits.core and kept.sum() != before:
        before = kept.sum()
        for column in (found.user, found.product):
            kept &= np.bincount(column[kept], minlength=len(found.user))[column] >= limits.core
    counted = (
        (~known, "their products were left out"),
        (known & ~latest, "a later one of the same product by the same user"),
        (latest & ~often, f"of products with fewer than {limits.min_ratings} ratings"),
        (often & ~kept, f"of users or products with fewer than {limits.core} ratings"),
    )
    return kept, tuple(Skipped(int(rows.sum()), "reviews left out", why) for rows, why in counted if rows.any())


def _latest(found: _Reviews) -> NDArray[np.bool_]:
    """The last review of each product by each user, bool [m]."""
    order = np.lexsort((found.time, found.product, found.user))  # equal times keep the order of the file
    last = np.ones(len(order), np.bool_)
    last[:-1] = (np.diff(found.user[order]) != 0) | (np.diff(found.product[order]) != 0)
    latest = np.zeros(len(order), np.bool_)
    latest[order] = last
    return latest


def _records(path: Path, progress: bool) -> Iterator[tuple[int, dict[str, Any]]]:
    """Row number and object of each line that is not blank."""
    lines = read_lines(path, "lines of JSON")
    for row, line in enumerate(progress_bar(lines, show=progress, desc=path.name, unit="line"), start=1):
        if line.strip():
            yield row, _parse(path, row, line)


def _parse(path: Path, row: int, line: str) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        record = _literal(line)
    if not isinstance(record, dict):
        raise CatalogError(f"{path}, row {row}: expected a JSON object, got {line.strip()!r:.200}")
    return record


def _literal(line: str) -> object:
    """A line of the 2014 metadata, which is a Python literal; None where it is not."""
    try:
        return ast.literal_eval(line.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None


def _edition(path: Path, row: int, record: Mapping[str, Any]) -> tuple[str, ...]:
    for names in EDITIONS:
        if names[0] in record:
            return names
    users = " or ".join(repr(names[0]) for names in EDITIONS)
    raise CatalogError(f"{path}, row {row}: expected a review with {users}; it has {', '.join(record)}")


def _field(path: Path, row: int, record: Mapping[str, Any], name: str) -> object:
    if name not in record:
        raise CatalogError(f"{path}, row {row}: expected a field {name!r}; it has {', '.join(map(str, record))}")
    return record[name]


def _key(path: Path, row: int, name: str, value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise CatalogError(f"{path}, row {row}: expected an id as {name}, got {value!r}")
    return value.strip()


def _description(record: Mapping[str, Any], words: int) -> str:
    """Title and description, or features where there is none, in one paragraph; "" where there is nothing."""
    title = _plain(record.get("title"))
    more = _plain(record.get("description")) or _plain(record.get("features", record.get("feature")))
    if title and more and title[-1] not in ".!?":
        title += "."
    found = f"{title} {more}".split()
    return " ".join(found[:words]) + ("…" if len(found) > words else "")


def _plain(value: object) -> str:
    """Text without markup, of a string or a list of strings; "" of anything else."""
    if isinstance(value, list | tuple):
        return " ".join(filter(None, (_plain(part) for part in value if isinstance(part, str))))
    return plain_text(value) if isinstance(value, str) else ""
