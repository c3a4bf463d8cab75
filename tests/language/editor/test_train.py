"""Training an editor: a few steps, a resumed run, the merged model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from eagle_gym.errors import ConfigurationError, PreparationError
from eagle_gym.language import Prompt, load_language_model
from eagle_gym.language.editor import __main__ as command
from eagle_gym.language.editor import train as training
from eagle_gym.language.editor.adapter import FILE, merged, save_adapter, sharpened
from eagle_gym.language.editor.train import Recipe, train, weigh

SMALL = Recipe(steps=4, batch=2, rank=2, longest=1000)


def test_three_steps_on_a_real_model(stories: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "a")
    command.main(["train", "--base", str(stories), "--out", out, "--steps", "3", "--rank", "2", "--longest", "900"])
    losses = [json.loads(line)["loss"] for line in (tmp_path / "a" / "log.jsonl").read_text().splitlines()]
    assert len(losses) == 3
    assert all(0 < loss < 20 for loss in losses)
    command.main(["merge", "--base", str(stories), "--adapter", out, "--out", str(tmp_path / "merged")])
    assert "transformers:" in capsys.readouterr().out
    prompt = Prompt("rewrite", text="Anna is a nurse.", edit="Make the nurse a baker.")
    scores = []
    for folder in (stories, tmp_path / "merged"):
        model = load_language_model(f"transformers:{folder}", prompts="plain")
        scores.append(model.score(prompt, ["Anna is a baker."])[0])
        model.close()
    assert scores[1] > scores[0]


def test_a_resumed_run_equals_an_uninterrupted_one(
    plain_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(str(plain_folder), tmp_path / "whole", SMALL, every=2)

    def stop(path: Path, row: dict[str, float]) -> None:
        if row["step"] == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(training, "log", stop)
        with pytest.raises(KeyboardInterrupt):
            train(str(plain_folder), tmp_path / "cut", SMALL, every=2)
    train(str(plain_folder), tmp_path / "cut", SMALL, every=2)
    steps = [json.loads(line)["step"] for line in (tmp_path / "cut" / "log.jsonl").read_text().splitlines()]
    assert steps == [2, 3]
    whole, cut = (load_file(tmp_path / name / FILE) for name in ("whole", "cut"))
    assert whole.keys() == cut.keys()
    assert all(torch.equal(whole[name], cut[name]) for name in whole)


def test_another_recipe_does_not_resume(plain_folder: Path, tmp_path: Path) -> None:
    train(str(plain_folder), tmp_path, SMALL)
    with pytest.raises(ConfigurationError, match=r"batch, rank differ up to its step 4\. Train into another folder"):
        train(str(plain_folder), tmp_path, Recipe(steps=4, batch=1, rank=3, longest=1000))


def test_other_texts_do_not_resume(plain_folder: Path, tmp_path: Path) -> None:
    texts = ["Anna is a nurse in Oslo. She finds a letter.", "Ben is a cook in Rome. He loses a ring and stays."]
    train(str(plain_folder), tmp_path, SMALL, texts)
    with pytest.raises(ConfigurationError, match=r"another source: texts differ\. Train into another folder"):
        train(str(plain_folder), tmp_path, SMALL, texts[::-1])


@pytest.mark.parametrize("tear", ["no B", "ranks"])
def test_a_torn_adapter_is_an_error(tmp_path: Path, tear: str) -> None:
    torn = {"layer.A": torch.zeros(2, 4)} | ({} if tear == "no B" else {"layer.B": torch.zeros(4, 3)})
    save_file(torn, tmp_path / FILE, metadata={"scale": "1.0"})
    with pytest.raises(PreparationError, match="expected an adapter, got a torn one"):
        merged({"layer.weight": torch.zeros(4, 4)}, tmp_path)


def test_a_longer_run_goes_on_from_a_checkpoint_before_the_decay() -> None:
    assert Recipe(steps=100).until(50) == Recipe(steps=1000).until(50)
    assert Recipe(steps=100).until(90) != Recipe(steps=1000).until(90)


def test_the_embedded_model_is_no_base(control_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="speaks plot English: expected a general model"):
        train(str(control_folder), tmp_path, SMALL)


def test_changed_tokens_weigh_more() -> None:
    assert weigh([1, 2, 3, 4], [1, 2, 9, 9, 3, 4], 4.0) == [1, 1, 4, 4, 4, 1]
    assert weigh([1, 2, 3, 4], [1, 4], 4.0) == [1, 4]
    assert weigh([1, 2], [1, 2], 4.0) == [1, 1]


def test_the_learning_rate_rises_stays_and_falls() -> None:
    recipe = Recipe(steps=100)
    heights = [recipe.height(step) for step in range(100)]
    assert heights[0] == pytest.approx(1 / training.WARMUP)
    assert heights[30] == heights[69] == 1.0
    assert heights[99] == pytest.approx(1 / 30)


def test_the_averages_soon_forget_the_first_weights() -> None:
    recipe = Recipe()
    assert recipe.kept(0) == 0.0
    assert recipe.kept(10) == 0.5
    assert recipe.kept(10_000) == recipe.memory


@pytest.mark.parametrize("name", ["steps", "batch", "rank", "emphasis"])
def test_a_recipe_needs_positive_numbers(name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"expected {name} > 0, got 0"):
        Recipe(**{name: 0})


def test_a_recipe_forgets() -> None:
    with pytest.raises(ConfigurationError, match=r"expected 0 <= memory < 1, got 1\.0"):
        Recipe(memory=1.0)


def test_merging_adds_the_update(tmp_path: Path) -> None:
    down, up = torch.randn(2, 5).bfloat16(), torch.randn(3, 2).bfloat16()
    save_adapter(tmp_path, {"x.lora_A.default.weight": down, "x.lora_B.default.weight": up}, scale=0.5)
    base = {"x.weight": torch.randn(3, 5), "y.weight": torch.randn(2)}
    found = merged(base, tmp_path)
    torch.testing.assert_close(found["x.weight"], base["x.weight"] + 0.5 * up.float() @ down.float())
    assert torch.equal(found["y.weight"], base["y.weight"])


def test_a_sharper_model_has_larger_logits() -> None:
    weights = {"model.norm.weight": torch.ones(3), "x.weight": torch.ones(2)}
    found = sharpened(weights, "llama", 1.4)
    assert torch.equal(found["model.norm.weight"], torch.full((3,), 1.4))
    assert torch.equal(found["x.weight"], weights["x.weight"])
    assert sharpened(weights, "gpt2", 1.0).keys() == weights.keys()
    with pytest.raises(ConfigurationError, match=r"got gpt2: leave the sharpness at 1"):
        sharpened(weights, "gpt2", 1.4)


def test_an_adapter_fits_one_model_only(tmp_path: Path) -> None:
    weights = {"x.lora_A.default.weight": torch.ones(1, 5), "x.lora_B.default.weight": torch.ones(3, 1)}
    save_adapter(tmp_path, weights, scale=1.0)
    with pytest.raises(PreparationError, match="belongs to another model: x is missing or has another shape"):
        merged({"x.weight": torch.ones(3, 4)}, tmp_path)
    with pytest.raises(PreparationError, match="expected an adapter, got"):
        merged({}, tmp_path / "nowhere")


@pytest.mark.parametrize("words", [[], ["train"], ["sample"], ["merge"]])
def test_help(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        command.main([*words, "--help"])
    assert "python -m eagle_gym.language.editor" in capsys.readouterr().out


def test_a_missing_base_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        command.main(["train", "--base", str(tmp_path / "none"), "--out", str(tmp_path / "out")])
    assert "no model folder at" in capsys.readouterr().err
