"""An editor that leaves proposals to its base model."""

from __future__ import annotations

from pathlib import Path

import pytest

from eagle_gym.errors import LanguageModelError
from eagle_gym.language.editor.tuned import TunedModel
from eagle_gym.language.prompts import Prompt
from tests.language.tiny import write_parrot, write_sayings

REWRITES = ("A blue hat that keeps warm in any weather.", "A green hat that keeps dry in any weather.")
EDITS = ("Make it of wool.", "Add a feather.", "Make it larger.")


@pytest.fixture
def model(tmp_path: Path) -> TunedModel:
    for name, sayings in (("tuned", REWRITES), ("base", EDITS)):
        (tmp_path / name).mkdir()
        write_parrot(tmp_path / name, write_sayings(tmp_path / name, sayings), sayings=len(sayings))
    return TunedModel("mine", str(tmp_path / "tuned"), base=str(tmp_path / "base"), prompts="few_shot")


def test_each_task_has_its_model(model: TunedModel) -> None:
    asked = [Prompt("propose", "A red hat."), Prompt("rewrite", "A red hat.", "Make it blue.")] * 4
    answers = [answer.text for answer in model.generate(asked, range(8))]
    assert set(answers[::2]) <= set(EDITS)
    assert set(answers[1::2]) <= set(REWRITES)
    assert len(set(answers)) > 3
    assert model.usage.calls == 8 + model.usage.retries
    alone = [model.generate([prompt], [seed])[0].text for seed, prompt in enumerate(asked)]
    assert alone == answers


def test_the_base_model_is_loaded_when_it_is_asked(model: TunedModel) -> None:
    model.generate([Prompt("rewrite", "A red hat.", "Make it blue.")], [0])
    assert model._base is None
    model.generate([Prompt("propose", "A red hat.")], [0])
    assert model._base is not None
    model.close()
    with pytest.raises(LanguageModelError, match="closed"):
        model.generate([Prompt("propose", "A red hat.")], [0])


def test_the_base_model_is_the_judge(model: TunedModel) -> None:
    """An editor answers with a text, whatever it is asked."""
    asked = [
        Prompt("check", "A red hat.", "Make it blue.", rewrite="A blue hat."),
        Prompt("rate", "A red hat.", profile="Likes hats."),
    ]
    said = {answer.text for seed in range(4) for answer in model.generate(asked, [seed, seed])}
    assert said <= set(EDITS), "the tiny base model knows nothing else"


def test_the_words_of_proposals_are_a_part_of_the_fingerprint(model: TunedModel, tmp_path: Path) -> None:
    folders = {"target": str(tmp_path / "tuned"), "base": str(tmp_path / "base")}
    other = TunedModel("mine", **folders, prompts="few_shot", about="product")
    assert other.fingerprint != model.fingerprint
    assert TunedModel("mine", **folders, prompts="few_shot").fingerprint == model.fingerprint
    assert TunedModel("mine", **folders, prompts="few_shot", sharpness=2.0).fingerprint != model.fingerprint


def test_proposals_are_as_sharp_as_rewrites(model: TunedModel, tmp_path: Path) -> None:
    folders = {"target": str(tmp_path / "tuned"), "base": str(tmp_path / "base")}
    sharp = TunedModel("mine", **folders, prompts="few_shot", sharpness=2.0)
    propose, rewrite = Prompt("propose", "A red hat."), Prompt("rewrite", "A red hat.", "Make it blue.")
    for seed in range(6):
        assert sharp.generate([propose], [seed]) == model.generate([propose], [seed], temperature=0.5)
        assert sharp.generate([rewrite], [seed]) == model.generate([rewrite], [seed])
