from __future__ import annotations

import contextlib
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eagle_gym.errors import ConfigurationError, TextError
from eagle_gym.plot_english import FEATURES, SLOTS, Attributes, Layout, parse, random_attributes, read, render
from eagle_gym.plot_english.dialects import DIALECTS, Dialect, dialect_of
from eagle_gym.plot_english.lexicon import values

seeds = st.integers(0, 2**32 - 1)
SENTENCES = (
    ("genres", "decade", "tone", "setting"),
    ("protagonist", "trait", "goal", "antagonist"),
    ("themes", "motifs"),
    ("styles", "ending"),
)


@given(seeds, st.floats(0, 1), st.sampled_from(list(DIALECTS.values())))
def test_parse_undoes_render(seed: int, richness: float, dialect: Dialect) -> None:
    rng = np.random.default_rng(seed)
    attributes = random_attributes(rng, richness)
    text = render(attributes, layout=Layout.random(rng, dialect))
    assert parse(text) == attributes
    assert read(text) == attributes
    assert 1 <= text.count(".") <= 4


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=lambda dialect: dialect.name)
@pytest.mark.parametrize("wording", range(5))
def test_every_value_can_be_said_and_read_in_every_wording(wording: int, dialect: Dialect) -> None:
    for pair in FEATURES:
        attributes = Attributes.from_pairs([pair])
        layout = Layout(wording, wording, wording, wording, dialect=dialect)
        assert parse(render(attributes, layout=layout)) == attributes


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=lambda dialect: dialect.name)
@pytest.mark.parametrize("wording", range(5))
def test_every_value_can_be_said_next_to_any_other_slot_of_its_sentence(wording: int, dialect: Dialect) -> None:
    layout = Layout(wording, wording, wording, wording, dialect=dialect)
    for slot, other in (pair for slots in SENTENCES for pair in permutations(slots, 2)):
        for number, value in enumerate(values(slot)):
            partner = values(other)[number % len(values(other))]
            attributes = Attributes.from_pairs([(slot, value), (other, partner)])
            text = render(attributes, layout=layout)
            assert parse(text) == read(text) == attributes


def test_a_phrase_that_ends_in_another_is_read_as_the_sentence_needs_it() -> None:
    text = "The core of it is first love, dressed up with a reunion. We finish with a wedding."
    assert parse(text).pairs() == (("themes", "first love"), ("motifs", "a reunion"), ("ending", "with a wedding"))
    assert read("Dressed up with a reunion!").pairs() == (("ending", "with a reunion"),), (
        "no pattern: the longer counts"
    )


def test_dialects_share_no_sentence() -> None:
    rng = np.random.default_rng(0)
    for attributes in (random_attributes(rng, 0.5) for _ in range(50)):
        said = [set(render(attributes, layout=Layout.random(rng, each)).split(". ")) for each in DIALECTS.values()]
        assert not set.intersection(*said) - {"A film."}


def test_a_dialect_that_there_is_not_is_a_typed_error() -> None:
    with pytest.raises(ConfigurationError, match="plain, pitch"):
        dialect_of("slang")


@given(seeds)
def test_case_and_line_breaks_do_not_matter(seed: int) -> None:
    rng = np.random.default_rng(seed)
    attributes = random_attributes(rng)
    assert parse(render(attributes, rng).upper().replace(" ", "\n")) == attributes


def test_wording_and_order_vary() -> None:
    attributes = random_attributes(np.random.default_rng(0), 0.9)
    assert len({render(attributes, np.random.default_rng(seed)) for seed in range(30)}) > 20


def test_a_known_description() -> None:
    attributes = Attributes(
        genres=("Thriller", "Action"), decade="1980s", setting="on a submarine", trait="retired", protagonist="spy"
    )
    expected = "A 1980s action and thriller film set on a submarine. It follows a retired spy."
    assert render(attributes) == expected
    assert attributes.genres == ("Action", "Thriller"), "sets stand in the lexicon's order"


def test_nothing_said_is_a_film() -> None:
    assert render(Attributes()) == "A film."
    assert parse("A film.") == Attributes()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "Hello there.",
        "A dark film",
        "A film. A film.",
        "It follows a spy. It follows a spy.",
        "🎬",
        "A blorp film.",
    ],
)
def test_text_outside_the_language_is_a_typed_error(text: str) -> None:
    with pytest.raises(TextError):
        parse(text)


def test_the_error_names_the_odd_word() -> None:
    with pytest.raises(TextError, match="'blorp'"):
        parse("A blorp film.")


@given(st.text(max_size=200))
def test_any_unicode_text_is_parsed_or_refused_with_a_typed_error(text: str) -> None:
    assert isinstance(read(text), Attributes)
    with contextlib.suppress(TextError):
        assert isinstance(parse(text), Attributes)


def test_lenient_reading_takes_what_it_knows() -> None:
    assert read("Blorp a dark thing on a submarine, robots!!").pairs() == (
        ("tone", "dark"), ("setting", "on a submarine"), ("motifs", "robots"),
    )  # fmt: skip


def test_a_value_outside_the_lexicon_is_refused_with_near_ones() -> None:
    with pytest.raises(ConfigurationError, match="on a submarine"):
        Attributes(setting="on a submarin")


@given(seeds)
def test_pairs_make_the_attributes_again(seed: int) -> None:
    attributes = random_attributes(np.random.default_rng(seed))
    assert Attributes.from_pairs(attributes.pairs()) == attributes


def test_every_slot_has_values_and_no_phrase_stands_for_two() -> None:
    assert {slot for slot, _ in FEATURES} == set(SLOTS)
    assert len({value.lower() for slot, value in FEATURES if slot != "genres"}) == sum(
        s != "genres" for s, _ in FEATURES
    )
