"""The grammar as a language model: the protocol, its randomness, and the measured shares."""

from __future__ import annotations

import dataclasses
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare, kstest

from eagle_gym import plot_english
from eagle_gym.errors import ConfigurationError, LanguageModelError, PreparationError, TextError
from eagle_gym.language import LanguageModel, LocalLanguageModel, Prompt, load_language_model
from eagle_gym.language.embedded.examples import description, listing
from eagle_gym.language.grammar import GrammarModel, Shares, load_shares
from eagle_gym.language.grammar.draws import Draws
from eagle_gym.language.grammar.shares import CHANGES, save_shares
from eagle_gym.plot_english.edits import directions
from eagle_gym.plot_english.worded import wording_of

SEEDS = st.integers(0, 2**63 - 1)
FAITHFUL = Shares(
    failures={kind: {} for kind in CHANGES},
    first=dict.fromkeys(directions(), 1.0),
    same_slot=1.0,
    twice=0.0,
    lost=0.0,
    swapped=0.0,
    invented=0.0,
    reworded=0.0,
)


def drawn_prompt(seed: int, changes: int = 1) -> Prompt:
    rng = np.random.default_rng(seed)
    attributes = description(rng)
    edit = plot_english.propose(attributes, rng, 1, changes=changes)[0]
    return Prompt("rewrite", text=plot_english.render(attributes, rng), edit=edit)


def answers(model: GrammarModel, prompt: Prompt, count: int, temperature: float = 1.0) -> list[str]:
    completions = model.generate([prompt] * count, range(count), temperature=temperature)
    return [completion.text for completion in completions]


def with_shares(**changed: object) -> GrammarModel:
    return GrammarModel(Shares(**{**FAITHFUL.as_json(), **changed}))


def test_it_is_a_language_model_without_weights() -> None:
    model = load_language_model("grammar")
    assert isinstance(model, LanguageModel)
    assert not isinstance(model, LocalLanguageModel)
    assert (model.name, model.language, model.deterministic) == ("grammar", "plot_english", True)
    assert model.fingerprint == load_language_model("grammar").fingerprint
    with pytest.raises(ConfigurationError, match="has none: choose 'embedded'"):
        model.score(drawn_prompt(0), ["A film."])


def test_the_fingerprint_covers_the_shares() -> None:
    assert with_shares(lost=0.01).fingerprint != GrammarModel(FAITHFUL).fingerprint


@given(st.lists(SEEDS, min_size=1, max_size=6))
def test_a_row_depends_on_its_prompt_and_seed_only(seeds: list[int]) -> None:
    prompts = [drawn_prompt(seed % 1000, changes=1 + seed % 3) for seed in seeds]
    together = GrammarModel().generate(prompts, seeds)
    alone = [GrammarModel().generate([prompt], [seed])[0] for prompt, seed in zip(prompts, seeds, strict=True)]
    assert together == alone


@given(SEEDS, st.sampled_from([0.0, 0.5, 1.0, 2.0]), st.integers(1, 3))
def test_every_rewrite_is_plot_english(seed: int, temperature: float, changes: int) -> None:
    careless = with_shares(
        failures={kind: {"missed": 0.2, "other": 0.2, "kept": 0.2, "mixed": 0.2} for kind in CHANGES},
        twice=0.5, lost=0.3, swapped=0.3, invented=0.5, reworded=0.5,
    )  # fmt: skip
    prompt = drawn_prompt(seed % 10_000, changes)
    for model in (careless, GrammarModel()):
        (answer,) = model.generate([prompt], [seed], temperature=temperature)
        plot_english.parse(answer.text)


@given(SEEDS, st.integers(1, 3))
def test_a_faithful_grammar_does_exactly_what_is_asked(seed: int, changes: int) -> None:
    prompt = drawn_prompt(seed % 10_000, changes)
    before, asked = plot_english.read(prompt.text), plot_english.parse_edit(prompt.edit)
    (answer,) = GrammarModel(FAITHFUL).generate([prompt], [seed])
    after = plot_english.read(answer.text)
    assert plot_english.fulfilled(before, asked, after)
    assert not plot_english.unasked(before, asked, after)
    assert not plot_english.inventions(before, asked, after)


@given(SEEDS)
def test_a_rewrite_that_is_not_reworded_keeps_the_wording(seed: int) -> None:
    prompt = drawn_prompt(seed % 10_000)
    (answer,) = GrammarModel(FAITHFUL).generate([prompt], [seed])
    old = {form.kind: form for form in wording_of(prompt.text).forms}
    new = {form.kind: form for form in wording_of(answer.text).forms}
    assert all(new[kind] == form for kind, form in old.items() if kind in new and new[kind].size == form.size)
    order = [form.kind for form in wording_of(prompt.text).forms if form.kind in new]
    assert order == [form.kind for form in wording_of(answer.text).forms if form.kind in old]


def test_nearly_all_edits_are_fulfilled() -> None:
    prompts = [drawn_prompt(seed) for seed in range(1500)]
    done = [
        plot_english.fulfilled(
            plot_english.read(prompt.text), plot_english.parse_edit(prompt.edit), plot_english.read(answer.text)
        )
        for prompt, answer in zip(prompts, GrammarModel().generate(prompts, range(1500)), strict=True)
    ]
    assert 0.975 < np.mean(done) < 1.0


def test_vague_outcomes_have_their_measured_shares() -> None:
    model = with_shares(first=dict.fromkeys(directions(), 0.6), same_slot=0.75)
    texts = answers(model, Prompt("rewrite", text="A drama film.", edit="Make it funnier."), 6000)
    pairs = directions()["funnier"].pairs
    seen = Counter(next(pair for pair in pairs if pair in plot_english.read(text).pairs()) for text in texts)
    tones, others = (0.4 * 0.75 / 3, 0.4 * 0.25 / 5)
    wanted = [0.6 if i == 0 else tones if pair[0] == "tone" else others for i, pair in enumerate(pairs)]
    observed = [seen[pair] for pair in pairs]
    assert chisquare(observed, 6000 * np.array(wanted)).pvalue > 1e-3


@pytest.mark.parametrize(
    ("share", "edit"),
    [("missed", "Set it on a submarine."), ("kept", "Swap robots for magic."), ("mixed", "Leave out robots.")],
)
def test_failures_have_their_measured_shares(share: str, edit: str) -> None:
    model = with_shares(failures={kind: {share: 0.3} for kind in CHANGES})
    text = "A drama film. It features robots and dragons."
    changes, before = plot_english.parse_edit(edit), plot_english.read(text)
    failed = [
        not plot_english.fulfilled(before, changes, plot_english.read(answer))
        for answer in answers(model, Prompt("rewrite", text=text, edit=edit), 3000)
    ]
    assert abs(np.mean(failed) - 0.3) < 0.03


@pytest.mark.parametrize(("name", "finder"), [("invented", plot_english.inventions), ("lost", plot_english.unasked)])
def test_side_effects_have_their_measured_shares(name: str, finder: object) -> None:
    model = with_shares(**{name: 0.3})
    prompt = Prompt("rewrite", text="A dark drama film. It is epic.", edit="Set it on a submarine.")
    changes, before = plot_english.parse_edit(prompt.edit), plot_english.read(prompt.text)
    found = [bool(finder(before, changes, plot_english.read(text))) for text in answers(model, prompt, 3000)]
    assert abs(np.mean(found) - 0.3) < 0.03


def test_temperature_0_takes_the_likeliest_of_every_choice() -> None:
    prompts = [drawn_prompt(seed) for seed in range(200)]
    texts = [answer.text for answer in GrammarModel().generate(prompts, range(200), temperature=0.0)]
    assert texts == [answer.text for answer in GrammarModel().generate(prompts, range(900, 1100), temperature=0.0)]
    for prompt, text in zip(prompts, texts, strict=True):
        before, changes = plot_english.read(prompt.text), plot_english.parse_edit(prompt.edit)
        first = plot_english.apply(before, changes, np.random.default_rng(0), first_outcome=1.0)
        assert plot_english.read(text) == first


def test_a_higher_temperature_varies_more() -> None:
    prompt = Prompt("rewrite", text="A drama film.", edit="Make it funnier.")
    assert len({*answers(GrammarModel(), prompt, 200, 3.0)}) > len({*answers(GrammarModel(), prompt, 200, 0.5)})


def test_a_text_in_another_dialect_becomes_a_plain_one() -> None:
    layout = plot_english.Layout(dialect=plot_english.PITCH)
    text = plot_english.render(plot_english.read("A dark film."), layout=layout)
    (answer,) = GrammarModel(FAITHFUL).generate([Prompt("rewrite", text=text, edit="Add robots.")], [0])
    assert wording_of(answer.text).within(plot_english.PLAIN)
    assert plot_english.read(answer.text).pairs() == (("tone", "dark"), ("motifs", "robots"))


@given(SEEDS)
@settings(max_examples=30)
def test_proposals_can_change_the_text_and_suit_the_user(seed: int) -> None:
    attributes = description(np.random.default_rng(seed))
    text = plot_english.render(attributes)
    likes = (("motifs", "robots"), ("tone", "eerie"), ("setting", "on a submarine"))
    wanted = {pair for pair in likes if pair not in attributes.pairs()}
    profile = plot_english.render_profile(plot_english.Profile(likes))
    prompts = [Prompt("propose", text=text), Prompt("propose", text=text, profile=profile)]
    plain, own = GrammarModel().generate(prompts, [seed, 1])
    assert not plot_english.is_noop(attributes, plot_english.parse_edit(plain.text))
    asked = {(change.slot, change.value) for change in plot_english.parse_edit(own.text)}
    assert not wanted or asked & wanted


@given(SEEDS)
@settings(max_examples=30)
def test_it_writes_exactly_what_is_listed(seed: int) -> None:
    attributes = description(np.random.default_rng(seed))
    if attributes.pairs():
        (answer,) = GrammarModel().generate([Prompt("write", text=listing(attributes))], [seed])
        assert plot_english.parse(answer.text) == attributes


def test_requests_outside_plot_english_are_typed_errors() -> None:
    model = GrammarModel()
    with pytest.raises(TextError, match="expected an edit of plot English"):
        model.generate([Prompt("rewrite", text="A film.", edit="Please do something.")], [0])
    with pytest.raises(TextError, match="expected attributes such as"):
        model.generate([Prompt("write", text="tone: fluffy")], [0])
    with pytest.raises(ConfigurationError, match="judges no texts"):
        model.generate([Prompt("rate", text="A film.", profile="No particular taste.")], [0])
    with pytest.raises(ConfigurationError, match="one seed per prompt"):
        model.generate([drawn_prompt(0)], [])


def test_a_closed_grammar_answers_no_more() -> None:
    model = GrammarModel()
    model.close()
    with pytest.raises(LanguageModelError, match="was closed"):
        model.generate([drawn_prompt(0)], [0])


def test_usage_counts_words() -> None:
    model = GrammarModel(FAITHFUL)
    (answer,) = model.generate([Prompt("rewrite", text="A dark film.", edit="Add robots.")], [0])
    assert (model.usage.calls, model.usage.prompt_tokens) == (1, 5)
    assert model.usage.completion_tokens == len(answer.text.split())


def test_draws_are_uniform_and_independent_across_neighbouring_seeds() -> None:
    first = np.array([Draws(seed).random() for seed in range(20_000)])
    second = np.array([draws.random() for seed in range(20_000) if (draws := Draws(seed)).random() >= 0.0])
    for sample in (first, second):
        assert kstest(sample, "uniform").pvalue > 1e-3
    for one, other in ((first[:-1], first[1:]), (first, second)):
        assert abs(np.corrcoef(one, other)[0, 1]) < 0.03
    assert Draws(1).random() != Draws(2**64 + 1).random()


def test_shares_are_read_back_and_broken_ones_refused(tmp_path: Path) -> None:
    path = tmp_path / "shares.json"
    save_shares(FAITHFUL, path)
    assert load_shares(path) == FAITHFUL
    broken = Shares(**{**FAITHFUL.as_json(), "lost": 1.5})
    save_shares(broken, path)
    with pytest.raises(PreparationError, match="outside 0 to 1"):
        load_shares(path)


def test_the_package_says_what_was_measured() -> None:
    source = load_shares().source
    assert source["fingerprint"] == load_language_model("embedded").fingerprint
    assert {"model", "temperature", "rewrites", "seed"} <= set(source)


@pytest.mark.parametrize("temperature", [1e-6, 0.005, 0.3, 10.0])
def test_every_temperature_can_be_asked_for(temperature: float) -> None:
    prompt = Prompt("rewrite", text="A dark war film.", edit="Make it darker.")
    model = GrammarModel()
    (cold,) = model.generate([prompt], [0], temperature=0.0)
    (written,) = model.generate([prompt], [0], temperature=temperature)
    assert plot_english.parses(written.text)
    if temperature < 0.01:
        assert written.text == cold.text


def test_the_fingerprint_knows_the_outcomes_of_vague_edits(monkeypatch: pytest.MonkeyPatch) -> None:
    before = GrammarModel().fingerprint
    table = dict(directions())
    name, direction = next(iter(table.items()))
    table[name] = dataclasses.replace(direction, pairs=direction.pairs[::-1])
    monkeypatch.setattr("eagle_gym.language.grammar.model.directions", lambda: table)
    assert GrammarModel().fingerprint != before
