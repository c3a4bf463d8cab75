"""What exists: items with their texts, users and their ratings. Frozen, validated, hashed, saved and loaded.

A catalog is plain data. A loader (`plots`, `movielens`, `amazon`, `table`) makes one; the latent space, the profiles
and the environment read it. A loader checks whatever it can say in terms of its file, so that the message names the
file. The checks in this module hold for any catalog, however it was made.
"""

from __future__ import annotations

import difflib
import hashlib
import io
import json
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, cast, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eagle_gym.cache import read_arrays
from eagle_gym.errors import CatalogError, ConfigurationError

Language = Literal["plot_english", "free"]

FORMAT = 1  # of the files that `Catalog.save` writes


@dataclass(frozen=True)
class Item:
    """One thing of the catalog: a film, a product.

    Attributes:
        id: Key of the item in its source, unique in the catalog.
        title: Its name, for people. It need not be unique, and it is never scored.
        text: Its description, the state of an episode that starts here.
    """

    id: str
    title: str
    text: str


@dataclass(frozen=True, eq=False)
class Ratings:
    """Who rated what, and how: three aligned, read-only columns of length m.

    Attributes:
        user: Rows of `Catalog.users`, int32 [m].
        item: Rows of `Catalog.items`, int32 [m].
        value: The ratings, float32 [m].
    """

    user: NDArray[np.int32]
    item: NDArray[np.int32]
    value: NDArray[np.float32]

    def __post_init__(self) -> None:
        for name, dtype in (("user", np.int32), ("item", np.int32), ("value", np.float32)):
            object.__setattr__(self, name, _frozen_column(getattr(self, name), dtype))
        if not len(self.user) == len(self.item) == len(self.value):
            sizes = f"{len(self.user)} users, {len(self.item)} items, {len(self.value)} values"
            raise CatalogError(f"expected three columns of one length, got {sizes}")

    def __len__(self) -> int:
        return len(self.value)

    @classmethod
    def of(cls, user: ArrayLike, item: ArrayLike, value: ArrayLike) -> Ratings:
        """Ratings from columns of any type, in their order."""
        return cls(np.asarray(user, np.int32), np.asarray(item, np.int32), np.asarray(value, np.float32))

    def sorted(self) -> Ratings:
        """The same ratings in their canonical order, (user, item), so that the order of a file changes nothing."""
        order = np.lexsort((self.item, self.user))
        return Ratings(self.user[order], self.item[order], self.value[order])


@dataclass(frozen=True)
class Skipped:
    """Something a loader left out: how many, of what, why, and the first few of them."""

    count: int
    what: str
    why: str
    examples: tuple[str, ...] = ()

    def __str__(self) -> str:
        examples = f" (such as {', '.join(self.examples)})" if self.examples else ""
        return f"{self.count} {self.what}: {self.why}{examples}"

    @classmethod
    def of(cls, names: Sequence[str], what: str, why: str) -> tuple[Skipped, ...]:
        """A tuple of one note about `names`, or an empty one when there are none."""
        return (cls(len(names), what, why, tuple(names[:3])),) if names else ()


@dataclass(frozen=True, eq=False)
class Catalog:
    """The existing items with their users and ratings (D in the paper).

    Attributes:
        name: For people; not part of the content hash.
        items: At least one, with unique ids and texts that are not blank.
        users: Unique ids; each has at least one rating.
        ratings: Rows index `items` and `users`; at most one per (user, item).
        scale: Lowest and highest rating that can be given.
        language: "plot_english" (every text is plot English, which the embedded model speaks) or "free".
        skipped: What the loader left out or could not use, for people.
        authors: Ids of the users whose own words, such as tags, are part of the texts. They are never test users,
            because an encoder reads every text.

    Raises:
        CatalogError: The parts do not fit together; the message names the row and the value.
    """

    name: str
    items: tuple[Item, ...]
    users: tuple[str, ...]
    ratings: Ratings
    scale: tuple[float, float]
    language: Language
    skipped: tuple[Skipped, ...] = ()
    authors: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.language not in get_args(Language):
            raise CatalogError(f"expected language to be one of {get_args(Language)}, got {self.language!r}")
        low, high = self.scale
        if not (np.isfinite(low) and np.isfinite(high) and low < high):
            raise CatalogError(f"expected scale to be (lowest, highest) with lowest < highest, got {self.scale!r}")
        if not self.items:
            raise CatalogError("expected at least one item, got none")
        _check_unique([item.id for item in self.items], "item")
        _check_unique(self.users, "user")
        _check_unique(self.authors, "author")
        strange = sorted(set(self.authors) - set(self.users))
        if strange:
            raise CatalogError(f"expected authors to be users of the catalog, got {strange[0]!r}: give ids of users")
        for row, item in enumerate(self.items):
            if not item.text.strip():
                raise CatalogError(
                    f"item row {row} (id {item.id!r}): expected a text, got a blank: write one or leave it out"
                )
        check_ratings(self.ratings, self.users, [item.id for item in self.items], self.scale)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Catalog) and self.hash == other.hash

    def __hash__(self) -> int:
        return hash(self.hash)

    def __repr__(self) -> str:
        sizes = f"{len(self.items)} items, {len(self.users)} users, {len(self.ratings)} ratings"
        return f"Catalog({self.name!r}: {sizes}, {self.language}, {self.hash[:12]})"

    @cached_property
    def texts(self) -> list[str]:
        """The texts of the items, in their order."""
        return [item.text for item in self.items]

    @cached_property
    def hash(self) -> str:
        """Hash of the content (items, users, ratings, scale, language, authors): 64 hexadecimal digits."""
        digest = hashlib.sha256(json.dumps(self._content(), ensure_ascii=True).encode())
        for column in (self.ratings.user, self.ratings.item, self.ratings.value):
            digest.update(np.ascontiguousarray(column.astype(column.dtype.newbyteorder("<"))).tobytes())
        return digest.hexdigest()

    def item_index(self, id: str) -> int:
        """Row of the item with this id.

        Raises:
            ConfigurationError: There is no such id; the message suggests close ones.
        """
        return _lookup(self._item_rows, str(id), "item", self.name)

    def user_index(self, id: str) -> int:
        """Row of the user with this id.

        Raises:
            ConfigurationError: There is no such id; the message suggests close ones.
        """
        return _lookup(self._user_rows, str(id), "user", self.name)

    def save(self, folder: str | Path) -> None:
        """Write `catalog.json` and `ratings.npz` into a folder, which is made where absent.

        Raises:
            CatalogError: The folder cannot be written, or the disk is full. Nothing half written is left behind.
        """
        skipped = [[note.count, note.what, note.why, list(note.examples)] for note in self.skipped]
        header = {"format": FORMAT, "name": self.name, "hash": self.hash, "skipped": skipped, **self._content()}
        columns = io.BytesIO()
        np.savez_compressed(
            columns,
            allow_pickle=False,
            user=self.ratings.user,
            item=self.ratings.item,
            value=self.ratings.value,
        )
        text = json.dumps(header, ensure_ascii=True).encode()  # lone surrogates have no UTF-8
        _write_files(Path(folder), {"catalog.json": text, "ratings.npz": columns.getvalue()})

    @classmethod
    def load(cls, folder: str | Path) -> Catalog:
        """Read what `save` wrote.

        Raises:
            CatalogError: A file is missing or broken, or its content is not the content that was saved.
        """
        folder = Path(folder)
        try:
            header = json.loads((folder / "catalog.json").read_text(encoding="utf-8"))
            if header["format"] != FORMAT:
                raise CatalogError(f"{folder / 'catalog.json'}: expected format {FORMAT}, got {header['format']!r}")
            arrays = read_arrays(folder / "ratings.npz")
            catalog = cls(
                name=header["name"],
                items=tuple(Item(*row) for row in header["items"]),
                users=tuple(header["users"]),
                ratings=Ratings(arrays["user"], arrays["item"], arrays["value"]),
                scale=cast(tuple[float, float], tuple(header["scale"])),
                language=header["language"],
                skipped=tuple(Skipped(count, what, why, tuple(few)) for count, what, why, few in header["skipped"]),
                authors=tuple(header.get("authors", ())),
            )
        except CatalogError:
            raise
        except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            raise CatalogError(f"{folder}: expected a catalog written by Catalog.save; {error!r}") from error
        if catalog.hash != header["hash"]:
            raise CatalogError(f"{folder}: expected content {header['hash'][:12]}…, got {catalog.hash[:12]}…")
        return catalog

    def _content(self) -> dict[str, Any]:
        items = [[item.id, item.title, item.text] for item in self.items]
        scale = [float(bound) for bound in self.scale]
        authors = {"authors": list(self.authors)} if self.authors else {}
        return {
            "scale": scale,
            "language": self.language,
            "items": items,
            "users": list(self.users),
            **authors,
        }

    @cached_property
    def _item_rows(self) -> dict[str, int]:
        return {item.id: row for row, item in enumerate(self.items)}

    @cached_property
    def _user_rows(self) -> dict[str, int]:
        return {user: row for row, user in enumerate(self.users)}


def check_ratings(
    ratings: Ratings,
    users: Sequence[str],
    items: Sequence[str],
    scale: tuple[float, float],
    where: Callable[[int], str] = "ratings row {}".format,
) -> None:
    """Check that ratings fit users, items and scale.

    Args:
        ratings: The columns to check, in any order.
        users: Ids that `ratings.user` indexes.
        items: Ids that `ratings.item` indexes.
        scale: Lowest and highest rating.
        where: Names a row of `ratings`, for messages; a loader passes a function that names its file.

    Raises:
        CatalogError: A row points nowhere, is off the scale or stands twice, or a user has no rating.
    """
    for column, ids, what in ((ratings.user, users, "a user"), (ratings.item, items, "an item")):
        outside = np.flatnonzero((column < 0) | (column >= len(ids)))
        if outside.size:
            row = int(outside[0])
            raise CatalogError(f"{where(row)}: expected the row of {what}, 0 to {len(ids) - 1}, got {column[row]}")
    low, high = scale
    bad = np.flatnonzero(~((ratings.value >= low) & (ratings.value <= high)))  # catches nan too
    if bad.size:
        row = int(bad[0])
        who = f"(user {users[ratings.user[row]]}, item {items[ratings.item[row]]})"
        more = f"; {bad.size - 1} more such rows" if bad.size > 1 else ""
        raise CatalogError(
            f"{where(row)} {who}: expected a rating from {low:g} to {high:g}, got {ratings.value[row]:g}{more}"
        )
    again = _first_repeat(ratings.user.astype(np.int64) * max(len(items), 1) + ratings.item)
    if again is not None:
        pair = f"user {users[ratings.user[again]]!r} rated item {items[ratings.item[again]]!r}"
        raise CatalogError(f"{where(again)}: {pair} before: keep one rating of each pair")
    idle = np.flatnonzero(np.bincount(ratings.user, minlength=len(users)) == 0)
    if idle.size:
        raise CatalogError(
            f"user {users[idle[0]]!r} has no rating ({idle.size} such users): add ratings or leave the users out"
        )


def check_count(name: str, value: object, least: int) -> None:
    """Check an argument that counts something.

    Raises:
        ConfigurationError: It is not a whole number, or too small.
    """
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise ConfigurationError(f"expected {name} to be a whole number of {least} or more, got {value!r}")


def _write_files(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Write files into a folder, each under another name first."""
    parts = {folder / f".{name}.part": folder / name for name in contents}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for part, content in zip(parts, contents.values(), strict=True):
            part.write_bytes(content)
        for part, path in parts.items():
            os.replace(part, path)
    except OSError as error:
        reason = f"expected a folder that can be written, got {error}: free it or name another"
        raise CatalogError(f"{folder}: {reason}") from error
    finally:
        for part in parts:
            with suppress(OSError):
                part.unlink()


def _frozen_column(column: ArrayLike, dtype: type[np.generic]) -> NDArray[Any]:
    array = np.array(column, dtype=dtype)
    if array.ndim != 1:
        raise CatalogError(f"expected a column of one dimension, got shape {array.shape}")
    array.flags.writeable = False
    return array


def _first_repeat(keys: NDArray[np.int64]) -> int | None:
    """First row whose key stands in an earlier row, or None."""
    order = np.argsort(keys, kind="stable")
    later = order[1:][keys[order][1:] == keys[order][:-1]]
    return int(later.min()) if later.size else None


def _check_unique(ids: Sequence[str], what: str) -> None:
    seen: dict[str, int] = {}
    for row, id in enumerate(ids):
        if not id:
            raise CatalogError(f"{what} row {row}: the id is empty")
        if id in seen:
            raise CatalogError(f"{what} row {row}: id {id!r} is used by row {seen[id]} already: make the ids unique")
        seen[id] = row


def _lookup(rows: dict[str, int], id: str, what: str, name: str) -> int:
    if id in rows:
        return rows[id]
    close = difflib.get_close_matches(id, rows, n=3)
    hint = f"; did you mean {', '.join(map(repr, close))}?" if close else f"; it has ids such as {next(iter(rows))!r}"
    raise ConfigurationError(f"catalog {name!r} has no {what} {id!r}{hint}")
