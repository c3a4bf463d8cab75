"""Amazon's three editions, in files that these tests make."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from eagle_gym.catalog import amazon, load_amazon, split_catalog
from eagle_gym.errors import CatalogError, ConfigurationError
from tests.catalog.faults import forbid

PRODUCTS = {"B1": ("Wool socks", "Warm &amp; <b>soft</b>."), "B2": ("Rain coat!", "Keeps dry."), "B3": ("Hat", "")}
SCORES = [("A1", "B1", 5, 10), ("A1", "B2", 3, 11), ("A2", "B1", 1, 12), ("A2", "B2", 4, 13), ("A2", "B3", 2, 14)]


def review(edition: int, user: str, product: str, rating: float, time: int) -> dict[str, Any]:
    if edition < 2023:
        return {
            "reviewerID": user,
            "asin": product,
            "overall": float(rating),
            "unixReviewTime": time,
            "reviewText": "mine",
        }
    ids = {"user_id": user, "parent_asin": product, "asin": f"{product}-red"}
    return {**ids, "rating": float(rating), "timestamp": time * 1000, "text": "mine", "title": "Fine"}


def product(edition: int, id: str, title: str, description: str) -> dict[str, Any]:
    if edition == 2014:
        return {"asin": id, "title": title, "description": description, "categories": [["Clothing"]]}
    parts = {"title": title, "description": [description] if description else []}
    return {"asin": id, **parts, "feature": []} if edition == 2018 else {"parent_asin": id, **parts, "features": []}


def folder(
    tmp_path: Path,
    edition: int = 2018,
    *,
    zipped: bool = False,
    reviews: list[Any] | None = None,
    products: list[Any] | None = None,
) -> Path:
    """A data set as the edition lays it out; entries that are strings are lines as they stand."""
    scores = [review(edition, *score) for score in SCORES] if reviews is None else reviews
    described = [product(edition, id, *parts) for id, parts in PRODUCTS.items()] if products is None else products
    names = {2014: "reviews_Clothing_5.json", 2018: "Clothing_5.json", 2023: "Clothing.jsonl"}
    meta = f"meta_Clothing.{'jsonl' if edition == 2023 else 'json'}"
    dump = repr if edition == 2014 else json.dumps  # the metadata of 2014 are Python literals
    tmp_path.mkdir(exist_ok=True)
    for name, lines, write in ((names[edition], scores, json.dumps), (meta, described, dump)):
        content = "".join((line if isinstance(line, str) else write(line)) + "\n" for line in lines).encode()
        path = tmp_path / (f"{name}.gz" if zipped else name)
        path.write_bytes(gzip.compress(content) if zipped else content)
    return tmp_path


@pytest.mark.parametrize("edition", [2014, 2018, 2023])
@pytest.mark.parametrize("zipped", [False, True])
def test_every_edition_reads_alike(tmp_path: Path, edition: int, zipped: bool) -> None:
    catalog = load_amazon(folder(tmp_path, edition, zipped=zipped), core=0)
    assert [(item.id, item.title) for item in catalog.items] == [
        ("B1", "Wool socks"), ("B2", "Rain coat!"), ("B3", "Hat"),
    ]  # fmt: skip
    assert catalog.texts == ["Wool socks. Warm & soft.", "Rain coat! Keeps dry.", "Hat"]
    assert catalog.users == ("A1", "A2")
    columns = zip(catalog.ratings.user, catalog.ratings.item, catalog.ratings.value, strict=True)
    assert list(columns) == [(0, 0, 5), (0, 1, 3), (1, 0, 1), (1, 1, 4), (1, 2, 2)]
    assert (catalog.scale, catalog.language, catalog.authors, catalog.skipped) == ((1.0, 5.0), "free", (), ())
    assert not any("mine" in text for text in catalog.texts)
    assert len(split_catalog(catalog).test_users) == 1


def test_features_stand_in_for_a_description(tmp_path: Path) -> None:
    described = [
        {"asin": "B1", "title": "", "description": [], "feature": ["Warm", "Soft"]},
        {"asin": "B2", "title": "Coat"},
    ]
    catalog = load_amazon(folder(tmp_path, products=described), core=0)
    assert catalog.texts == ["Warm Soft", "Coat"]
    assert [item.title for item in catalog.items] == ["B1", "Coat"]


def test_what_is_left_out_is_said(tmp_path: Path) -> None:
    described = [
        *(product(2018, id, *PRODUCTS[id]) for id in ("B1", "B2", "B1")),
        {"asin": "B3"},
        {"asin": "unreviewed"},
    ]
    scores = [
        *(review(2018, *score) for score in SCORES),
        review(2018, "A3", "B9", 5, 1),
        review(2018, "A1", "B1", 2, 99),
    ]
    catalog = load_amazon(folder(tmp_path, reviews=scores, products=described), core=2)
    assert [str(note) for note in catalog.skipped] == [
        "1 rows of metadata left out: the same product again, described alike (such as B1)",
        "1 products left out: reviewed, but not in the metadata (such as B9)",
        "1 products left out: nothing to describe them with (such as B3)",
        "2 reviews left out: their products were left out",
        "1 reviews left out: a later one of the same product by the same user",
    ]
    assert catalog.ratings.value.tolist() == [2, 3, 1, 4]  # A1 thought again about B1
    assert catalog.users == ("A1", "A2")


def test_a_core_is_found_however_long_it_takes(tmp_path: Path) -> None:
    # B3 has one rating; without it A3 has one; without A3, B4 has one; without it A4 has one.
    chain = [("A3", "B3"), ("A3", "B4"), ("A4", "B4"), ("A4", "B1")]
    scores = [review(2018, *score) for score in SCORES[:4]] + [review(2018, *pair, 3, 1) for pair in chain]
    described = [product(2018, f"B{i}", f"Product {i}", "") for i in range(1, 5)]
    catalog = load_amazon(folder(tmp_path, reviews=scores, products=described), core=2)
    assert catalog.users == ("A1", "A2")
    assert [item.id for item in catalog.items] == ["B1", "B2"]
    assert str(catalog.skipped[-1]) == "4 reviews left out: of users or products with fewer than 2 ratings"
    with pytest.raises(CatalogError, match=r"Clothing_5.json: no rating is left; .*fewer than 5 ratings"):
        load_amazon(tmp_path)


def test_products_with_few_ratings_are_left_out_on_request(tmp_path: Path) -> None:
    catalog = load_amazon(folder(tmp_path), min_ratings=2)  # no 5-core is asked for any more
    assert [item.id for item in catalog.items] == ["B1", "B2"]
    assert [str(note) for note in catalog.skipped] == ["1 reviews left out: of products with fewer than 2 ratings"]
    with pytest.raises(CatalogError, match="fewer than 5 ratings"):
        load_amazon(tmp_path, min_ratings=2, core=5)


def test_ratings_off_the_scale_are_left_out_with_a_count(tmp_path: Path) -> None:
    odd = [review(2018, "A1", "B3", 0, 9), review(2018, "A3", "B9", 6, 9), review(2018, "A1", "B1", 5.5, 99)]
    catalog = load_amazon(folder(tmp_path, reviews=[*GOOD, *odd]), core=0)
    assert catalog == load_amazon(folder(tmp_path / "without"), core=0)
    assert [str(note) for note in catalog.skipped] == [
        "3 reviews left out: their ratings are not from 1 to 5 (such as 0 in row 6, 6 in row 7, 5.5 in row 8)"
    ]
    with pytest.raises(CatalogError, match="no rating is left; left out: 1 reviews left out: their ratings"):
        load_amazon(folder(tmp_path / "only", reviews=odd[:1]), core=0)


def test_a_product_described_twice_keeps_its_first_description(tmp_path: Path) -> None:
    again = [{"asin": "B2", "title": "Other"}, META[0], {"asin": "B2", "title": "Third"}]
    catalog = load_amazon(folder(tmp_path, products=[*META, *again]), core=0)
    assert catalog.items[1].title == "Rain coat!"
    assert [str(note) for note in catalog.skipped] == [
        "1 rows of metadata left out: the same product again, described alike (such as B1)",
        "2 rows of metadata left out: the same product again, described otherwise (first kept) (such as B2, B2)",
    ]


def test_scripts_are_no_part_of_a_text(tmp_path: Path) -> None:
    described = [
        {"asin": "B1", "title": "var a = (new Date()).getTime();\nvar b = 1;", "description": ["Warm socks."]},
        {"asin": "B2", "title": "Coat", "description": "<style>.a {b: c}</style>Dry.<script>if (a<b) f();</script>"},
    ]
    catalog = load_amazon(folder(tmp_path, products=described), core=0)
    assert catalog.texts == ["Warm socks.", "Coat. Dry."]
    assert [item.title for item in catalog.items] == ["B1", "Coat"]


@pytest.mark.parametrize("zipped", [False, True])
def test_a_byte_order_mark_and_blank_lines_change_nothing(tmp_path: Path, zipped: bool) -> None:
    root = folder(tmp_path)
    plain = load_amazon(root, core=0)
    for path in list(root.glob("*.json")):
        content = b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n\r\n \n")
        path.unlink()
        path.with_name(f"{path.name}.gz" if zipped else path.name).write_bytes(
            gzip.compress(content) if zipped else content
        )
    assert load_amazon(root, core=0) == plain


def test_long_texts_are_cut_and_it_is_said(tmp_path: Path) -> None:
    catalog = load_amazon(folder(tmp_path), core=0, words=3)
    assert catalog.texts == ["Wool socks. Warm…", "Rain coat! Keeps…", "Hat"]
    assert [str(note) for note in catalog.skipped] == ["2 texts: longer than 3 words (cut) (such as B1, B2)"]


GOOD = [review(2018, *score) for score in SCORES]
META = [product(2018, id, *parts) for id, parts in PRODUCTS.items()]
BAD = {
    "rating not a number": ({"reviews": [{**GOOD[0], "overall": "five"}]}, "row 1: .*overall, got 'five'"),
    "rating nan": ({"reviews": [{**GOOD[0], "overall": float("nan")}]}, "row 1: .*overall, got 'nan'"),
    "no time": ({"reviews": [{**GOOD[0], "unixReviewTime": None}]}, "row 1: .*unixReviewTime, got 'None'"),
    "no user": ({"reviews": [{**GOOD[0], "reviewerID": " "}]}, "row 1: expected an id as reviewerID, got ' '"),
    "user a number": ({"reviews": [{**GOOD[0], "reviewerID": 7}]}, "row 1: expected an id as reviewerID, got 7"),
    "field missing": (
        {"reviews": [GOOD[0], {"reviewerID": "A1", "asin": "B1"}]},
        "Clothing_5.json, row 2: expected a field 'overall'; it has reviewerID, asin",
    ),
    "no review": ({"reviews": [{"name": "x"}]}, "row 1: expected a review with 'reviewerID' or 'user_id'; it has name"),
    "cut line": ({"reviews": [GOOD[0], '{"reviewerID": "A1", "as']}, "row 2: expected a JSON object, got '{"),
    "a list": ({"reviews": ["[1, 2]"]}, r"row 1: expected a JSON object, got '\[1, 2\]'"),
    "deep": ({"reviews": ["[" * 100_000]}, r"row 1: expected a JSON object"),
    "empty": ({"reviews": []}, "Clothing_5.json: expected reviews; the file has none"),
    "product without id": ({"products": [{"title": "x"}]}, "meta_Clothing.json, row 1: expected a field 'asin'"),
    "no products": ({"products": []}, r"no rating is left; .*3 products left out: reviewed, but not in the metadata"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused_with_file_row_and_value(tmp_path: Path, case: str) -> None:
    changes, message = BAD[case]
    with pytest.raises(CatalogError, match=message):
        load_amazon(folder(tmp_path, **changes), core=0)


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"not gzip", "row 1"), (gzip.compress(b"{}\n" * 9000)[:-20], "row ")],
    ids=["not an archive", "cut short"],  # an archive's own bytes hold the time, so no two workers would agree on them
)
def test_broken_archives_are_refused(tmp_path: Path, content: bytes, message: str) -> None:
    root = folder(tmp_path, zipped=True)
    (root / "meta_Clothing.json.gz").write_bytes(content)
    products = "asin" if content != b"not gzip" else "JSON"
    with pytest.raises(CatalogError, match=rf"meta_Clothing.json.gz, {message}.*(lines of JSON|{products})"):
        load_amazon(root, core=0)


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    root = folder(tmp_path)
    known = b'{"asin": "B1", "title": "Caf\xc3\xa9"}\n' * 300  # more than is decoded at a time
    (root / "meta_Clothing.json").write_bytes(known + b'\n{"asin": "B1", "title": "Caf\xe9"}\n' + known)
    message = r"meta_Clothing.json, row 302: expected lines of JSON in UTF-8, got the byte 0xe9 at character 29"
    with pytest.raises(CatalogError, match=message):
        load_amazon(root, core=0)


def test_a_lone_surrogate_is_replaced_and_can_be_kept(tmp_path: Path) -> None:
    root = folder(tmp_path / "data", products=['{"asin": "B1", "title": "Smile \\ud83d socks"}', *META[1:]])
    catalog = load_amazon(root, core=0, cache_dir=tmp_path / "cache")
    assert catalog.texts[0] == "Smile \ufffd socks"


def test_a_folder_or_a_forbidden_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = folder(tmp_path)
    with pytest.raises(CatalogError, match=r"Clothing_5.json: expected a folder, got a file: unpack it"):
        load_amazon(root / "Clothing_5.json")
    forbid(monkeypatch, "meta_Clothing.json")
    with pytest.raises(CatalogError, match=r"meta_Clothing.json: expected .* got 'Permission denied': check its perm"):
        load_amazon(root, core=0)
    monkeypatch.undo()
    (root / "meta_Clothing.json").unlink()
    (root / "meta_Clothing.json").mkdir()
    with pytest.raises(CatalogError, match=r"meta_Clothing.json: expected a file, got a folder"):
        load_amazon(root, core=0)


def test_files_that_are_missing_or_too_many_are_named(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match=r"nowhere: no such folder; expected a folder with one file of reviews"):
        load_amazon(tmp_path / "nowhere")
    root = folder(tmp_path / "data")
    (root / "Toys_5.json.gz").write_bytes(b"")
    with pytest.raises(CatalogError, match=r"one file of reviews; there is Clothing_5.json, Toys_5.json.gz"):
        load_amazon(root)
    (root / "Toys_5.json.gz").unlink()
    (root / "meta_Clothing.json").unlink()
    with pytest.raises(CatalogError, match="one file of metadata; there is none"):
        load_amazon(root)


@pytest.mark.parametrize(
    ("name", "value", "least"),
    [("core", -1, 0), ("min_ratings", 1.5, 0), ("min_ratings", True, 0), ("min_ratings", "", 0), ("words", 0, 1)],
)
def test_wrong_arguments_are_refused(tmp_path: Path, name: str, value: Any, least: int) -> None:
    message = f"expected {name} to be a whole number of {least} or more, got {value!r}"
    with pytest.raises(ConfigurationError, match=message):
        load_amazon(folder(tmp_path), **{name: value})


def test_a_kept_catalog_is_loaded_until_a_file_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, cache = folder(tmp_path / "data"), tmp_path / "cache"
    made = load_amazon(root, core=0, cache_dir=cache)
    read = amazon._read
    monkeypatch.setattr(amazon, "_read", lambda *args: pytest.fail("read again"))
    again = load_amazon(root, core=0, cache_dir=cache)
    assert (again, again.skipped) == (made, made.skipped)
    monkeypatch.setattr(amazon, "_read", read)
    folder(root, reviews=GOOD[:4])
    assert load_amazon(root, core=0, cache_dir=cache) != made
