from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eagle_gym import plot_english
from eagle_gym.errors import PreparationError
from eagle_gym.latent.features import (
    SCALES,
    AttributeFeatures,
    WordFeatures,
    features_from_json,
    features_of,
    lexicon_hash,
    matrix,
    padded,
)

TEXTS = ["The cat sat.", "A cat ran and ran.", "The dog's cat sat down.", "A dog.", "A bird sat."]


def test_attributes_are_read() -> None:
    numbers, values = AttributeFeatures().bag("A dark 1990s comedy and war film.")
    assert {plot_english.FEATURES[number] for number in numbers} == {
        ("tone", "dark"), ("decade", "1990s"), ("genres", "Comedy"), ("genres", "War"),
    }  # fmt: skip
    assert values == (1.0,) * 4
    assert list(numbers) == sorted(numbers)


@given(st.text())
def test_any_text_has_features_or_none(text: str) -> None:
    for features in (AttributeFeatures(), WordFeatures.of(TEXTS, seen=1)):
        numbers, values = features.bag(text)
        assert len(numbers) == len(values)
        assert all(0 <= number < features.count for number in numbers)


def test_words_count_by_how_rare_they_are() -> None:
    features = WordFeatures.of(TEXTS, seen=1)
    numbers, values = features.bag("The bird, a cat; CAT! unknown")
    weight = {features.words[number]: value for number, value in zip(numbers, values, strict=True)}
    assert set(weight) == {"the", "bird", "a", "cat"}
    assert weight["bird"] > weight["the"] > weight["a"]
    assert weight["cat"] == pytest.approx(weight["bird"] * (1 + np.log(2)) * np.log(5 / 3) / np.log(5))
    assert np.linalg.norm(values) == pytest.approx(SCALES.words)
    assert "dog's" in features.words


def test_words_in_every_text_or_in_too_few_are_left_out() -> None:
    features = WordFeatures.of(["a cat", "a dog", "a cat and a bird"], seen=2)
    assert features.words == ("cat",)
    assert WordFeatures.of(TEXTS, most=1, seen=1).words == ("a",)  # the first of the most frequent ones


TAGGED_TEXTS = [
    "A dark film. Tags: odd, quirky.", "A western film. Tags: odd.", "A film. Tags: quirky, rare.", "A drama film.",
]  # fmt: skip


def test_carried_tags_follow_the_attributes() -> None:
    features = AttributeFeatures.of(TAGGED_TEXTS, seen=2)
    assert features.tags == ("odd", "quirky")
    first = len(plot_english.FEATURES)
    assert features.count == first + 2
    numbers, values = features.bag("A dark western film. Tags: unknown, quirky, odd.")
    assert numbers[2:] == (first, first + 1)
    assert numbers[:2] == AttributeFeatures().bag("A dark western film.")[0]
    assert values == (1.0, 1.0, *features.carried("Whatever. Tags: odd, quirky.")[1])
    assert values[2] == pytest.approx(SCALES.tag * np.log(2))


def test_many_tags_have_a_bounded_norm() -> None:
    names = [f"t{number}" for number in range(4020)]
    texts = [plot_english.with_tags("A film.", names[start : start + 40]) for start in range(0, 4000, 20)]
    features = AttributeFeatures.of(texts)
    assert np.linalg.norm(features.carried(texts[0])[1]) == pytest.approx(SCALES.tags)


def test_without_tags_the_features_are_the_attributes() -> None:
    assert AttributeFeatures.of(["A dark film.", "A film."]) == AttributeFeatures()
    assert set(AttributeFeatures().to_json()) == {"kind", "lexicon"}


def test_labels_of_free_text_are_features_of_their_own() -> None:
    texts = [
        "Genres: Comedy, Drama. Year: 1994. Tags: dark comedy. A comedy of errors.",
        "Genres: Drama. Year: 1993. Tags: dark comedy, odd. A crime.",
        "Genres: Comedy. Year: 2001. Tags: odd. An odd crime.",
        "Errors.",
    ]
    features = WordFeatures.of(texts, seen=1)
    numbers, values = features.bag("Tags: Dark Comedy. genre: comedy, western.\nYear: 1990.")
    found = {features.words[number]: value for number, value in zip(numbers, values, strict=True)}
    assert found == {
        "genre:comedy": SCALES.label,
        "year:1990": SCALES.label,
        "tag:dark comedy": pytest.approx(SCALES.tag * np.log(2)),
    }
    assert {"comedy", "crime", "odd", "tag:odd", "year:2000"} <= set(features.words)


def test_the_catalogs_language_decides() -> None:
    assert isinstance(features_of(TEXTS, "plot_english"), AttributeFeatures)
    assert isinstance(features_of(TEXTS, "free"), WordFeatures)


@pytest.mark.parametrize(
    "features",
    [
        AttributeFeatures(),
        AttributeFeatures(("odd", "quirky"), (1.5, 2.0)),
        WordFeatures.of(TEXTS, seen=1),
        WordFeatures.of(TAGGED_TEXTS, seen=1),
    ],
)
def test_saved_features_read_alike(features: AttributeFeatures | WordFeatures) -> None:
    again = features_from_json(features.to_json())
    assert again.count == features.count
    for text in [*TEXTS, *TAGGED_TEXTS]:
        assert again.bag(text) == features.bag(text)


@pytest.mark.parametrize(
    ("saved", "message"),
    [
        ({"kind": "attributes", "lexicon": "old"}, "reads lexicon 'old'"),
        ({"kind": "attributes", "lexicon": lexicon_hash(), "tags": ["odd"], "idf": []}, "got 'attributes'"),
        ({"kind": "vectors"}, "got 'vectors'"),
        ({"kind": "words", "words": ["a"], "idf": []}, "got 'words'"),
        ({}, "got None"),
    ],
)
def test_features_of_another_lexicon_or_kind_are_refused(saved: dict[str, object], message: str) -> None:
    with pytest.raises(PreparationError, match=message):
        features_from_json(saved)


def test_padded_and_sparse_say_the_same() -> None:
    bags = [((0, 3), (1.0, 2.0)), ((), ()), ((2,), (0.5,))]
    numbers, values = padded(bags, 4)
    dense = np.zeros((3, 5))
    np.put_along_axis(dense, numbers, values, axis=1)
    np.testing.assert_array_equal(dense[:, :4], matrix(bags, 4).toarray())
    assert padded([], 4)[0].shape == (0, 0)
