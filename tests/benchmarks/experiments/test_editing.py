"""The rules of the experiment on editing, and that its edits occur in no editor's training."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from benchmarks.__main__ import main
from benchmarks.experiments.editing.agreement import agreement, area, kappa
from benchmarks.experiments.editing.cases import (
    KINDS,
    WORDINGS,
    Case,
    invented_cases,
    open_cases,
    real_cases,
    spread,
)
from benchmarks.experiments.editing.check import check
from benchmarks.experiments.editing.judges import by_model, by_overlap, movements
from benchmarks.experiments.editing.measure import Measured
from benchmarks.experiments.editing.models import open_model, parsed, public
from benchmarks.experiments.editing.tables import followed, in_percent
from benchmarks.running.files import read_json
from eagle_gym.errors import CatalogError, ConfigurationError
from eagle_gym.language.change import mentions
from eagle_gym.language.editor import OVERVIEWS, edits, words
from eagle_gym.language.editor.requests import INSERTIONS, LEAD_SWAPS, SWAPS
from eagle_gym.language.installed import installed_file
from eagle_gym.plot_english import lexicon
from tests.language.tiny import Saying

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


MAKE = "python:tests.benchmarks.experiments.test_editing:{}"


def test_the_experiment(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[3]))
    editor, judges = MAKE.format("make_editor"), f"{MAKE.format('make_judge')},grammar"
    given = ["--language-model", f"{editor},{MAKE.format('make_copier')}", "--judge", judges, "--out", str(tmp_path)]
    assert main(["run", "editing", "--size", "smoke", *given]) == 0
    page = (tmp_path / "REPORT.md").read_text()
    assert page in capsys.readouterr().out
    found = read_json(tmp_path / "run.json")
    of = {name: [one for one in found["measured"] if one["model"].endswith(name)] for name in ("editor", "copier")}
    greedy, *opened = sorted(of["editor"], key=lambda one: (one["cases"], one["temperature"]))
    sampled, *opened = opened
    assert greedy["followed, name"] == sampled["followed, name"] == 1.0
    assert greedy["followed, object"] == 0.0
    assert greedy["copied"] > 0
    assert [(one["cases"], one["edits"], one["followed"]) for one in opened] == [("open", 2, 0.0)] * 2
    assert len(read_json(tmp_path / "answers.json")["answers"]) == 48
    assert [one["temperature"] for one in found["measured"]] == [0.0] * 4 + [1.0] * 4, "all models greedily, then not"
    rows = [line.split("|")[1:4] for line in page.splitlines() if re.match(r"\| python:\S+ +\| +(open|inv)", line)]
    assert rows[:8] == sorted(rows[:8], key=lambda row: ("copier" in row[0], "open" in row[1], row[2]))
    assert f"| less {editor} |" in page
    judged = {(o["cases"], o["temperature"], o["judge"]): o for o in found["judged"] if o["model"] == editor}
    assert judged["invented", 0.0, MAKE.format("make_judge")]["kappa"]["estimate"] == 1.0
    assert judged["invented", 0.0, "overlap: edited"]["kappa"]["estimate"] == 1.0, "this editor copies what it leaves"
    assert judged["invented", 0.0, "grammar"]["said"] == [None] * 10
    assert "invented), the first: expected a general language model as the judge of edits, got 'grammar'" in page
    assert found["moved"][0]["followed moved less"]["estimate"] == 0.0, "copies have not moved at all"


def test_only_some_texts_are_edited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[3]))
    given = ["--language-model", MAKE.format("make_editor"), "--out", str(tmp_path)]
    assert main(["run", "editing", "--size", "smoke", "--only", "open", *given]) == 0
    assert {one["cases"] for one in read_json(tmp_path / "run.json")["measured"]} == {"open"}
    assert main(["run", "editing", "--size", "smoke", "--only", "opened", *given]) != 0


def make_editor() -> object:
    """A model that renames people and copies everything else."""
    from eagle_gym.language import Completion, Prompt
    from tests.language.tiny import ScriptedModel

    known = {(case.text, case.edit): case for case in (*invented_cases(), *open_cases())}

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


def make_copier() -> object:
    """A model that repeats every text."""
    from eagle_gym.language import Completion, Prompt
    from tests.language.tiny import ScriptedModel

    class Copier(ScriptedModel):
        def generate(
            self, prompts: Sequence[Prompt], seeds: Sequence[int], *, temperature: float = 1.0
        ) -> list[Completion]:
            return [Completion(prompt.text, 10, 5, "stop") for prompt in prompts]

    return Copier()


def make_judge() -> object:
    """A model that calls an edit done where the text has changed."""
    from eagle_gym.language import Completion, Prompt
    from tests.language.tiny import ScriptedModel

    class Judge(ScriptedModel):
        def generate(
            self, prompts: Sequence[Prompt], seeds: Sequence[int], *, temperature: float = 1.0
        ) -> list[Completion]:
            assert all(prompt.task == "check" for prompt in prompts)
            said = ["No" if prompt.rewrite == prompt.text else "Yes." for prompt in prompts]
            return [Completion(text, 10, 1, "stop") for text in said]

    return Judge()


def test_open_edits_can_be_checked() -> None:
    cases = open_cases()
    assert len(cases) == len(set(cases)) == 60
    assert len({case.text for case in cases}) == 5
    trained = "\n".join([*TRAINED, OVERVIEWS.read_text(encoding="utf-8")])
    for case in cases:
        assert (re.search(rf"(?i)\b{case.new}\b", trained) is not None) == case.familiar, case.new
    for case in cases:
        assert not mentions(case.text, case.new)
        assert not check(case, case.text).followed
        assert not check(case, f"{case.text} {case.edit}").followed
        assert check(case, f"{case.text} There is also a {case.new}.").followed


def measured(answers: Sequence[str | None]) -> Measured:
    cases = tuple(invented_cases()[: len(answers)])
    verdicts = tuple(check(case, answer) for case, answer in zip(cases, answers, strict=True))
    return Measured("m", "invented", 0.0, cases, tuple(answers), verdicts, len(answers), 1.0)


def test_answers_that_say_neither_yes_nor_no_are_not_compared() -> None:
    case = invented_cases()[0]
    one = measured([case.text.replace(case.old, case.new), None, case.text, case.text])
    judged = by_model(one, Saying(["Yes", "Perhaps.", "no"]), "judge")
    assert judged.said == (True, None, False)
    assert "got 'Perhaps.'" in judged.problem
    assert judged.yes == 0.5
    assert judged.compared()["agreement"].estimate == 1.0
    assert by_overlap(one).said == (True, False, False)
    (moved,) = movements(one, sentences=False)
    assert moved.distances[0] > moved.distances[1] == moved.distances[2] == 0.0
    assert moved.mean(followed=True) == moved.distances[0]


def test_nothing_finished_is_not_available() -> None:
    one = measured([None, None])
    assert by_overlap(one).compared() == {"agreement": None, "kappa": None}
    (moved,) = movements(one)
    assert moved.compared() is None


def test_agreement_beyond_chance() -> None:
    texts = [f"text {number}" for number in range(100)]
    rule = [number < 90 for number in range(100)]
    always, opposite = [True] * 100, [not value for value in rule]
    assert agreement(always, rule, texts).estimate == pytest.approx(0.9)
    assert kappa(always, rule, texts).estimate == 0.0
    assert kappa(rule, rule, texts).estimate == kappa(rule, rule, texts).low == 1.0
    assert kappa(opposite, rule, texts).estimate < -0.15
    # 20 and 15 agree of 50, yes is said by 25 and 30: kappa is 0.4 (Cohen's own measure, a textbook example)
    said = [True] * 25 + [False] * 25
    other = [True] * 20 + [False] * 5 + [True] * 10 + [False] * 15
    found = kappa(said, other, texts[:50])
    assert found.estimate == pytest.approx(0.4)
    assert found.low < 0.4 < found.high


def test_intervals_draw_texts_and_not_edits() -> None:
    said, rule = [True] * 60, [number < 40 for number in range(60)]
    alone = agreement(said, rule, [f"text {number}" for number in range(60)])
    alike = agreement(said, rule, [f"text {number // 20}" for number in range(60)])
    assert alike.high - alike.low > 2 * (alone.high - alone.low)


def test_the_area_is_the_probability_of_the_right_order() -> None:
    rule = [True, True, False, False]
    texts = ["a", "b", "c", "d"]
    assert area([4.0, 3.0, 2.0, 1.0], rule, texts).estimate == 1.0
    assert area([4.0, 2.0, 3.0, 1.0], rule, texts).estimate == 0.75
    assert area([1.0, 1.0, 1.0, 1.0], rule, texts).estimate == 0.5


def test_no_address_is_published() -> None:
    assert public("openai:m@http://10.0.0.1:80/v1?timeout=9&prompts=few_shot&x=1") == "openai:m?prompts=few_shot"
    assert public("openai:m@http://10.0.0.1:80/v1") == "openai:m"
    assert public("transformers:here") == "transformers:here"


def test_a_model_in_this_process_is_asked_in_words_that_its_spec_names() -> None:
    assert parsed("plain?prompts=few_shot&dtype=bfloat16") == ("plain", {"prompts": "few_shot", "dtype": "bfloat16"})
    assert parsed("smollm2") == ("smollm2", {})
    served = "openai:m@http://10.0.0.1:80/v1?prompts=few_shot"
    assert parsed(served) == (served, {})
    with pytest.raises(ConfigurationError, match="expected the options prompts and dtype of 'plain', got device, x"):
        parsed("plain?device=cuda&dtype=bfloat16&x=")


@pytest.mark.skipif(installed_file("smollm2") is None or find_spec("gguf") is None, reason="needs make models")
def test_smollm2_as_it_is() -> None:
    model = open_model("plain?prompts=few_shot&dtype=bfloat16", device="cpu", max_new_tokens=4)
    assert model.name.startswith("transformers:")
    model.close()


def test_models_are_compared_on_the_same_edits() -> None:
    done = [case.text.replace(case.old, case.new) for case in invented_cases()[:2]]
    both, one, neither = measured(done), measured([done[0], None]), measured([None, None])
    assert in_percent(followed(one)) == "50 % [50, 50]", "one text"
    assert followed(one, both).estimate == -0.5
    assert followed(neither, both).estimate == -1.0
