"""Episodes as conversations: which answers name an edit, what the others cost, and what fails."""

from __future__ import annotations

import gymnasium as gym
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eagle_gym.errors import ConfigurationError, EpisodeError, LanguageModelError, TextError
from eagle_gym.integrations.chat import Chat, UnreadableAnswerError, read_answer

GRAMMAR = {"language_model": "grammar", "horizon": 3, "actions": 4, "pool": 32}
EDITS = ["Set it on a submarine.", "Add a robot.", "", "Make it scarier."]


def chat(**given: object) -> Chat:
    return Chat(**{"arguments": GRAMMAR} | given)


@pytest.mark.parametrize(
    ("said", "number"),
    [
        ("1", 1),
        (" **3.** ", 3),
        ("0. Set it on a submarine.", 0),
        ("Edit 3", 3),
        ("3: it is dark", 3),
        ("I would choose edit 1, as this user likes robots.", 1),
        ("add a ROBOT", 1),
        ("<think>Not 0, not 3.</think>\n\n1", 1),
        ("1\n\nBecause of the 80s.", 1),
        ("edit 3 of 3", 3),
    ],
)
def test_answers_that_name_an_edit(said: str, number: int) -> None:
    assert read_answer(said, EDITS) == number


@pytest.mark.parametrize(
    "said",
    [
        *("", "none of them", "0 or 1", "2", "17", "-1", "1.5", "Make it rain.", "1980s", "a 3-line answer"),
        "1. Add a joke.\n2. Replace romance with crime.\n3",
        "0) yes\n1) no",
    ],
)
def test_answers_that_name_none(said: str) -> None:
    with pytest.raises(UnreadableAnswerError):
        read_answer(said, EDITS)


@pytest.mark.parametrize(
    ("said", "read"),
    [
        ("1", 1),
        ("1. Add a robot.", 1),
        ("Add a robot.", 1),
        ("Make it rain.", "Make it rain."),
        ('"Set it 3 years later."\nBecause it is fun.', "Set it 3 years later."),
        ("3 years later", "3 years later"),
        ("1980s music", "1980s music"),
    ],
)
def test_answers_in_words_where_they_are_allowed(said: str, read: int | str) -> None:
    assert read_answer(said, EDITS, free_edits=True) == read


@given(st.text(max_size=40), st.booleans())
def test_any_answer_is_an_edit_or_says_why_not(said: str, free: bool) -> None:
    try:
        read = read_answer(said, EDITS, free_edits=free)
    except UnreadableAnswerError:
        return
    assert (isinstance(read, str) and free) or EDITS[read]


def test_a_conversation_is_an_episode() -> None:
    talk, env = chat(), gym.make("EagleGym/Plots-v0", split="train", **GRAMMAR)
    read, (seen, info) = talk.reset(seed=4), env.reset(seed=4)
    assert read == seen
    start, total = info["utility"], 0.0
    for action in (2, 0, 1):
        turn, (seen, reward, over, _, info) = talk.answer(str(action)), env.step(action)
        assert (turn.observation, turn.reward, turn.over, turn.valid) == (seen, reward, over, info["valid"])
        total += turn.reward
    assert over
    assert total == pytest.approx(info["utility"]["total"] - start["total"])
    with pytest.raises(EpisodeError, match="over after 3 turns"):
        talk.answer("0")


def test_an_unreadable_answer_uses_up_its_turn() -> None:
    talk = chat()
    talk.reset(seed=0)
    before = talk.state
    missed = talk.answer("What a film!")
    assert talk.state is before
    assert (missed.reward, missed.edit, missed.valid, missed.over) == (0.0, "", False, False)
    assert not any(missed.gains.values())
    assert missed.observation.startswith("Your answer names no edit")
    assert before.text in missed.observation
    assert missed.observation.endswith("Turns left: 2.")
    assert talk.answer("1").observation.endswith("Turns left: 1.")
    assert talk.answer("99").over, "three turns in all"
    assert talk.state.step == 1
    talk.reset(seed=0)
    assert "Turns left" not in talk.answer("1").observation


def test_an_unreadable_answer_costs_as_much_as_a_step() -> None:
    talk = chat(arguments={**GRAMMAR, "edit_cost": 0.25})
    talk.reset(seed=0)
    missed = talk.answer("What a film!")
    assert (missed.reward, missed.gains["cost"]) == (-0.25, 0.25)


def test_gains_are_those_of_the_parts() -> None:
    talk = chat(arguments={**GRAMMAR, "edit_cost": 0.25, "drift_penalty": 0.1})
    talk.reset(seed=1)
    before = talk.state.utility
    turn = talk.answer("0")
    assert turn.gains == pytest.approx({name: talk.state.utility[name] - before[name] for name in turn.gains})
    assert turn.gains["cost"] == pytest.approx(0.25)
    assert set(turn.gains) == {"affinity", "novelty", "drift", "cost"}


def test_equal_seeds_and_answers_give_equal_episodes() -> None:
    answers = ["1", "nothing", "0"]
    one, other = chat(), chat()
    assert one.reset(seed=7) == other.reset(seed=7)
    assert [one.answer(said) for said in answers] == [other.answer(said) for said in answers]
    assert one.reset(seed=8) != other.reset(seed=7)


def test_an_edit_of_its_own_is_applied() -> None:
    talk = chat(free_edits=True)
    talk.reset(seed=0)
    assert "Set it on a submarine." not in talk.state.action_set.edits
    turn = talk.answer("Set it on a submarine.")
    assert turn.edit == talk.env.frames[-1].edit == "Set it on a submarine."
    assert "submarine" in talk.state.text
    outside = talk.answer("Make the moon sing.")
    assert outside.observation.startswith("The edit cannot be used: expected an edit of plot English")
    assert (outside.edit, outside.reward) == ("", 0.0)
    assert "of your own" in talk.instructions
    assert "of your own" not in chat().instructions


def test_environments_take_edits_of_the_callers_own() -> None:
    env = gym.make("EagleGym/Plots-v0", **GRAMMAR).unwrapped
    env.reset(seed=0)
    snapshot = env.get_state()
    offered = env.step(1)
    env.set_state(snapshot)
    edit = env.state.action_set.edits[1]
    again = env.step_with(f" {edit}\n")
    assert (again[0], again[1]) == (offered[0], offered[1]), "the same edit, the same seed, the same rewrite"
    for wrong in ("", "Make the moon sing.", "Set it on a submarine." + " " * 10 + "x" * 200, "\ud800", 3):
        with pytest.raises(TextError):
            env.step_with(wrong)
    assert env.state.step == 1
    env.step(0)
    env.step(0)
    with pytest.raises(EpisodeError):
        env.step_with(edit)


def test_failures_are_errors_and_leave_the_episode(monkeypatch: pytest.MonkeyPatch) -> None:
    talk = chat()
    with pytest.raises(EpisodeError, match="no episode"):
        talk.answer("0")
    with pytest.raises(ConfigurationError, match="usr"):
        talk.reset(seed=0, options={"usr": "u1"})
    talk.reset(seed=0)

    def fail(*_: object, **__: object) -> None:
        raise LanguageModelError("no answer")

    with monkeypatch.context() as patch:
        patch.setattr(talk.env.world.model, "generate", fail)
        with pytest.raises(LanguageModelError):
            talk.answer("0")
    assert talk.turns_left == 3
    assert talk.answer("0").edit


def test_arguments_that_do_not_fit() -> None:
    with pytest.raises(ConfigurationError, match="did you mean 'plots'"):
        chat(catalog="plot")
    with pytest.raises(ConfigurationError, match="observation"):
        chat(arguments={"observation": "latent"})
    with pytest.raises(ConfigurationError, match="actoins"):
        chat(arguments={"actoins": 4})
