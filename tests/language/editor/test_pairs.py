"""Self-made pairs: what is asked, what a rule keeps, and how training reads them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from eagle_gym.errors import ConfigurationError, LanguageModelError, PreparationError
from eagle_gym.language import Completion, Prompt
from eagle_gym.language.change import mentions
from eagle_gym.language.editor import __main__ as command
from eagle_gym.language.editor.pairs import Request, read_pairs, write_pairs
from eagle_gym.language.editor.train import SELF_MADE, Material, Recipe, train
from eagle_gym.language.embedded.examples import Example
from tests.language.tiny import ScriptedModel

TEXT = "Anna, a nurse in Paris, finds an old diary under the floor of her flat and begins to read it every night."
ADD = Request(TEXT, "Add a talking parrot.", "talking parrot")
SWAP = Request(TEXT, "Make the nurse a pilot.", "pilot", "nurse")
SHORT = Request("Anna, the nurse of a prison, met a nurse.", "Make the nurse a pilot.", "pilot", "nurse")


@pytest.mark.parametrize(
    ("asked", "rewrite", "done"),
    [
        (ADD, f"{TEXT} A talking parrot listens.", True),
        (ADD, f"With her talking parrot, {TEXT}", True),
        (ADD, TEXT, False),
        (ADD, f"{TEXT} A parrot listens.", False),
        (ADD, f"{TEXT} A parrot hears her talking.", False),
        (ADD, f"{TEXT} Add a talking parrot.", False),
        (ADD, "Anna and a talking parrot read a diary.", False),
        (ADD, f"{TEXT} A talking parrot listens. {'And so it goes on. ' * 20}", False),
        (SWAP, TEXT.replace("nurse", "pilot"), True),
        (SWAP, f"{TEXT} She meets a pilot.", False),
        (SHORT, "Anna, the pilot of a prison, met a pilot.", True),
    ],
)
def test_the_rule(asked: Request, rewrite: str, done: bool) -> None:
    assert asked.is_done(rewrite) is done


def test_requests_can_be_checked() -> None:
    rng = np.random.default_rng(0)
    drawn = [Request.draw(rng, [TEXT]) for _ in range(300)]
    assert 100 < sum(bool(one.old) for one in drawn) < 200, "half of them ask for another word"
    for one in drawn:
        assert not mentions(one.text, one.new)
        assert not one.old or mentions(one.text, one.old)
        assert not one.is_done(one.text)
    assert {one.text for one in drawn if one.text == TEXT}
    assert len({one.edit for one in drawn}) > 200


class Editor(ScriptedModel):
    """Does what the edit says in half of the rows, copies in others, and has no answer to some."""

    language = "free"

    def generate(
        self, prompts: Sequence[Prompt], seeds: Sequence[int], *, temperature: float = 1.0
    ) -> list[Completion]:
        self.asked += zip(prompts, seeds, strict=True)
        answers = {row: Completion(self.edited(prompt, row), 9, 9, "stop") for row, prompt in enumerate(prompts)}
        error = LanguageModelError("row 0 was cut off")
        error.answered = {row: answer for row, answer in answers.items() if row}
        raise error

    def edited(self, prompt: Prompt, row: int) -> str:
        asked = prompt.edit.rstrip(".").split()
        return f"{prompt.text} Then {' '.join(reversed(asked))}." if row % 2 else prompt.text


def test_only_what_was_done_is_kept(tmp_path: Path) -> None:
    model, path = Editor(), tmp_path / "new" / "pairs.jsonl"
    made = write_pairs(model, [TEXT], 80, 0, path)
    found = read_pairs(path)
    assert 0 < made == len(found) < 40
    asked = dict(model.asked)
    assert len(asked) == len({*asked.values()}) == 80
    for pair in found:
        assert pair.prompt in asked
        assert pair.answer.startswith(pair.prompt.text)
        assert pair.answer != pair.prompt.text


def test_an_interrupted_file_is_continued(tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole.jsonl", tmp_path / "cut.jsonl"
    write_pairs(Editor(), [TEXT], 80, 0, whole)
    write_pairs(Editor(), [TEXT], 64, 0, cut)
    cut.write_text("".join(cut.read_text().splitlines(keepends=True)[:50]))  # in the middle of the second batch
    model = Editor()
    write_pairs(model, [TEXT], 80, 0, cut)
    assert cut.read_text() == whole.read_text()
    assert len(model.asked) == 48
    with pytest.raises(ConfigurationError, match="another model, from other texts or seed: name another file"):
        write_pairs(Editor(), [TEXT], 80, 1, cut)


def test_a_model_that_answers_nothing_is_an_error(tmp_path: Path) -> None:
    class Dead(Editor):
        def generate(self, prompts: Sequence[Prompt], seeds: Sequence[int], *, temperature: float = 1.0) -> list:
            raise LanguageModelError("the server is down")

    with pytest.raises(LanguageModelError, match="down"):
        write_pairs(Dead(), [TEXT], 40, 0, tmp_path / "pairs.jsonl")


@pytest.mark.parametrize("content", ["", "{}\nno json\n", "{}\n[1]\n", '{}\n{"text": "A.", "edit": "B."}\n', None])
def test_files_without_pairs_are_errors(content: str | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "pairs.jsonl").write_text(content)
    with pytest.raises(PreparationError, match=r"pairs\.jsonl"):
        read_pairs(tmp_path / "pairs.jsonl")


def test_a_share_of_the_examples_is_self_made() -> None:
    pair = Example(Prompt("rewrite", text=TEXT, edit="Add a parrot."), f"{TEXT} A parrot listens.")
    rng = np.random.default_rng(0)
    drawn = [Material((), (pair,)).draw(rng) == pair for _ in range(500)]
    assert np.mean(drawn) == pytest.approx(SELF_MADE, abs=0.05)
    first, other = np.random.default_rng(1), np.random.default_rng(1)
    assert Material().draw(first) == Material(()).draw(other)
    assert Material().hashes.keys() == {"texts"}
    assert Material((), (pair,)).hashes["texts"] == Material().hashes["texts"]


def test_training_mixes_pairs_in_and_other_pairs_do_not_resume(plain_folder: Path, tmp_path: Path) -> None:
    row = {"text": TEXT, "edit": "Add a parrot.", "rewrite": f"{TEXT} A parrot listens."}
    rows = [{}, row | {"kept": True}, row | {"rewrite": TEXT, "kept": False}]
    pairs = tmp_path / "pairs.jsonl"
    pairs.write_text("".join(json.dumps(row) + "\n" for row in rows))
    given = ["--base", str(plain_folder), "--out", str(tmp_path / "out"), "--steps", "2", "--rank", "2"]
    command.main(["train", *given, "--longest", "1000", "--pairs", str(pairs)])
    recipe = json.loads((tmp_path / "out" / "recipe.json").read_text())
    assert recipe["pairs"] == Material((), read_pairs(pairs)).hashes["pairs"]
    with pytest.raises(ConfigurationError, match=r"another source: pairs differ"):
        train(str(plain_folder), tmp_path / "out", Recipe(steps=2, rank=2, longest=1000), _own_texts())


def _own_texts() -> list[str]:
    from eagle_gym.language.editor import OVERVIEWS

    return OVERVIEWS.read_text(encoding="utf-8").splitlines()


def test_the_command_that_makes_pairs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "load_language_model", lambda spec, max_new_tokens: Editor())
    command.main(["pairs", "--model", "smollm2", "--out", str(tmp_path / "pairs.jsonl"), "--count", "40"])
    assert f"{len(read_pairs(tmp_path / 'pairs.jsonl'))} pairs of 40 edits" in capsys.readouterr().out
