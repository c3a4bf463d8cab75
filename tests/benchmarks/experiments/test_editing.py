"""The rules of the experiment on editing, and that its edits occur in no editor's training."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.__main__ import main
from benchmarks.experiments.editing.cases import (
    KINDS,
    WORDINGS,
    Case,
    invented_cases,
    real_cases,
    spread,
)
from benchmarks.experiments.editing.check import check, mentions
from benchmarks.running.files import read_json
from eagle_gym.errors import CatalogError
from eagle_gym.language.editor import OVERVIEWS, edits, words
from eagle_gym.language.editor.requests import INSERTIONS, LEAD_SWAPS, SWAPS
from eagle_gym.plot_english import lexicon

TEXT = "Otto is a locksmith in Prague. Every evening he opens one door that he should have left closed, and goes home."
NAME = Case("name", TEXT, "Rename Otto to Silas.", "Silas", "Otto", familiar=True)
DECADE = Case("decade", f"In 1954, {TEXT}", "Set it in the 1980s.", "1980s", "1950s", familiar=True)
OBJECT = Case("object", TEXT, "Add an accordion.", "accordion", "", familiar=True)
TRAINED = (
    *words.WOMEN, *words.MEN, *words.SURNAMES, *words.PROFESSIONS, *words.PLACES, *words.SETTINGS, *words.GENRES,
    *words.THEMES, *words.TONES, *words.OBJECTS, *(e.surface for e in lexicon.entries() if e.slot != "decade"),
)  # fmt: skip


def test_300_edits_of_all_kinds() -> None:
    cases = invented_cases()
    assert len(cases) == len(set(cases)) == 300
    for kind in KINDS:
        assert sum(case.kind == kind for case in cases) == 60
        assert sum(case.kind == kind and case.familiar for case in cases) == 30
        assert sum(case.kind == kind for case in spread(cases, 100)) == 20


@pytest.mark.parametrize("case", invented_cases(), ids=lambda case: case.edit)
def test_an_edit_can_be_checked(case: Case) -> None:
    assert not mentions(case.text, case.new)
    assert not case.old or mentions(case.text, case.old)
    verdict = check(case, case.text)
    assert verdict.copied
    assert not verdict.followed
    assert verdict.kept == 1.0


def test_no_word_of_the_edits_occurs_in_training() -> None:
    trained = "\n".join([*TRAINED, OVERVIEWS.read_text(encoding="utf-8")])
    wanted = {value for case in invented_cases() if case.kind != "decade" for value in (case.old, case.new) if value}
    assert [value for value in wanted if re.search(rf"(?i)\b{re.escape(value)}\b", trained)] == []


def test_no_text_occurs_in_training() -> None:
    rng = np.random.default_rng(0)
    texts = [*OVERVIEWS.read_text(encoding="utf-8").splitlines(), *(edits.example(rng).prompt.text for _ in range(500))]
    trained = {run for text in texts for run in _runs(text)}
    assert [case.text for case in invented_cases() if trained & _runs(case.text)] == []


def _runs(text: str, length: int = 7) -> set[tuple[str, ...]]:
    """Every run of so many words."""
    found = re.findall(r"\w+", text.lower())
    return {tuple(found[start : start + length]) for start in range(len(found) - length + 1)}


@pytest.mark.parametrize("kind", KINDS)
def test_wordings_are_as_familiar_as_they_say(kind: str) -> None:
    forms = [form for group in (*SWAPS.values(), *LEAD_SWAPS.values()) for form in group]
    forms += [form for one in INSERTIONS.values() for form in one.requests]
    trained = {re.sub(r"\{(a )?value\}", r"{\1new}", form) for form in forms}
    familiar, other = ({form.rstrip(".?") for form in group} for group in WORDINGS[kind])
    assert familiar <= trained
    assert not other & trained


def test_an_edit_that_is_carried_out() -> None:
    verdict = check(NAME, TEXT.replace("Otto", "Silas"))
    assert verdict.followed
    assert verdict.kept == 1.0
    assert not verdict.copied
    assert not verdict.rambled


@pytest.mark.parametrize(
    "answer",
    [
        "Silas is a man.",  # another text
        f"Silas. {TEXT}",  # the old name is still there
        f"Edit: Rename Otto to Silas.\n{TEXT}".replace("Otto", "Silas"),  # the prompt comes back
        TEXT.replace("Otto", "Silas") + " " + TEXT.replace("Otto", "Silas") * 3,
        "",
    ],
)
def test_edits_that_are_not_carried_out(answer: str) -> None:
    verdict = check(NAME, answer)
    assert not verdict.followed or verdict.rambled


def test_an_echoed_request_is_no_edit() -> None:
    assert not check(OBJECT, f"{TEXT} Add an accordion.").followed
    assert check(OBJECT, f"{TEXT} There is also an accordion.").followed
    assert check(OBJECT, f"{TEXT} Two accordions play.").followed


def test_decades_are_also_years() -> None:
    assert check(DECADE, DECADE.text.replace("1954", "1983")).followed
    assert check(DECADE, DECADE.text.replace("1954", "the 1980s")).followed
    assert not check(DECADE, f"It is 1983. {DECADE.text}").followed
    assert mentions("in the 1950s", "1950s")
    assert not mentions("in 1960", "1950s")


def test_rambling() -> None:
    assert check(OBJECT, f"{TEXT} An accordion. {'And so it goes on. ' * 20}").rambled
    assert check(OBJECT, None).rambled
    assert check(OBJECT, None).kept == 0.0


def test_words_that_should_go_are_not_missed() -> None:
    half = "Otto is a locksmith in Prague."
    assert 0.2 < check(NAME, half.replace("Otto", "Silas")).kept < 0.4
    assert check(replace(NAME, old="Prague", new="Naples"), TEXT.replace("Prague", "Naples")).kept == 1.0


def test_real_overviews_are_edited(tmp_path: Path) -> None:
    text = "Anna, a nurse in Paris, finds an old diary under the floor and begins to suspect that its author is alive."
    (tmp_path / "overviews.csv").write_text("movieId,overview\n" + "".join(f'{i},"{text}"\n' for i in range(20)))
    cases = real_cases(tmp_path, 10)
    assert len(cases) == 10
    assert {case.kind for case in cases} == set(KINDS)
    with pytest.raises(CatalogError, match=r"has no overviews\.csv: expected a MovieLens folder"):
        real_cases(tmp_path / "nowhere", 10)


def test_the_experiment(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[3]))
    spec = "python:tests.benchmarks.experiments.test_editing:make_editor"
    assert main(["run", "editing", "--size", "smoke", "--language-model", spec, "--out", str(tmp_path)]) == 0
    page = (tmp_path / "REPORT.md").read_text()
    assert page in capsys.readouterr().out
    greedy, sampled = read_json(tmp_path / "run.json")["measured"]
    assert greedy["followed, name"] == sampled["followed, name"] == 1.0
    assert greedy["followed, object"] == 0.0
    assert greedy["copied"] > 0
    assert len(read_json(tmp_path / "answers.json")["answers"]) == 20


def make_editor() -> object:
    """A model that renames people and copies everything else."""
    from eagle_gym.language import Completion, Prompt
    from tests.language.tiny import ScriptedModel

    known = {(case.text, case.edit): case for case in invented_cases()}

    class Renamer(ScriptedModel):
        def generate(
            self, prompts: Sequence[Prompt], seeds: Sequence[int], *, temperature: float = 1.0
        ) -> list[Completion]:
            answers = []
            for prompt in prompts:
                case = known[prompt.text, prompt.edit]
                text = case.text.replace(case.old, case.new) if case.kind == "name" else case.text
                answers.append(Completion(text, 10, 5, "stop"))
            return answers

    return Renamer()
