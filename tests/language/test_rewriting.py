"""Rewriting: a model of plot English never sees the tags that a text carries, and its rewrites keep them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from eagle_gym import plot_english
from eagle_gym.actions.proposals import ModelCandidates
from eagle_gym.envs.eagle import EagleEnv
from eagle_gym.language.prompts import Prompt
from eagle_gym.language.rewriting import carried_tags, next_texts, rewrite, visible
from tests.fake_worlds import ScriptedModel, make_tiny_world

TEXT = "A western film. Tags: quirky, dark comedy."


class Spy(ScriptedModel):
    """Notes the prompts that it is given."""

    def generate(self, prompts: Sequence[Prompt], seeds: Sequence[int], *, temperature: float = 1.0) -> Any:
        self.seen = [*getattr(self, "seen", []), *prompts]
        return super().generate(prompts, seeds, temperature=temperature)


def test_the_tags_are_taken_off_and_put_back() -> None:
    model = Spy(fidelity=1.0, invent=0.0)
    prompts = [Prompt("rewrite", text=TEXT, edit="Make the tone dark."), Prompt("rewrite", text="A film.", edit="x")]
    first, second = rewrite(model, prompts, [0, 1], temperature=1.0)
    assert [prompt.text for prompt in model.seen] == ["A western film.", "A film."]
    assert plot_english.split_tags(first)[1] == ("quirky", "dark comedy")
    assert plot_english.parse(first).pairs() == (("genres", "Western"), ("tone", "dark"))
    assert second == "A film."


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_answers_that_do_not_parse_keep_the_tags_too(temperature: float) -> None:
    model = Spy(garble=1.0)
    (text,) = rewrite(model, [Prompt("rewrite", text=TEXT, edit="Blend in comedy.")], [0], temperature=temperature)
    assert len(model.seen) == (8 if temperature else 1)
    assert {prompt.text for prompt in model.seen} == {"A western film."}
    assert text.startswith("Once upon a time")
    assert text.endswith(" Tags: quirky, dark comedy.")


def test_a_general_model_sees_the_whole_text() -> None:
    model = Spy(language="free", lazy=True)
    assert rewrite(model, [Prompt("rewrite", text=TEXT, edit="Make it odd.")], [0], temperature=1.0) == [TEXT]
    assert model.seen[0].text == TEXT
    assert (visible(TEXT, "free"), carried_tags(TEXT, "free")) == (TEXT, ())


@pytest.mark.parametrize("language", ["free", "plot_english"])
def test_answers_that_are_cut_off_are_none_and_leave_the_others(language: Any) -> None:
    model = Spy(language=language, fidelity=1.0, invent=0.0, cut=("Ramble.",))
    prompts = [Prompt("rewrite", text=TEXT, edit=edit) for edit in ("Ramble.", "Make the tone dark.")]
    cut, whole = rewrite(model, prompts, [0, 1], temperature=1.0)
    assert cut is None
    assert whole is not None
    assert "dark" in whole
    assert len(model.seen) == 2, "the model itself has drawn it several times"
    assert next_texts(model, prompts, [0, 1], temperature=1.0) == [TEXT, whole]


@pytest.mark.parametrize("earlier", [False, True])
@pytest.mark.parametrize("rows", [1, 2])
def test_what_is_cut_off_depends_on_no_other_row_and_no_earlier_call(*, earlier: bool, rows: int) -> None:
    model = Spy(language="free", cut=("Ramble.",))
    ramble, odd = (Prompt("rewrite", text=TEXT, edit=edit) for edit in ("Ramble.", "Make it odd."))
    if earlier:
        rewrite(model, [odd], [5], temperature=1.0)
    with pytest.warns(RuntimeWarning, match="raise max_new_tokens"):
        assert rewrite(model, [ramble] * rows, list(range(rows)), temperature=1.0) == [None] * rows
    assert rewrite(model, [ramble, odd], [0, 1], temperature=1.0)[0] is None


def test_a_text_that_left_the_language_stays_where_it_is_cut_off_next(monkeypatch: pytest.MonkeyPatch) -> None:
    model = Spy(garble=1.0)
    prompts = [Prompt("rewrite", text="A western film.", edit="Blend in comedy.")]
    drawn = model.generate

    def generate(prompts: Sequence[Prompt], seeds: Sequence[int], *, temperature: float = 1.0) -> Any:
        model.cut = ("Blend in comedy.",) if model.usage.retries == 3 else ()
        return drawn(prompts, seeds, temperature=temperature)

    monkeypatch.setattr(model, "generate", generate)
    with pytest.warns(RuntimeWarning, match="raise max_new_tokens"):
        assert rewrite(model, prompts, [0], temperature=1.0) == [None]
    assert len(model.batches) == 4


@pytest.mark.parametrize(("language", "seen"), [("plot_english", "A western film."), ("free", TEXT)])
def test_proposals_are_asked_for_what_the_model_sees(language: Any, seen: str) -> None:
    model = Spy(language=language)
    ModelCandidates(model, language=language).propose([TEXT], [""], 4, [0])
    assert {prompt.text for prompt in model.seen} == {seen}


def test_an_episode_keeps_the_tags_of_its_start() -> None:
    model = Spy()
    env = EagleEnv.from_world(make_tiny_world(model))
    _, info = env.reset(seed=0, options={"text": TEXT})
    assert info["text"] == TEXT
    for _ in range(3):
        info = env.step(0)[4]
        assert plot_english.parse(info["text"])
        assert info["text"].endswith(" Tags: quirky, dark comedy.")
    assert not any("Tags:" in prompt.text for prompt in model.seen)
