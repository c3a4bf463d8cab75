from __future__ import annotations

import dataclasses
import json
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eagle_gym.catalog import Catalog, Item, Ratings, Skipped
from eagle_gym.errors import CatalogError, ConfigurationError

ENTITIES = (Item("f1", "One", "A film."), Item("f2", "Two", "A drama film."), Item("f3", "Three", "A war film."))


def make(**changes: object) -> Catalog:
    parts: dict[str, object] = {
        "name": "tiny",
        "items": ENTITIES,
        "users": ("ann", "bob"),
        "ratings": Ratings.of([0, 0, 1], [0, 1, 2], [3.0, 4.5, 1.0]),
        "scale": (0.5, 5.0),
        "language": "plot_english",
    }
    return Catalog(**{**parts, **changes})  # type: ignore[arg-type]


def test_catalog_knows_its_rows() -> None:
    catalog = make()
    assert catalog.texts == ["A film.", "A drama film.", "A war film."]
    assert catalog.item_index("f3") == 2
    assert catalog.user_index("bob") == 1


@pytest.mark.parametrize(("lookup", "id", "hint"), [("item_index", "f33", "'f3'"), ("user_index", "anne", "'ann'")])
def test_unknown_ids_suggest_close_ones(lookup: str, id: str, hint: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"no .* '{id}'; did you mean .*{hint}"):
        getattr(make(), lookup)(id)


def test_unlike_ids_show_an_example() -> None:
    with pytest.raises(ConfigurationError, match="it has ids such as 'f1'"):
        make().item_index("zzz")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ratings": Ratings.of([0, 1], [0, 2], [3.0, 9.0])}, r"row 1 \(user bob, item f3\).*from 0.5 to 5, got 9"),
        ({"ratings": Ratings.of([0, 1], [0, 2], [3.0, np.nan])}, "row 1 .*got nan"),
        ({"ratings": Ratings.of([0, 1, 1], [0, 2, 2], [3, 3, 4])}, "row 2: user 'bob' rated item 'f3' before"),
        ({"ratings": Ratings.of([0, 0], [0, 1], [3, 3])}, "user 'bob' has no rating"),
        ({"ratings": Ratings.of([0, 1], [0, 3], [3, 3])}, "row 1: expected the row of an item, 0 to 2, got 3"),
        ({"ratings": Ratings.of([0, -1], [0, 1], [3, 3])}, "row 1: expected the row of a user, 0 to 1, got -1"),
        ({"items": (*ENTITIES[:2], Item("f1", "x", "y"))}, "item row 2: id 'f1' is used by row 0"),
        ({"items": (*ENTITIES[:2], Item("f3", "x", " "))}, "item row 2 .*'f3'.*blank"),
        ({"items": (*ENTITIES[:2], Item("", "x", "y"))}, "item row 2: the id is empty"),
        ({"items": ()}, "at least one item"),
        ({"users": ("ann", "ann")}, "user row 1: id 'ann' is used by row 0"),
        ({"authors": ("zoe",)}, "authors to be users of the catalog, got 'zoe'"),
        ({"scale": (5.0, 0.5)}, "lowest < highest"),
        ({"language": "klingon"}, "klingon"),
    ],
)
def test_bad_parts_are_refused_with_row_and_value(changes: dict[str, object], message: str) -> None:
    with pytest.raises(CatalogError, match=message):
        make(**changes)


def test_columns_of_different_length_are_refused() -> None:
    with pytest.raises(CatalogError, match="2 users, 1 items, 2 values"):
        Ratings.of([0, 1], [0], [1.0, 2.0])


def test_nothing_can_be_changed() -> None:
    catalog = make()
    with pytest.raises(dataclasses.FrozenInstanceError):
        catalog.name = "other"  # type: ignore[misc]
    with pytest.raises(ValueError, match="read-only"):
        catalog.ratings.value[0] = 5.0


def test_the_callers_array_stays_writeable() -> None:
    value = np.array([3.0, 4.5, 1.0], dtype=np.float32)
    catalog = make(ratings=Ratings(np.array([0, 0, 1], np.int32), np.array([0, 1, 2], np.int32), value))
    value[0] = 5.0
    assert catalog.ratings.value[0] == 3.0


def test_hash_follows_content_and_nothing_else() -> None:
    same = make(name="renamed", skipped=(Skipped(1, "films", "why"),))
    assert make().hash == same.hash
    assert make() == same
    assert len({make(), same}) == 1
    others = [
        make(ratings=Ratings.of([0, 0, 1], [0, 1, 2], [3.0, 4.5, 1.5])),
        make(ratings=Ratings.of([0, 0, 1], [0, 1, 1], [3.0, 4.5, 1.0])),
        make(users=("ann", "bo")),
        make(language="free"),
        make(scale=(0.0, 5.0)),
        make(items=(*ENTITIES[:2], Item("f3", "Three", "A war film!"))),
        make(authors=(make().users[0],)),
    ]
    assert len({catalog.hash for catalog in [make(), *others]}) == len(others) + 1


def test_hash_is_stable_across_versions() -> None:
    assert make().hash.startswith(HASH), "the content hash changed: every prepared space of every user would be lost"


HASH = "61e9622eb692"


@given(
    texts=st.lists(
        st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(str.strip), min_size=1, max_size=4
    ),
    value=st.sampled_from([0.5, 3.0, 4.5]),
)
def test_saving_and_loading_keeps_everything(
    texts: list[str], value: float, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("catalog")
    items = tuple(Item(str(row), text, text) for row, text in enumerate(texts))
    ratings = Ratings.of([0, 1], [0, 0], [value, 1.0])
    catalog = make(items=items, ratings=ratings, skipped=(Skipped(2, "films", "no year", ("a", "b")),))
    catalog = dataclasses.replace(catalog, authors=("bob",))
    catalog.save(folder)
    again = Catalog.load(folder)
    assert again == catalog
    assert again.authors == ("bob",)
    assert (again.name, again.skipped) == (catalog.name, catalog.skipped)
    assert again.ratings.value.dtype == np.float32


def test_pickled_copies_are_equal() -> None:
    assert pickle.loads(pickle.dumps(make())) == make()


def test_a_changed_file_is_refused(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("catalog")
    make().save(folder)
    header = json.loads((folder / "catalog.json").read_text())
    header["items"][0][2] = "Another film."
    (folder / "catalog.json").write_text(json.dumps(header))
    with pytest.raises(CatalogError, match="expected content"):
        Catalog.load(folder)


@pytest.mark.parametrize("name", ["catalog.json", "ratings.npz"])
@pytest.mark.parametrize("content", [None, b"", b"{}", b"PK\x03\x04broken"])
def test_missing_and_broken_files_are_refused(
    tmp_path_factory: pytest.TempPathFactory, name: str, content: bytes | None
) -> None:
    folder = tmp_path_factory.mktemp("catalog")
    make().save(folder)
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_bytes(content)
    with pytest.raises(CatalogError, match="expected a catalog written by"):
        Catalog.load(folder)


def test_notes_read_as_sentences() -> None:
    assert str(Skipped(3, "films", "no year", ("A", "B"))) == "3 films: no year (such as A, B)"
    assert Skipped.of([], "films", "no year") == ()
    assert Skipped.of(list("abcd"), "films", "odd") == (Skipped(4, "films", "odd", ("a", "b", "c")),)
