"""The embedded model: its weights, its measured abilities in small, its training script."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from eagle_gym.errors import ConfigurationError, PreparationError
from eagle_gym.language.embedded import evaluate as evaluation
from eagle_gym.language.embedded import weights_path
from eagle_gym.language.embedded.evaluate import checksum, evaluate, recipe_of, table, trained_on, unseen
from eagle_gym.language.embedded.examples import Manner, description, example, held_out
from eagle_gym.language.embedded.train import (
    RECIPES,
    Batches,
    Recipe,
    Stage,
    build_tokenizer,
    read_progress,
    schedule,
    train,
)
from eagle_gym.language.loading import load_language_model
from eagle_gym.language.prompts import CONTROL_TOKENS, Prompt, control_text
from eagle_gym.plot_english import apply, fulfilled, parse_edit, parses, read, render
from eagle_gym.plot_english.edits import directions
from eagle_gym.plot_english.lexicon import values

TINY = Recipe(
    stages=(Stage(8, Manner(first_outcome=0.0)), Stage(8, Manner(), height=0.3)), warmup=1, batch=4, width=32, layers=1,
    heads=2, feed_forward=64, vocabulary=400, tokenizer_examples=50,
)  # fmt: skip


def test_the_weights_load_with_the_auto_classes_and_are_small() -> None:
    model = AutoModelForCausalLM.from_pretrained(weights_path(), local_files_only=True)
    tokenizer = AutoTokenizer.from_pretrained(weights_path(), local_files_only=True)
    assert 2e6 <= sum(parameter.numel() for parameter in model.parameters()) <= 8e6
    assert sum(path.stat().st_size for path in weights_path().glob("*.safetensors")) <= 20e6
    assert [len(tokenizer(token)["input_ids"]) for token in CONTROL_TOKENS] == [1] * len(CONTROL_TOKENS)


@pytest.mark.parametrize("text", ["é\u0301🎬 \u202e漢字\x00", "<|end|>x", "\ud83c", "a" * 2000])
def test_the_tokenizer_gives_back_any_text(text: str) -> None:
    tokenizer = AutoTokenizer.from_pretrained(weights_path(), local_files_only=True)
    sane = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    assert tokenizer.decode(tokenizer(sane)["input_ids"]) == sane


def test_an_embedded_model_that_there_is_not_is_a_typed_error() -> None:
    with pytest.raises(ConfigurationError, match="plain, pitch"):
        load_language_model("embedded:slang")


def test_the_second_model_is_another_environment() -> None:
    # Another grammar, size and seed; what it reads in plain English it answers in its own dialect.
    one, other = RECIPES["plain"], RECIPES["pitch"]
    assert all(getattr(one, name) != getattr(other, name) for name in ("seed", "width", "layers"))
    assert (one.manner.dialect, other.manner.dialect) == ("plain", "pitch")
    model = load_language_model("embedded:pitch")
    texts = [render(description(np.random.default_rng(seed))) for seed in range(40)]
    prompts = [Prompt("rewrite", text=text, edit="Set it on a submarine.") for text in texts]
    answers = [answer.text for answer in model.generate(prompts, list(range(40)), temperature=0.0)]
    sentences = [set(text.split(". ")) & set(answer.split(". ")) for text, answer in zip(texts, answers, strict=True)]
    assert sum(map(bool, sentences)) <= 2
    assert np.mean([read(answer).setting == "on a submarine" for answer in answers]) >= 0.85
    assert np.mean([parses(answer) for answer in answers]) >= 0.9


def test_a_manner_is_heeded() -> None:
    manner = Manner(dialect="pitch", foreign=0.5, invent=0.0)
    rng = np.random.default_rng(0)
    rewrites = [one for one in (example(rng, manner) for _ in range(300)) if one.prompt.task == "rewrite"]
    plain = ("It explores", "It deals with", "At heart it", "It features", "Expect", "Look out for")
    read_plain = [any(words in one.prompt.text for words in plain) for one in rewrites]
    assert 0.15 < np.mean(read_plain) < 0.5
    assert not any(words in one.answer for one in rewrites for words in plain)


def test_an_outcome_that_is_taken_makes_way_for_another() -> None:
    rng = np.random.default_rng(0)
    rewrites = [
        one for one in (example(rng, Manner(invent=0.0, taken=1.0)) for _ in range(200)) if one.prompt.task == "rewrite"
    ]
    assert len(rewrites) > 100
    first = 0
    for one in rewrites:
        before, (change,) = read(one.prompt.text), parse_edit(one.prompt.edit)
        pairs = directions()[change.value].pairs
        first += pairs[0] in before.pairs()
        assert set(pairs) & set(before.pairs())
        assert fulfilled(before, [change], read(one.answer))
    assert 0.47 < first / len(rewrites) < 0.67  # one half, and a share of the other


@pytest.mark.slow
def test_its_abilities_in_small() -> None:
    # A sample of the committed evaluation, with room for its noise: a swapped or broken weight file fails here.
    measured = evaluate(load_language_model("embedded"), cases=60, seed=1)
    for kind in ("precise", "vague", "macro"):
        assert measured[f"{kind}_greedy_asked_edit_present"] >= 0.95
        assert measured[f"{kind}_sampled_asked_edit_present"] >= 0.92
        assert measured[f"{kind}_greedy_unasked_change"] <= 0.05
        assert measured[f"{kind}_sampled_parses"] >= 0.97
    assert measured["vague_varied"] >= 0.3
    assert measured["propose_usable"] >= 0.7
    assert "| precise | 0 |" in table(measured)


SMALL = replace(TINY, tokenizer_examples=30)


def test_what_training_showed_is_what_its_batches_hold() -> None:
    tokenizer = build_tokenizer(SMALL)
    texts = []
    for batch in Batches(SMALL, tokenizer, 0):
        for row in batch["input_ids"]:
            parts = tokenizer.decode(row).removesuffix("<|end|>").replace("<|pad|>", "").removesuffix("<|end|>")
            if parts.startswith("<|text|>"):
                texts.append(parts.removeprefix("<|text|>").split("<|")[0])
            if "<|rewrite|>" in parts or "<|write|>" in parts:
                texts.append(parts.split("|>")[-1])
    shown = {checksum(read(text)) for text in texts}
    seen = trained_on(SMALL, jobs=1)
    assert len(shown) > 40
    assert shown <= seen
    assert len(seen) > len(shown)  # the tokenizer saw more, and so did the rows that no batch was made of


def test_no_case_is_a_description_that_training_showed() -> None:
    first = [checksum(description(np.random.default_rng(seed))) for seed in range(20)]
    for seed in range(20):
        assert checksum(unseen(np.random.default_rng(seed), frozenset())) == first[seed]
        assert checksum(unseen(np.random.default_rng(seed), frozenset(first))) not in first


def test_held_cases_ask_for_another_outcome_of_a_direction() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        case = evaluation._held(rng, description, lambda attributes, rng: render(attributes, rng))
        (change,) = case.changes
        assert set(directions()[change.value].pairs) & set(case.attributes.pairs())
        assert not fulfilled(case.attributes, [change], case.attributes)  # to leave the text alone is not enough


def test_the_table_says_how_it_was_measured() -> None:
    measured = evaluate(load_language_model("embedded"), cases=4, seed=5)
    lines = table(measured).splitlines()
    assert lines[0].startswith("4 cases per kind of edit, `--seed 5`")
    assert [line.split(" | ")[0] for line in lines[4:12:2]] == ["| precise", "| vague", "| macro", "| held"]
    assert evaluation._percent(0.994, 1000) == "99.4 % [98.7, 99.7]"
    assert evaluation._percent(0.5) == "50.0 %"


def test_samples_that_fail_are_no_variety(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    (case,) = [evaluation._vague(rng, description, lambda attributes, rng: render(attributes, rng))]
    after = {apply(case.attributes, parse_edit(case.edit), rng) for _ in range(40)}
    assert len(after) >= 2
    one, two = (render(attributes) for attributes in list(after)[:2])
    broken, other = one.removesuffix("."), "A war film."

    def measured(texts: list[str]) -> dict[str, float]:
        return evaluation._variety([case], lambda prompts, temperature: texts)

    both = {"varied_cases": 1, "vague_varied": 1.0, "vague_distinct": 2.0, "vague_as_asked": 1.0}
    assert measured([one] * 4 + [two] * 4) == both
    assert measured([one] * 4 + [broken, other, case.text, ""]) == {
        "varied_cases": 1,
        "vague_varied": 0.0,
        "vague_distinct": 1.0,
        "vague_as_asked": 0.5,
    }


def test_a_model_without_its_recipe_is_not_measured(tmp_path: Path) -> None:
    assert recipe_of("embedded") == RECIPES["plain"]
    assert recipe_of("embedded:pitch") == RECIPES["pitch"]
    for written in (None, "{}", '{"stages": 2}', '{"stages": [], "pace": 1}', "no JSON"):
        if written is not None:
            (tmp_path / "recipe.json").write_text(written)
        with pytest.raises(PreparationError, match=r"recipe.json: expected the recipe"):
            recipe_of(f"transformers:{tmp_path}")


def test_training_is_seeded_and_resumes_where_it_was_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # sums of several threads may differ in their last bit
    try:
        train(TINY, tmp_path / "whole", every=3)
        train(TINY, tmp_path / "again", every=3)
        _train_until_cut(tmp_path / "cut", monkeypatch)
        train(TINY, tmp_path / "cut", every=3)
    finally:
        torch.set_num_threads(threads)
    whole, again, cut = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "again", "cut"))
    for name, tensor in whole.items():
        assert torch.equal(tensor, again[name]), name
        torch.testing.assert_close(tensor, cut[name], rtol=0.0, atol=1e-7, msg=name)


def test_a_checkpoint_is_not_gone_on_from_with_another_recipe(tmp_path: Path) -> None:
    begun = replace(TINY, stages=TINY.stages[:1])
    train(begun, tmp_path, every=8)
    with pytest.raises(ConfigurationError, match=r"another recipe: batch differ up to its step 8"):
        train(replace(begun, batch=8), tmp_path)
    with pytest.raises(ConfigurationError, match=r"another recipe: stages differ"):
        train(replace(TINY, stages=(Stage(8, Manner(first_outcome=0.1)), TINY.stages[1])), tmp_path)
    train(replace(TINY, sharpness=2.0), tmp_path, every=8)  # what comes after the checkpoint is free
    assert read_progress(tmp_path / "checkpoint" / "state.safetensors")[0] == 16


def test_training_settles_with_rates_that_rise_again_and_exports_sharper_logits(tmp_path: Path) -> None:
    stages = (
        Stage(200, Manner(first_outcome=0.0)),
        Stage(304, Manner(first_outcome=0.5), height=0.3),
        Stage(200, Manner(first_outcome=0.7, taken=0.1), height=0.2),
    )
    recipe = replace(TINY, stages=stages, warmup=10)
    assert (recipe.all_steps, recipe.begins) == (704, (0, 200, 504))
    rates = np.array([schedule(step, recipe) for step in range(recipe.all_steps)])
    assert [rates[at : at + 200].max() for at in recipe.begins] == pytest.approx([1.0, 0.3, 0.2])
    assert rates[[199, 503, 703]].max() < 0.02
    found = [recipe.stage_at(step) for step in (0, 199, 200, 503, 505, 704)]
    assert [stages.index(stage) for stage, _ in found] == [0, 0, 1, 1, 2, 2]
    assert [within for _, within in found] == [0, 199, 0, 303, 1, 200]
    assert recipe.manner == stages[-1].manner
    with pytest.raises(ConfigurationError, match=r"multiples of 8 steps, got \[300, 8\]"):
        replace(recipe, stages=(replace(stages[0], steps=300), Stage(8, Manner())))
    with pytest.raises(ConfigurationError, match="a stage or several"):
        replace(recipe, stages=())
    for sharpness in (1.0, 2.0):
        train(replace(TINY, sharpness=sharpness), tmp_path / str(sharpness))
    plain, sharp = (load_file(tmp_path / name / "model.safetensors") for name in ("1.0", "2.0"))
    assert torch.equal(2 * plain.pop("model.norm.weight"), sharp.pop("model.norm.weight"))
    assert all(torch.equal(tensor, sharp[name]) for name, tensor in plain.items())


def _train_until_cut(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from eagle_gym.language.embedded import train as module

    class CutError(Exception):
        pass

    def cut(step: int, recipe: Recipe) -> float:
        if step == 13:  # after the checkpoint of 12, four steps into settling
            raise CutError
        return original(step, recipe)

    original = module.schedule
    monkeypatch.setattr(module, "schedule", cut)
    with pytest.raises(CutError):
        train(TINY, out, every=3)
    monkeypatch.setattr(module, "schedule", original)


def test_training_never_shows_a_held_out_clause() -> None:
    rng = np.random.default_rng(3)
    rewrites = [one for one in (example(rng) for _ in range(400)) if one.prompt.task == "rewrite"]
    assert not any(held_out(one.prompt.edit) for one in rewrites)
    clauses = [f"Set it {value}." for value in values("setting")]
    assert 0 < sum(held_out(clause) for clause in clauses) < len(clauses), "some of each value's wordings are held out"


def test_an_example_is_a_prompt_in_control_tokens() -> None:
    one = example(np.random.default_rng(0))
    assert control_text(one.prompt).startswith(("<|text|>", "<|attributes|>"))
    assert one.answer.endswith(".")
