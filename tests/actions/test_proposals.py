"""Edits that a language model proposes by the list: few calls, no duplicates, single edits where there is no list."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from eagle_gym.actions.proposals import FURTHER, LIST, ModelCandidates, changes_nothing
from eagle_gym.errors import LanguageModelError
from eagle_gym.language.model import Completion, Usage
from eagle_gym.language.prompts import Prompt

TEXT = "A woman drives home."
PROFILE = "Likes dogs."


class Lister:
    """Proposes edits drawn from so many, as many as it is asked for, one a line.

    Args:
        edits: How many different edits it knows.
        share: Share of a list that it writes.
        lists: Whether it writes lists; otherwise one edit a call.
    """

    name, fingerprint, deterministic, language = "lister", "lister", True, "free"

    def __init__(self, edits: int = 2000, *, share: float = 1.0, lists: bool = True) -> None:
        self.edits, self.share, self.lists = edits, share, lists
        self.usage, self.asked, self.batches = Usage(), [], 0

    def generate(self, prompts: Sequence[Prompt], seeds: Sequence[int], *, temperature: float = 1.0):
        self.asked += prompts
        self.batches += 1
        answers = [self._answer(prompt, np.random.default_rng(s)) for prompt, s in zip(prompts, seeds, strict=True)]
        return [Completion(answer, 1, 1, "stop") for answer in answers]

    def _answer(self, prompt: Prompt, rng: np.random.Generator) -> str:
        count = max(1, round(prompt.count * self.share)) if self.lists else 1
        kind = "dog" if prompt.profile else "house"
        return "\n".join(f"Add {kind} number {i}." for i in rng.choice(self.edits, count, replace=False))


@pytest.mark.parametrize("personalised", [0.0, 0.3, 0.5, 1.0])
@pytest.mark.parametrize("profile", [PROFILE, ""])
def test_a_pool_takes_at_most_six_calls(personalised: float, profile: str) -> None:
    model = Lister(edits=300)
    candidates = ModelCandidates(model, language="free", personalised=personalised)
    (pool,) = candidates.propose([TEXT], [profile], 64, [0])
    assert len({edit.casefold() for edit in pool}) == len(pool) == 64
    assert len(model.asked) <= 6
    own = sum("dog" in edit for edit in pool)
    assert own == (round(64 * personalised) if profile else 0)
    assert all(prompt.text == TEXT and prompt.count <= LIST for prompt in model.asked)
    tally = candidates.tally
    assert (tally.pools, tally.lists, tally.singles, tally.usable) == (1, len(model.asked), 0, 64)


def test_duplicates_are_topped_up_within_the_same_few_calls() -> None:
    model = Lister(edits=40)
    (pool,) = ModelCandidates(model, language="free", personalised=0.5).propose([TEXT], [PROFILE], 64, [0])
    assert len(set(pool)) == len(pool) >= 56, "each list repeats about a third of what is known"
    assert 4 < len(model.asked) <= 4 + FURTHER


def test_a_state_gets_the_same_pool_in_any_batch() -> None:
    texts, profiles, seeds = [TEXT, "A man walks."], [PROFILE, ""], [3, 4]
    together = ModelCandidates(Lister(60), language="free").propose(texts, profiles, 24, seeds)
    alone = [
        ModelCandidates(Lister(60), language="free").propose([text], [profile], 24, [seed])[0]
        for text, profile, seed in zip(texts, profiles, seeds, strict=True)
    ]
    assert together == alone


def test_all_states_are_asked_about_in_one_call_of_the_model() -> None:
    model = Lister()
    ModelCandidates(model, language="free").propose([TEXT] * 5, [PROFILE] * 5, 32, range(5))
    assert model.batches <= 1 + FURTHER


def test_a_model_that_writes_no_lists_is_asked_for_single_edits() -> None:
    model = Lister(lists=False)
    candidates = ModelCandidates(model, language="free")
    (pool,) = candidates.propose([TEXT], [PROFILE], 64, [0])
    assert len(set(pool)) == len(pool) == 64
    assert candidates.tally.lists == 4, "it is not asked for lists again"
    assert candidates.tally.singles == sum(prompt.count == 1 for prompt in model.asked) >= 64


def test_a_model_whose_lists_are_too_short_is_asked_for_single_edits() -> None:
    model = Lister(share=0.25)
    candidates = ModelCandidates(model, language="free")
    (pool,) = candidates.propose([TEXT], [PROFILE], 64, [0])
    assert len(pool) == 64
    assert candidates.tally.lists == 4
    assert 48 <= candidates.tally.singles < 96


def test_failures_are_not_hidden() -> None:
    class Broken(Lister):
        def generate(self, prompts, seeds, *, temperature=1.0):
            raise LanguageModelError("the server is away")

    with pytest.raises(LanguageModelError, match="away"):
        ModelCandidates(Broken(), language="free").propose([TEXT], [""], 8, [0])


@pytest.mark.parametrize(
    "edit",
    [
        "No changes.",
        "Leave it as it is.",
        "Keep the description unchanged.",
        '"A woman" should be "a woman"',
        "A woman drives home.",
        "Done.",
        "Do not change the text.",
        "word " * 60,
        "",
    ],
)
def test_edits_without_effect_are_dropped(edit: str) -> None:
    assert changes_nothing("A woman drives home. It rains.", edit)


def test_a_rewritten_text_is_no_edit() -> None:
    text = "A woman drives home through the rain, and her dog sleeps on the back seat. It is late."
    assert changes_nothing(text, "A woman drives home through the rain in Norway, and her dog sleeps on the back seat.")
    assert not changes_nothing(text, "Let the dog on the back seat of the car be a wolf.")


@pytest.mark.parametrize(
    "edit", ["Set it in Norway.", "Make it darker", 'Replace "woman" with "robot".', "Change the woman to a nun."]
)
def test_edits_are_edits(edit: str) -> None:
    assert not changes_nothing("A woman drives home. It rains.", edit)
