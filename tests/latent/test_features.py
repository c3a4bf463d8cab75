from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eagle_gym import plot_english
from eagle_gym.errors import PreparationError
from eagle_gym.latent.features import (
    NORM,
    AttributeFeatures,
    WordFeatures,
    features_from_json,
    features_of,
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
    assert np.linalg.norm(values) == pytest.approx(NORM)
    assert "dog's" in features.words


def test_words_in_every_text_or_in_too_few_are_left_out() -> None:
    features = WordFeatures.of(["a cat", "a dog", "a cat and a bird"], seen=2)
    assert features.words == ("cat",)
    assert WordFeatures.of(TEXTS, most=1, seen=1).words == ("a",)  # the first of the most frequent ones


def test_the_catalogs_language_decides() -> None:
    assert isinstance(features_of(TEXTS, "plot_english"), AttributeFeatures)
    assert isinstance(features_of(TEXTS, "free"), WordFeatures)


@pytest.mark.parametrize("features", [AttributeFeatures(), WordFeatures.of(TEXTS, seen=1)])
def test_saved_features_read_alike(features: AttributeFeatures | WordFeatures) -> None:
    again = features_from_json(features.to_json())
    assert again.count == features.count
    for text in [*TEXTS, "A dark film."]:
        assert again.bag(text) == features.bag(text)


@pytest.mark.parametrize(
    ("saved", "message"),
    [
        ({"kind": "attributes", "lexicon": "old"}, "reads lexicon 'old'"),
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
