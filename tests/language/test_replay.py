from __future__ import annotations

import json
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eagle_gym.errors import ConfigurationError, CutOffError, LanguageModelError, PreparationError
from eagle_gym.language import Prompt, load_language_model
from eagle_gym.language.replay import FORMAT, Origin, RecordedModel, Recording, ReplayedModel, _record
from tests import fake_worlds
from tests.language.tiny import WORDS, ScriptedModel

PROMPTS = [Prompt("rewrite", text, "add a robot") for text in WORDS]


def record(path: Path, count: int = 4, seed: int = 0) -> list:
    return RecordedModel(ScriptedModel(), path).generate(PROMPTS[:count], range(seed, seed + count))


def test_replay_answers_bit_for_bit(tmp_path: Path):
    path = tmp_path / "calls.jsonl"
    recorder = RecordedModel(ScriptedModel(), path)
    answers = recorder.generate(PROMPTS, range(4), temperature=0.7)
    scores = recorder.score(PROMPTS[0], ["a", "bcd"])
    model = load_language_model(f"replay:{path}")
    assert model.generate(PROMPTS[::-1], [3, 2, 1, 0], temperature=0.7) == answers[::-1]
    np.testing.assert_array_equal(model.score(PROMPTS[0], ["bcd", "a"]), scores[::-1])
    assert (model.name, model.fingerprint, model.language) == ("scripted", "f00d", "free")
    assert model.deterministic
    assert (model.usage.calls, model.usage.completion_tokens) == (6, 20)


def test_a_recorder_asks_each_question_once(tmp_path: Path):
    inner = ScriptedModel()
    model = RecordedModel(inner, tmp_path / "calls.jsonl")
    first = model.generate([PROMPTS[0], PROMPTS[0], PROMPTS[1]], [5, 5, 5])
    assert first[0] == first[1]
    assert model.generate([PROMPTS[1], PROMPTS[2]], [5, 5])[0] == first[2]
    assert len(inner.asked) == 3
    later = ScriptedModel()
    assert RecordedModel(later, tmp_path / "calls.jsonl").generate([PROMPTS[0]], [5]) == first[:1]
    assert later.asked == []
    assert model.usage is inner.usage


def test_a_miss_shows_the_nearest_question(tmp_path: Path):
    path = tmp_path / "calls.jsonl"
    record(path)
    model = ReplayedModel(path)
    with pytest.raises(LanguageModelError, match=r"seed 9 at .* nearest of 4 recorded is: .*submarine.* with seed 0"):
        model.generate([PROMPTS[0]], [9])
    with pytest.raises(
        LanguageModelError, match=r"temperature 0.5; .* recorded is: .*spy.* with seed 1 at temperature 1"
    ):
        model.generate([PROMPTS[1]], [1], temperature=0.5)
    with pytest.raises(LanguageModelError, match="no answer to: score of 'x' as propose"):
        model.score(Prompt("propose", "A film.", profile="Likes robots."), ["x"])


@settings(max_examples=25, derandomize=True, deadline=None)
@given(cut=st.integers(1, 400))
def test_a_file_cut_anywhere_loses_only_what_was_cut(tmp_path_factory: pytest.TempPathFactory, cut: int):
    path = tmp_path_factory.mktemp("cut") / "calls.jsonl"
    answers = record(path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    lines = whole[:-cut].count(b"\n")
    assert len(Recording(path, Origin("scripted", "f00d", "free")).answers) == max(0, lines - 1)
    inner = ScriptedModel()
    again = RecordedModel(inner, path).generate(PROMPTS, range(4))
    kept = max(0, lines - 1)
    assert again[:kept] == answers[:kept]
    assert len(inner.asked) == 4 - kept
    assert len(ReplayedModel(path).generate(PROMPTS, range(4))) == 4


def test_recorders_can_share_a_file_and_agree(tmp_path: Path):
    path = tmp_path / "calls.jsonl"
    first, second = RecordedModel(ScriptedModel(), path), RecordedModel(ScriptedModel(), path)
    assert first.deterministic
    assert second.deterministic
    answers = first.generate(PROMPTS[:3], range(3))
    second.generate(PROMPTS[3:], [3])  # so that its answers would be others: this model counts what it is asked
    assert second.generate(PROMPTS[:3], range(3)) == answers, "what another has recorded meanwhile counts"
    assert ReplayedModel(path).generate(PROMPTS[:3], range(3)) == answers
    assert path.read_text().count("format") == 1


def record_many(path: Path, process: int) -> None:
    model = RecordedModel(ScriptedModel(), path)
    for seed in range(20):
        model.generate(PROMPTS[: 1 + (process + seed) % 4], [seed] * (1 + (process + seed) % 4))


def test_processes_can_share_a_file(tmp_path: Path):
    path = tmp_path / "calls.jsonl"
    workers = [get_context("fork").Process(target=record_many, args=(path, process)) for process in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
        assert worker.exitcode == 0
    lines = path.read_text().splitlines()
    asked = [json.dumps(json.loads(line)["question"]) for line in lines[1:]]
    assert len(set(asked)) == len(asked), "no question is recorded twice"
    assert len(ReplayedModel(path).generate(PROMPTS, [3] * 4)) == 4


def test_recordings_of_one_model_can_be_put_together(tmp_path: Path):
    for name, seed in (("a", 0), ("b", 10)):
        record(tmp_path / name, seed=seed)
    (tmp_path / "both").write_bytes((tmp_path / "a").read_bytes() + (tmp_path / "b").read_bytes())
    assert len(ReplayedModel(tmp_path / "both").generate([PROMPTS[0]] * 2, [0, 10])) == 2


@settings(max_examples=40, derandomize=True, deadline=None)
@given(text=st.text(st.characters(), min_size=1).filter(str.strip))
def test_any_unicode_is_kept(tmp_path_factory: pytest.TempPathFactory, text: str):
    path = tmp_path_factory.mktemp("unicode") / "calls.jsonl"
    prompt = Prompt("rewrite", text, text)
    answer = RecordedModel(ScriptedModel(), path).generate([prompt], [1])
    assert ReplayedModel(path).generate([prompt], [1]) == answer


def test_a_recording_belongs_to_one_model(tmp_path: Path):
    path = tmp_path / "calls.jsonl"
    record(path)
    other = ScriptedModel()
    other.fingerprint = "beef"
    with pytest.raises(ConfigurationError, match="holds answers of 'scripted'"):
        RecordedModel(other, path)


def test_a_recording_belongs_to_one_way_of_opening_a_model(control_folder: Path, tmp_path: Path):
    spec, path = f"transformers:{control_folder}", str(tmp_path / "calls.jsonl")
    answers = load_language_model(spec, dtype="bfloat16", record=path).generate(PROMPTS[:1], [0])
    with pytest.raises(ConfigurationError, match=r"opened with .*bfloat16.*, not with .*float32.*: record into"):
        load_language_model(spec, record=path)
    assert load_language_model(f"replay:{path}").generate(PROMPTS[:1], [0]) == answers


def test_what_was_answered_is_kept_where_another_row_failed(control_folder: Path, tmp_path: Path):
    path = str(tmp_path / "calls.jsonl")
    spec, short = f"transformers:{control_folder}", {"max_new_tokens": 12, "record": path}
    with pytest.raises(LanguageModelError, match="cut off") as caught:
        load_language_model(spec, **short).generate(PROMPTS * 8, range(32))
    kept = caught.value.answered
    assert 0 < len(kept) < 32
    replayed = load_language_model(f"replay:{path}")
    for row, answer in kept.items():
        assert replayed.generate([(PROMPTS * 8)[row]], [row]) == [answer]
    with pytest.raises(CutOffError, match="of 32 recorded answers were cut off, the first at 12 tokens") as again:
        replayed.generate(PROMPTS * 8, range(32))
    assert (again.value.answered, again.value.cut) == (kept, caught.value.cut)


def test_an_answer_that_was_cut_off_is_not_asked_for_again(tmp_path: Path):
    prompts = [Prompt("rewrite", "A film.", edit) for edit in ("Ramble.", "Make it dark.")]
    inner = fake_worlds.ScriptedModel(cut=("Ramble.",))
    model = RecordedModel(inner, tmp_path / "calls.jsonl")
    for _ in range(2):
        with pytest.raises(CutOffError) as caught:
            model.generate(prompts, [0, 1])
        assert (list(caught.value.cut), list(caught.value.answered)) == ([0], [1])
    assert len(inner.batches) == 1


@pytest.mark.parametrize("left", [None, b""])
def test_a_file_that_is_removed_or_emptied_is_begun_anew(tmp_path: Path, left: bytes | None):
    path = tmp_path / "calls.jsonl"
    model = RecordedModel(ScriptedModel(), path)
    model.generate(PROMPTS, range(4))
    path.unlink()
    if left is not None:
        path.write_bytes(left)
    assert model.generate(PROMPTS[:1], [9])
    asked_again = model.generate(PROMPTS, range(4))
    assert ReplayedModel(path).generate(PROMPTS, range(4)) == asked_again


def test_a_file_that_cannot_be_written_is_a_typed_error(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(PreparationError, match="cannot be written"):
        record(tmp_path / "file" / "calls.jsonl")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty"),
        ("hello\n", "line 1: not a JSON object"),
        ("[1]\n", "line 1: not a JSON object"),
        ('{"format": "zip"}\n', "line 1: expected the header"),
        ("HEADER{}\nHEADER", "line 2: not a recorded answer"),
        ('HEADER{"question": {"prompt": {"task": "sing"}}, "answer": 1}\n', "line 2: not a recorded answer"),
        ('HEADER{"question": 3, "answer": 1}\n', "line 2: not a recorded answer"),
        ("HEADERHEADER2", "line 2: a second model"),
    ],
)
def test_what_is_no_recording_says_where(tmp_path: Path, content: str, message: str):
    header = json.dumps({"format": FORMAT, "model": "m", "fingerprint": "f", "language": "free"}) + "\n"
    path = tmp_path / "calls.jsonl"
    path.write_text(content.replace("HEADER2", header.replace('"f"', '"g"')).replace("HEADER", header))
    with pytest.raises(PreparationError, match=message):
        ReplayedModel(path)


ANSWER = {"text": "A film.", "prompt_tokens": 1, "completion_tokens": 1, "finish_reason": "stop"}
ASKED = {"prompt": {"task": "propose", "text": "A film."}, "seed": 1, "temperature": 1.0}
SCORED = {"prompt": {"task": "propose", "text": "A film."}, "continuation": "x"}


def with_line(path: Path, question: object, answer: object) -> Path:
    """A recording of one answer whose checksum is right."""
    header = {"format": FORMAT, "model": "m", "fingerprint": "f", "language": "free"}
    path.write_text(f"{json.dumps(header)}\n{json.dumps(_record(question, answer))}\n")
    return path


@pytest.mark.parametrize(
    ("question", "answer", "message"),
    [
        (ASKED, {**ANSWER, "text": ""}, "expected a text or a cut one, got ''"),
        (ASKED, {**ANSWER, "text": 7}, "expected str as text, got int"),
        (ASKED, {**ANSWER, "prompt_tokens": "1"}, "expected int as prompt_tokens, got str"),
        (ASKED, {**ANSWER, "completion_tokens": None}, "expected int as completion_tokens, got NoneType"),
        (ASKED, {**ANSWER, "finish_reason": "why"}, "expected a text or a cut one, got 'A film.' with 'why'"),
        (ASKED, {**ANSWER, "mood": 1}, "unexpected keyword argument"),
        (ASKED, -1.0, "expected dict as answer, got float"),
        ({**ASKED, "seed": None}, ANSWER, "expected int as seed"),
        ({**ASKED, "temperature": True}, ANSWER, "expected int or float as temperature"),
        (SCORED, ANSWER, "expected int or float as answer, got dict"),
        (SCORED, float("nan"), "got nan"),
    ],
)
def test_a_broken_answer_is_refused(tmp_path: Path, question: object, answer: object, message: str):
    path = with_line(tmp_path / "calls.jsonl", question, answer)
    with pytest.raises(PreparationError, match=rf"calls.jsonl, line 2: not a recorded answer .*{message}"):
        ReplayedModel(path)


def test_a_changed_line_is_refused(tmp_path: Path):
    path = with_line(tmp_path / "calls.jsonl", ASKED, ANSWER)
    assert ReplayedModel(path).generate([Prompt("propose", "A film.")], [1])
    for old, new in (("A film.", "A filn."), ('"seed": 1', '"seed": 2'), ('"sha256"', '"sha"')):
        (tmp_path / "changed").write_text(path.read_text().replace(old, new))
        with pytest.raises(PreparationError, match=r"changed, line 2: .* the line was changed"):
            ReplayedModel(tmp_path / "changed")


def test_a_missing_recording_says_how_to_make_one(tmp_path: Path):
    with pytest.raises(PreparationError, match="does not exist: make it with record="):
        load_language_model(f"replay:{tmp_path / 'no.jsonl'}")


def test_recording_comes_with_the_loader(control_folder: Path, tmp_path: Path):
    path = tmp_path / "deep" / "calls.jsonl"
    model = load_language_model(f"transformers:{control_folder}", record=str(path), max_calls=40)
    answers = model.generate(PROMPTS, range(4))
    assert model.load()[1]("A")["input_ids"]
    model.close()
    assert load_language_model(f"replay:{path}").generate(PROMPTS, range(4)) == answers
