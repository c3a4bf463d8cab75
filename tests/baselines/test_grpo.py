"""GRPO on single choices: what is asked, what TRL computes, and that what is paid for becomes likelier."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from baselines import grpo
from baselines.__main__ import main
from baselines.evaluate import make_envs
from baselines.grpo import Choice, Chooser, GRPOConfig
from baselines.language import ParsedObservation, read_text
from eagle_gym.envs.vector import EagleVectorEnv
from eagle_gym.errors import ConfigurationError, PreparationError

pytest.importorskip("trl", reason="TRL is not installed")
pytest.importorskip("peft", reason="peft is not installed")
# TRL itself calls what is deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:.*gradient_checkpointing.*deprecated:FutureWarning")

SMALL = {"language_model": "grammar", "actions": 4, "pool": 16, "horizon": 2, "prepare": "never"}
TEMPLATE = "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}<|assistant|>"
OBSERVATION = "User: Enjoys drama.\nText: A film.\nStep 0 of 2.\nEdits:\n0. Make it dark.\n1. Make it light.\n3. Age it"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Llama over bytes with a chat template."""
    path = tmp_path_factory.mktemp("chat")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<|pad|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(special_tokens=special, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator([""], trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|end|>", pad_token="<|pad|>")
    fast.chat_template = TEMPLATE
    fast.save_pretrained(path)
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    ends = {"pad_token_id": 0, "eos_token_id": 1}
    # Larger weights than usual: the output layer is not trained, and small ones would bound every probability.
    config = LlamaConfig(vocab_size=len(fast), max_position_embeddings=2048, initializer_range=0.2, **ends, **sizes)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        LlamaForCausalLM(config).save_pretrained(path)
    return path


def config(folder: Path, **changes: Any) -> GRPOConfig:
    small = {"steps": 2, "prompts": 2, "group": 4, "states": 4, "episodes": 2, "lora_layers": 0, "dtype": "float32"}
    return GRPOConfig(model=str(folder), **(small | changes))


def envs(split: str = "train", **kwargs: Any) -> Any:
    return make_envs("EagleGym/Plots-v0", 2, **SMALL, split=split, **kwargs)


@pytest.fixture
def chooser(folder: Path) -> Chooser:
    with torch.random.fork_rng(devices=[]):
        return grpo.load(config(folder))


@pytest.fixture
def letters(folder: Path) -> Chooser:
    with torch.random.fork_rng(devices=[]):
        return grpo.load(config(folder, answer="letter"))


def test_questions_name_the_edits_on_offer_by_letters() -> None:
    seen = read_text(OBSERVATION, 4)
    _, asked = grpo.question(seen, "letter")
    assert asked["content"].splitlines()[-3:] == ["A. Make it dark.", "B. Make it light.", "D. Age it"]
    assert "Enjoys drama." in asked["content"]
    assert grpo.question(seen, "words")[1]["content"] == "User: Enjoys drama.\nText: A film."
    with pytest.raises(ConfigurationError, match="at most 26"):
        grpo.question(read_text(OBSERVATION, 27))


def test_probabilities_are_those_of_the_letters_on_offer(letters: Chooser) -> None:
    seen = read_text(OBSERVATION, 4)
    ids = letters.prompt(seen)
    with torch.inference_mode():
        logits = letters.model(torch.tensor([ids])).logits[0, -1]
    shares = torch.softmax(logits[[letters.letters[row] for row in (0, 1, 3)]], dim=0)
    longer = read_text(OBSERVATION.replace("A film.", "A very long film about a train."), 4)
    (found, _) = letters.probabilities([seen, longer])  # padding changes nothing
    np.testing.assert_allclose(found[[0, 1, 3]], shares, rtol=1e-4)
    assert found[2] == 0
    (action,), _ = letters.predict([OBSERVATION], deterministic=True)
    assert action == np.argmax(found)


def likelihood(chooser: Chooser, seen: ParsedObservation, edit: str) -> float:
    """Log-likelihood of an edit after the prompt, by itself and by the book."""
    prompt = chooser.prompt(seen)
    said = chooser.tokenizer.encode(edit, add_special_tokens=False)
    with torch.inference_mode():
        logits = chooser.model(torch.tensor([prompt + said])).logits[0]
    logs = torch.log_softmax(logits[len(prompt) - 1 : -1], dim=-1)
    return float(logs[range(len(said)), said].sum())


def test_probabilities_are_ratios_of_likelihoods(chooser: Chooser) -> None:
    with torch.no_grad():
        for name, weight in chooser.model.named_parameters():
            if "lora_B" in name:
                weight.copy_(torch.randn(weight.shape, generator=torch.Generator().manual_seed(1)) / 10)
    seen = read_text(OBSERVATION, 4)
    edits = [seen.edits[row] for row in (0, 1, 3)]
    own = torch.tensor([likelihood(chooser, seen, edit) for edit in edits])
    with chooser.model.disable_adapter():
        prior = torch.tensor([likelihood(chooser, replace(seen, profile=""), edit) for edit in edits])
    longer = read_text(OBSERVATION.replace("A film.", "A very long film about a train."), 4)
    (found, _) = chooser.probabilities([seen, longer])
    np.testing.assert_allclose(found[[0, 1, 3]], torch.softmax(own - prior, dim=0), rtol=1e-3)
    assert found[2] == 0
    (turned,) = chooser.probabilities([replace(seen, edits=seen.edits[::-1])])
    np.testing.assert_allclose(turned[::-1], found, rtol=1e-3)  # the order has no influence


def test_a_model_that_is_told_no_taste_starts_uniform(chooser: Chooser) -> None:
    seen = replace(read_text(OBSERVATION, 4), profile="")
    np.testing.assert_allclose(chooser.probabilities([seen]), [[1 / 3, 1 / 3, 0, 1 / 3]], rtol=1e-4)


def test_states_are_those_of_played_episodes() -> None:
    with grpo.closing(envs()) as made:
        base = made.unwrapped
        assert isinstance(base, EagleVectorEnv)
        found, again = grpo.collect(base, 6, 0), grpo.collect(base, 6, 0)
        assert [each.seen for each in found] == [each.seen for each in again]
        assert {each.state.step for each in grpo.collect(base, 20, 0)} == {0, 1}
        single = grpo.collect(base, 6, 0, of_each=1)
        assert len({each.episode for each in single}) == 6
        choice = found[0]
        one, other, repeated = grpo.pay(base.world, [choice] * 3, [0, 1, 0])
        assert one == repeated != other
        assert grpo.pay_all(base.world, [choice])[0, :2].tolist() == [one, other]


LEARNING = {"steps": 12, "prompts": 2, "group": 8, "learning_rate": 0.02}
Seen = list[tuple[np.ndarray, ParsedObservation]]


def train_for(pay: Any, settings: GRPOConfig, out: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Seen, Seen]:
    """Probabilities in other states before and after training with rewards of `pay`."""
    monkeypatch.setattr(grpo, "pay", pay)
    with grpo.closing(envs()) as made, torch.random.fork_rng(devices=[]):
        chooser = grpo.load(settings)
        seen = [choice.seen for choice in grpo.collect(made.unwrapped, 8, seed=1)]
        before = chooser.probabilities(seen)
        grpo.train(chooser, made.unwrapped, out, settings, lambda text: None)
        after = grpo.load(settings, out / grpo.ADAPTER).probabilities(seen)
    return list(zip(before, seen, strict=True)), list(zip(after, seen, strict=True))


def test_letters_that_are_paid_for_become_likelier(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def pay(world: Any, choices: Sequence[Choice], actions: Sequence[int]) -> list[float]:
        return [float(chosen == 3) for chosen in actions]

    before, after = train_for(pay, config(folder, answer="letter", **LEARNING), tmp_path, monkeypatch)
    assert np.mean([row[3] for row, _ in before]) < 0.5
    assert np.mean([row[3] for row, _ in after]) > 0.6


def test_words_that_are_paid_for_become_likelier(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def pay(world: Any, choices: Sequence[Choice], actions: Sequence[int]) -> list[float]:
        return [float(choice.seen.edits[chosen][:1] == "M") for choice, chosen in zip(choices, actions, strict=True)]

    def share(found: list[tuple[np.ndarray, ParsedObservation]]) -> float:
        """How often an edit with an M is chosen where there is another one too."""
        begun = [(row, np.array([edit[:1] == "M" for edit in seen.edits])) for row, seen in found]
        return float(np.mean([row[first].sum() for row, first in begun if first.any() and not first.all()]))

    settings = config(folder, **LEARNING | {"steps": 30, "learning_rate": 0.003})
    before, after = train_for(pay, settings, tmp_path, monkeypatch)
    assert share(after) > share(before) + 0.2


def test_a_run_is_whole_and_continues(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    with torch.random.fork_rng(devices=[]):
        result = grpo.run(envs, tmp_path, config(folder), said.append)
    assert result["states"]["count"] == 4
    assert result["episodes"]["count"] == 2
    assert {"uniform", "first edit", "model", "trained model"} <= result["states"]["mean"].keys()
    assert len(result["curve"]) == 2
    assert sum("step" in line for line in said) == 2
    mean, low, high = result["states"]["change"]["model"]
    means = result["states"]["mean"]
    assert mean == pytest.approx(means["trained model"][0] - means["model"][0])
    assert low <= mean <= high
    assert "paired" in grpo.table(result)
    for name in ("train", "play", "pay"):  # nothing is done again
        monkeypatch.setattr(grpo, name, pytest.fail)
    assert grpo.run(envs, tmp_path, config(folder), said.append) == json.loads((tmp_path / "result.json").read_text())
    with pytest.raises(ConfigurationError, match="steps differ"):
        grpo.run(envs, tmp_path, config(folder, steps=3))
    with pytest.raises(ConfigurationError, match="environment differ"):
        grpo.run(partial(envs, edit_cost=0.5), tmp_path, config(folder))


def test_an_interval_draws_users() -> None:
    values = [0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0]
    mean, low, high = grpo.interval(values, list("aaaabbbb"))
    assert (mean, low, high) == (0.5, 0.0, 1.0)  # two users, so a draw may hold only one of them
    _, low, high = grpo.interval(values, range(8))
    assert 0.1 < low < high < 0.9


def test_bad_settings_and_models_are_typed_errors(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="group"):
        config(folder, group=1)
    with pytest.raises(ConfigurationError, match="answer"):
        config(folder, answer="numbers")
    with pytest.raises(ConfigurationError, match="dtype"):
        config(folder, dtype="int8")
    with pytest.raises(PreparationError, match="cannot load the chat model"):
        grpo.load(config(tmp_path / "none"))
    assert main(["grpo", "--out", str(tmp_path / "run"), "--set", "stesp=1"]) == 1
    assert main(["grpo", "--out", str(tmp_path / "run"), "--set", "steps=x"]) == 1
