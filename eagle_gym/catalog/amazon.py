"""Amazon review data sets, read from a folder that you downloaded.

Three editions of one collection, each a file of reviews and a file of metadata, one JSON object a line, plain or
gzipped:

- 2014 (https://cseweb.ucsd.edu/~jmcauley/datasets/amazon/links.html): ``reviews_CATEGORY_5.json`` and
  ``meta_CATEGORY.json``, whose lines are Python literals rather than JSON;
- 2018 (https://cseweb.ucsd.edu/~jmcauley/datasets/amazon_v2/): ``CATEGORY_5.json`` and ``meta_CATEGORY.json``;
- 2023 (https://amazon-reviews-2023.github.io/): ``CATEGORY.jsonl`` and ``meta_CATEGORY.jsonl``.

A product's text is its title and its description (its features, where there is no description), without markup. It is
free text. What users wrote in their reviews is not read: texts hold nothing of test users.

J. Ni, J. Li and J. McAuley, Justifying Recommendations using Distantly-Labeled Reviews and Fine-grained Aspects, 2019.
"""

from __future__ import annotations

import ast
import gzip
import html
import json
import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from eagle_gym.catalog.cache import cached_catalog, code_in, hash_files
from eagle_gym.catalog.catalog import Catalog, Item, Ratings, Skipped
from eagle_gym.catalog.reading import number
from eagle_gym.errors import CatalogError, ConfigurationError

SCALE = (1.0, 5.0)
SUFFIXES = (".json", ".jsonl", ".json.gz", ".jsonl.gz")
# Names of a review's user, product, rating and time, by edition; the last two name the product in metadata too.
EDITIONS = (("reviewerID", "asin", "overall", "unixReviewTime"), ("user_id", "parent_asin", "rating", "timestamp"))
NEED = (
    "expected a folder with one file of reviews and one of metadata (meta_…), each .json or .jsonl, plain or .gz, "
    "from https://amazon-reviews-2023.github.io/ or its earlier editions"
)
_BREAK = re.compile(r"<(?:br|p|li|ul|ol|div|tr|td|h\d)\b[^<>]{0,500}>", re.IGNORECASE)
_TAG = re.compile(r"</?[a-z][^<>]{0,500}>", re.IGNORECASE)


@dataclass(frozen=True, eq=False)
class _Reviews:
    """Reviews as numbers, [m] each, in the order of the file.

    Attributes:
        users, products: Ids, by number.
        user, product, value, time: Of each review.
    """

    users: list[str]
    products: list[str]
    user: NDArray[np.int64]
    product: NDArray[np.int64]
    value: NDArray[np.float64]
    time: NDArray[np.float64]


def load_amazon(
    root: str | Path,
    *,
    core: int = 5,
    words: int = 150,
    cache_dir: str | Path | None = None,
    progress: bool | None = True,
) -> Catalog:
    """Read an Amazon data set.

    Args:
        root: Its folder.
        core: Users and products with fewer ratings among each other are left out, again and again until all have as
            many. Changes nothing in the files that are 5-cores already.
        words: Longer texts are cut after so many words.
        cache_dir: Where to keep the finished catalog, so that the next call only checks the files' hashes and loads it;
            by default it is not kept.
        progress: Show bars where reading takes more than two seconds; None: only on a terminal.

    Returns:
        A catalog of free text whose `skipped` says what was left out, cut or incomplete.

    Raises:
        ConfigurationError: A negative `core`, or fewer than one of `words`.
        CatalogError: A file or field is missing, or a line is bad; the message names file, row and value.
    """
    if core < 0 or words < 1:
        raise ConfigurationError(f"core must be 0 or more and words 1 or more; got {core!r}, {words!r}")
    reviews, meta = _files(Path(root))

    def read() -> Catalog:
        return _read(reviews, meta, core, words, progress)

    if cache_dir is None:
        return read()
    key = hash_files([reviews, meta, *code_in(Path(__file__).parent)], core, words)
    return cached_catalog(Path(cache_dir), key, read)


def _files(root: Path) -> tuple[Path, Path]:
    """The files of reviews and of metadata."""
    if not root.is_dir():
        raise CatalogError(f"{root}: no such folder; {NEED}")
    found = sorted(path for path in root.resolve().iterdir() if path.name.endswith(SUFFIXES))
    meta = [path for path in found if path.name.startswith("meta_")]
    reviews = [path for path in found if path not in meta]
    for paths, what in ((reviews, "reviews"), (meta, "metadata")):
        if len(paths) != 1:
            names = ", ".join(path.name for path in paths) or "none"
            raise CatalogError(f"{root}: expected one file of {what}; there is {names}; {NEED}")
    return reviews[0], meta[0]


def _read(reviews: Path, meta: Path, core: int, words: int, progress: bool | None) -> Catalog:
    found = _read_reviews(reviews, progress)
    titles, texts, notes = _read_products(meta, set(found.products), words, progress)
    kept, left_out = _keep(found, texts, core)
    if not kept.any():
        listed = "; ".join(map(str, (*notes, *left_out)))
        raise CatalogError(f"{reviews}: no rating is left; left out: {listed or 'none'}")
    products = sorted({found.products[row] for row in found.product[kept]})
    users = sorted({found.users[row] for row in found.user[kept]})
    return Catalog(
        name=reviews.name.split(".")[0],
        items=tuple(Item(product, titles[product], texts[product]) for product in products),
        users=tuple(users),
        ratings=Ratings.of(
            _numbers(found.users, users)[found.user[kept]],
            _numbers(found.products, products)[found.product[kept]],
            found.value[kept],
        ).sorted(),
        scale=SCALE,
        language="free",
        skipped=(*notes, *left_out),
    )


def _numbers(ids: list[str], kept: list[str]) -> NDArray[np.int64]:
    """For each id its place among those kept, -1 where it is not kept."""
    places = {id: place for place, id in enumerate(kept)}
    return np.array([places.get(id, -1) for id in ids], dtype=np.int64)


def _read_reviews(path: Path, progress: bool | None) -> _Reviews:
    users: dict[str, int] = {}
    products: dict[str, int] = {}
    columns: tuple[list[int], list[int], list[float], list[float]] = ([], [], [], [])
    names: tuple[str, ...] = ()
    for row, record in _records(path, progress):
        names = names or _edition(path, row, record)
        user, product, rating, time = (_field(path, row, record, name) for name in names)
        value = number(path, row, names[2], str(rating))
        if not SCALE[0] <= value <= SCALE[1]:
            who = f"user {user}, product {product}"
            raise CatalogError(f"{path}, row {row} ({who}): expected a rating from 1 to 5; got {value:g}")
        columns[0].append(users.setdefault(_key(path, row, names[0], user), len(users)))
        columns[1].append(products.setdefault(_key(path, row, names[1], product), len(products)))
        columns[2].append(value)
        columns[3].append(number(path, row, names[3], str(time)))
    if not names:
        raise CatalogError(f"{path}: expected reviews; the file has none")
    user_column, product_column, *rest = columns
    return _Reviews(
        list(users),
        list(products),
        np.array(user_column),
        np.array(product_column),
        np.array(rest[0]),
        np.array(rest[1]),
    )


def _read_products(
    path: Path, wanted: set[str], words: int, progress: bool | None
) -> tuple[dict[str, str], dict[str, str], tuple[Skipped, ...]]:
    """Titles and texts of the products that were reviewed, by id, and notes about them."""
    titles: dict[str, str] = {}
    texts: dict[str, str] = {}
    rows: dict[str, int] = {}
    again: list[str] = []
    cut: list[str] = []
    for row, record in _records(path, progress):
        name = "parent_asin" if "parent_asin" in record else "asin"
        product = _key(path, row, name, _field(path, row, record, name))
        if product not in wanted:
            continue
        title, text = _plain(record.get("title")), _description(record, words)
        if product in rows:
            if (title, text) != (titles[product], texts[product]):
                raise CatalogError(
                    f"{path}, row {row}: {name} {product!r} stands in row {rows[product]} already, described otherwise"
                )
            again.append(product)
            continue
        rows[product], titles[product], texts[product] = row, title or product, text
        if text.endswith("…"):
            cut.append(product)
    absent, mute = sorted(wanted - set(rows)), [product for product, text in texts.items() if not text]
    notes = (
        *Skipped.of(again, "rows of metadata left out", "the same product again, described alike"),
        *Skipped.of(cut, "texts", f"longer than {words} words (cut)"),
        *Skipped.of(absent, "products left out", "reviewed, but not in the metadata"),
        *Skipped.of(mute, "products left out", "nothing to describe them with"),
    )
    return titles, {product: text for product, text in texts.items() if text}, notes


def _keep(found: _Reviews, texts: Mapping[str, str], core: int) -> tuple[NDArray[np.bool_], tuple[Skipped, ...]]:
    """The reviews that become ratings, bool [m], and notes about the others."""
    known = np.array([product in texts for product in found.products])[found.product]
    order = np.lexsort((found.time, found.product, found.user))  # equal times keep the order of the file
    last = np.ones(len(order), np.bool_)
    last[:-1] = (np.diff(found.user[order]) != 0) | (np.diff(found.product[order]) != 0)
    latest = np.zeros(len(order), np.bool_)
    latest[order] = last
    kept = known & latest
    before = -1
    while core and kept.sum() != before:
        before = kept.sum()
        for column in (found.user, found.product):
            kept &= np.bincount(column[kept], minlength=len(found.user))[column] >= core
    counted = (
        (~known, "their products were left out"),
        (known & ~latest, "a later one of the same product by the same user"),
        (known & latest & ~kept, f"of users or products with fewer than {core} ratings"),
    )
    return kept, tuple(Skipped(int(rows.sum()), "reviews left out", why) for rows, why in counted if rows.any())


def _records(path: Path, progress: bool | None) -> Iterator[tuple[int, dict[str, Any]]]:
    """Row number and object of each line; blank lines are not rows."""
    hidden = None if progress is None else not progress
    row = 0
    try:
        with _open(path) as file:
            for line in tqdm(file, desc=path.name, unit="line", delay=2.0, leave=False, disable=hidden):
                if line.strip():
                    row += 1
                    yield row, _parse(path, row, line)
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise CatalogError(f"{path}, row {row + 1}: expected lines of JSON in UTF-8; {error}") from error


def _open(path: Path) -> IO[str]:
    return gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8")


def _parse(path: Path, row: int, line: str) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        record = _literal(line)
    if not isinstance(record, dict):
        raise CatalogError(f"{path}, row {row}: expected a JSON object; got {line.strip()!r:.200}")
    return record


def _literal(line: str) -> object:
    """The Python literal that a line of the 2014 metadata is, None where it is none."""
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
        raise CatalogError(f"{path}, row {row}: expected an id as {name}; got {value!r}")
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
        value = " ".join(part for part in value if isinstance(part, str))
    if not isinstance(value, str):
        return ""
    return " ".join(_TAG.sub("", _BREAK.sub(" ", html.unescape(value))).split())
