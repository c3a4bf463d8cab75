"""Edits made without a teacher: the answer differs from the text exactly where it should."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import SequenceMatcher

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eagle_gym.language.editor import OVERVIEWS, edits, words
from eagle_gym.language.editor.overviews import KINDS, FreeText, mentions_in, overview, with_article
from eagle_gym.plot_english import fulfilled, parse, parse_edit, parses, unasked

TEXTS = OVERVIEWS.read_text(encoding="utf-8").splitlines()
seeds = st.integers(0, 2**32 - 1)


def tokens(text: str) -> list[str]:
    return re.findall(r"[\w'-]+", text.lower())


def changed(before: Sequence[str], after: Sequence[str]) -> tuple[list[str], list[str]]:
    """Words that left a text, and words that entered it."""
    gone: list[str] = []
    come: list[str] = []
    for tag, first, last, start, end in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if tag != "equal":
            gone += before[first:last]
            come += after[start:end]
    return gone, come


@given(seeds, st.sampled_from(KINDS), st.booleans())
def test_a_swap_replaces_one_mention_and_nothing_else(seed: int, kind: str, given_text: bool) -> None:
    rng = np.random.default_rng(seed)
    source = mentions_in(TEXTS[seed % len(TEXTS)]) if given_text else overview(rng)
    try:
        done = edits.swapped(rng, source, kind)
    except edits.NoEdit:
        return
    back = [edits.replaced(done.text, new, old) for old in source.of(kind) for new in _news(kind, done.request)]
    assert done.text != source.text
    assert source.text in back


def _news(kind: str, request: str) -> list[str]:
    """Values of a kind that a request mentions."""
    if kind == "time":
        return re.findall(r"(?:the )?\d{4}s?", request)
    return list(mentions_in(request).of(kind)) or [
        value for value in words.THINGS + words.PROFESSIONS if re.search(rf"\b{value}\b", request)
    ]


@given(seeds, st.booleans())
def test_an_insertion_loses_no_word_but_what_it_takes_the_place_of(seed: int, given_text: bool) -> None:
    rng = np.random.default_rng(seed)
    source = mentions_in(TEXTS[seed % len(TEXTS)]) if given_text else overview(rng)
    try:
        done = edits.inserted(rng, source)
    except edits.NoEdit:
        return
    gone, come = changed(tokens(source.text), tokens(done.text))
    replaceable = {word for kind in ("place", "profession") for value in source.of(kind) for word in tokens(value)}
    assert set(gone) <= replaceable | {"in", "a", "an"}
    assert come


@given(seeds, st.booleans())
def test_every_example_changes_its_text(seed: int, given_texts: bool) -> None:
    texts = TEXTS if given_texts else []
    one = edits.example(np.random.default_rng(seed), texts)
    assert one.answer != one.prompt.text
    assert one.prompt.task == "rewrite"
    assert "{" not in one.answer + one.prompt.edit
    assert "  " not in one.answer
    assert one == edits.example(np.random.default_rng(seed), texts)


@given(seeds)
def test_a_grammar_pair_does_what_the_edit_asks_and_nothing_else(seed: int) -> None:
    one = edits.grammar_pair(np.random.default_rng(seed), [])
    before, after, changes = parse(one.prompt.text), parse(one.answer), parse_edit(one.prompt.edit)
    assert fulfilled(before, changes, after) or len(changes) > 1
    assert not unasked(before, changes, after) or len(changes) > 1


@given(seeds)
def test_a_mixture_keeps_its_free_text(seed: int) -> None:
    one = edits.mixture(np.random.default_rng(seed), TEXTS)
    before, after = one.prompt.text, one.answer
    start = next((place for place, pair in enumerate(zip(before, after, strict=False)) if pair[0] != pair[1]), 0)
    sides = [text for text in (before[:start], before[start:]) if text]
    sentences = re.split(r"(?<=[.!?]) ", before)
    kept = [sentence for sentence in sentences if sentence in after]
    assert sides
    assert kept, "the free text's sentences are in the answer"
    assert all(parses(sentence) for sentence in sentences if sentence not in kept)


def test_a_removal_takes_words_out_and_puts_none_in() -> None:
    found = 0
    for seed in range(300):
        one = edits.example(np.random.default_rng(seed))
        if re.match(r"(?:Remove|Leave out|Get rid of) the ", one.prompt.edit):
            gone, come = changed(tokens(one.prompt.text), tokens(one.answer))
            assert gone
            assert not come
            found += 1
    assert found > 2


@pytest.mark.parametrize(
    ("text", "old", "new", "expected"),
    [
        ("A nurse meets a nurse.", "nurse", "engineer", "An engineer meets an engineer."),
        ("An engineer's life.", "engineer", "nurse", "A nurse's life."),
        ("Rob, Robin and Rob-Roy.", "Rob", "Max", "Max, Robin and Rob-Roy."),
        ("In the 1950s, in 1950.", "the 1950s", "1987", "In 1987, in 1950."),
    ],
)
def test_replacing_fits_articles_and_leaves_other_words(text: str, old: str, new: str, expected: str) -> None:
    assert edits.replaced(text, old, new) == expected


@pytest.mark.parametrize(
    ("phrase", "expected"),
    [("umbrella", "an umbrella"), ("unicorn", "a unicorn"), ("nurse", "a nurse"), ("old radio", "an old radio")],
)
def test_articles(phrase: str, expected: str) -> None:
    assert with_article(phrase) == expected


def test_mentions_are_found_in_given_texts() -> None:
    found = mentions_in("In 1954, Anna, a taxi driver from New York, meets a driver.")
    assert found == FreeText(
        found.text, (("name", "Anna"), ("profession", "taxi driver"), ("place", "New York"), ("time", "1954")), "Anna"
    )


@given(seeds)
def test_an_overview_mentions_what_it_says_it_mentions(seed: int) -> None:
    made = overview(np.random.default_rng(seed))
    assert all(value in made.text for _, value in made.mentions)
    assert made.text[0].isupper()
    assert "{" not in made.text
