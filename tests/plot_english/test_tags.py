from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eagle_gym.errors import TextError
from eagle_gym.plot_english import (
    Layout,
    clean_tags,
    parse,
    parses,
    random_attributes,
    read,
    render,
    split_tags,
    tags_in,
    with_tags,
    without_tags,
)
from eagle_gym.plot_english.dialects import DIALECTS, Dialect
from eagle_gym.plot_english.tags import LONGEST

raw_tags = st.dictionaries(st.text(max_size=60) | st.sampled_from(["comedy", "Dark Comedy", "e.t.", "a, b", "tags: x"]),
                           st.integers(1, 9), max_size=8)  # fmt: skip


@given(st.integers(0, 2**32 - 1), st.floats(0, 1), st.sampled_from(list(DIALECTS.values())), raw_tags)
def test_descriptions_parse_alike_with_tags_and_without(
    seed: int, richness: float, dialect: Dialect, raw: dict[str, int]
) -> None:
    rng = np.random.default_rng(seed)
    attributes = random_attributes(rng, richness)
    description = render(attributes, layout=Layout.random(rng, dialect))
    tags = clean_tags(raw, 5)
    text = with_tags(description, tags)
    assert split_tags(text) == (description, tags)
    assert parse(text) == read(text) == attributes
    assert parses(text)
    assert tags_in(text) == tags
    assert without_tags(text).strip() == description


@given(raw_tags, st.integers(0, 6))
def test_clean_tags_are_listed_once_in_order_of_frequency(raw: dict[str, int], most: int) -> None:
    tags = clean_tags(raw, most)
    assert len(tags) == len(set(tags)) <= most
    for tag in tags:
        assert 0 < len(tag) <= LONGEST
        assert not set(tag) & set(",.:;\n\t|\0")
        assert clean_tags({tag: 1}, 1) == (tag,)


def test_spellings_of_a_tag_count_together() -> None:
    counts = {"noir": 3, "Sci-Fi": 2, "sci-fi ": 2, "e.t.": 1, "two\nlines": 1, " , ": 9, "x" * 41: 9}
    assert clean_tags(counts, 10) == ("sci-fi", "noir", "e t", "two lines")


@given(st.text())
def test_any_text_is_split_so_that_joining_restores_it(text: str) -> None:
    assert with_tags(*split_tags(text)) == text
    labelled = f"A film. Tags: {text}"
    assert with_tags(*split_tags(labelled)) == labelled


@pytest.mark.parametrize(
    "text",
    [
        "Tags: odd.",
        "A film. Tags: odd",
        "A film. Tags: Odd.",
        "A film. Tags: .",
        "A film. Tags: odd, .",
        "A film. Tags: odd,even.",
        "A film. Tags: odd. It is dark.",
        "Tags: odd. A film.",
        "A film. Tags: odd. Tags: even.",
        "A film.Tags: odd.",
    ],
)
def test_only_one_last_sentence_of_the_fixed_form_is_plot_english(text: str) -> None:
    assert not parses(text)
    with pytest.raises(TextError):
        parse(text)


def test_tags_are_found_where_a_general_model_moved_them() -> None:
    text = "TAGS: Dark Comedy, quirky,  twist ending\nA western film."
    assert tags_in(text) == ("dark comedy", "quirky", "twist ending")
    assert read(text).pairs() == (("genres", "Western"),)
    assert tags_in("Vintage: none.") == ()
