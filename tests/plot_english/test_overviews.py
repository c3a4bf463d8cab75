from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eagle_gym.plot_english import contexts, lexicon
from eagle_gym.plot_english.overviews import read_overview

CASES = Path(__file__).with_name("overview_cases.txt")


def cases(half: str) -> list[tuple[str, set[str], set[str]]]:
    """Sentences of one half, each with the values that it states and those that may be found or not."""
    section = CASES.read_text(encoding="utf-8").partition(f"[{half}]\n")[2].partition("\n[")[0]
    rows = []
    for line in section.strip().splitlines():
        sentence, _, expected = line.partition("|")
        values = [value.strip() for value in expected.split(",") if value.strip()]
        stated = {value for value in values if not value.startswith("?")}
        rows.append((sentence.strip(), stated, {value[1:] for value in values if value.startswith("?")}))
    return rows


def score(half: str) -> tuple[float, float]:
    """Precision and recall over the values of one half."""
    counts: Counter[str] = Counter()
    for sentence, stated, optional in cases(half):
        found = {value for _, value in read_overview(sentence)} - optional
        counts.update(right=len(found & stated), extra=len(found - stated), missed=len(stated - found))
    return counts["right"] / (counts["right"] + counts["extra"]), counts["right"] / (counts["right"] + counts["missed"])


@pytest.mark.parametrize(("half", "precision", "recall"), [("tuned", 0.95, 0.95), ("held out", 0.87, 0.87)])
def test_overviews_are_read_with_precision(half: str, precision: float, recall: float) -> None:
    assert len(cases(half)) == 100
    found = score(half)
    assert found[0] >= precision
    assert found[1] >= recall


def test_the_cases_name_values_that_exist() -> None:
    known = {entry.value for entry in lexicon.entries()}
    named = [stated | optional for half in ("tuned", "held out") for _, stated, optional in cases(half)]
    assert set().union(*named) <= known
    assert sum(bool(values) for values in named) >= 80


@pytest.mark.parametrize(
    ("overview", "values"),
    [
        ("There is no murder.", set()),
        ("There is a murder.", {"a murder"}),
        ("It is not only a murder.", {"a murder"}),
        ("Without a lawyer, she calls a detective.", {"detective", "police work"}),
        ("Detective Anna Moss sings.", {"detective", "police work"}),
        ("Mr. King sings.", set()),
        ("King Olaf sings.", {"royalty"}),
        ("They ship him home.", set()),
        ("The ship leaves.", {"on a ship"}),
        ("In Paris, nobody sleeps.", {"in Paris"}),
        ("in paris, nobody sleeps.", {"in Paris"}),
        ("He comes from Paris.", set()),
        ("She imagines a house in Paris.", set()),
        ("A French cook sings.", set()),
        ("In a French village, a cook sings.", {"in France", "in a small town"}),
        ("Two detectives argue.", {"detective", "police work"}),
        ("", set()),
    ],
)
def test_context_decides(overview: str, values: set[str]) -> None:
    assert {value for _, value in read_overview(overview)} == values


@given(st.text())
def test_any_text_can_be_read(text: str) -> None:
    known = {(entry.slot, entry.value) for entry in lexicon.entries()}
    assert set(read_overview(text)) <= known


@given(st.sampled_from([entry for entry in lexicon.entries() if entry.words and entry.slot == "motifs"]))
def test_a_negated_motif_is_not_found(entry: lexicon.Entry) -> None:
    found = read_overview(f"There is no {entry.words[0]}.")
    assert (entry.slot, entry.value) not in found


def test_every_context_is_of_a_keyword() -> None:
    known = {(entry.slot, word) for entry in lexicon.entries() for word in entry.words}
    words = {word.removeprefix("a ").removeprefix("an ") for _, word in known}
    slots = {(slot, word.removeprefix("a ").removeprefix("an ")) for slot, word in known}
    for name in contexts.contexts():
        slot, _, word = name.partition(".")
        assert (slot, word) in slots if word else slot in words, name


def test_expressions_hold_a_keyword_and_are_none() -> None:
    words = {word for entry in lexicon.entries() for word in entry.words}
    bare = words | {word.removeprefix("a ") for word in words}
    for expression in contexts.EXPRESSIONS:
        parts = expression.split()
        spans = (" ".join(parts[start:end]) for start in range(len(parts)) for end in range(start + 1, len(parts) + 1))
        assert any(span in bare for span in spans), expression
        assert expression not in words
